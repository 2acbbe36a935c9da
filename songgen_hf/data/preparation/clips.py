"""Clips: rows that name a place of a recording, and the audio of that place.

A clip is a row of a recording with ``clip_start`` and ``clip_seconds``. Rows never hold audio, so a
table of clips stays small however long the recordings are.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ...modeling import audio_io
from ...modeling.audio_io import read_audio

TRACK_COLUMNS = {"mixture": "path", "vocal": "vocal", "accompaniment": "accompaniment"}
"""The column with the audio of each track."""
EDGE_SECONDS = 0.005
"""Length of the fade at both edges of a clip."""


def clip_id(recording_id: str, start: float) -> str:
    """The id of the clip of a recording that begins at ``start`` seconds."""
    return f"{recording_id}-{round(start * 1000):09d}"


def read_clip(row: Mapping[str, Any], track: str, rate: int) -> np.ndarray | None:
    """Read a track of a clip.

    Args:
        row: a clip.
        track: ``mixture``, ``vocal`` or ``accompaniment``.
        rate: sampling rate of the result in Hz.
    Returns:
        [S] float32, faded at both edges; None if the clip has no such track.
    Raises:
        ValueError: naming the clip, if its audio cannot be read.
    """
    source = row.get(TRACK_COLUMNS[track])
    if source is None:
        return None
    try:
        waveform = read_audio(
            source, rate, start=row["clip_start"], duration=row["clip_seconds"]
        ).copy()
    except ValueError as error:
        raise ValueError(f"{track} of the clip {row['id']!r}: {error}") from error
    length = min(round(EDGE_SECONDS * rate), len(waveform) // 2)
    edge = (np.arange(length, dtype=np.float32) + 0.5) / max(1, length)
    waveform[:length] *= edge
    waveform[len(waveform) - length :] *= edge[::-1]
    return waveform


def read_channels(row: Mapping[str, Any]) -> tuple[np.ndarray, int]:
    """Read the mixture of a clip with the channels and the sampling rate of its recording.

    Args:
        row: a clip.
    Returns:
        [C, S] float32 without fades, and the sampling rate in Hz.
    Raises:
        ValueError: naming the clip, if its audio cannot be read.
    """
    try:
        return audio_io.read_channels(
            row["path"], start=row["clip_start"], duration=row["clip_seconds"]
        )
    except ValueError as error:
        raise ValueError(f"mixture of the clip {row['id']!r}: {error}") from error


__all__ = ["EDGE_SECONDS", "TRACK_COLUMNS", "clip_id", "read_channels", "read_clip"]

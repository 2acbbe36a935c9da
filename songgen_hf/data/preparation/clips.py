"""Clips: rows that name a place of a recording, and the audio of that place.

A clip is a row of a recording with ``clip_start`` and ``clip_seconds``. Rows never hold audio, so a
table of clips stays small however long the recordings are. Paths of files inside the folder of a
preparation are stored relative to it, so that it can be moved.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ...modeling import audio_io
from ...modeling.audio_io import read_audio
from ...optional import require

PREPARATION_FILE = "songs.json"
"""The file by which the folder of a preparation is known."""
TRACK_COLUMNS = {"mixture": "path", "vocal": "vocal", "accompaniment": "accompaniment"}
"""The column with the audio of each track."""
EDGE_SECONDS = 0.005
"""Length of the fade at both edges of a clip."""


def words_type() -> Any:
    """The type of pyarrow of the column ``words``, whose times are seconds of the clip."""
    arrow = require("pyarrow", "prepare")
    times = [(name, arrow.float64()) for name in ("start", "end", "score")]
    return arrow.list_(arrow.struct([("word", arrow.string()), *times, ("line", arrow.int32())]))


def clip_id(recording_id: str, start: float) -> str:
    """The id of the clip of a recording that begins at ``start`` seconds."""
    return f"{recording_id}-{round(start * 1000):09d}"


def relative_tracks(row: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A row as it is stored: paths of its tracks inside a folder are relative to the folder."""
    folder = folder.resolve()
    return dict(row) | {
        name: Path(row[name]).relative_to(folder).as_posix()
        for name in TRACK_COLUMNS.values()
        if row.get(name) and Path(row[name]).is_relative_to(folder)
    }


def absolute_tracks(row: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A row that :func:`relative_tracks` made for a folder, which may have been moved since."""
    folder = folder.resolve()
    return dict(row) | {
        name: str(folder / row[name]) for name in TRACK_COLUMNS.values() if row.get(name)
    }


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


__all__ = [
    "EDGE_SECONDS",
    "PREPARATION_FILE",
    "TRACK_COLUMNS",
    "absolute_tracks",
    "clip_id",
    "read_channels",
    "read_clip",
    "relative_tracks",
    "words_type",
]

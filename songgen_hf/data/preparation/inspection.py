"""Inspects the files of recordings: format, channels, length, and whether the end is missing.

Only headers and single places of a file are read, so a recording of hours takes milliseconds.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import soundfile

from ...modeling.audio_io import read_channels
from ...optional import require

_PROBE_SECONDS = 0.05  # read of the beginning, to find out whether it can be decoded
_TOLERANCE = 0.2  # seconds; encoders pad the end
_OGG_PAGE = 1 << 16  # bytes; the largest page has slightly less


def columns() -> Any:
    """The columns that :func:`inspect_recording` adds, as a list of pyarrow fields."""
    arrow = require("pyarrow", "prepare")
    return [
        arrow.field("source_format", arrow.string()),
        arrow.field("source_rate", arrow.int64()),
        arrow.field("source_channels", arrow.int64()),
        arrow.field("source_seconds", arrow.float64()),
        arrow.field("truncated", arrow.bool_()),
    ]


def inspect_recording(recording: Mapping[str, Any]) -> dict[str, Any]:
    """Add facts about the file of a recording.

    ``source_seconds`` is the length that can be read. ``truncated`` says that the end is missing,
    as after an interrupted download: fewer bytes or samples than the header announces (wav, flac,
    and mp3 with an information header), or no mark of the end (ogg). An mp3 file without such a
    header does not say how long it should be, so its loss is not recognized.

    Args:
        recording: a recording with ``path``.
    Returns:
        The recording with the columns of :func:`columns`.
    Raises:
        ValueError: if there is no file, or nothing of it can be decoded.
    """
    if not recording.get("path"):
        raise ValueError("it has no sound")
    path = Path(recording["path"])
    read_channels(path, duration=_PROBE_SECONDS)
    with soundfile.SoundFile(path) as audio:
        rate, channels, frames = audio.samplerate, audio.channels, audio.frames
        container = audio.format
    readable = frames
    if container == "FLAC" or (container in ("MP3", "MPEG") and _has_length_header(path)):
        readable = _readable_frames(path, frames, rate)
        truncated = readable < frames - _TOLERANCE * rate
    elif container == "OGG":
        truncated = not _ends_with_last_page(path)
    else:  # formats that announce nothing have a size of 0
        truncated = _announced_bytes(path) > path.stat().st_size + 1
    return {
        **recording,
        "source_format": container.lower(),
        "source_rate": rate,
        "source_channels": channels,
        "source_seconds": readable / rate,
        "truncated": truncated,
    }


def _readable_frames(path: Path, frames: int, rate: int) -> int:
    """Find where a file that announces ``frames`` samples ends, to a tenth of a second."""
    low, high = 0, frames  # the samples up to ``low`` can be read
    if _can_read(path, max(0, frames - round(_TOLERANCE * rate))):
        return frames
    while high - low > rate / 10:
        middle = (low + high) // 2
        low, high = (middle, high) if _can_read(path, middle) else (low, middle)
    return low


def _can_read(path: Path, place: int) -> bool:
    try:
        with soundfile.SoundFile(path) as audio:
            audio.seek(place)
            return len(audio.read(16)) > 0
    except soundfile.SoundFileError:
        return False


def _ends_with_last_page(path: Path) -> bool:
    """Whether the last page of an Ogg file carries the flag of the end of the stream."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _OGG_PAGE))
        ending = file.read()
    page = ending.rfind(b"OggS\0")
    return page >= 0 and len(ending) > page + 5 and bool(ending[page + 5] & 4)


def _has_length_header(path: Path) -> bool:
    """Whether the first frame of an mp3 file says how many frames there are."""
    with path.open("rb") as file:
        tag = file.read(10)
        if tag[:3] == b"ID3":  # its size has 7 bits in each byte
            file.seek(10 + sum(byte << 7 * (9 - place) for place, byte in enumerate(tag[6:10], 6)))
        frame = tag + file.read(2048)
    return any(name in frame for name in (b"Xing", b"Info", b"VBRI"))


def _announced_bytes(path: Path) -> int:
    """The size of a file according to its RIFF header; 0 if there is none or it says nothing."""
    with path.open("rb") as file:
        header = file.read(8)
    if header[:4] != b"RIFF":
        return 0
    size = int(struct.unpack("<I", header[4:])[0])
    return 0 if size == 0xFFFFFFFF else size + 8


__all__ = ["columns", "inspect_recording"]

"""Reads the reference voice that a visitor uploads or records, and checks it before decoding.

The package reads WAV, FLAC, OGG and MP3. Recordings of browsers (WebM) and phones (M4A) are decoded
with ffmpeg where it is installed. The container is identified by the first bytes of the file and
set explicitly, so that no file can make ffmpeg open another file.
"""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from ..modeling.audio_io import read_audio
from .limits import Limits

_RATE = 24000  # sampling rate of the returned voice, in Hz
_USED_SECONDS = 30.0
_SILENCE = 1e-3  # peak below which a voice counts as silent
_FFMPEG_SECONDS = 30  # timeout
_KEPT = "voice.npy"


def read_voice(path: str | Path | None, start: float, limits: Limits) -> tuple[Any, int] | None:
    """Read the used part of a reference voice.

    Args:
        path: the uploaded file; None for no voice.
        start: second at which the used part begins.
        limits: limits of the Space.
    Returns:
        The waveform (float32 [S]) and its sampling rate in Hz; None for no voice.
    Raises:
        ValueError: if the file is too large, too long, silent or not a recording.
    """
    if path is None:
        return None
    return read_recording(path, start, limits, seconds=_USED_SECONDS), _RATE


def keep_voice(folder: Path, voice: tuple[Any, int]) -> None:
    """Write what :func:`read_voice` returned into the folder of a song, for its edits."""
    np.save(folder / _KEPT, voice[0], allow_pickle=False)


def kept_voice(folder: Path) -> tuple[Any, int] | None:
    """The voice that :func:`keep_voice` wrote; None for a song without one."""
    path = folder / _KEPT
    return (np.load(path, allow_pickle=False), _RATE) if path.is_file() else None


def read_recording(
    path: str | Path,
    start: float,
    limits: Limits,
    *,
    seconds: float,
    sampling_rate: int = _RATE,
    name: str = "reference voice",
) -> np.ndarray:
    """Read a part of an uploaded recording: float32 [S].

    Args:
        path: the uploaded file.
        start: second at which the part begins.
        limits: limits of the Space.
        seconds: longest length of the part.
        sampling_rate: sampling rate of the waveform, in Hz.
        name: what messages call the recording.
    Raises:
        ValueError: if the file is too large, too long, silent or not a recording.
    """
    try:
        return _read(Path(path), start, limits, seconds, sampling_rate)
    except ValueError as error:
        raise ValueError(str(error).replace("reference voice", name)) from error


def _read(
    path: Path, start: float, limits: Limits, seconds: float, sampling_rate: int
) -> np.ndarray:
    size = path.stat().st_size
    if size > limits.upload_bytes:
        raise ValueError(
            f"the reference voice has {size / 2**20:.0f} MB: up to "
            f"{limits.upload_bytes / 2**20:.0f} MB are accepted; cut it, a few seconds are enough"
        )
    source, duration = _open(path)
    if duration is not None and duration > limits.voice_seconds:
        raise ValueError(
            f"the reference voice lasts {_duration(duration)}: up to "
            f"{_duration(limits.voice_seconds)} are accepted; cut it, a few seconds are enough"
        )
    try:
        voice = read_audio(source, sampling_rate, start=start, duration=seconds)
    except ValueError as error:
        message = str(error).replace("the audio array", "the reference voice")
        raise ValueError(message.replace(repr(path.name), "the reference voice")) from error
    if not voice.size or float(np.abs(voice).max()) < _SILENCE:
        raise ValueError(
            f"the reference voice is silent from second {start:g} on: check the microphone, or "
            "choose another start"
        )
    return voice


def _open(path: Path) -> tuple[Any, float | None]:
    """The recording as ``read_audio`` takes it, and its duration in seconds if it is known."""
    import soundfile

    try:
        info = soundfile.info(str(path))
    except soundfile.SoundFileError:
        container = _container(path)
        if container is None:
            return str(path), None  # read_audio raises the error
        return _decode(path, container), None
    return str(path), info.frames / info.samplerate


def _container(path: Path) -> str | None:
    """ffmpeg's name of the container; None unless it is one of the two that ffmpeg may decode."""
    with path.open("rb") as file:
        head = file.read(12)
    if head.startswith(b"\x1aE\xdf\xa3"):
        return "matroska"
    return "mov" if head[4:8] == b"ftyp" else None


def _decode(path: Path, container: str) -> tuple[np.ndarray, int]:
    """Decode the first ten minutes of a WebM or M4A recording: int16 [S] and its rate in Hz."""
    program = shutil.which("ffmpeg")
    if program is None:
        raise ValueError(
            "the reference voice is a WebM or M4A recording, which this server cannot read without "
            "ffmpeg: upload WAV, FLAC, OGG or MP3"
        )
    command = [
        program, "-v", "error", "-nostdin", "-protocol_whitelist", "file", "-f", container,
        "-t", "600", "-i", f"file:{path}", "-map", "0:a:0", "-ac", "1", "-ar", str(_RATE),
        "-f", "s16le", "-",
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, timeout=_FFMPEG_SECONDS)
    except subprocess.TimeoutExpired:
        raise ValueError(
            "the reference voice takes too long to read: upload a few seconds as WAV"
        ) from None
    if done.returncode or len(done.stdout) < 2:
        raise ValueError(
            "cannot read the reference voice: it has no sound that ffmpeg understands; upload WAV, "
            "FLAC, OGG or MP3"
        )
    return np.frombuffer(done.stdout, dtype="<i2", count=len(done.stdout) // 2), _RATE


def _duration(seconds: float) -> str:
    """A duration in seconds, minutes or hours."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


__all__ = ["keep_voice", "kept_voice", "read_recording", "read_voice"]

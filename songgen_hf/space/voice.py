"""The reference voice that a visitor uploads or records: checked before anything is decoded.

The library reads WAV, FLAC, OGG and MP3. What browsers record (WebM) and phones (M4A) goes through
ffmpeg where that is installed: the container is told by its first bytes and forced, so that no file
can make ffmpeg open another one.
"""

import io
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from ..modeling.audio_io import read_audio
from .limits import Limits

_RATE = 24000  # Hz; of what ffmpeg decodes
_USED_SECONDS = 30.0
_SILENCE = 1e-3  # peak
_FFMPEG_SECONDS = 30  # before it is given up


def read_voice(path: str | Path | None, start: float, limits: Limits) -> tuple[Any, int] | None:
    """The used part of a reference voice as (float32 [S], rate in Hz); None for None.

    Args:
        path: the uploaded file.
        start: second at which the used part begins.
        limits: of the Space.
    Raises:
        ValueError: if it is too large, too long, silent or no recording.
    """
    if path is None:
        return None
    path = Path(path)
    size = path.stat().st_size
    if size > limits.upload_bytes:
        raise ValueError(
            f"the reference voice has {size / 2**20:.0f} MB: up to "
            f"{limits.upload_bytes / 2**20:.0f} MB are taken; cut it, a few seconds are enough"
        )
    source, duration = _opened(path)
    if duration is not None and duration > limits.voice_seconds:
        raise ValueError(
            f"the reference voice lasts {_told(duration)}: up to {_told(limits.voice_seconds)} "
            "are taken; cut it, a few seconds are enough"
        )
    try:
        voice = read_audio(source, _RATE, start=start, duration=_USED_SECONDS)
    except ValueError as error:
        message = str(error).replace("the audio bytes", "the reference voice")
        raise ValueError(message.replace(repr(path.name), "the reference voice")) from error
    if not voice.size or float(np.abs(voice).max()) < _SILENCE:
        raise ValueError(
            f"the reference voice is silent from second {start:g} on: check the microphone, or "
            "choose another start"
        )
    return voice, _RATE


def _opened(path: Path) -> tuple[Any, float | None]:
    """What ``read_audio`` takes, and the recording's seconds if they are known."""
    import soundfile

    try:
        info = soundfile.info(str(path))
    except soundfile.SoundFileError:
        container = _container(path)
        if container is None:
            return str(path), None  # read_audio says what is wrong
        return _decoded(path, container), None
    return str(path), info.frames / info.samplerate


def _container(path: Path) -> str | None:
    """ffmpeg's name of the container, of the two that are let through to it."""
    with path.open("rb") as file:
        head = file.read(12)
    if head.startswith(b"\x1aE\xdf\xa3"):
        return "matroska"
    return "mov" if head[4:8] == b"ftyp" else None


def _decoded(path: Path, container: str) -> bytes:
    """The first minutes of a WebM or M4A recording as the bytes of a WAV file."""
    program = shutil.which("ffmpeg")
    if program is None:
        raise ValueError(
            "the reference voice is a WebM or M4A recording, which needs ffmpeg here: upload WAV, "
            "FLAC, OGG or MP3"
        )
    command = [
        program, "-v", "error", "-nostdin", "-protocol_whitelist", "file", "-f", container,
        "-t", "600", "-i", f"file:{path}", "-map", "0:a:0", "-ac", "1", "-ar", str(_RATE),
        "-f", "wav", "-",
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, timeout=_FFMPEG_SECONDS)
    except subprocess.TimeoutExpired:
        raise ValueError(
            "the reference voice takes too long to read: upload a few seconds as WAV"
        ) from None
    if done.returncode or len(done.stdout) < 100:
        raise ValueError(
            "cannot read the reference voice: it has no sound that ffmpeg understands; upload WAV, "
            "FLAC, OGG or MP3"
        )
    return _with_length(done.stdout)


def _with_length(piped: bytes) -> bytes:
    """A WAV file that came through a pipe, with its true length in the header."""
    start = piped.index(b"data") + 8
    samples = np.frombuffer(piped[start : len(piped) - (len(piped) - start) % 2], dtype="<i2")
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, samples, _RATE, format="WAV", subtype="PCM_16")
    return file.getvalue()


def _told(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


__all__ = ["read_voice"]

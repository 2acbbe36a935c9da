"""Reads recordings and codes: base64 text or uploaded files, checked before decoding."""

import base64
import binascii
import io
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ..checkpoints.digests import check_codes_facts
from ..modeling.audio_io import read_audio
from ..space.limits import Limits
from ..space.voice import read_voice
from .engine import ModelFacts
from .limits import ServiceLimits

ARCHIVE = b"PK\x03\x04"
_LONGEST_HEAD = 4096  # bytes of an NPY file before its numbers


def decoded(name: str, text: str, limits: Limits) -> bytes:
    """Decode base64, with or without the beginning of a data URL.

    Raises:
        ValueError: if it is none, or too large.
    """
    if text.startswith("data:"):
        text = text.partition(",")[2]
    if len(text) > 4 * (limits.upload_bytes // 3 + 1):
        raise ValueError(
            f"{name} has {len(text) * 3 / 4 / 2**20:.0f} MB: up to "
            f"{limits.upload_bytes / 2**20:.0f} MB are accepted; cut the recording"
        )
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(
            f"{name} is neither the id of a kept song nor base64: encode the bytes of a WAV, FLAC, "
            "OGG or MP3 file, or upload the file as a part of a form"
            if name != "voice"
            else "voice is not base64: encode the bytes of a WAV, FLAC, OGG or MP3 file, or upload "
            "the file as a part of a form"
        ) from None


def voice_of(content: bytes, start: float, limits: Limits) -> tuple[Any, int]:
    """Read the used part of a reference voice, with the checks of the Space.

    Returns:
        The waveform, float32 [S], and its sampling rate in Hz.
    Raises:
        ValueError: if it is too large, too long, silent or not a recording.
    """
    with tempfile.TemporaryDirectory(prefix="songgen-voice-") as folder:
        path = Path(folder) / "voice"
        path.write_bytes(content)
        voice = read_voice(path, start, limits)
    assert voice is not None
    return voice


def recording_of(
    name: str, content: bytes, sampling_rate: int, limits: Limits
) -> tuple[np.ndarray, int]:
    """Read a recording of a song, or of one of its tracks.

    Args:
        name: name of the field, for errors.
        content: bytes of a WAV, FLAC, OGG or MP3 file.
        sampling_rate: rate to read it with, in Hz.
        limits: limits of the service.
    Returns:
        The waveform, float32 [S], and ``sampling_rate``.
    Raises:
        ValueError: if it is too large, too long or not a recording.
    """
    import soundfile

    if len(content) > limits.upload_bytes:
        raise ValueError(
            f"{name} has {len(content) / 2**20:.0f} MB: up to "
            f"{limits.upload_bytes / 2**20:.0f} MB are accepted; cut the recording"
        )
    try:
        info = soundfile.info(io.BytesIO(content))
    except (soundfile.SoundFileError, RuntimeError):
        raise ValueError(
            f"{name} is not a recording that can be read: send a WAV, FLAC, OGG or MP3 file"
        ) from None
    seconds = info.frames / info.samplerate
    if seconds > limits.seconds:
        raise ValueError(
            f"{name} lasts {seconds:.1f} s: up to {limits.seconds:g} s are accepted; cut the "
            "recording"
        )
    try:
        # Not longer than the header says, whatever follows.
        wave = read_audio(io.BytesIO(content), sampling_rate, duration=limits.seconds)
    except ValueError as error:
        raise ValueError(str(error).replace("the audio array", name)) from error
    return wave, sampling_rate


def codes_of(
    name: str, content: bytes, facts: ModelFacts, limits: ServiceLimits
) -> np.ndarray | None:
    """Read the codes of a song, as ``GET /v1/audio/songs/ID/codes.npz`` sends them.

    Not more is unpacked than the longest song has.

    Args:
        name: name of the field, for errors.
        content: bytes of the file.
        facts: what is known of the model.
        limits: limits of the service.
    Returns:
        Integers [tracks, K, T]; None for a file of another kind.
    Raises:
        ValueError: if it is damaged, too large or of another codec.
    """
    if not content.startswith(ARCHIVE):
        return None
    frames = max(limits.seconds, limits.whole_seconds) * facts.sampling_rate / facts.hop_length
    largest = _LONGEST_HEAD + 8 * int(frames + 1) * facts.num_tracks * facts.num_codebooks
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            codes = _array(archive, "codes", largest)
            written = [one for one in facts.of_codes if f"{one}.npy" in archive.namelist()]
            known = {one: _array(archive, one, _LONGEST_HEAD).item() for one in written}
        if codes.ndim not in (2, 3) or codes.dtype.kind not in "iu":
            raise ValueError("no codes")
    except (zipfile.BadZipFile, KeyError, ValueError, OSError, EOFError, NotImplementedError,
            RuntimeError, zlib.error):  # fmt: skip
        raise ValueError(
            f"{name} is no recording and has no codes that can be read: send a WAV, FLAC, OGG or "
            "MP3 file, or the codes.npz of a song of this service"
        ) from None
    check_codes_facts(name, known, facts.of_codes)
    return codes[None] if codes.ndim == 2 else codes


def _array(archive: zipfile.ZipFile, name: str, largest: int) -> np.ndarray:
    """An array of an NPZ file; ValueError if it is larger than so many bytes."""
    with archive.open(f"{name}.npy") as file:
        unpacked = file.read(largest + 1)
    if len(unpacked) > largest:
        raise ValueError("too large")
    return np.asarray(np.load(io.BytesIO(unpacked), allow_pickle=False))


__all__ = ["codes_of", "decoded", "recording_of", "voice_of"]

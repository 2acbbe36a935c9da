"""Reads a file, bytes or an array as one float32 audio channel at a given sampling rate.

Only the requested seconds of a file are read. The module depends on no model; soundfile and soxr
are imported when they are first used.
"""

import importlib
import io
import logging
import math
import os
from collections.abc import Mapping
from types import ModuleType
from typing import Any, BinaryIO

import numpy as np

MIN_SAMPLING_RATE = 1_000  # Hz; rates outside these bounds are mistakes, such as kHz given as Hz
MAX_SAMPLING_RATE = 768_000
SHORTEST_VOICE = 0.5  # seconds of a reference voice; a warning is given below
QUIETEST_VOICE = 1e-4  # largest sample; a reference voice below is silent

logger = logging.getLogger(__name__)

AudioSource = Any
"""Any form of audio that :func:`read_audio` accepts: a path, bytes, a binary file object, an array,
``(array, rate)``, a mapping in the form of ``datasets`` (``{"array", "sampling_rate"}``,
``{"bytes"}`` or ``{"path"}``) or of audio pipelines (``{"audio", "sampling_rate"}``), or an
``AudioDecoder`` of torchcodec."""


def read_audio(
    source: AudioSource,
    target_rate: int,
    *,
    sampling_rate: int | None = None,
    start: float = 0.0,
    duration: float | None = None,
) -> np.ndarray:
    """Read audio from any supported source as one mono waveform.

    The audio is cut at the source's own sampling rate, then its channels are averaged, then it is
    resampled.

    Args:
        source: the audio, in one of the forms of ``AudioSource``. Arrays are [S], [C, S] or [S, C]
            (the shorter axis holds the channels), float in [-1, 1] or int16 / int32.
        target_rate: sampling rate of the result, in Hz.
        sampling_rate: sampling rate of an array given without one, in Hz; files and pairs have
            their own.
        start: position of the first sample to read, in seconds.
        duration: seconds to read, or as many as the source has; None reads to the end.
    Returns:
        [S] float32.
    Raises:
        TypeError: if the source has none of the forms of ``AudioSource``.
        ValueError: if the source cannot be read, is empty, ends before ``start`` or holds NaN or
            infinity, or if a rate, the start or the duration is out of range.
    """
    target_rate = check_sampling_rate(target_rate)
    channels, rate = read_channels(
        source, sampling_rate=sampling_rate, start=start, duration=duration
    )
    return resample(channels.mean(axis=0, dtype=np.float32), rate, target_rate)


def read_channels(
    source: AudioSource,
    *,
    sampling_rate: int | None = None,
    start: float = 0.0,
    duration: float | None = None,
) -> tuple[np.ndarray, int]:
    """Read audio from any supported source with its own channels and sampling rate.

    Args:
        source, sampling_rate, start, duration: as for :func:`read_audio`.
    Returns:
        [C, S] float32 and the sampling rate in Hz.
    Raises:
        TypeError, ValueError: as for :func:`read_audio`.
    """
    if not (_is_number(start) and start >= 0 and math.isfinite(start)):
        raise ValueError(f"the start must be a number of seconds >= 0, got {start!r}")
    if duration is not None and not (_is_number(duration) and 0 < duration < math.inf):
        raise ValueError(f"the duration must be a number of seconds > 0, got {duration!r}")
    name, payload, rate = _open_source(source, sampling_rate)
    if isinstance(payload, np.ndarray):
        assert rate is not None
        waveform = _channels_first(payload, name)
        waveform = waveform[:, _sample_range(waveform.shape[1], rate, start, duration, name)]
    else:
        waveform, rate = _read_file(payload, name, start, duration)
    waveform = _as_float(waveform, name)
    if not np.isfinite(waveform).all():
        raise ValueError(f"{name} holds NaN or infinite samples; repair or replace the recording")
    return waveform, rate


def resample(waveform: np.ndarray, source_rate: int, target_rate: int) -> np.ndarray:
    """Resample a waveform along its first axis; with equal rates the input itself is returned.

    Args:
        waveform: [S] or [S, C] float32.
        source_rate: sampling rate of the waveform, in Hz.
        target_rate: sampling rate of the result, in Hz.
    Returns:
        float32 of round(S * target_rate / source_rate) samples.
    """
    if source_rate == target_rate:
        return waveform
    resampled = _require("soxr").resample(waveform, source_rate, target_rate)
    return resampled.astype(np.float32, copy=False)


def check_sampling_rate(rate: Any) -> int:
    """Return a sampling rate as an int in Hz.

    Raises:
        ValueError: if it is not a whole number from ``MIN_SAMPLING_RATE`` to ``MAX_SAMPLING_RATE``.
    """
    in_range = _is_number(rate) and MIN_SAMPLING_RATE <= rate <= MAX_SAMPLING_RATE
    if not in_range or rate != int(rate):
        raise ValueError(
            f"the sampling rate must be a whole number of Hz from {MIN_SAMPLING_RATE} to "
            f"{MAX_SAMPLING_RATE}, got {rate!r}"
        )
    return int(rate)


def is_array(value: Any) -> bool:
    """Whether the value is a numpy array or has the interface of a tensor."""
    return isinstance(value, np.ndarray) or (hasattr(value, "detach") and hasattr(value, "numpy"))


def is_rated_array(value: Any) -> bool:
    """Whether the value is an ``(array, rate)`` pair."""
    is_pair = isinstance(value, tuple) and len(value) == 2
    return is_pair and is_array(value[0]) and _is_number(value[1])


def _open_source(
    source: AudioSource, sampling_rate: int | None
) -> tuple[str, np.ndarray | str | BinaryIO, int | None]:
    """Return the name of a source for messages, its array, path or file object, and its rate.

    The rate is None for files, which store their own.
    """
    if isinstance(source, Mapping):
        array = source.get("audio") if source.get("array") is None else source["array"]
        if array is not None:
            if isinstance(array, list):
                array = np.asarray(array, dtype=np.float32)
            return _open_source(array, source.get("sampling_rate", sampling_rate))
        inner = source.get("bytes") if source.get("bytes") is not None else source.get("path")
        if inner is None:
            raise ValueError(
                "an audio mapping needs 'array' and 'sampling_rate', or 'bytes', or 'path'; got "
                f"the keys {sorted(map(str, source))}"
            )
        return _open_source(inner, None)
    if is_rated_array(source):
        return _open_source(source[0], source[1])
    if is_array(source):
        if sampling_rate is None:
            raise ValueError(
                "an audio array needs its rate: pass (array, rate), "
                '{"array": ..., "sampling_rate": ...} or sampling_rate='
            )
        return "the audio array", _as_numpy(source), check_sampling_rate(sampling_rate)
    if isinstance(source, str | os.PathLike):
        path = os.fspath(source)
        _check_path(path)
        return repr(os.path.basename(path)), path, None
    if isinstance(source, bytes | bytearray | memoryview):
        return "the audio bytes", io.BytesIO(source), None
    if hasattr(source, "get_all_samples"):
        samples = source.get_all_samples()
        return _open_source(samples.data, samples.sample_rate)
    if hasattr(source, "read") and hasattr(source, "seek"):
        return "the audio file object", source, None
    raise TypeError(
        f"audio must be a path, bytes, a binary file object, (array, rate) or a mapping with "
        f"'array' and 'sampling_rate', got {type(source).__name__}"
    )


def _as_numpy(array: Any) -> np.ndarray:
    if isinstance(array, np.ndarray):
        return array
    array = array.detach().cpu()
    return (array.float() if array.is_floating_point() else array).numpy()


def _check_path(path: str) -> None:
    if "://" in path:
        raise ValueError(f"audio is read from files, got the address {path!r}; download it first")
    if os.path.isdir(path):
        raise ValueError(f"audio must be a file, {path!r} is a folder")
    if not os.path.exists(path):
        raise ValueError(f"no audio file {path!r}; check the path")


def _read_file(
    file: str | BinaryIO, name: str, start: float, duration: float | None
) -> tuple[np.ndarray, int]:
    """Read the requested seconds of a file as [C, S] float32, and its sampling rate in Hz."""
    soundfile = _require("soundfile")
    position = 0 if isinstance(file, str) else file.tell()
    try:
        with soundfile.SoundFile(file) as audio:
            rate = check_sampling_rate(audio.samplerate)
            wanted = _sample_range(audio.frames, rate, start, duration, name)
            audio.seek(wanted.start)
            waveform = audio.read(wanted.stop - wanted.start, dtype="float32", always_2d=True)
    except soundfile.SoundFileError as error:
        raise unreadable(name, error) from error
    finally:
        if not isinstance(file, str):
            file.seek(position)  # so that it can be read again, such as by the next song
    if not len(waveform):
        raise ValueError(f"{name} holds no audio")
    return waveform.T, rate


def unreadable(name: str, error: Exception) -> ValueError:
    """The error for a sound file that soundfile cannot read.

    Args:
        name: what was read, for the message.
        error: what soundfile raised.
    """
    # Without the path, which the text of the error begins with.
    reason = getattr(error, "error_string", str(error)).rstrip(".").splitlines()[-1]
    if reason.startswith("File does not exist"):  # libsndfile, of text with an audio ending
        reason = "no audio format was recognized"
    return ValueError(f"cannot read {name} ({reason}); expected WAV, FLAC, OGG or MP3 audio")


def _sample_range(
    num_samples: int, rate: int, start: float, duration: float | None, name: str
) -> slice:
    """Return the range of samples that ``start`` and ``duration`` in seconds select."""
    if num_samples == 0:
        raise ValueError(f"{name} holds no audio")
    first = int(start * rate)
    if first >= num_samples:
        raise ValueError(
            f"{name} lasts {num_samples / rate:.2f} s, but reading was to start at {start:g} s; "
            "choose an earlier start"
        )
    last = num_samples if duration is None else min(num_samples, first + round(duration * rate))
    return slice(first, max(last, first + 1))


def _channels_first(array: np.ndarray, name: str) -> np.ndarray:
    if array.ndim not in (1, 2):
        raise ValueError(
            f"{name} must be [samples] or [channels, samples], got {list(array.shape)}"
        )
    if array.size == 0:
        raise ValueError(f"{name} holds no audio")
    array = np.atleast_2d(array)
    return array.T if array.shape[0] > array.shape[1] else array


def _as_float(waveform: np.ndarray, name: str) -> np.ndarray:
    if waveform.dtype in (np.int16, np.int32):
        return waveform.astype(np.float32) / (float(np.iinfo(waveform.dtype).max) + 1)
    if not np.issubdtype(waveform.dtype, np.floating):
        raise TypeError(f"{name} must be float, int16 or int32, got {waveform.dtype}")
    return waveform.astype(np.float32, copy=False)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _require(name: str) -> ModuleType:
    # With an import statement, transformers would require the package of everyone who loads this
    # file from the Hub.
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f"reading audio needs the package {name}: pip install {name}") from error


def warn_of_voice(clip: np.ndarray, rate: int) -> None:
    """Warn about a reference voice that is too short or too quiet to be followed."""
    if len(clip) < SHORTEST_VOICE * rate:
        logger.warning(
            "the reference voice has %.2f seconds: give at least %g, better 3",
            len(clip) / rate,
            SHORTEST_VOICE,
        )
    elif np.abs(clip).max(initial=0.0) < QUIETEST_VOICE:
        logger.warning("the reference voice is silent: the song is generated without a voice")


__all__ = [
    "AudioSource",
    "check_sampling_rate",
    "is_array",
    "is_rated_array",
    "read_audio",
    "resample",
    "unreadable",
    "warn_of_voice",
]

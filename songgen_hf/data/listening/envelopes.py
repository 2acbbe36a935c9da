"""Energy and pitch of recordings of any length, 50 times a second, read in blocks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from ...modeling.audio_io import unreadable

FRAME_RATE = 50  # frames of an envelope per second
FLOOR_DECIBELS = -120.0
BLOCK_FRAMES = 1500  # 30 s, which take 6 MB at 48 kHz
LOWEST_PITCH, HIGHEST_PITCH = 70.0, 800.0  # Hz, of speech and of singing
_WINDOW = 0.046  # seconds, three periods of the lowest pitch
_HIGHEST_PARTIAL = 2000.0  # Hz; partials above tell little of the pitch
_PERIODIC = 0.5  # least autocorrelation of a voiced frame
_NEARLY_HIGHEST = 0.9  # of the highest peak: the first peak above is the period, not a multiple
_SMOOTHED = (5, 9)  # frames of the averages whose movement is measured; 9 are a wave of vibrato
_STEP = 3  # frames between two averages
_FASTEST_NOTE = 1.0  # semitones a second
_JUMP = 2.0  # semitones between two frames from which on the note or the octave changes
_BATCH = 256  # frames whose spectra are computed at once


class Envelope(NamedTuple):
    """The level of a sound: decibels [T] relative to full scale, and its duration in seconds."""

    decibels: np.ndarray
    duration: float


class SoundBlock(NamedTuple):
    """Successive frames of a sound, with a margin of samples before and after them.

    ``starts`` [frames + 1] are the positions in ``samples`` at which the frames begin and end.
    """

    first_frame: int
    samples: np.ndarray
    starts: np.ndarray
    rate: int
    duration: float


def sound_blocks(
    path: str | Path, *, block_frames: int = BLOCK_FRAMES, margin: float = 0.0
) -> Iterator[SoundBlock]:
    """Read a sound file as one channel, some frames at a time.

    Args:
        path: sound file of any rate and number of channels.
        block_frames: frames in each block; the last frame may be filled up with zeros.
        margin: seconds before and after the frames of a block that it also holds.
    Yields:
        Blocks in order; ``duration`` is that of what has been read so far.
    Raises:
        ValueError: if the file cannot be read, is empty or holds NaN or infinity.
    """
    try:
        with soundfile.SoundFile(str(path)) as file:
            yield from _blocks(file, str(path), block_frames, margin)
    except soundfile.SoundFileError as error:
        raise unreadable(repr(Path(path).name), error) from error


def _blocks(
    file: soundfile.SoundFile, name: str, block_frames: int, margin_seconds: float
) -> Iterator[SoundBlock]:
    rate = file.samplerate
    margin = round(margin_seconds * rate)
    samples, offset, frame = np.zeros(margin, dtype=np.float32), -margin, 0
    ended = False
    while not ended:
        frames = np.arange(frame, frame + block_frames + 1)
        starts = np.rint(frames * (rate / FRAME_RATE)).astype(np.int64)
        wanted = int(starts[-1]) + margin - offset - len(samples)
        read = file.read(wanted, dtype="float32", always_2d=True).mean(axis=1)
        if not np.isfinite(read).all():
            raise ValueError(f"{name} holds NaN or infinite samples; repair or replace it")
        samples = np.concatenate([samples, read])
        ended, total = len(read) < wanted, offset + len(samples)
        if ended:
            if not total:
                raise ValueError(f"{name} holds no audio")
            starts = starts[: np.searchsorted(starts, total) + 1]
            if len(starts) < 2:
                return
            samples = np.pad(samples, (0, max(0, int(starts[-1]) + margin - total)))
        yield SoundBlock(frame, samples, starts - offset, rate, total / rate)
        cut = int(starts[-1]) - margin - offset
        samples, offset, frame = samples[cut:], offset + cut, frame + len(starts) - 1


def energy_envelope(path: str | Path, *, block_frames: int = BLOCK_FRAMES) -> Envelope:
    """Measure the level of a sound file in every frame of 20 ms.

    Args:
        path: sound file.
        block_frames: frames that are read at once, which does not change the result.
    Raises:
        ValueError: as :func:`sound_blocks`.
    """
    levels, duration = [], 0.0
    for block in sound_blocks(path, block_frames=block_frames):
        power = block.samples[: block.starts[-1]].astype(np.float64) ** 2
        mean = np.add.reduceat(power, block.starts[:-1]) / np.diff(block.starts)
        levels.append(10.0 * np.log10(mean + 10.0 ** (FLOOR_DECIBELS / 10)))
        duration = block.duration
    return Envelope(np.concatenate(levels).astype(np.float32), duration)


def pitch_envelope(
    path: str | Path, frames: np.ndarray, *, block_frames: int = BLOCK_FRAMES
) -> np.ndarray:
    """Estimate the pitch of a voice from the autocorrelation of each frame.

    Args:
        path: sound file with one voice.
        frames: bool [T], the frames whose pitch is wanted.
        block_frames: frames that are read at once.
    Returns:
        float32 [T] in Hz, 0 for frames that are not voiced or not wanted.
    Raises:
        ValueError: as :func:`sound_blocks`.
    """
    pitch = np.zeros(len(frames), dtype=np.float32)
    for block in sound_blocks(path, block_frames=block_frames, margin=_WINDOW):
        here = frames[block.first_frame : block.first_frame + len(block.starts) - 1]
        wanted = np.flatnonzero(here)
        length = round(_WINDOW * block.rate)
        centers = (block.starts[wanted] + block.starts[wanted + 1]) // 2
        for first in range(0, len(wanted), _BATCH):
            places = centers[first : first + _BATCH, None] - length // 2 + np.arange(length)
            found = _autocorrelation_pitch(block.samples[places], block.rate)
            pitch[block.first_frame + wanted[first : first + _BATCH]] = found
    return pitch


def _autocorrelation_pitch(windows: np.ndarray, rate: int) -> np.ndarray:
    """Pitch of each window [N, S] in Hz, 0 where it is not periodic."""
    length = windows.shape[1]
    shape = np.hanning(length + 2)[1:-1].astype(np.float32)
    size = 1 << (2 * length - 1).bit_length()
    audible = np.arange(size // 2 + 1) * (rate / size) <= _HIGHEST_PARTIAL
    power = np.abs(np.fft.rfft((windows - windows.mean(axis=1, keepdims=True)) * shape, size)) ** 2
    correlation = np.fft.irfft(power * audible, size)
    of_window = np.fft.irfft(np.abs(np.fft.rfft(shape, size)) ** 2, size)
    low, high = int(rate / HIGHEST_PITCH), int(np.ceil(rate / LOWEST_PITCH))
    lags = np.arange(low - 1, high + 2)
    scale = of_window[0] / of_window[lags]
    values = correlation[:, lags] * scale / np.maximum(correlation[:, :1], 1e-12)
    middle = values[:, 1:-1]
    peaks = (middle >= values[:, :-2]) & (middle > values[:, 2:])
    best = np.where(peaks, middle, 0.0).max(axis=1)
    first = np.argmax(peaks & (middle >= _NEARLY_HIGHEST * best[:, None]), axis=1)
    rows = np.arange(len(values))
    before, at, after = (values[rows, first + step] for step in range(3))
    bend = before - 2 * at + after
    shift = np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, 1.0), 0.0)
    return np.where(best >= _PERIODIC, rate / (lags[first + 1] + shift), 0.0)


def held_pitch(pitch: np.ndarray) -> np.ndarray:
    """Find the frames at which a pitch is held, as notes are; the pitch of speech always glides.

    A pitch is held where its average over 100 ms, or over 180 ms, moves by less than a semitone a
    second. The longer average is that of a wave of vibrato.

    Args:
        pitch: [T] in Hz, 0 for frames that are not voiced.
    Returns:
        bool [T].
    """
    held = np.zeros(len(pitch), dtype=bool)
    for smoothed in _SMOOTHED:
        speed, whole = _movement(pitch, smoothed)
        held |= _covered(whole & (speed <= _FASTEST_NOTE), len(pitch))
    return held


def gliding_share(pitch: np.ndarray) -> float:
    """Compute the share of frames without a held pitch, of voiced stretches of 160 ms or longer.

    Args:
        pitch: [T] in Hz, 0 for frames that are not voiced.
    Returns:
        About 0.2 for singing and 0.6 for speech; NaN if no stretch is long enough.
    """
    _, whole = _movement(pitch, _SMOOTHED[0])
    voiced = _covered(whole, len(pitch))
    return 1.0 - float(held_pitch(pitch)[voiced].mean()) if voiced.any() else float("nan")


def pitch_movement(pitch: np.ndarray) -> float:
    """Compute how fast a pitch moves within voiced stretches, without jumps between notes.

    Args:
        pitch: [T] in Hz, 0 for frames that are not voiced.
    Returns:
        Mean of the absolute movement in semitones a second: about 7 for singing, vibrato included,
        and 11 for speech; NaN without two voiced frames in a row.
    """
    semitones = 12.0 * np.log2(np.maximum(pitch, 1.0))
    steps = np.abs(np.diff(semitones))[(pitch[1:] > 0) & (pitch[:-1] > 0)]
    steps = steps[steps < _JUMP]
    return float(steps.mean()) * FRAME_RATE if len(steps) else float("nan")


def _movement(pitch: np.ndarray, smoothed: int) -> tuple[np.ndarray, np.ndarray]:
    """Speed of the averaged pitch in semitones a second, and whether all of it is voiced."""
    reach = smoothed + _STEP - 1
    if len(pitch) <= reach:
        return np.zeros(0), np.zeros(0, dtype=bool)
    voiced = pitch > 0
    semitones = np.where(voiced, 12.0 * np.log2(np.maximum(pitch, 1.0)), 0.0)
    average = np.convolve(semitones, np.full(smoothed, 1 / smoothed), "valid")
    speed = np.abs(average[_STEP:] - average[:-_STEP]) * (FRAME_RATE / _STEP)
    return speed, np.convolve(voiced, np.ones(reach + 1), "valid") > reach


def _covered(windows: np.ndarray, length: int) -> np.ndarray:
    """The frames of the windows that are true: the first one begins at frame 0."""
    if not len(windows):
        return np.zeros(length, dtype=bool)
    return np.convolve(windows, np.ones(length - len(windows) + 1)) > 0.5


__all__ = [
    "FLOOR_DECIBELS",
    "FRAME_RATE",
    "Envelope",
    "SoundBlock",
    "energy_envelope",
    "gliding_share",
    "held_pitch",
    "pitch_envelope",
    "pitch_movement",
    "sound_blocks",
]

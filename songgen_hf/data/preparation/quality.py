"""Scores of the sound of clips: loudness, clipping, silence, bandwidth, channels and energy.

Scores judge nothing: ``filtering.py`` compares them with thresholds, which can be changed later.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...modeling.audio_io import resample
from ...optional import require
from ..listening.key import estimate_key
from ..listening.tempo import estimate_tempo
from ..loudness import SILENCE, integrated_loudness
from .clips import read_channels, read_clip
from .duplicates import fingerprint

SAMPLING_RATE = 16000  # Hz, of the energies, the tempo, the key and the fingerprint
SILENT_DECIBELS = -60.0  # level of a frame that counts as silent, relative to full scale
CONTENT_DECIBELS = 80.0  # content lies at most this far below the strongest part of the spectrum
MOST_DECIBELS = 99.0  # the greatest loss that is reported
MOST_CHANNELS = 5  # that BS.1770 has weights for; the loudness of more is that of their average
_FRAME_SECONDS = 0.05
_FLAT_SAMPLES = 3  # equal samples in a row that are a clipped peak
_FLAT_STEP = 1.5 / 2**15  # difference of samples that are equal after rounding to 16 bits
_FLAT_LEVEL = 0.5  # of the highest peak; equal samples below are no clipped peaks
_QUIET_LEVEL = 0.01  # of the highest peak; 40 dB
_SPECTRUM_HERTZ = 20.0  # width of the bins of the long-term spectrum


@dataclass(frozen=True)
class ScoreOptions:
    """Which scores to compute.

    Args:
        music: also estimate tempo and key, about a fifth of the time of this stage.
        fingerprints: also compute fingerprints, by which duplicates are found.
    """

    music: bool = True
    fingerprints: bool = True


def columns() -> Any:
    """The columns that :func:`score` adds, as a list of pyarrow fields."""
    arrow = require("pyarrow", "prepare")
    numbers = (
        ["audio_seconds", "loudness", "peak", "clipped_share", "peak_density", "silent_share"]
        + ["bandwidth", "channel_correlation", "mono_loss", "vocal_energy"]
        + ["accompaniment_energy", "measured_tempo"]
    )
    return [
        *(arrow.field(name, arrow.float64()) for name in numbers),
        arrow.field("measured_key", arrow.string()),
        arrow.field("fingerprint", arrow.binary()),
    ]


def score(
    rows: Sequence[Mapping[str, Any]], options: ScoreOptions = ScoreOptions()
) -> list[dict[str, Any]]:
    """Add the scores of the sound of every clip.

    - ``audio_seconds``: length that could be read; less than ``clip_seconds`` in a damaged file.
    - ``loudness``: LUFS of the mixture (ITU-R BS.1770); ``peak``: its largest sample, 0 to 1.
    - ``clipped_share``: see :func:`clipped_share`; ``peak_density``: see :func:`peak_density`.
    - ``silent_share``: share of frames of 50 ms below -60 dB of full scale.
    - ``bandwidth``: Hz, see :func:`bandwidth`.
    - ``channel_correlation``: of left and right, -1 to 1; ``mono_loss``: dB of level that is lost
      when the channels are averaged, 0 for equal channels and 3 for unrelated ones.
    - ``vocal_energy``, ``accompaniment_energy``: sum of the squared samples of the whole clip at
      16 kHz, full scale being 1 (SongGen, arXiv 2502.13128); None without the stem.
    - ``measured_tempo`` in bpm and ``measured_key``: estimates from the mixture.
    - ``fingerprint``: see ``duplicates.py``.

    Args:
        rows: clips.
        options: which scores to compute; the others are None.
    Returns:
        The rows with the columns of :func:`columns`.
    Raises:
        ValueError: naming the clip, if its audio cannot be read.
    """
    return [{**row, **_scores(row, options)} for row in rows]


def _scores(row: Mapping[str, Any], options: ScoreOptions) -> dict[str, Any]:
    channels, rate = read_channels(row)
    mono = resample(channels.mean(axis=0), rate, SAMPLING_RATE)
    correlation, loss = mono_compatibility(channels)
    return {
        "audio_seconds": channels.shape[1] / rate,
        "loudness": _loudness(channels, rate),
        "peak": float(np.abs(channels).max()),
        "clipped_share": max(clipped_share(channel) for channel in channels),
        "peak_density": max(peak_density(channel) for channel in channels),
        "silent_share": silent_share(channels.mean(axis=0), rate),
        "bandwidth": bandwidth(channels.mean(axis=0), rate),
        "channel_correlation": correlation,
        "mono_loss": loss,
        "vocal_energy": _energy(row, "vocal"),
        "accompaniment_energy": _energy(row, "accompaniment"),
        "measured_tempo": estimate_tempo(mono) if options.music else None,
        "measured_key": estimate_key(mono) if options.music else None,
        "fingerprint": fingerprint(mono) if options.fingerprints else None,
    }


def clipped_share(waveform: np.ndarray) -> float:
    """Measure the share of samples in flat peaks of a lossless recording, float [S].

    A flat peak is a run of at least three equal samples above half the highest peak, so clipping is
    found at any level, also after the recording was attenuated. Lossy formats and changes of the
    sampling rate bend flat peaks; :func:`peak_density` finds those.
    """
    level = np.abs(waveform)
    if not len(waveform) or not level.max():
        return 0.0
    equal = np.abs(np.diff(waveform)) <= _FLAT_STEP
    flat = equal & (level[1:] >= max(_FLAT_LEVEL * level.max(), 100 * _FLAT_STEP))
    edges = np.diff(np.concatenate([[0], flat.astype(np.int8), [0]]))
    lengths = np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1) + 1  # samples of a run
    return float(lengths[lengths >= _FLAT_SAMPLES].sum() / len(waveform))


def peak_density(waveform: np.ndarray) -> float:
    """Measure how the samples of a waveform, float [S], crowd at its highest levels.

    The number of samples within 10 % of a high level, divided by the number from 70 to 90 % of it;
    the greatest value of three high quantiles of the level. Music and limited music have about 0.5,
    clipping by 6 dB gives about 1, by 12 dB about 2, also after lossy coding.
    """
    level = np.abs(waveform)
    if not len(waveform) or not level.max():
        return 0.0
    level = level[level >= _QUIET_LEVEL * level.max()]  # so that pauses do not move the quantiles
    found = 0.0
    for ceiling in np.quantile(level, (0.99, 0.999, 0.9999)):
        at = np.count_nonzero((level >= 0.9 * ceiling) & (level < 1.1 * ceiling))
        below = np.count_nonzero((level >= 0.7 * ceiling) & (level < 0.9 * ceiling))
        found = max(found, float(at) / max(float(below), 1.0))
    return found


def silent_share(waveform: np.ndarray, rate: int) -> float:
    """Measure the share of frames of 50 ms of a waveform [S] that are below -60 dB."""
    frame = max(1, round(_FRAME_SECONDS * rate))
    count = max(1, len(waveform) // frame)
    frames = waveform[: count * frame].reshape(count, -1)
    power = np.square(frames, dtype=np.float64).mean(axis=1)
    return float(np.mean(power < 10 ** (SILENT_DECIBELS / 10)))


def bandwidth(waveform: np.ndarray, rate: int) -> float:
    """Find the highest frequency with content, in Hz, at most half the sampling rate.

    The spectrum is the level that each frequency exceeds in 5 % of the frames; content lies at most
    ``CONTENT_DECIBELS`` below its maximum, which is above the rounding noise of 16 bits. Material
    of 8 kHz that was resampled has at most 4000 Hz. Resampling without a proper filter, which
    leaves mirror images, is not recognized.

    Args:
        waveform: float [S].
        rate: sampling rate in Hz.
    Returns:
        Hz; 0 for silence.
    """
    length = 2 ** math.ceil(math.log2(rate / _SPECTRUM_HERTZ))
    padded = np.pad(waveform, (0, max(0, length - len(waveform))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, length)[:: length // 2]
    power = np.abs(np.fft.rfft(frames * np.hanning(length), axis=1)) ** 2
    level = np.quantile(power, 0.95, axis=0)
    level = np.convolve(level, np.ones(5) / 5, mode="same")
    if level.max() <= 0:
        return 0.0
    content = np.flatnonzero(level > level.max() * 10 ** (-CONTENT_DECIBELS / 10))
    return min(float(content[-1] * rate / length), rate / 2)


def mono_compatibility(channels: np.ndarray) -> tuple[float, float]:
    """Measure how well the channels of a recording can be averaged.

    Args:
        channels: float [C, S]; one channel gives (1, 0).
    Returns:
        The smallest correlation of the first channel with another one, and the loss of level in dB
        when the channels are averaged, at most ``MOST_DECIBELS``; (1, 0) for silence.
    """
    power = np.square(channels, dtype=np.float64).mean(axis=1)
    if len(channels) == 1 or not power.any():
        return 1.0, 0.0
    correlations = [
        float((channels[0].astype(np.float64) * channels[other]).mean())
        / max(math.sqrt(power[0] * power[other]), 1e-30)
        for other in range(1, len(channels))
    ]
    averaged = float(np.square(channels.mean(axis=0, dtype=np.float64)).mean())
    ratio = float(power.mean()) / max(averaged, 1e-30)
    return min(correlations), min(10 * math.log10(ratio), MOST_DECIBELS)


def energy(waveform: np.ndarray) -> float:
    """Sum the squared samples of a waveform, float [S] in [-1, 1] at ``SAMPLING_RATE``."""
    return float(np.square(waveform, dtype=np.float64).sum())


def _energy(row: Mapping[str, Any], track: str) -> float | None:
    waveform = read_clip(row, track, SAMPLING_RATE)
    return None if waveform is None else energy(waveform)


def _loudness(channels: np.ndarray, rate: int) -> float:
    """Loudness in LUFS; clips below 0.4 s, which have none, count as silent."""
    if channels.shape[1] < 0.4 * rate:
        return SILENCE
    surround = len(channels) > MOST_CHANNELS
    return integrated_loudness((channels.mean(axis=0) if surround else channels.T), rate)


__all__ = [
    "ScoreOptions",
    "bandwidth",
    "clipped_share",
    "columns",
    "energy",
    "mono_compatibility",
    "peak_density",
    "score",
    "silent_share",
]

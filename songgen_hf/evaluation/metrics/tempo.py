"""Tempo accuracy: share of songs whose estimated tempo is the requested one.

Units: tempi in beats per minute; a score per song, 1 if the estimate is within 8 % (as in MIREX),
else 0; the accuracy is their mean, 0 to 1. A second score also accepts half and double the tempo,
the errors that the estimator itself makes.
Source: autocorrelation of the spectral flux in mel bands, with a prior around 112 beats per minute.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

from ..judges.loading import Waveforms
from ..judges.log_mels import SAMPLING_RATE
from . import accuracy
from .accuracy import mean_score

TOLERANCE = 0.08  # of the tempo
CENTER, SPREAD = 112.0, 0.6  # bpm and octaves of the prior
_SLOWEST, _FASTEST = 60, 180  # bpm
_FRAME_LENGTH, _HOP_LENGTH, _NUM_BANDS = 1024, 160, 40
_MIN_FREQUENCY, _MAX_FREQUENCY = 40.0, 7800.0  # Hz


def validate(waveforms: Waveforms, tempi: Sequence[float]) -> None:
    """Raise ValueError unless there is one positive tempo for each song."""
    accuracy.validate(waveforms, tempi)
    if len(tempi) and min(tempi) <= 0:
        raise ValueError(f"got a tempo of {min(tempi):g} bpm, expected a positive one")


def spectral_flux(waveform: np.ndarray) -> np.ndarray:
    """Measure the increase of loudness between frames, summed over mel bands.

    Args:
        waveform: float [S] at 16 kHz.
    Returns:
        float64 [S // 160], 100 values a second.
    """
    bands = spectrogram(
        waveform,
        window_function(_FRAME_LENGTH, "hann", periodic=False),
        _FRAME_LENGTH,
        _HOP_LENGTH,
        power=1.0,
        pad_mode="constant",
        mel_filters=_mel_filters(),
        mel_floor=0.0,
    )  # [bands, T]
    return np.clip(np.diff(np.log1p(50 * bands), axis=1), 0, None).sum(axis=0)


def estimate_tempo(waveform: np.ndarray) -> float:
    """Estimate the tempo of a mixture, float [S] at 16 kHz: 60 to 180 bpm, 60 for silence."""
    flux = spectral_flux(waveform)
    if len(flux) < 2:
        return float(_SLOWEST)
    flux = flux - np.convolve(flux, np.ones(100) / 100, mode="same")[: len(flux)]
    size = 1 << (2 * len(flux)).bit_length()
    correlation = np.fft.irfft(np.abs(np.fft.rfft(flux, size)) ** 2)[: len(flux)]
    correlation /= np.arange(len(flux), 0, -1)  # unbiased
    tempi = np.arange(_SLOWEST, _FASTEST, 0.25)
    lags = 60 / tempi * SAMPLING_RATE / _HOP_LENGTH
    places = np.arange(len(correlation))
    score = np.mean(
        [np.interp(lags * multiple, places, correlation) for multiple in range(1, 5)], axis=0
    )
    prior = np.exp(-0.5 * (np.log2(tempi / CENTER) / SPREAD) ** 2)
    return float(tempi[np.argmax(np.clip(score, 0, None) * prior)])


def tempo_scores(
    waveforms: Waveforms, tempi: Sequence[float], *, any_octave: bool = False
) -> np.ndarray:
    """Score each song: 1 where the estimate is within 8 % of the requested tempo, else 0.

    Args:
        waveforms: mixtures.
        tempi: requested tempo of each song in bpm.
        any_octave: also accept half and double the tempo.
    Returns:
        float64 [N].
    Raises:
        ValueError: if the numbers differ, or for a tempo that is not positive.
    """
    return _scores(_ratios(waveforms, tempi), any_octave)


def evaluate_tempo(waveforms: Waveforms, tempi: Sequence[float]) -> dict[str, float]:
    """Return ``tempo`` and ``tempo_any_octave``, the means of both :func:`tempo_scores`."""
    ratios = _ratios(waveforms, tempi)
    return {
        "tempo": mean_score(_scores(ratios, False)),
        "tempo_any_octave": mean_score(_scores(ratios, True)),
    }


def _ratios(waveforms: Waveforms, tempi: Sequence[float]) -> np.ndarray:
    """Divide the estimated tempo of each song by the requested one, [N]."""
    validate(waveforms, tempi)
    estimates = np.array([estimate_tempo(waveform) for waveform in waveforms])
    return estimates / np.asarray(tempi, dtype=np.float64)


def _scores(ratios: np.ndarray, any_octave: bool) -> np.ndarray:
    octaves = np.array((0.5, 1.0, 2.0) if any_octave else (1.0,))
    errors = np.abs(ratios[:, None] * octaves - 1).min(axis=1)
    return (errors <= TOLERANCE).astype(np.float64)


@cache
def _mel_filters() -> np.ndarray:
    num_bins = _FRAME_LENGTH // 2 + 1
    return mel_filter_bank(num_bins, _NUM_BANDS, _MIN_FREQUENCY, _MAX_FREQUENCY, SAMPLING_RATE)


__all__ = [
    "TOLERANCE",
    "estimate_tempo",
    "evaluate_tempo",
    "spectral_flux",
    "tempo_scores",
    "validate",
]

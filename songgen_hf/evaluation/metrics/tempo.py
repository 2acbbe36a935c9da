"""Is the tempo the one asked for? Autocorrelation of the spectral flux.

Conventions: tempi in beats per minute; right within 8 %, as in MIREX. Half and double tempo are
counted apart: they are what the estimator itself mistakes.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from ..judges.loading import Waveforms
from ..judges.log_mels import SAMPLING_RATE
from .accuracy import mean_score, require_equal_numbers
from .spectrogram import mel_triangles, spectrogram

TOLERANCE = 0.08  # of the tempo
CENTER, SPREAD = 112.0, 0.6  # bpm and octaves of the prior
_SLOWEST, _FASTEST = 60, 180  # bpm
_SIZE, _HOP = 1024, 160


def estimate_tempo(waveform: np.ndarray) -> float:
    """Beats per minute of a mixture, 60 to 180; silence gives 60.

    Args:
        waveform: float [S] at 16 kHz.
    """
    bands = spectrogram(waveform, _SIZE, _HOP) @ _triangles().T
    flux = np.clip(np.diff(np.log1p(50 * bands), axis=0), 0, None).sum(axis=1)
    if len(flux) < 2:
        return float(_SLOWEST)
    flux = flux - np.convolve(flux, np.ones(100) / 100, mode="same")[: len(flux)]
    size = 1 << (2 * len(flux)).bit_length()
    correlation = np.fft.irfft(np.abs(np.fft.rfft(flux, size)) ** 2)[: len(flux)]
    correlation /= np.arange(len(flux), 0, -1)  # unbiased
    tempi = np.arange(_SLOWEST, _FASTEST, 0.25)
    lags = 60 / tempi * SAMPLING_RATE / _HOP
    places = np.arange(len(correlation))
    score = np.mean(
        [np.interp(lags * multiple, places, correlation) for multiple in range(1, 5)], axis=0
    )
    prior = np.exp(-0.5 * (np.log2(tempi / CENTER) / SPREAD) ** 2)
    return float(tempi[np.argmax(np.clip(score, 0, None) * prior)])


def tempo_scores(
    waveforms: Waveforms, tempi: Sequence[float], *, any_octave: bool = False
) -> np.ndarray:
    """float64 [N]: 1 where the estimate is within 8 % of the tempo asked for, else 0.

    Args:
        waveforms: mixtures.
        tempi: bpm, one a song.
        any_octave: whether half and double tempo are right, too.
    Raises:
        ValueError: if the numbers differ, or for a tempo that is not positive.
    """
    return _hits(_ratios(waveforms, tempi), any_octave)


def evaluate_tempo(waveforms: Waveforms, tempi: Sequence[float]) -> dict[str, float]:
    """``tempo`` and ``tempo_any_octave``, shares of songs; arguments as :func:`tempo_scores`."""
    ratios = _ratios(waveforms, tempi)
    return {
        "tempo": mean_score(_hits(ratios, False)),
        "tempo_any_octave": mean_score(_hits(ratios, True)),
    }


def _ratios(waveforms: Waveforms, tempi: Sequence[float]) -> np.ndarray:
    """Estimated over asked-for tempo, [N]."""
    require_equal_numbers(waveforms, tempi)
    asked = np.asarray(tempi, dtype=np.float64)
    if (asked <= 0).any():
        raise ValueError(f"got a tempo of {asked.min():g} bpm, expected a positive one")
    return np.array([estimate_tempo(waveform) for waveform in waveforms]) / asked


def _hits(ratios: np.ndarray, any_octave: bool) -> np.ndarray:
    octaves = np.array((0.5, 1.0, 2.0) if any_octave else (1.0,))
    errors = np.abs(ratios[:, None] * octaves - 1).min(axis=1)
    return (errors <= TOLERANCE).astype(np.float64)


@cache
def _triangles() -> np.ndarray:
    return mel_triangles(40, _SIZE, 40, 7800, SAMPLING_RATE)


__all__ = ["TOLERANCE", "estimate_tempo", "evaluate_tempo", "tempo_scores"]

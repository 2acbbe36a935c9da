"""Estimates the tempo of a song.

Autocorrelation of the spectral flux in mel bands, with a prior around 112 beats per minute. Half
and double the tempo are the usual errors of the estimate.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

from .log_mels import SAMPLING_RATE

CENTER, SPREAD = 112.0, 0.6  # bpm and octaves of the prior
_SLOWEST, _FASTEST = 60, 180  # bpm
_FRAME_LENGTH, _HOP_LENGTH, _NUM_BANDS = 1024, 160, 40
_MIN_FREQUENCY, _MAX_FREQUENCY = 40.0, 7800.0  # Hz


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


@cache
def _mel_filters() -> np.ndarray:
    num_bins = _FRAME_LENGTH // 2 + 1
    return mel_filter_bank(num_bins, _NUM_BANDS, _MIN_FREQUENCY, _MAX_FREQUENCY, SAMPLING_RATE)


__all__ = ["estimate_tempo", "spectral_flux"]

"""Loudness after ITU-R BS.1770 and peaks kept below full scale."""

import math

import numpy as np

from ..optional import require

SILENCE = -70.0  # LUFS: the absolute gate of BS.1770


def integrated_loudness(waveform: np.ndarray, sampling_rate: int) -> float:
    """Gated loudness in LUFS.

    Args:
        waveform: float [S], or [S, C] for C channels; at least 0.4 s.
        sampling_rate: in Hz.
    Returns:
        LUFS; ``SILENCE`` if nothing passes the gate.
    Raises:
        ValueError: if the waveform is shorter than one block of 0.4 s.
    """
    if len(waveform) < 0.4 * sampling_rate:
        raise ValueError(
            f"got {len(waveform) / sampling_rate:.2f} s, loudness needs at least 0.4 s of sound"
        )
    if not np.any(waveform):
        return SILENCE
    meter = require("pyloudnorm", "corpus").Meter(sampling_rate)
    loudness = float(meter.integrated_loudness(waveform))
    return max(loudness, SILENCE) if math.isfinite(loudness) else SILENCE


def at_loudness(waveform: np.ndarray, sampling_rate: int, target: float) -> np.ndarray:
    """The waveform scaled to ``target`` LUFS; silence stays as it is."""
    loudness = integrated_loudness(waveform, sampling_rate)
    return waveform if loudness <= SILENCE else waveform * 10 ** ((target - loudness) / 20)


def limiting_gain(level: np.ndarray, ceiling: float, window: int) -> np.ndarray:
    """A smooth gain [S] that keeps ``level * gain <= ceiling``.

    Args:
        level: absolute samples, float [S]; for several waveforms under one gain their maximum.
        ceiling: highest level wanted.
        window: odd number of samples over which the gain moves.
    Raises:
        ValueError: if ``window`` is even.
    """
    if window % 2 == 0:
        raise ValueError(f"got a window of {window} samples, expected an odd number")
    filters = require("scipy.ndimage", "corpus")
    peaks = filters.maximum_filter1d(level, window, mode="nearest")
    gain = np.minimum(1.0, ceiling / np.maximum(peaks, ceiling))
    # Averaging over the window in which the peak was held cannot rise above the needed gain.
    return filters.uniform_filter1d(gain, window, mode="nearest")

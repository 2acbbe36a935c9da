"""Loudness according to ITU-R BS.1770, and a limiter that keeps peaks below a ceiling."""

import math

import numpy as np

from ..optional import require

SILENCE = -70.0  # LUFS; the absolute gate of BS.1770


def integrated_loudness(waveform: np.ndarray, sampling_rate: int) -> float:
    """Measure the gated loudness of a waveform.

    Args:
        waveform: float [S], or [S, C] for C channels; at least 0.4 s.
        sampling_rate: sampling rate in Hz.
    Returns:
        Loudness in LUFS; ``SILENCE`` if no block passes the gate.
    Raises:
        ValueError: if the waveform is shorter than one block of 0.4 s.
    """
    if len(waveform) < 0.4 * sampling_rate:
        raise ValueError(
            f"got {len(waveform) / sampling_rate:.2f} s, loudness needs at least 0.4 s of audio"
        )
    if not np.any(waveform):
        return SILENCE
    meter = require("pyloudnorm", "corpus").Meter(sampling_rate)
    loudness = float(meter.integrated_loudness(waveform))
    return max(loudness, SILENCE) if math.isfinite(loudness) else SILENCE


def at_loudness(waveform: np.ndarray, sampling_rate: int, target: float) -> np.ndarray:
    """Scale a waveform to a loudness of ``target`` LUFS; silence is returned unchanged."""
    loudness = integrated_loudness(waveform, sampling_rate)
    return waveform if loudness <= SILENCE else waveform * 10 ** ((target - loudness) / 20)


def limiting_gain(level: np.ndarray, ceiling: float, window: int) -> np.ndarray:
    """A smooth gain [S] for which ``level * gain <= ceiling`` everywhere.

    Args:
        level: absolute value of the samples, float [S]; the maximum of several waveforms if they
            share the gain.
        ceiling: highest level after the gain.
        window: odd number of samples over which the gain is smoothed.
    Raises:
        ValueError: if ``window`` is even.
    """
    if window % 2 == 0:
        raise ValueError(f"got a window of {window} samples, expected an odd number")
    filters = require("scipy.ndimage", "corpus")
    peaks = filters.maximum_filter1d(level, window, mode="nearest")
    gain = np.minimum(1.0, ceiling / np.maximum(peaks, ceiling))
    # The average over the window in which a peak is held never exceeds the gain that it needs.
    return filters.uniform_filter1d(gain, window, mode="nearest")

"""Estimates the key of a song: a tonic and a mode, such as ``Bb minor``.

Chroma of spectral peaks against the key profiles of Albrecht and Shanahan (2013).
"""

from __future__ import annotations

import numpy as np
from transformers.audio_utils import spectrogram, window_function

from .log_mels import SAMPLING_RATE
from .pitch_classes import PITCH_CLASSES

MAJOR = np.array(
    [0.238, 0.006, 0.111, 0.006, 0.137, 0.094, 0.016, 0.214, 0.009, 0.080, 0.008, 0.081]
)
MINOR = np.array(
    [0.220, 0.006, 0.104, 0.123, 0.019, 0.103, 0.012, 0.214, 0.062, 0.022, 0.061, 0.052]
)
KEYS = tuple(f"{tonic} {mode}" for tonic in PITCH_CLASSES for mode in ("major", "minor"))
_FRAME_LENGTH, _HOP_LENGTH = 8192, 2048  # samples
_MIN_FREQUENCY, _MAX_FREQUENCY = 60, 900  # Hz; most spectral peaks in between are fundamentals


def chroma(waveform: np.ndarray) -> np.ndarray:
    """Measure the weight of each pitch class by the spectral peaks that lie near its pitches.

    Args:
        waveform: float [S] at 16 kHz.
    Returns:
        float64 [12].
    """
    window = window_function(_FRAME_LENGTH, "hann", periodic=False)
    magnitudes = spectrogram(
        waveform, window, _FRAME_LENGTH, _HOP_LENGTH, power=1.0, pad_mode="constant"
    ).T  # [T, F]
    middle = magnitudes[:, 1:-1]
    is_peak = (middle > magnitudes[:, :-2]) & (middle >= magnitudes[:, 2:])
    frequencies = np.fft.rfftfreq(_FRAME_LENGTH, 1 / SAMPLING_RATE)[1:-1]
    used = (frequencies > _MIN_FREQUENCY) & (frequencies < _MAX_FREQUENCY)
    pitch = 69 + 12 * np.log2(frequencies[used] / 440)
    nearness = np.exp(-0.5 * ((pitch - np.round(pitch)) / 0.25) ** 2)
    energy = np.sqrt(middle * is_peak)[:, used].sum(axis=0) * nearness
    weights = np.zeros(12)
    np.add.at(weights, np.round(pitch).astype(int) % 12, energy)
    return weights


def harmony(one: np.ndarray, other: np.ndarray) -> float:
    """Compare the pitch classes of two tracks: Pearson's correlation of their chroma, -1 to 1.

    Args:
        one, other: float [S] at 16 kHz; for a silent one the correlation is 0.
    """
    return correlation(chroma(one), chroma(other))


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson's correlation of two profiles [12]; 0 for a silent one."""
    return float(np.corrcoef(one, other)[0, 1]) if np.ptp(one) and np.ptp(other) else 0.0


def estimate_key(waveform: np.ndarray) -> str:
    """Estimate the key of a mixture, float [S] at 16 kHz; silence gives the first of ``KEYS``."""
    weights = chroma(waveform)
    if not np.ptp(weights):
        return KEYS[0]
    profiles = [np.roll(profile, tonic) for tonic in range(12) for profile in (MAJOR, MINOR)]
    correlations = [np.corrcoef(profile, weights)[0, 1] for profile in profiles]
    return KEYS[int(np.argmax(correlations))]


__all__ = ["KEYS", "chroma", "correlation", "estimate_key", "harmony"]

"""Key accuracy: share of songs whose estimated key is the requested one.

Units: a key is a tonic and a mode, such as ``Bb minor``; a score per song, 1 if both are right,
else 0; the accuracy is their mean, 0 to 1.
Source: chroma of spectral peaks against the key profiles of Albrecht and Shanahan (2013).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from transformers.audio_utils import spectrogram, window_function

from ...data.corpus.harmony import PITCH_CLASSES
from ..judges.loading import Waveforms
from ..judges.log_mels import SAMPLING_RATE
from .accuracy import accuracy_scores, mean_score

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


def estimate_key(waveform: np.ndarray) -> str:
    """Estimate the key of a mixture, float [S] at 16 kHz; silence gives the first of ``KEYS``."""
    weights = chroma(waveform)
    if not np.ptp(weights):
        return KEYS[0]
    profiles = [np.roll(profile, tonic) for tonic in range(12) for profile in (MAJOR, MINOR)]
    correlations = [np.corrcoef(profile, weights)[0, 1] for profile in profiles]
    return KEYS[int(np.argmax(correlations))]


def key_scores(waveforms: Waveforms, keys: Sequence[str]) -> np.ndarray:
    """Score each song: 1 where the estimated key is the requested one, else 0.

    Args:
        waveforms: mixtures.
        keys: requested key of each song, one of ``KEYS``.
    Returns:
        float64 [N].
    Raises:
        ValueError: if the numbers differ, or for an unknown key.
    """
    return accuracy_scores([estimate_key(waveform) for waveform in waveforms], keys, KEYS)


def evaluate_key(waveforms: Waveforms, keys: Sequence[str]) -> dict[str, float]:
    """Return ``key``, the mean of :func:`key_scores`."""
    return {"key": mean_score(key_scores(waveforms, keys))}


__all__ = ["KEYS", "chroma", "estimate_key", "evaluate_key", "key_scores"]

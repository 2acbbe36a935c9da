"""Is the key the one asked for? Chroma against the key profiles of Albrecht and Shanahan (2013).

Conventions: a key is a tonic and a mode, for example ``Bb minor``; right if both agree.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...data.corpus.harmony import PITCH_CLASSES
from ..judges.loading import Waveforms
from ..judges.log_mels import SAMPLING_RATE
from .accuracy import agreement, mean_score
from .spectrogram import spectrogram

MAJOR = np.array(
    [0.238, 0.006, 0.111, 0.006, 0.137, 0.094, 0.016, 0.214, 0.009, 0.080, 0.008, 0.081]
)
MINOR = np.array(
    [0.220, 0.006, 0.104, 0.123, 0.019, 0.103, 0.012, 0.214, 0.062, 0.022, 0.061, 0.052]
)
KEYS = tuple(f"{tonic} {mode}" for tonic in PITCH_CLASSES for mode in ("major", "minor"))
_SIZE, _HOP = 8192, 2048
_LOWEST, _HIGHEST = 60, 900  # Hz; most spectral peaks below are fundamentals


def chroma(waveform: np.ndarray) -> np.ndarray:
    """Weight of each pitch class, [12], from the spectral peaks that lie near its pitches."""
    magnitudes = spectrogram(waveform, _SIZE, _HOP)
    middle = magnitudes[:, 1:-1]
    is_peak = (middle > magnitudes[:, :-2]) & (middle >= magnitudes[:, 2:])
    bins = np.fft.rfftfreq(_SIZE, 1 / SAMPLING_RATE)[1:-1]
    used = (bins > _LOWEST) & (bins < _HIGHEST)
    pitch = 69 + 12 * np.log2(bins[used] / 440)
    nearness = np.exp(-0.5 * ((pitch - np.round(pitch)) / 0.25) ** 2)
    energy = np.sqrt(middle * is_peak)[:, used].sum(axis=0) * nearness
    weights = np.zeros(12)
    np.add.at(weights, np.round(pitch).astype(int) % 12, energy)
    return weights


def estimate_key(waveform: np.ndarray) -> str:
    """One of ``KEYS`` for a mixture, float [S] at 16 kHz; silence gives the first."""
    weights = chroma(waveform)
    if not np.ptp(weights):
        return KEYS[0]
    profiles = [np.roll(one, tonic) for tonic in range(12) for one in (MAJOR, MINOR)]
    scores = [np.corrcoef(profile, weights)[0, 1] for profile in profiles]
    return KEYS[int(np.argmax(scores))]


def key_scores(waveforms: Waveforms, keys: Sequence[str]) -> np.ndarray:
    """float64 [N]: 1 where the estimate is the key asked for, else 0.

    Args:
        waveforms: mixtures.
        keys: of ``KEYS``, one a song.
    Raises:
        ValueError: if the numbers differ, or for an unknown key.
    """
    return agreement([estimate_key(waveform) for waveform in waveforms], keys, KEYS)


def evaluate_key(waveforms: Waveforms, keys: Sequence[str]) -> dict[str, float]:
    """``{"key": share of songs that are right}``; arguments as :func:`key_scores`."""
    return {"key": mean_score(key_scores(waveforms, keys))}


__all__ = ["KEYS", "chroma", "estimate_key", "evaluate_key", "key_scores"]

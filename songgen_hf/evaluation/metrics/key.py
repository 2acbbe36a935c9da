"""Key accuracy: share of songs whose estimated key is the requested one.

Units: a key is a tonic and a mode, such as ``Bb minor``; a score per song, 1 if both are right,
else 0; the accuracy is their mean, 0 to 1.
Source: the estimate of data/listening/key.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...data.listening.key import KEYS, estimate_key
from ..judges.loading import Waveforms
from .accuracy import accuracy_scores, mean_score, validate


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


__all__ = ["evaluate_key", "key_scores", "validate"]

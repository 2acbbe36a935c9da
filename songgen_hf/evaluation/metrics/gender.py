"""Gender accuracy: share of songs sung by a voice of the requested gender.

Units: a score per song, 1 or 0; the accuracy is their mean, 0 to 1.
Source: the song classifier of the judges (``judges/song_classifier.py``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..judges.loading import Judges, Waveforms
from .accuracy import accuracy_scores, mean_score, validate


def gender_scores(judges: Judges, waveforms: Waveforms, genders: Sequence[str]) -> np.ndarray:
    """Score each song: 1 where the classifier predicts the requested gender, else 0.

    Args:
        judges: with a song classifier.
        waveforms: mixtures or vocals.
        genders: requested gender of each song, ``male`` or ``female``.
    Returns:
        float64 [N].
    Raises:
        ValueError: if the numbers differ, or for another gender.
    """
    return accuracy_scores(judges.gender(waveforms), genders, judges.classifier.config.genders)


def evaluate_gender(
    judges: Judges, waveforms: Waveforms, genders: Sequence[str]
) -> dict[str, float]:
    """Return ``gender``, the mean of :func:`gender_scores`."""
    return {"gender": mean_score(gender_scores(judges, waveforms, genders))}


__all__ = ["evaluate_gender", "gender_scores", "validate"]

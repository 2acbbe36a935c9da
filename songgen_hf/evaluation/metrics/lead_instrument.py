"""Lead instrument accuracy: share of songs led by an instrument of the requested family.

Units: a score per song, 1 or 0; the accuracy is their mean, 0 to 1.
Source: the song classifier of the judges (``judges/song_classifier.py``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..judges.loading import Judges, Waveforms
from .accuracy import accuracy_scores, mean_score, validate


def lead_instrument_scores(
    judges: Judges, waveforms: Waveforms, families: Sequence[str]
) -> np.ndarray:
    """Score each song: 1 where the classifier predicts the requested family, else 0.

    Args:
        judges: with a song classifier.
        waveforms: mixtures.
        families: requested family of each song, one of ``song_classifier.LEAD_FAMILIES``.
    Returns:
        float64 [N].
    Raises:
        ValueError: if the numbers differ, or for another family.
    """
    classes = judges.classifier.config.lead_families
    return accuracy_scores(judges.lead_family(waveforms), families, classes)


def evaluate_lead_instrument(
    judges: Judges, waveforms: Waveforms, families: Sequence[str]
) -> dict[str, float]:
    """Return ``instrument``, the mean of :func:`lead_instrument_scores`."""
    return {"instrument": mean_score(lead_instrument_scores(judges, waveforms, families))}


__all__ = ["evaluate_lead_instrument", "lead_instrument_scores", "validate"]

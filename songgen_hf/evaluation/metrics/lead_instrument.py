"""Does the instrument family that was asked for lead?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..judges.loading import Judges, Waveforms
from .accuracy import agreement, mean_score


def lead_scores(judges: Judges, waveforms: Waveforms, families: Sequence[str]) -> np.ndarray:
    """float64 [N]: 1 where the judge hears the lead's family asked for, else 0.

    Args:
        judges: with a song classifier.
        waveforms: mixtures.
        families: of ``song_classifier.LEAD_FAMILIES``, one a song.
    Raises:
        ValueError: if the numbers differ, or for another family.
    """
    known = judges.classifier.config.lead_families
    return agreement(judges.lead_family(waveforms), families, known)


def evaluate_lead_instrument(
    judges: Judges, waveforms: Waveforms, families: Sequence[str]
) -> dict[str, float]:
    """``{"instrument": share of songs that are right}``; arguments as :func:`lead_scores`."""
    return {"instrument": mean_score(lead_scores(judges, waveforms, families))}


__all__ = ["evaluate_lead_instrument", "lead_scores"]

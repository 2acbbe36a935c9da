"""Does a man or a woman sing, as asked?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..judges.loading import Judges, Waveforms
from .accuracy import agreement, mean_score


def gender_scores(judges: Judges, waveforms: Waveforms, genders: Sequence[str]) -> np.ndarray:
    """float64 [N]: 1 where the judge hears the gender asked for, else 0.

    Args:
        judges: with a song classifier.
        waveforms: mixtures or vocals.
        genders: ``male`` or ``female``, one a song.
    Raises:
        ValueError: if the numbers differ, or for another gender.
    """
    return agreement(judges.gender(waveforms), genders, judges.classifier.config.genders)


def evaluate_gender(
    judges: Judges, waveforms: Waveforms, genders: Sequence[str]
) -> dict[str, float]:
    """``{"gender": share of songs that are right}``; arguments as :func:`gender_scores`."""
    return {"gender": mean_score(gender_scores(judges, waveforms, genders))}


__all__ = ["evaluate_gender", "gender_scores"]

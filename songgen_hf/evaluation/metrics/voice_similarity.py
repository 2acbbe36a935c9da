"""Is it the voice that was given? Cosine of voice embeddings.

A song matches if it is more like its reference voice than like a vocal of another, random voice.
"""

from __future__ import annotations

import numpy as np

from ..judges.loading import Judges, Waveforms
from .accuracy import mean_score, require_equal_numbers


def voice_similarities(judges: Judges, waveforms: Waveforms, references: Waveforms) -> np.ndarray:
    """float64 [N] in [-1, 1]: how alike the singers of each song and of its reference are.

    Args:
        judges: with a song classifier.
        waveforms: vocals or mixtures.
        references: vocals, one a song.
    Raises:
        ValueError: if the numbers differ.
    """
    require_equal_numbers(waveforms, references)
    sung = judges.voice_embedding(waveforms).astype(np.float64)
    given = judges.voice_embedding(references).astype(np.float64)
    return (sung * given).sum(axis=1)


def evaluate_voice_similarity(
    judges: Judges, waveforms: Waveforms, references: Waveforms, others: Waveforms
) -> dict[str, float]:
    """How alike the voices are, and how often the right one is nearer.

    Args:
        judges: with a song classifier.
        waveforms: vocals or mixtures.
        references: vocals of the voices that were given, one a song.
        others: vocals of other voices, one a song.
    Returns:
        ``voice_match`` (share of songs nearer to their reference), ``voice_similarity`` and
        ``voice_similarity_other`` (mean cosines).
    Raises:
        ValueError: if the numbers differ or are 0.
    """
    right = voice_similarities(judges, waveforms, references)
    wrong = voice_similarities(judges, waveforms, others)
    return {
        "voice_match": mean_score((right > wrong).astype(float)),
        "voice_similarity": mean_score(right),
        "voice_similarity_other": mean_score(wrong),
    }


__all__ = ["evaluate_voice_similarity", "voice_similarities"]

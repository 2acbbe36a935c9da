"""Voice similarity: whether a song is sung by its reference voice.

Units: cosine of two voice embeddings, -1 to 1; a song matches if its voice is nearer to the
reference voice than to a vocal of another voice, and the match rate is a share of songs, 0 to 1.
Source: the voice embedding of the judges' song classifier (``judges/song_classifier.py``).
"""

from __future__ import annotations

import numpy as np

from ..judges.loading import Judges, Waveforms
from .accuracy import mean_score, validate


def voice_similarities(judges: Judges, waveforms: Waveforms, references: Waveforms) -> np.ndarray:
    """Compare the voice of each song with the voice of its reference.

    Args:
        judges: with a song classifier.
        waveforms: vocals or mixtures.
        references: vocals, one per song.
    Returns:
        float64 [N], cosines in [-1, 1].
    Raises:
        ValueError: if the numbers differ.
    """
    validate(waveforms, references)
    embeddings = judges.voice_embedding(waveforms).astype(np.float64)
    return (embeddings * judges.voice_embedding(references).astype(np.float64)).sum(axis=1)


def evaluate_voice_similarity(
    judges: Judges, waveforms: Waveforms, references: Waveforms, others: Waveforms
) -> dict[str, float]:
    """Measure how similar the voices are, and how often the reference voice is the nearer one.

    Args:
        judges: with a song classifier.
        waveforms: vocals or mixtures.
        references: vocals of the requested voices, one per song.
        others: vocals of other voices, one per song.
    Returns:
        ``voice_match`` (share of songs nearer to their reference), ``voice_similarity`` and
        ``voice_similarity_other`` (mean cosines).
    Raises:
        ValueError: if the numbers differ or are 0.
    """
    own = voice_similarities(judges, waveforms, references)
    other = voice_similarities(judges, waveforms, others)
    return {
        "voice_match": mean_score((own > other).astype(float)),
        "voice_similarity": mean_score(own),
        "voice_similarity_other": mean_score(other),
    }


__all__ = ["evaluate_voice_similarity", "validate", "voice_similarities"]

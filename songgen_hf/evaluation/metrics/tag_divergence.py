"""Divergence of tags: how far what a tagger hears in a song is from what it hears in its reference.

Measures the Kullback-Leibler divergence of the tag distributions of a pair,

    KL(reference || song) = sum over tags of p_reference * log(p_reference / p_song)

Units: nats; 0 for equal distributions, without an upper end. The distribution of a song is the
softmax of a tagger's logits, averaged over the windows of the song. Values of one tagger do not
compare with those of another.
Source: Yang et al. (2023, DiffSound), with the direction and the softmax of AudioGen and MusicGen.
"""

from __future__ import annotations

import numpy as np

EPSILON = 1e-6
"""Added to every probability, so that a tag of zero costs a finite amount."""


def validate(references: np.ndarray, songs: np.ndarray) -> None:
    """Raise ValueError unless both sides are distributions [N, tags] with the same shape."""
    fitting = references.ndim == 2 and references.shape == songs.shape
    for side in (references, songs):
        if not fitting or not np.allclose(side.sum(axis=-1), 1, atol=1e-3) or (side < 0).any():
            raise ValueError(
                f"got tags of shapes {list(references.shape)} and {list(songs.shape)}, expected "
                "probabilities of shape [pairs, tags] that sum to 1 on both sides"
            )


def tag_distribution(logits: np.ndarray) -> np.ndarray:
    """Average the softmax of the logits [W, tags] of a song's windows to [tags]."""
    logits = np.asarray(logits, dtype=np.float64)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True)).mean(axis=0)


def tag_divergences(references: np.ndarray, songs: np.ndarray) -> np.ndarray:
    """Compute the divergence of each song from the reference in the same row.

    Args:
        references, songs: [N, tags], probabilities.
    Returns:
        float64 [N], nats.
    Raises:
        ValueError: if shapes differ, or a row is no distribution.
    """
    references, songs = (np.asarray(side, dtype=np.float64) for side in (references, songs))
    validate(references, songs)
    ratio = np.log(references + EPSILON) - np.log(songs + EPSILON)
    return np.maximum((references * ratio).sum(axis=1), 0.0)


__all__ = ["EPSILON", "tag_distribution", "tag_divergences", "validate"]

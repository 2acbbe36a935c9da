"""Cosine similarity of paired embeddings: CLAP score and singer similarity.

Units: a cosine per pair, -1 to 1; the score of a set is their mean. An embedding of zeros, which
has no direction, is similar to nothing: 0. The CLAP score pairs a song with its description, the
singer similarity its voice with the reference voice.
Source: Wu et al. (2023) for CLAP; embeddings of speaker verification for singers.
"""

from __future__ import annotations

import numpy as np


def validate(first: np.ndarray, second: np.ndarray) -> None:
    """Raise ValueError unless both sides are finite, [N, D], with the same N and D."""
    fitting = first.ndim == 2 and first.shape == second.shape
    if not fitting or not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError(
            f"got embeddings of shapes {list(first.shape)} and {list(second.shape)}, expected "
            "finite numbers of equal shapes [pairs, features]"
        )


def paired_cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Compare each embedding with the one in the same row of the other side.

    Args:
        first, second: [N, D].
    Returns:
        float64 [N], cosines in [-1, 1].
    Raises:
        ValueError: if shapes differ, or for NaN or infinity.
    """
    first, second = (np.asarray(side, dtype=np.float64) for side in (first, second))
    validate(first, second)
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    cosines = (first * second).sum(axis=1) / np.where(lengths > 0, lengths, 1.0)
    return np.clip(cosines, -1.0, 1.0)


def mean_direction(embeddings: np.ndarray) -> np.ndarray:
    """Average the directions of the windows of one song.

    Args:
        embeddings: [W, D], at least one window.
    Returns:
        float64 [D], the mean of the embeddings scaled to length 1.
    """
    embeddings = np.asarray(embeddings, dtype=np.float64)
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    return (embeddings / np.where(lengths > 0, lengths, 1.0)).mean(axis=0)


__all__ = ["mean_direction", "paired_cosines", "validate"]

"""Accuracy: share of songs for which a prediction equals its label.

Units: a score per song, 1 for an equal pair and 0 otherwise; the accuracy is their mean, 0 to 1.
Source: the definition; what predicts is named by the metrics that use it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def validate(songs: Sequence[object], labels: Sequence[object]) -> None:
    """Raise ValueError unless there is one label for each song."""
    if len(songs) != len(labels):
        raise ValueError(
            f"got {len(songs)} songs and {len(labels)} labels, expected one label for each song"
        )


def accuracy_scores(
    predictions: Sequence[str], labels: Sequence[str], classes: Sequence[str]
) -> np.ndarray:
    """Score each song: 1 where prediction and label are equal, else 0.

    Args:
        predictions: one per song.
        labels: one per song.
        classes: values that a label can have.
    Returns:
        float64 [N].
    Raises:
        ValueError: if the numbers differ, or for a label that is not one of the classes.
    """
    validate(predictions, labels)
    unknown = sorted(set(labels) - set(classes))
    if unknown:
        raise ValueError(f"got {', '.join(unknown)}, expected one of {', '.join(classes)}")
    return np.array([float(p == label) for p, label in zip(predictions, labels, strict=True)])


def mean_score(scores: np.ndarray) -> float:
    """Average the scores of all songs.

    Raises:
        ValueError: if there is no song.
    """
    if not len(scores):
        raise ValueError("got no songs, expected at least one")
    return float(np.mean(scores))


__all__ = ["accuracy_scores", "mean_score", "validate"]

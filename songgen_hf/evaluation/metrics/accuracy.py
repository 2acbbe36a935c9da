"""Scores of answers that are right or wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def agreement(answers: Sequence[str], truths: Sequence[str], classes: Sequence[str]) -> np.ndarray:
    """float64 [N]: 1 where answer and truth are equal, else 0.

    Raises:
        ValueError: if their numbers differ, or for a truth that is none of the classes.
    """
    require_equal_numbers(answers, truths)
    unknown = sorted(set(truths) - set(classes))
    if unknown:
        raise ValueError(f"got {', '.join(unknown)}, expected one of {', '.join(classes)}")
    return np.array([float(a == t) for a, t in zip(answers, truths, strict=True)])


def require_equal_numbers(songs: Sequence[object], truths: Sequence[object]) -> None:
    """Raises ValueError unless there is one truth for each song."""
    if len(songs) != len(truths):
        raise ValueError(
            f"got {len(songs)} songs and {len(truths)} truths, expected one truth for each song"
        )


def mean_score(scores: np.ndarray) -> float:
    """The mean over songs.

    Raises:
        ValueError: if there is no song.
    """
    if not len(scores):
        raise ValueError("got no songs, expected at least one")
    return float(np.mean(scores))


__all__ = ["agreement", "mean_score", "require_equal_numbers"]

"""Aesthetics: how people would rate a sound, as a network predicts it.

Four axes: content enjoyment (CE), content usefulness (CU), production complexity (PC) and
production quality (PQ). The rating of a song is the mean of its windows, weighted by their length.

Units: 1 to 10, higher is better, except for PC, which is neither; equal songs have equal ratings,
and there is no perfect value. Nothing keeps a network from leaving the scale.
Source: Tjandra et al. (2025), Audiobox Aesthetics.
"""

from __future__ import annotations

import numpy as np

AXES = ("CE", "CU", "PC", "PQ")


def validate(ratings: np.ndarray, seconds: np.ndarray) -> None:
    """Raise ValueError unless there are four finite ratings and a length for each window."""
    fitting = ratings.ndim == 2 and ratings.shape == (len(seconds), len(AXES))
    if not fitting or not np.isfinite(ratings).all() or (seconds < 0).any() or not seconds.any():
        raise ValueError(
            f"got ratings of shape {list(ratings.shape)} and lengths of {seconds.sum():g} s in "
            f"all, expected finite numbers of shape [windows, {len(AXES)}] and a length for each "
            "window, not all 0"
        )


def song_ratings(ratings: np.ndarray, seconds: np.ndarray) -> dict[str, float]:
    """Average the ratings of a song's windows.

    Args:
        ratings: [windows, 4] in the order of ``AXES``.
        seconds: [windows], lengths without padding.
    Returns:
        The rating of each axis.
    Raises:
        ValueError: if shapes do not fit, for NaN or infinity, or if no window has a length.
    """
    ratings, seconds = np.asarray(ratings, np.float64), np.asarray(seconds, np.float64)
    validate(ratings, seconds)
    means = seconds @ ratings / seconds.sum()
    return {axis: float(mean) for axis, mean in zip(AXES, means, strict=True)}


__all__ = ["AXES", "song_ratings", "validate"]

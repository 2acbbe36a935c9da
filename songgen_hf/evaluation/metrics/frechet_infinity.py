"""Frechet distance without the bias of small sets: extrapolated to infinitely many frames.

The distance of few frames is too large, because their covariance is estimated badly; the excess
falls with 1/n. The distance of n drawn frames is measured for several n, and a line over 1/n is
continued to 0.

Units: those of the Frechet distance; 0 for equal distributions, slightly below 0 by chance.
Source: Chong & Forsyth (2020), for audio Gui et al. (2024) and their tool fadtk.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .frechet_distance import Moments, frechet_distance

STEPS = 25
MIN_FRAMES = 500
MAX_FRAMES = 100_000
"""Frames of the largest draw, which is held in memory."""


class Extrapolation(NamedTuple):
    """The distance for infinitely many frames, and the line that it was read off.

    Args:
        distance: the line at 1/n = 0.
        slope: of the line over 1/n.
        r2: share of the variance of the distances that the line explains, at most 1; 1 if they do
            not vary.
    """

    distance: float
    slope: float
    r2: float


def validate(features: np.ndarray, min_frames: int, steps: int) -> None:
    """Raise ValueError unless there are more frames than the smallest draw, and two draws."""
    if features.ndim != 2 or len(features) <= min_frames or min_frames < 2 or steps < 2:
        raise ValueError(
            f"got features of shape {list(features.shape)}, at least {min_frames} frames and "
            f"{steps} draws, expected [frames, features] with more frames than the smallest draw, "
            "which has at least 2, and at least 2 draws; evaluate more songs"
        )


def frechet_infinity(
    features: np.ndarray,
    reference: Moments,
    *,
    seed: int,
    steps: int = STEPS,
    min_frames: int = MIN_FRAMES,
    replacement: bool = False,
) -> Extrapolation:
    """Extrapolate the Frechet distance of features to infinitely many frames.

    Args:
        features: [N, D], the frames of all songs.
        reference: moments of the reference songs, whose own bias stays.
        seed: seed of the draws.
        steps: number of draws, of ``min_frames`` to N frames, or to ``MAX_FRAMES``.
        min_frames: frames of the smallest draw.
        replacement: draw frames with replacement, as fadtk does. The line then ends near the plain
            distance, since the bias of the set itself is part of every draw.
    Raises:
        ValueError: if there are not more than ``min_frames`` frames, for NaN or infinity, or if the
            number of features differs from the reference's.
    """
    features = np.asarray(features)
    validate(features, min_frames, steps)
    random = np.random.default_rng(seed)
    most = min(len(features), MAX_FRAMES)
    counts = [int(count) for count in np.linspace(min_frames, most, steps)]
    measured = [
        frechet_distance(
            Moments.of(features[random.choice(len(features), count, replace=replacement)]),
            reference,
            unbiased=True,
        )
        for count in counts
    ]
    inverse, distances = 1 / np.array(counts), np.array(measured)
    slope, distance = np.polyfit(inverse, distances, 1)
    residual = np.square(distances - (slope * inverse + distance)).sum()
    variance = np.square(distances - distances.mean()).sum()
    r2 = 1 - residual / variance if variance > 0 else 1.0
    return Extrapolation(float(distance), float(slope), float(r2))


__all__ = ["MAX_FRAMES", "MIN_FRAMES", "STEPS", "Extrapolation", "frechet_infinity", "validate"]

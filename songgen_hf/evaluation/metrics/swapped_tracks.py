"""Swapped tracks: share of two-track songs whose voice is in the accompaniment.

A separator hears both tracks. A track of voice alone keeps its energy in the separated vocal, a
track of instruments loses it; a song is swapped if the accompaniment keeps more than the vocal.

Units: a score per song, 1 for swapped tracks and 0 otherwise, also for equal tracks; the share of
songs is their mean, 0 to 1; 0 is perfect. The protocol of songgen-mini compares phoneme error rates
of both tracks instead, which needs lyrics.
Source: the separator that the package contains, or another one.
"""

from __future__ import annotations

import numpy as np


def validate(vocals: np.ndarray, accompaniments: np.ndarray) -> None:
    """Raise ValueError unless both sides are shares of energy [N], finite and not negative."""
    for side in (vocals, accompaniments):
        if (
            side.shape != vocals.shape
            or side.ndim != 1
            or not (np.isfinite(side) & (side >= 0)).all()
        ):
            raise ValueError(
                f"got shares of shapes {list(vocals.shape)} and {list(accompaniments.shape)}, "
                "expected finite numbers of 0 or more, one for each song, on both sides"
            )


def voice_share(track: np.ndarray, separated: np.ndarray) -> float:
    """Divide the energy of a track's separated vocal [S] by that of the track; 0 for silence."""
    energy = float(np.square(track, dtype=np.float64).sum())
    return float(np.square(separated, dtype=np.float64).sum()) / energy if energy else 0.0


def swapped_scores(vocals: np.ndarray, accompaniments: np.ndarray) -> np.ndarray:
    """Score each song, float64 [N]: 1 if the accompaniment has the larger share of voice, else 0.

    Args:
        vocals, accompaniments: [N] shares of voice of both tracks, see :func:`voice_share`.
    Raises:
        ValueError: if the shapes differ, or for a share that is negative, NaN or infinite.
    """
    vocals, accompaniments = (np.asarray(side, np.float64) for side in (vocals, accompaniments))
    validate(vocals, accompaniments)
    return (accompaniments > vocals).astype(np.float64)


__all__ = ["swapped_scores", "validate", "voice_share"]

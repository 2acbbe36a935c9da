"""Tempo accuracy: share of songs whose estimated tempo is the requested one.

Units: tempi in beats per minute; a score per song, 1 if the estimate is within 8 % (as in MIREX),
else 0; the accuracy is their mean, 0 to 1. A second score also accepts half and double the tempo,
the errors that the estimator itself makes.
Source: the estimate of data/listening/tempo.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...data.listening.tempo import estimate_tempo
from ..judges.loading import Waveforms
from . import accuracy
from .accuracy import mean_score

TOLERANCE = 0.08  # of the tempo


def validate(waveforms: Waveforms, tempi: Sequence[float]) -> None:
    """Raise ValueError unless there is one positive tempo for each song."""
    accuracy.validate(waveforms, tempi)
    if len(tempi) and min(tempi) <= 0:
        raise ValueError(f"got a tempo of {min(tempi):g} bpm, expected a positive one")


def tempo_scores(
    waveforms: Waveforms, tempi: Sequence[float], *, any_octave: bool = False
) -> np.ndarray:
    """Score each song: 1 where the estimate is within 8 % of the requested tempo, else 0.

    Args:
        waveforms: mixtures.
        tempi: requested tempo of each song in bpm.
        any_octave: also accept half and double the tempo.
    Returns:
        float64 [N].
    Raises:
        ValueError: if the numbers differ, or for a tempo that is not positive.
    """
    return _scores(_ratios(waveforms, tempi), any_octave)


def evaluate_tempo(waveforms: Waveforms, tempi: Sequence[float]) -> dict[str, float]:
    """Return ``tempo`` and ``tempo_any_octave``, the means of both :func:`tempo_scores`."""
    ratios = _ratios(waveforms, tempi)
    return {
        "tempo": mean_score(_scores(ratios, False)),
        "tempo_any_octave": mean_score(_scores(ratios, True)),
    }


def _ratios(waveforms: Waveforms, tempi: Sequence[float]) -> np.ndarray:
    """Divide the estimated tempo of each song by the requested one, [N]."""
    validate(waveforms, tempi)
    estimates = np.array([estimate_tempo(waveform) for waveform in waveforms])
    return estimates / np.asarray(tempi, dtype=np.float64)


def _scores(ratios: np.ndarray, any_octave: bool) -> np.ndarray:
    octaves = np.array((0.5, 1.0, 2.0) if any_octave else (1.0,))
    errors = np.abs(ratios[:, None] * octaves - 1).min(axis=1)
    return (errors <= TOLERANCE).astype(np.float64)


__all__ = [
    "TOLERANCE",
    "evaluate_tempo",
    "tempo_scores",
    "validate",
]

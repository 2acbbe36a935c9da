"""Agreement with the band: whether the vocal has the key and the tempo of the accompaniment.

Units: a score per song, 0 to 1; 1 is perfect. Keys score as in MIREX, with the accompaniment as the
reference: 1 for the same key, 0.5 a perfect fifth above, 0.3 for the relative and 0.2 for the
parallel key, 0 for others. Tempi score 1 within 8 %, half and double the tempo included, else 0.
Both tracks are estimated by this package, so errors of the estimates lower the scores.
Source: MIREX audio key detection, as in mir_eval; the estimates of data/listening.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...data.corpus.harmony import PITCH_CLASSES
from ...data.listening.key import KEYS
from . import accuracy
from .tempo import TOLERANCE


def validate(vocals: Sequence[object], accompaniments: Sequence[object]) -> None:
    """Raise ValueError unless there is one accompaniment for each vocal."""
    if len(vocals) != len(accompaniments):
        raise ValueError(
            f"got {len(vocals)} vocals and {len(accompaniments)} accompaniments, expected one "
            "accompaniment for each vocal"
        )


def key_agreement(vocals: Sequence[str], accompaniments: Sequence[str]) -> np.ndarray:
    """Score the key of each vocal against that of its accompaniment, float64 [N].

    Args:
        vocals, accompaniments: keys, members of ``KEYS``.
    Raises:
        ValueError: if the numbers differ, or for an unknown key.
    """
    validate(vocals, accompaniments)
    for keys in (vocals, accompaniments):
        accuracy.accuracy_scores(keys, keys, KEYS)
    return np.array([_score(*pair) for pair in zip(vocals, accompaniments, strict=True)])


def tempo_agreement(vocals: Sequence[float], accompaniments: Sequence[float]) -> np.ndarray:
    """Score the tempo of each vocal against that of its accompaniment, float64 [N].

    Args:
        vocals, accompaniments: tempi in beats per minute.
    Raises:
        ValueError: if the numbers differ, or for a tempo that is not positive.
    """
    validate(vocals, accompaniments)
    for tempi in (vocals, accompaniments):
        if len(tempi) and not min(tempi) > 0:
            raise ValueError(f"got a tempo of {min(tempi):g} bpm, expected a positive one")
    ratios = np.asarray(vocals, np.float64) / np.asarray(accompaniments, np.float64)
    errors = np.abs(ratios[:, None] * np.array([0.5, 1.0, 2.0]) - 1).min(axis=1, initial=np.inf)
    return (errors <= TOLERANCE).astype(np.float64)


def _score(estimate: str, reference: str) -> float:
    (tonic, mode), (home, home_mode) = (key.split() for key in (estimate, reference))
    steps = (PITCH_CLASSES.index(tonic) - PITCH_CLASSES.index(home)) % 12
    if mode == home_mode:
        return {0: 1.0, 7: 0.5}.get(steps, 0.0)
    return {0: 0.2, 9 if home_mode == "major" else 3: 0.3}.get(steps, 0.0)


__all__ = ["key_agreement", "tempo_agreement", "validate"]

"""Bootstrap intervals of scores: how much a score could differ for other songs.

Units: lower and upper end of a percentile interval, in the units of the score.
Source: the bootstrap over songs drawn with replacement; songs of one prompt are drawn together.
"""

from collections.abc import Callable, Hashable, Sequence

import numpy as np

Interval = tuple[float, float]


def bootstrap(
    statistic: Callable[[np.ndarray], float],
    count: int,
    *,
    seed: int,
    draws: int = 1000,
    level: float = 0.95,
) -> Interval:
    """Return the percentile interval of a statistic of songs.

    Args:
        statistic: takes the indices [count] of the drawn songs, of which some occur more than once,
            and returns the score; draws for which it is NaN are left out.
        count: number of songs.
        seed: seed of the draws.
        draws: number of draws.
        level: share of the draws inside the interval.
    Returns:
        Lower and upper end.
    Raises:
        ValueError: without songs or draws, or for a level outside (0, 1).
    """
    if count < 1 or draws < 1 or not 0 < level < 1:
        raise ValueError(
            f"got {count} songs, {draws} draws and level {level}, expected at least one song, at "
            "least one draw and a level between 0 and 1"
        )
    random = np.random.default_rng(seed)
    scores = [statistic(random.integers(count, size=count)) for _ in range(draws)]
    lower, upper = np.nanquantile(scores, [(1 - level) / 2, (1 + level) / 2])
    return float(lower), float(upper)


def ratio_interval(
    numerators: Sequence[float] | np.ndarray,
    denominators: Sequence[float] | np.ndarray | None = None,
    *,
    seed: int,
    groups: Sequence[Hashable] | None = None,
    draws: int = 1000,
    level: float = 0.95,
) -> Interval:
    """Return the interval of ``sum(numerators) / sum(denominators)``, such as edits over phonemes.

    Args:
        numerators, denominators, groups: as in :func:`grouped_ratio`.
        seed: seed of the draws.
        draws: number of draws.
        level: share of the draws inside the interval.
    Raises:
        ValueError: if lengths differ, there are no songs, or all denominators are zero.
    """
    ratio, count = grouped_ratio(numerators, denominators, groups)
    return bootstrap(ratio, count, seed=seed, draws=draws, level=level)


def grouped_ratio(
    numerators: Sequence[float] | np.ndarray,
    denominators: Sequence[float] | np.ndarray | None = None,
    groups: Sequence[Hashable] | None = None,
) -> tuple[Callable[[np.ndarray], float], int]:
    """Return a ratio of sums as a statistic of groups of songs.

    Args:
        numerators: [N], one per song.
        denominators: [N]; None for ones, so that the ratio is the mean.
        groups: [N], a group for each song, such as its prompt; the songs of a group are drawn
            together. None draws each song by itself.
    Returns:
        The function from the indices of drawn groups to the ratio, and the number of groups.
    Raises:
        ValueError: if lengths differ, or all denominators are zero.
    """
    top = np.asarray(numerators, dtype=np.float64)
    bottom = np.ones_like(top) if denominators is None else np.asarray(denominators, np.float64)
    names = list(range(len(top))) if groups is None else list(groups)
    if not len(top) == len(bottom) == len(names):
        raise ValueError(
            f"got {len(top)} numerators, {len(bottom)} denominators and {len(names)} groups, "
            "expected one of each for every song"
        )
    if len(top) and bottom.sum() == 0:
        raise ValueError("all denominators are zero: the ratio is undefined; leave such songs out")
    positions = {name: position for position, name in enumerate(dict.fromkeys(names))}
    group_ids = np.array([positions[name] for name in names], dtype=np.int64)
    sums = np.stack([np.bincount(group_ids, values, len(positions)) for values in (top, bottom)])

    def ratio(drawn: np.ndarray) -> float:
        above, below = sums[:, drawn].sum(axis=1)
        return above / below if below else np.nan

    return ratio, len(positions)


__all__ = ["Interval", "bootstrap", "grouped_ratio", "ratio_interval"]

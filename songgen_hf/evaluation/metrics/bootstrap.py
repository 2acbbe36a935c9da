"""Bootstrap intervals of scores: how much a score could differ for other songs.

Units: lower and upper end of a percentile interval, in the units of the score.
Source: the bootstrap over songs drawn with replacement; songs of one prompt are drawn together.
For votes, listeners and songs are drawn independently (Owen, Annals of Applied Statistics 1, 2007).
"""

from collections.abc import Callable, Hashable, Sequence

import numpy as np

Interval = tuple[float, float]


def validate(count: int, draws: int, level: float) -> None:
    """Raise ValueError unless there are songs and draws, and the level is between 0 and 1."""
    if count < 1 or draws < 1 or not 0 < level < 1:
        raise ValueError(
            f"got {count} songs, {draws} draws and level {level}, expected at least one song, at "
            "least one draw and a level between 0 and 1"
        )


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
    validate(count, draws, level)
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


def crossed_bootstrap(
    statistic: Callable[[np.ndarray], np.ndarray],
    *groups: Sequence[Hashable],
    seed: int,
    draws: int = 1000,
    level: float = 0.95,
) -> np.ndarray:
    """Return percentile intervals of statistics of votes that share listeners and songs.

    Every grouping is drawn with replacement by itself; the weight of a vote is the product of how
    often its groups were drawn. The intervals are too wide rather than too narrow where votes of
    one listener or song are no more alike than other votes.

    Args:
        statistic: takes the weights [N] of the votes, and returns the statistics, [...]; NaN is
            left out.
        *groups: for each grouping the group of each vote, such as its listener; [N] each.
        seed: seed of the draws.
        draws: number of draws.
        level: share of the draws inside the interval.
    Returns:
        [2, ...]: lower and upper ends; NaN for a statistic that no draw had.
    Raises:
        ValueError: without votes or draws, if lengths differ, or for a level outside (0, 1).
    """
    sizes = {len(names) for names in groups}
    if len(sizes) != 1 or 0 in sizes or draws < 1 or not 0 < level < 1:
        raise ValueError(
            f"got groups of {sorted(sizes)} votes, {draws} draws and level {level}, expected one "
            "group for each of some votes, at least one draw and a level between 0 and 1"
        )
    random = np.random.default_rng(seed)
    ids = [np.unique(np.asarray(names), return_inverse=True)[1] for names in groups]
    counts = [int(each.max()) + 1 for each in ids]
    found = []
    for _ in range(draws):
        weights = np.ones(len(ids[0]))
        for each, count in zip(ids, counts, strict=True):
            weights *= np.bincount(random.integers(count, size=count), minlength=count)[each]
        if weights.any():
            found.append(statistic(weights))
    scores = np.asarray(found, dtype=np.float64)
    ends = np.full((2, *scores.shape[1:]), np.nan)
    known = ~np.isnan(scores).all(axis=0)
    quantiles = [(1 - level) / 2, (1 + level) / 2]
    ends[:, known] = np.nanquantile(scores[:, known], quantiles, axis=0)
    return ends


__all__ = [
    "Interval",
    "bootstrap",
    "crossed_bootstrap",
    "grouped_ratio",
    "ratio_interval",
    "validate",
]

"""How far a score of so many songs can be trusted: bootstrap intervals over songs.

Songs are drawn with replacement; everything that belongs to one song (or to one prompt that was
sung with several seeds) is drawn together. Knows nothing of what the numbers mean.
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
    """Percentile interval of a statistic of songs.

    Args:
        statistic: from the indices [count] of the drawn songs, some more than once, to the score.
        count: songs.
        seed: of the draws.
        draws: number of draws.
        level: part of the draws inside the interval.
    Returns:
        Lower and upper end.
    Raises:
        ValueError: without songs or draws, or for a level outside (0, 1).
    """
    if count < 1 or draws < 1 or not 0 < level < 1:
        raise ValueError(
            f"got {count} songs, {draws} draws and level {level}, expected at least one song, one "
            "draw and a level between 0 and 1"
        )
    random = np.random.default_rng(seed)
    scores = [statistic(random.integers(count, size=count)) for _ in range(draws)]
    lower, upper = np.quantile(scores, [(1 - level) / 2, (1 + level) / 2])
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
    """Interval of ``sum(numerators) / sum(denominators)``, such as edits over phonemes.

    Args:
        numerators: [N], one a song.
        denominators: [N]; None for ones, so that the ratio is the mean.
        seed: of the draws.
        groups: [N], what is drawn together: the prompt of each song; None = each song by itself.
        draws: number of draws.
        level: part of the draws inside the interval.
    Raises:
        ValueError: if lengths differ, there are no songs, or all denominators are zero.
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
    places = {name: place for place, name in enumerate(dict.fromkeys(names))}
    of_song = np.array([places[name] for name in names], dtype=np.int64)
    sums = np.stack([np.bincount(of_song, values, len(places)) for values in (top, bottom)])

    def ratio(drawn: np.ndarray) -> float:
        above, below = sums[:, drawn].sum(axis=1)
        return above / below if below else np.nan

    return bootstrap(ratio, len(places), seed=seed, draws=draws, level=level)


__all__ = ["Interval", "bootstrap", "ratio_interval"]

"""Paired differences of two systems that sang the same prompts: size, interval, significance.

Measures the ratio of sums (a mean, or edits over phonemes) of the second system minus that of the
first. A prompt with all its songs is one unit, so several seeds of a prompt do not count as
several prompts. The interval is the percentile bootstrap over prompts. The p-value is that of a
randomization test, which exchanges the two systems' songs of a prompt at random: without a
difference it is below 0.05 in 5 of 100 experiments, whatever the distribution.

Units: those of the score; p-values from 1 / (draws + 1) to 1.
Source: Noreen, Computer-Intensive Methods for Testing Hypotheses (1989); Koehn, Statistical
Significance Tests for Machine Translation Evaluation (EMNLP 2004); Holm (1979).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .bootstrap import Interval

Sums = Mapping[Hashable, tuple[float, float]]
LEVEL = 0.95


@dataclass(frozen=True)
class Difference:
    """How far a second system is from a first one.

    Args:
        value: score of the second minus score of the first, over the shared prompts.
        interval: 95 % bootstrap interval of ``value``; None without one.
        p_value: of the hypothesis that both are the same system; None without a test.
        n: number of shared prompts.
    """

    value: float
    interval: Interval | None
    p_value: float | None
    n: int


def sums_of_prompts(
    prompts: Sequence[Hashable],
    numerators: Sequence[float],
    denominators: Sequence[float] | None = None,
) -> dict[Hashable, tuple[float, float]]:
    """Add the songs of each prompt.

    Args:
        prompts: [N], prompt of each song.
        numerators: [N], such as edits.
        denominators: [N], such as phonemes; None for ones, so that the ratio is the mean.
    Returns:
        Sum of the numerators and of the denominators, by prompt.
    Raises:
        ValueError: if lengths differ.
    """
    lower = [1.0] * len(numerators) if denominators is None else list(denominators)
    if not len(prompts) == len(numerators) == len(lower):
        raise ValueError(
            f"got {len(prompts)} prompts, {len(numerators)} numerators and {len(lower)} "
            "denominators, expected one of each for every song"
        )
    sums: dict[Hashable, tuple[float, float]] = {}
    for prompt, top, bottom in zip(prompts, numerators, lower, strict=True):
        above, below = sums.get(prompt, (0.0, 0.0))
        sums[prompt] = (above + float(top), below + float(bottom))
    return sums


def validate(first: Sums, second: Sums, draws: int) -> None:
    """Raise ValueError unless the systems share two prompts, with denominators, and draws > 0."""
    shared = first.keys() & second.keys()
    if len(shared) < 2 or draws < 1:
        raise ValueError(
            f"got {len(shared)} shared prompts and {draws} draws, expected at least two prompts "
            "and one draw; give both systems the same prompts"
        )
    if any(sum(side[name][1] for name in shared) <= 0 for side in (first, second)):
        raise ValueError("all denominators are zero: the ratio is undefined; leave such songs out")


def paired_difference(first: Sums, second: Sums, *, seed: int, draws: int = 2000) -> Difference:
    """Compare two systems by the prompts that both have.

    Args:
        first, second: sums of each prompt, from :func:`sums_of_prompts`.
        seed: seed of the draws.
        draws: number of draws, both of the bootstrap and of the randomization test.
    Raises:
        ValueError: if fewer than two prompts are shared, or a side has no denominators.
    """
    validate(first, second, draws)
    shared = sorted(first.keys() & second.keys(), key=str)
    ours = np.array([first[name] for name in shared])  # [P, 2]
    theirs = np.array([second[name] for name in shared])
    value = float(_differences(ours.sum(axis=0), theirs.sum(axis=0)))

    random = np.random.default_rng(seed)
    count = len(shared)
    weights = random.multinomial(count, np.full(count, 1 / count), size=draws)  # [draws, P]
    drawn = _differences(weights @ ours, weights @ theirs)
    low, high = np.nanquantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])

    swaps = random.integers(2, size=(draws, count)) @ (theirs - ours)
    swapped = _differences(ours.sum(axis=0) + swaps, theirs.sum(axis=0) - swaps)
    extreme = np.count_nonzero(np.abs(swapped) >= abs(value) - 1e-12)
    return Difference(value, (float(low), float(high)), (1 + extreme) / (1 + draws), count)


def difference_of_draws(
    values: tuple[float, float], draws: tuple[Sequence[float], Sequence[float]], n: int
) -> Difference:
    """Compare two set scores, such as Frechet distances, by the bootstrap draws of both.

    Each draw of both systems is of the same prompts. The interval is mirrored at the difference
    (the basic bootstrap), as that of a Frechet distance is, and the p-value is the one at which the
    mirrored interval begins to exclude 0.

    Args:
        values: score of the first and of the second system.
        draws: their scores for the same draws of prompts.
        n: number of prompts.
    Raises:
        ValueError: if the numbers of draws differ or there are none.
    """
    first, second = (np.asarray(one, dtype=np.float64) for one in draws)
    if first.shape != second.shape or not len(first):
        raise ValueError(
            f"got {len(first)} and {len(second)} draws, expected equally many; measure both with "
            "the same --fad-draws"
        )
    value = values[1] - values[0]
    mirrored = 2 * value - (second - first)
    low, high = np.quantile(mirrored, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    beyond = min(np.count_nonzero(mirrored <= 0), np.count_nonzero(mirrored >= 0))
    p_value = min(1.0, 2 * (1 + beyond) / (1 + len(first)))
    return Difference(float(value), (float(low), float(high)), float(p_value), n)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjust p-values of several comparisons, so that 5 of 100 families hold a false one.

    Args:
        p_values: one for each comparison; None stays None and does not count.
    """
    tested = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, place) in enumerate(tested):
        largest = max(largest, min(1.0, p * (len(tested) - rank)))
        adjusted[place] = largest
    return adjusted


def _differences(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Ratio of the second sums minus that of the first, [..., 2] each; NaN without denominators."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = [np.where(one[..., 1] > 0, one[..., 0] / one[..., 1], np.nan)
                  for one in (first, second)]  # fmt: skip
    return ratios[1] - ratios[0]


__all__ = [
    "Difference",
    "Sums",
    "difference_of_draws",
    "holm",
    "paired_difference",
    "sums_of_prompts",
    "validate",
]

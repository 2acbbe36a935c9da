"""Draws the trials of a listening test: which songs are compared, in which order and on which side.

Knows nothing about files and pages.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from .options import Design


@dataclass(frozen=True)
class Trial:
    """One question to a listener.

    Args:
        item: index of the item.
        systems: index of the system of each song, in the order of the page: two, or one for mos.
        x: place (0 or 1) of the system that is X; None unless the design is abx.
    """

    item: int
    systems: tuple[int, ...]
    x: int | None = None


def draw_trials(
    design: Design, systems: int, items: int, count: int | None, random: np.random.Generator
) -> list[Trial]:
    """Draw the trials of a test, in their order.

    Every two systems, or every system for mos, have the same number of trials, or one more. Each of
    two systems is on each side equally often, or once more, and so it is with X.

    Args:
        design: ab, abx or mos.
        systems: number of systems.
        items: number of items, of which each system has a song.
        count: number of trials; None for all, which are one for each item and each pair of systems.
        random: generator of the choice, the order and the sides.
    Raises:
        ValueError: if there are too few systems, or fewer trials than ``count``.
    """
    if systems < (least := 1 if design == "mos" else 2):
        raise ValueError(f"got {systems} system, the design {design} compares at least {least}")
    groups = [tuple(group) for group in combinations(range(systems), least)]
    possible = items * len(groups)
    count = possible if count is None else count
    if count > possible:
        raise ValueError(
            f"got count {count}, but {items} items of {systems} systems give {possible} trials: "
            "give a smaller count or more songs"
        )
    order = random.permutation(items)
    groups = [groups[place] for place in random.permutation(len(groups))]
    chosen = [(int(order[n // len(groups)]), groups[n % len(groups)]) for n in range(count)]
    trials = []
    for group in groups:
        mine = [item for item, its_group in chosen if its_group == group]
        sides = _balanced_sides(len(mine), random)
        for item, (swapped, x) in zip(mine, sides, strict=True):
            shown = group[::-1] if swapped else group
            trials.append(Trial(item, shown, x if design == "abx" else None))
    return [trials[place] for place in random.permutation(count)]


def _balanced_sides(count: int, random: np.random.Generator) -> list[tuple[int, int]]:
    """Pairs of bits, of which every beginning has both values of both bits equally often."""
    sides: list[tuple[int, int]] = []
    while len(sides) < count:
        first, second = (int(bit) for bit in random.integers(2, size=2))
        pairs = [(first, second), (1 - first, 1 - second)]
        pairs += [(first, 1 - second), (1 - first, second)]
        sides += pairs
    drawn = sides[:count]
    return [drawn[place] for place in random.permutation(count)]


__all__ = ["Trial", "draw_trials"]

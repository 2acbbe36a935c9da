"""Schedules: how many codes of a masked song are masked when a share of the steps is done."""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Literal, get_args

MaskSchedule = Literal["circle", "cosine", "linear", "exp"]
EXP_RATE = 5.0
"""Rate of the schedule "exp"; a larger one reveals codes later. The paper gives no formula."""


def num_masked(schedule: MaskSchedule, share: Fraction | float, total: int) -> int:
    """Return ``ceil(gamma(share) * total)``, the masked codes when ``share`` of the steps is done.

    With a Fraction there are no rounding errors.
    """
    check_choice("schedule", schedule, get_args(MaskSchedule))
    if not 0 <= share <= 1:
        raise ValueError(f"share is {share}: expected 0 (all masked) to 1 (nothing masked)")
    if total < 0:
        raise ValueError(f"total is {total}: expected a number of codes")
    share = Fraction(share)
    above, below = share.numerator, share.denominator
    if schedule == "linear":
        return -(-total * (below - above) // below)
    if schedule == "circle":
        # The smallest n with (n * below)^2 >= total^2 * (below^2 - above^2).
        square = -(-(total**2) * (below**2 - above**2) // below**2)
        return math.isqrt(square - 1) + 1 if square else 0
    if share in (0, 1):
        return total if share == 0 else 0
    if schedule == "cosine":
        if share == Fraction(2, 3):  # the one rational value at a rational angle (Niven)
            return -(-total // 2)
        return math.ceil(math.cos(math.pi * above / (2 * below)) * total)
    left = -math.expm1(-EXP_RATE * (below - above) / below) / -math.expm1(-EXP_RATE)
    return math.ceil(left * total)


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Raise ValueError unless a value is one of its choices."""
    if value not in choices:
        raise ValueError(f"{name} is {value!r}: expected {', '.join(choices)}")


__all__ = ["MaskSchedule", "check_choice", "num_masked"]

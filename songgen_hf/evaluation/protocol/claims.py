"""Checks of the paper's claims about masked models: paired differences of rows of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from .evaluation import EvaluatedRow
from .options import UNGUIDED, MaskedSetting
from .scores import paired_difference

BOOTSTRAP_SEED = 0
MAX_ERROR_RATIO = 1.15
MAX_GOAL_STEPS = 32
CLAIMED_METRICS = ("per", "fad")  # lower is better for both


def describe_goal(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Compare the best phoneme error rate at few steps with that of the autoregressive model.

    Args:
        rows: rows of a report.
    """
    reference = next(row for row in rows if row["mode"] == "ar")
    masked = [row for row in rows if row["mode"] == "masked" and row["passes"] <= MAX_GOAL_STEPS]
    goal = {"limit": MAX_ERROR_RATIO, "passes": MAX_GOAL_STEPS}
    if not masked or not reference["per"]:
        return {"per_ratio": None, **goal, "reached": None}
    best = min(masked, key=lambda row: row["per"])
    ratio = best["per"] / reference["per"]
    reached = ratio <= MAX_ERROR_RATIO
    return {"per_ratio": round(ratio, 4), **goal, "reached": reached, "row": rows.index(best)}


def describe_comparisons(
    rows: Sequence[EvaluatedRow], *, draws: int = 1000
) -> list[dict[str, Any]]:
    """Test each claim of the paper on the rows that differ in it.

    A claim holds if the whole interval of the paired difference is below zero, fails if it is
    above, and is open otherwise.
    """
    found = []
    for claim, better, worse in claimed_pairs(rows):
        for metric in CLAIMED_METRICS:
            value, (lower, upper) = paired_difference(
                rows[better].scores, rows[worse].scores, metric, seed=BOOTSTRAP_SEED, draws=draws
            )
            found.append(
                {
                    "claim": claim,
                    "metric": metric,
                    "rows": [better, worse],
                    "difference": round(value, 4),
                    "interval": [round(lower, 4), round(upper, 4)],
                    "verdict": "holds" if upper < 0 else "fails" if lower > 0 else "open",
                }
            )
    return found


def claimed_pairs(rows: Sequence[EvaluatedRow]) -> list[tuple[str, int, int]]:
    """Find the pairs of rows that a claim is about.

    Rows of a pair differ in one part of their setting. The heads are compared at their own
    settings, with the same number of steps, the same reveal, and guidance in both or in neither.

    Returns:
        The claim, the index of the row that should be better, and the index of the other one.
    """
    masked = {
        (row.model.name, row.setting): place
        for place, row in enumerate(rows)
        if isinstance(row.setting, MaskedSetting)
    }

    def is_comparable(one: MaskedSetting, other: MaskedSetting) -> bool:
        return _compared_parts(one) == _compared_parts(other)

    pairs = []
    for (head, setting), place in masked.items():
        same_head = {other: row for (name, other), row in masked.items() if name == head}
        softmax = [
            row
            for (name, other), row in masked.items()
            if head == "mixture" and name == "softmax" and is_comparable(other, setting)
        ]
        fewer = [
            other.num_inference_steps
            for other in same_head
            if other.num_inference_steps < setting.num_inference_steps
            and replace(other, num_inference_steps=setting.num_inference_steps) == setting
        ]
        found = {
            "the mixture head is better than the softmax head": softmax[0] if softmax else None,
            "confidence is better than random reveal": (
                same_head.get(replace(setting, reveal="random"))
                if setting.reveal == "confidence"
                else None
            ),
            "guidance helps": (
                same_head.get(replace(setting, guidance=UNGUIDED))
                if setting.guidance != UNGUIDED
                else None
            ),
            "more passes help": (
                same_head[replace(setting, num_inference_steps=max(fewer))] if fewer else None
            ),
        }
        pairs += [(claim, place, other) for claim, other in found.items() if other is not None]
    return pairs


def _compared_parts(setting: MaskedSetting) -> tuple[Any, ...]:
    return setting.num_inference_steps, setting.reveal, setting.guidance == UNGUIDED


__all__ = ["claimed_pairs", "describe_comparisons", "describe_goal"]

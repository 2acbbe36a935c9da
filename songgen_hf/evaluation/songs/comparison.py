"""Comparison of metric cards: paired differences of systems that sang the same prompts."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...modeling.checkpoint_files import reading
from ..metrics.paired_difference import (
    Difference,
    difference_of_draws,
    holm,
    paired_difference,
    sums_of_prompts,
)
from ..protocol.tables import markdown_table
from .card import Card, interval_text, number_text, setting_text

SIGNIFICANT = 0.05
Rows = Sequence[Mapping[str, Any]]


def read_rows(card: Path) -> list[dict[str, Any]]:
    """Read the rows of songs beside a card; an empty list if there is no such file.

    Raises:
        ValueError: if the file cannot be read.
    """
    path = card.with_suffix(".rows.jsonl")
    if not path.is_file():
        return []
    with reading(path):
        lines = path.read_text(encoding="utf-8").splitlines()
        return [dict(json.loads(line)) for line in lines if line.strip()]


def differing_settings(cards: Sequence[Card]) -> list[str]:
    """Name every setting in which a card differs from the first one, with both values."""
    first = _flat(cards[0]["settings"])
    found = []
    for card in cards[1:]:
        other = _flat(card["settings"])
        for name in sorted(first.keys() | other.keys()):
            one, two = first.get(name), other.get(name)
            text = f"{name} {setting_text(one)} and {setting_text(two)}"
            if one != two and text not in found:
                found.append(text)
    return found


def compare_cards(
    cards: Sequence[Card], rows: Sequence[Rows] | None = None, *, despite_settings: bool = False
) -> dict[str, Any]:
    """Put the scores of systems side by side, each with its difference from the first.

    Args:
        cards: cards of the systems; the first is the one that the others are compared with.
        rows: rows of the songs of each card, from :func:`read_rows`; without them there are
            differences, but no intervals of ratios and means.
        despite_settings: whether cards of different settings are compared; what differs is in the
            result.
    Returns:
        ``systems``, their names; ``settings_differ``, a line each; ``metrics``: for every score
        that the first and another card have, ``metric``, ``scores`` as in the cards (None where
        one is missing) and ``differences`` with ``value``, ``interval``, ``p_value`` (adjusted by
        Holm's method for the number of other systems), ``n`` and ``unpaired``, why there is no
        interval.
    Raises:
        ValueError: for fewer than two cards, or naming the settings that differ.
    """
    if len(cards) < 2:
        raise ValueError(f"got {len(cards)} metric cards, expected at least two to compare")
    differing = differing_settings(cards)
    if differing and not despite_settings:
        more = f" and {len(differing) - 3} more" if len(differing) > 3 else ""
        systems = " and ".join(card["name"] for card in cards)
        raise ValueError(
            f"the cards of {systems} do not compare, their settings differ: "
            f"{'; '.join(differing[:3])}{more}; measure all in the same way, or give "
            "--despite-settings"
        )
    tables = rows or [[] for _ in cards]
    metrics = []
    for name in cards[0]["scores"]:
        scores = [card["scores"].get(name) for card in cards]
        if not any(scores[1:]):
            continue
        found = [
            _difference(name, (cards[0], cards[place]), (tables[0], tables[place]))
            if scores[place]
            else None
            for place in range(1, len(cards))
        ]
        adjusted = holm([one[0].p_value if one else None for one in found])
        differences = [
            {**asdict(one[0]), "p_value": p_value, "unpaired": one[1]} if one else None
            for one, p_value in zip(found, adjusted, strict=True)
        ]
        metrics.append({"metric": name, "scores": scores, "differences": differences})
    names = [card["name"] for card in cards]
    return {"systems": names, "settings_differ": differing, "metrics": metrics}


def comparison_markdown(comparison: Mapping[str, Any]) -> str:
    """Write a comparison as a table and what there is to know of it."""
    first, *others = comparison["systems"]
    rows, reasons = [], {}
    for metric in comparison["metrics"]:
        row = [metric["metric"], _score(metric["scores"][0])]
        for score, found in zip(metric["scores"][1:], metric["differences"], strict=True):
            row += [_score(score), _change(found)]
            if found and found["unpaired"]:
                reasons[metric["metric"]] = found["unpaired"]
        rows.append(row)
    titles = ["metric", first]
    for name in others:
        titles += [name, "difference"]
    parts: list[str] = []
    if comparison["settings_differ"]:
        listed = "\n".join(f"- {line}" for line in comparison["settings_differ"])
        parts.append(f"**These systems were measured differently:**\n\n{listed}")
    parts.append(markdown_table(titles, rows))
    parts.append(
        f"Differences from {first}, with 95 % intervals over prompts that both have; * marks "
        f"p < {SIGNIFICANT}, adjusted for {len(others)} compared "
        f"{'systems' if len(others) > 1 else 'system'}, not for the number of metrics."
    )
    if reasons:
        listed = "\n".join(f"- {name}: {reason}" for name, reason in reasons.items())
        parts.append(f"Without an interval:\n\n{listed}")
    return "\n\n".join(parts)


def _difference(
    name: str, cards: tuple[Card, Card], rows: tuple[Rows, Rows]
) -> tuple[Difference, str | None]:
    """The difference of two cards in one score, and why it has no interval."""
    scores = [card["scores"][name] for card in cards]
    first, second = (float(score["value"]) for score in scores)
    plain = Difference(second - first, None, None, 0)
    requests = [card["settings"].get("prompts") for card in cards]
    if requests[0] is None or requests[0] != requests[1]:
        return plain, "prompts of one name have other requests, or their digests are unknown"
    if name.startswith("fad_"):
        prompts = [card["songs"].get("prompts") for card in cards]
        drawn = [score.get("draws", []) for score in scores]
        seeds = [card["settings"].get("seed") for card in cards]
        if not all(drawn):
            return plain, "a card has no bootstrap draws of it"
        if prompts[0] is None or prompts[0] != prompts[1] or seeds[0] != seeds[1]:
            return plain, "the systems have different prompts, or draws of different seeds"
        if len(drawn[0]) != len(drawn[1]):
            return plain, "the cards have different numbers of draws"
        pair = drawn[0], drawn[1]
        return difference_of_draws((first, second), pair, len(prompts[0])), None
    if not all(rows):
        return plain, "the rows of the songs are not beside the card"
    sums = [_sums(name, one) for one in rows]
    shared = sums[0].keys() & sums[1].keys()
    if len(shared) < 2:
        return plain, f"{len(shared)} shared prompts, expected at least 2"
    if any(not sum(one[prompt][1] for prompt in shared) for one in sums):
        return plain, "the lyrics of the shared prompts hold no words"
    settings = cards[0]["settings"]
    draws = max(1000, int(settings.get("draws", 0)))
    return paired_difference(*sums, seed=int(settings.get("seed", 0)), draws=draws), None


def _sums(name: str, rows: Rows) -> dict[Hashable, tuple[float, float]]:
    """Numerators and denominators of a score, by prompt."""
    top, bottom = (f"{name}_edits", f"{name}_length")
    if any(top in row for row in rows):
        rows = [row for row in rows if top in row]
        lengths = [row[bottom] for row in rows]
    else:
        rows, top, lengths = [row for row in rows if name in row], name, None
    prompts = [row.get("prompt", row["id"]) for row in rows]
    return sums_of_prompts(prompts, [row[top] for row in rows], lengths)


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


def _score(score: Mapping[str, Any] | None) -> str:
    return "" if score is None else f"{number_text(score['value'])} {interval_text(score)}".rstrip()


def _change(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return ""
    text = f"{found['value']:+.4g}"
    if found["interval"] is None:
        return text
    low, high = found["interval"]
    mark = "\\*" if found["p_value"] < SIGNIFICANT else ""
    return f"{text}{mark} ({low:+.4g} to {high:+.4g}, p {found['p_value']:.2g})"


__all__ = [
    "compare_cards",
    "comparison_markdown",
    "differing_settings",
    "read_rows",
]

"""Metric cards: the numbers of a set of songs with everything that they depend on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ...files import encode_json, write_files
from ...modeling.checkpoint_files import reading
from ...provenance import library_versions
from ..protocol.tables import markdown_table
from .folders import songs_digest
from .measuring import Measurement

FORMAT = 1
KIND = "songgen-hf metric card"
Card = dict[str, Any]


def make_card(found: Measurement, *, name: str, command: str) -> Card:
    """Describe a measurement as a card, of values that JSON holds.

    Args:
        found: the measurement.
        name: name of the set of songs.
        command: command line that made it.
    """
    return {
        "kind": KIND,
        "format": FORMAT,
        "name": name,
        "command": command,
        "songs": {"n": len(found.songs), "digest": songs_digest(found.songs)},
        "settings": found.settings,
        "versions": {**library_versions(), **_versions("scipy", "soxr", "pyloudnorm")},
        "scores": {key: score.facts(key) for key, score in found.scores.items()},
        "skipped": found.skipped,
    }


def write_card(path: Path, card: Card, found: Measurement) -> list[Path]:
    """Write a card, the same as markdown, and the rows of its songs.

    Returns:
        The paths of the three files.
    """
    page, rows = path.with_suffix(".md"), path.with_suffix(".rows.jsonl")
    lines = [json.dumps(row, ensure_ascii=False) for row in found.rows]
    write_files(
        {
            path: encode_json(card),
            page: card_markdown(card).encode(),
            rows: ("\n".join(lines) + "\n").encode(),
        }
    )
    return [path, page, rows]


def read_card(path: Path) -> Card:
    """Read a card.

    Raises:
        ValueError: if the file is no card of this format.
        OSError: if it cannot be read.
    """
    with reading(path):
        card = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(card, dict) or (card.get("kind"), card.get("format")) != (KIND, FORMAT):
        raise ValueError(f"{path} is no metric card: expected one of songgen-hf evaluate songs")
    return card


def card_markdown(card: Card) -> str:
    """Write a card as markdown: a table of scores and a table of everything they depend on."""
    scores = [
        [name, _number(one["value"]), _interval(one), str(one["n"]), one["unit"]]
        for name, one in card["scores"].items()
    ]
    facts = {
        "songs": card["songs"],
        **card["settings"],
        "versions": card["versions"],
        "command": card["command"],
    }
    settings = [[name, _words(value)] for name, value in facts.items()]
    parts = [
        f"# {card['name']}: metrics of {card['songs']['n']} songs",
        markdown_table(("metric", "value", "95 % interval", "songs", "unit"), scores),
    ]
    if card["skipped"]:
        left = [f"- {name}: {reason}" for name, reason in card["skipped"].items()]
        parts.append("Not measured:\n\n" + "\n".join(left))
    parts += ["## Settings", markdown_table(("setting", "value"), settings)]
    return "\n\n".join(parts) + "\n"


def compare_cards(card: Card, other: Card) -> list[dict[str, Any]]:
    """Put the scores of two cards side by side.

    Returns:
        For every score that both have: ``metric``, ``first`` and ``second`` as in their cards, and
        ``difference``, second minus first.
    Raises:
        ValueError: naming the settings that differ, if there are any.
    """
    ours, theirs = (_flat(one["settings"]) for one in (card, other))
    differing = [
        f"{name} {_words(ours.get(name))} and {_words(theirs.get(name))}"
        for name in sorted(ours.keys() | theirs.keys())
        if ours.get(name) != theirs.get(name)
    ]
    if differing:
        more = f" and {len(differing) - 3} more" if len(differing) > 3 else ""
        raise ValueError(
            f"the cards of {card['name']} and {other['name']} do not compare, their settings "
            f"differ: {'; '.join(differing[:3])}{more}; measure both in the same way"
        )
    return [
        {
            "metric": name,
            "first": one,
            "second": other["scores"][name],
            "difference": other["scores"][name]["value"] - one["value"],
        }
        for name, one in card["scores"].items()
        if name in other["scores"]
    ]


def comparison_markdown(card: Card, other: Card) -> str:
    """Write the scores of two cards as one table; arguments and errors as :func:`compare_cards`."""
    rows = [
        [
            one["metric"],
            *(f"{_number(side['value'])} {_interval(side)}".rstrip() for side in _sides(one)),
            f"{one['difference']:+.4g}",
        ]
        for one in compare_cards(card, other)
    ]
    return markdown_table(("metric", card["name"], other["name"], "difference"), rows)


def _sides(one: Mapping[str, Any]) -> tuple[Any, Any]:
    return one["first"], one["second"]


def _flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found


def _number(value: float) -> str:
    return f"{value:.4g}"


def _interval(score: Mapping[str, Any]) -> str:
    if score["low"] is None:
        return ""
    return f"({_number(score['low'])} to {_number(score['high'])})"


def _words(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_words(entry)}" for name, entry in value.items())
    return "none" if value is None else str(value).replace("|", "\\|")


def _versions(*packages: str) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


__all__ = [
    "card_markdown",
    "compare_cards",
    "comparison_markdown",
    "make_card",
    "read_card",
    "write_card",
]

"""Metric cards: the numbers of a set of songs with everything that they depend on."""

from __future__ import annotations

import json
import re
import subprocess
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


def make_card(
    found: Measurement, *, name: str, command: str, protocol: Mapping[str, Any] | None = None
) -> Card:
    """Describe a measurement as a card, of values that JSON holds.

    Args:
        found: the measurement.
        name: name of the set of songs.
        command: command line that made it.
        protocol: what :func:`~songgen_hf.evaluation.songs.protocols.apply_protocol` says of the
            protocol, with ``departures``; None without one.
    """
    return {
        "kind": KIND,
        "format": FORMAT,
        "name": name,
        "command": command,
        "songs": {
            "n": len(found.songs),
            "prompts": sorted({song.prompt for song in found.songs}),
            "digest": songs_digest(found.songs),
        },
        "protocol": None if protocol is None else dict(protocol),
        "settings": found.settings,
        "versions": {
            **library_versions(),
            **_versions("scipy", "soxr", "pyloudnorm", "jiwer", "phonemizer"),
            **({"espeak-ng": espeak} if (espeak := _espeak_version()) else {}),
        },
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
    protocol = card.get("protocol") or {"figures": {}}
    figures: Mapping[str, Mapping[str, float]] = protocol["figures"]
    published = list(dict.fromkeys(name for one in figures.values() for name in one))
    spread = any("seed_spread" in one for one in card["scores"].values())
    scores = []
    for name in dict.fromkeys((*card["scores"], *published)):
        one = card["scores"].get(name)
        cells = ["not measured", "", "", ""]
        if one is not None:
            cells = [number_text(one["value"]), interval_text(one), str(one["n"]), one["unit"]]
        if spread:
            cells.insert(2, number_text(one["seed_spread"]) if one and "seed_spread" in one else "")
        scores.append([name, *cells, *(str(system.get(name, "")) for system in figures.values())])
    titles = ["metric", "value", "95 % interval", *["spread of seeds"] * spread, "songs", "unit"]
    facts = {
        "songs": {name: card["songs"][name] for name in ("n", "digest")},
        **card["settings"],
        "versions": card["versions"],
        "command": card["command"],
    }
    settings = [[name, setting_text(value)] for name, value in facts.items()]
    parts = [
        f"# {card['name']}: metrics of {card['songs']['n']} songs",
        markdown_table([*titles, *(f"paper: {system}" for system in figures)], scores),
    ]
    if card.get("protocol"):
        parts.append(f"Protocol {protocol['name']}: {protocol['title']} ({protocol['source']}).")
        changes = [
            f"- {name}: {setting_text(one['here'])}, "
            f"in the protocol {setting_text(one['protocol'])}"
            for name, one in protocol["overridden"].items()
        ] + [f"- {line}" for line in protocol["departures"]]
        if changes:
            parts.append("Not as in the protocol:\n\n" + "\n".join(changes))
        if protocol["reasons"]:
            reasons = [f"- {name}: {reason}" for name, reason in protocol["reasons"].items()]
            parts.append("Why the paper's figures differ:\n\n" + "\n".join(reasons))
    if card["skipped"]:
        left = [f"- {name}: {reason}" for name, reason in card["skipped"].items()]
        parts.append("Not measured:\n\n" + "\n".join(left))
    parts += ["## Settings", markdown_table(("setting", "value"), settings)]
    return "\n\n".join(parts) + "\n"


def number_text(value: float) -> str:
    """A number with four digits."""
    return f"{value:.4g}"


def interval_text(score: Mapping[str, Any]) -> str:
    """The interval of a score of a card; empty without one."""
    if score["low"] is None:
        return ""
    return f"({number_text(score['low'])} to {number_text(score['high'])})"


def setting_text(value: Any) -> str:
    """A setting in words, as a cell of a table."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {setting_text(entry)}" for name, entry in value.items())
    return "none" if value is None else str(value).replace("|", "\\|")


def _espeak_version() -> str | None:
    """Version of espeak-ng, which finds the phonemes; None if it is not installed."""
    try:
        command = ["espeak-ng", "--version"]
        found = subprocess.run(command, capture_output=True, encoding="utf-8")
    except OSError:
        return None
    match = re.search(r"\d+(\.\d+)+", found.stdout)
    return match[0] if match else None


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
    "interval_text",
    "make_card",
    "number_text",
    "read_card",
    "setting_text",
    "write_card",
]

"""Protocols of published papers as configuration: metrics, models, numbers of songs, figures.

A protocol is a YAML file of the folder ``published`` beside this module, or one's own file:

    title: what it is
    source: paper and section
    command: songs                     # or masked: the part of `songgen-hf evaluate` that it sets
    prompts: 326                       # numbers that the paper has; may be left out
    seeds: 5
    settings: {clap: owner/model}      # options of that part
    needs: ["dataset X: for --reference"]
    figures: {system: {per: 0.4}}      # published, in the units of the metric card
    reasons: {per: why it differs}
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ...checkpoints.embedded import find_checkpoint
from ...modeling.checkpoint_files import reading
from ..protocol.tables import markdown_table
from .options import SongsOptions

PUBLISHED = Path(__file__).with_name("published")
COMMANDS = ("songs", "masked", "codec")
MODELS = (
    *("clap", "frames", "vggish", "tagger", "recognizer"),
    *("singer", "resemblyzer", "aesthetics"),
)
"""Options that name a model; the word none leaves the metrics of a protocol's model out."""


@dataclass(frozen=True)
class EvaluationProtocol:
    """How a paper evaluates, and what it found.

    Args:
        name: name of its file, without ending.
        title, source: what it is and where it stands.
        command: part of ``songgen-hf evaluate`` that it sets.
        settings: options of that part.
        prompts, seeds: numbers that the paper has; None if it names none.
        needs: datasets, songs and weights that the user brings, a line each.
        figures: published values by system and score, in the units of the metric card.
        reasons: why ours differ, by score.
    """

    name: str
    title: str
    source: str
    command: str
    settings: dict[str, Any] = field(default_factory=dict)
    prompts: int | None = None
    seeds: int | None = None
    needs: list[str] = field(default_factory=list)
    figures: dict[str, dict[str, float]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


def published_protocols() -> list[str]:
    """Names of the protocols that come with the package."""
    return sorted(path.stem for path in PUBLISHED.glob("*.yaml"))


def read_protocol(name: str) -> EvaluationProtocol:
    """Read a protocol of the package, or a file that ends in .yaml.

    Raises:
        ValueError: if there is none of that name, or the file is no protocol.
        OSError: if the file cannot be read.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else PUBLISHED / f"{name}.yaml"
    if path.parent == PUBLISHED and not path.is_file():
        raise ValueError(
            f"got protocol {name!r}, expected {', '.join(published_protocols())} or the path of a "
            ".yaml file"
        )
    with reading(path):
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    known = {one.name for one in dataclasses.fields(EvaluationProtocol)} - {"name"}
    required = {"title", "source", "command"}
    keys = set(found) if isinstance(found, dict) else set()
    if not required <= keys <= known:
        wrong = sorted(map(str, keys - known)) or sorted(required - keys)
        raise ValueError(
            f"{path} is no protocol: got {'unknown' if keys - known else 'no'} "
            f"{', '.join(wrong)}, expected {', '.join(sorted(known))}"
        )
    if found["command"] not in COMMANDS:
        raise ValueError(
            f"{path}: got command {found['command']!r}, expected {', '.join(COMMANDS)}"
        )
    protocol = EvaluationProtocol(path.stem, **found)
    options = {one.name for one in dataclasses.fields(SongsOptions)}
    if protocol.command == "songs" and (unknown := sorted(protocol.settings.keys() - options)):
        raise ValueError(
            f"{path}: got unknown setting {unknown[0]!r}, expected an option of songgen-hf "
            "evaluate songs with _ for -"
        )
    return protocol


def apply_protocol(
    options: SongsOptions, protocol: EvaluationProtocol, given: Collection[str]
) -> tuple[SongsOptions, dict[str, Any]]:
    """Set the options of a protocol, except those that were given.

    Args:
        options: the options, whose values of the fields in ``given`` are kept.
        protocol: a protocol of the command ``songs``.
        given: names of the options that were given. The value none of a model leaves it out.
    Returns:
        The options, and what the metric card says of the protocol.
    Raises:
        ValueError: if the protocol is of another command, or a setting is out of range.
    """
    if protocol.command != "songs":
        raise ValueError(
            f"protocol {protocol.name} is not of songs: run songgen-hf evaluate protocol "
            f"{protocol.name} for its command line"
        )
    changed = {name: value for name, value in protocol.settings.items() if name not in given}
    overridden = {}
    for name in sorted(protocol.settings.keys() & set(given)):
        value = getattr(options, name)
        if name in MODELS and value == "none":
            changed[name] = value = None
        if value != protocol.settings[name]:
            overridden[name] = {"protocol": protocol.settings[name], "here": value}
    record = {
        "name": protocol.name,
        "title": protocol.title,
        "source": protocol.source,
        "overridden": overridden,
        "figures": protocol.figures,
        "reasons": protocol.reasons,
    }
    return dataclasses.replace(options, **changed), record


def departures(protocol: EvaluationProtocol, settings: Mapping[str, Any]) -> list[str]:
    """Say where the numbers of songs of a measurement differ from those of a protocol."""
    counts = {"prompts": settings["num_prompts"], "seeds": len(settings["seeds"] or [None])}
    return [
        f"{counts[name]} {name}, {expected} in the protocol"
        for name, expected in (("prompts", protocol.prompts), ("seeds", protocol.seeds))
        if expected is not None and counts[name] != expected
    ]


def missing(protocol: EvaluationProtocol) -> list[str]:
    """Name what the user has to bring, a line each: data, and models that are not on this disk."""
    from huggingface_hub import try_to_load_from_cache

    lines = list(protocol.needs)
    for name in MODELS if protocol.command == "songs" else ():
        model = protocol.settings.get(name)
        if model is None or name in ("vggish", "resemblyzer"):
            continue
        if Path(find_checkpoint(model)).exists():
            continue
        base, _, revision = str(model).partition("@")
        found = try_to_load_from_cache(base, "config.json", revision=revision or None)
        if not isinstance(found, str):
            flag = name.replace("_", "-")
            lines.append(
                f"model {model}: hf download {base}, or --{flag} with a folder, or --{flag} none"
            )
    return lines


def command_line(protocol: EvaluationProtocol) -> str:
    """The command line that a protocol stands for."""
    words = ["songgen-hf", "evaluate", protocol.command]
    if protocol.command == "songs":
        words += "generated --reference real --prompts prompts.json --out card.json".split()
        return shlex.join([*words, "--protocol", protocol.name])
    if protocol.command == "masked":
        words += "--masked masked-model --songs songs --judges judges --out report.json".split()
    for name, value in protocol.settings.items():
        flag = f"--{name.replace('_', '-')}"
        values = value if isinstance(value, list) else [] if value is True else [value]
        words += [flag, *map(str, values)]
    return shlex.join(words)


def protocol_markdown(protocol: EvaluationProtocol) -> str:
    """Write a protocol: its command line, its settings, what is missing, and its figures."""
    parts = [f"# {protocol.title}", protocol.source, f"    {command_line(protocol)}"]
    numbers = {"prompts": protocol.prompts, "seeds": protocol.seeds}
    stated = {name: value for name, value in numbers.items() if value is not None}
    rows = [[name, str(value)] for name, value in {**stated, **protocol.settings}.items()]
    if rows:
        parts.append(markdown_table(("setting", "value"), rows))
    if lines := missing(protocol):
        parts.append("To be brought:\n\n" + "\n".join(f"- {line}" for line in lines))
    if protocol.figures:
        names = list(dict.fromkeys(name for one in protocol.figures.values() for name in one))
        figures = [
            [name, *(str(one.get(name, "")) for one in protocol.figures.values())] for name in names
        ]
        parts.append(markdown_table(("published", *protocol.figures), figures))
    if protocol.reasons:
        listed = "\n".join(f"- {name}: {reason}" for name, reason in protocol.reasons.items())
        parts.append(f"Why these differ from ours:\n\n{listed}")
    return "\n\n".join(parts)


__all__ = [
    "EvaluationProtocol",
    "apply_protocol",
    "command_line",
    "departures",
    "missing",
    "protocol_markdown",
    "published_protocols",
    "read_protocol",
]

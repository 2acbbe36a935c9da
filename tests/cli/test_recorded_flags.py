"""No command loses an argument: each one recorded in ``flags.json`` is there with its default."""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from songgen_hf.cli import build_parser

RECORDED = json.loads(Path(__file__).with_name("flags.json").read_text(encoding="utf-8"))
TRAINED_KINDS = [name for name in RECORDED if name.startswith("train ")]


def parsers_of(
    parser: argparse.ArgumentParser, name: str = ""
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command and sub-command that takes arguments, by name."""
    nested = [action for action in parser._actions if isinstance(action.choices, dict)]
    if not nested:
        yield name, parser
    for action in nested:
        for part, its_parser in action.choices.items():
            yield from parsers_of(its_parser, f"{name} {part}".strip())


def plain(value: Any) -> Any:
    """A default or a list of choices as JSON has it."""
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def described(action: argparse.Action) -> dict[str, Any]:
    """The visible facts about an argument without its help; usual values are left out."""
    facts = {"choices": plain(action.choices), "nargs": action.nargs}
    if action.nargs != 0:  # a flag without a value is off until it is given
        facts["default"] = plain(action.default)
    if isinstance(action, argparse._AppendAction):
        facts["repeated"] = True
    if action.option_strings and action.required:
        facts["required"] = True
    return {name: value for name, value in facts.items() if value is not None}


def arguments_of(parser: argparse.ArgumentParser) -> tuple[dict[str, Any], dict[str, Any]]:
    """The positional arguments of a parser in their order, and its flags by each spelling."""
    actions = [action for action in parser._actions if action.dest != "help"]
    positional = {str(a.metavar or a.dest): described(a) for a in actions if not a.option_strings}
    flags = {spelling: described(a) for a in actions for spelling in a.option_strings}
    return positional, flags


@pytest.fixture(scope="module")
def parsers() -> dict[str, argparse.ArgumentParser]:
    return dict(parsers_of(build_parser()))


@pytest.mark.parametrize("command", [name for name in RECORDED if name not in TRAINED_KINDS])
def test_a_command_keeps_its_arguments(command, parsers):
    positional, flags = arguments_of(parsers[command])

    assert list(positional.items()) == list(RECORDED[command]["positional"].items())
    assert {name: flags.get(name) for name in RECORDED[command]["flags"]} == (
        RECORDED[command]["flags"]
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", TRAINED_KINDS)
def test_a_kind_of_training_keeps_its_flags(kind):
    from songgen_hf.training.option_parsing import EARLIER_NAMES

    _, flags = arguments_of(dict(parsers_of(build_parser(described=True)))[kind])

    earlier = {f"--{name}" for name, now in EARLIER_NAMES.items() if f"--{now}" in flags}
    earlier |= {name.replace("_", "-") for name in earlier}
    assert set(RECORDED[kind]["flags"]) <= flags.keys() | earlier


def test_every_command_is_recorded(parsers):
    assert parsers.keys() <= RECORDED.keys()

"""Names in the pages exist: modules, classes, files, commands and their flags."""

import argparse
import ast
import builtins
import dataclasses
import importlib
import re
from collections.abc import Iterator
from functools import cache

import pytest

from ..tools.documentation.blocks import ROOT
from ..tools.documentation.commands import arguments_of, parse_songgen, training_options

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "model_card.md", "space/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
FENCED = re.compile(r"^ *```.*?^ *```", re.M | re.S)
INLINE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
FOREIGN_CLASSES = {
    "XcodecModel",  # of transformers
    "SongGenMixedForConditionalGeneration",  # of the reference implementation
    "SongGenDualTrackForConditionalGeneration",
}
FOREIGN_FLAGS = {"--build-arg", "--user", "--index-url", "--cpu", "--nproc-per-node", "--push"}


def inline_code(path) -> Iterator[str]:
    """What stands between ticks outside of fenced blocks, lines joined."""
    text = FENCED.sub("", path.read_text(encoding="utf-8"))
    for match in INLINE.finditer(text):
        yield " ".join(match[1].split())


def resolve(name: str) -> None:
    """Import the module of a dotted name and look up the rest.

    Raises:
        AttributeError: if the module has no such attribute.
    """
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for attribute in parts[length:]:
            found = getattr(found, attribute)
        return


@cache
def classes() -> set[str]:
    """Names of the classes of the package and of Python's errors."""
    found = set(dir(builtins)) | FOREIGN_CLASSES
    for path in (ROOT / "songgen_hf").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                found.add(node.name)
    return found


def flags_of(parser: argparse.ArgumentParser) -> set[str]:
    """The flags of a parser and of its commands."""
    found = set()
    for action in parser._actions:
        found |= set(action.option_strings)
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                found |= flags_of(command)
    return found


def is_complete(code: str) -> bool:
    """Whether inline code is a command with all its arguments, training runs included."""
    trains = code.startswith("songgen-hf train ") and "--out" not in code
    shortened = "..." in code or "--help" in code or trains
    return code.startswith("songgen-hf ") and " --" in code and not shortened


@cache
def known_flags() -> set[str]:
    """Flags of every command, of every training option and of the benchmarks."""
    from songgen_hf.cli import build_parser

    found = flags_of(build_parser()) | {"--stage", "--config"} | FOREIGN_FLAGS
    for types in training_options().values():
        for options in types:
            for field in dataclasses.fields(options):
                name = field.name.replace("_", "-")
                found |= {f"--{name}", f"--no-{name}"}
    for path in (ROOT / "benchmarks").glob("*.py"):
        found |= set(re.findall(r'"(--[a-z-]+)"', path.read_text(encoding="utf-8")))
    return found


@pytest.mark.slow
def test_modules_and_what_they_hold_exist():
    named = re.compile(r"\bsonggen_hf(?:\.[A-Za-z_]\w*)+")
    for name in {name for path in PAGES for name in named.findall(path.read_text("utf-8"))}:
        if not name.endswith((".md", ".py", ".json", ".html")):
            resolve(name)


@pytest.mark.slow
def test_files_and_classes_in_ticks_exist():
    known = classes()
    for code in {code for path in PAGES for code in inline_code(path)}:
        if re.fullmatch(r"(?:songgen_hf|docs|examples|benchmarks|tests|space)/[\w./-]+", code):
            assert (ROOT / code).exists(), code
        if re.fullmatch(r"[A-Z][a-z]*[A-Z]\w*[a-z]\w*", code):
            assert code in known, code


@pytest.mark.slow
def test_commands_and_flags_in_ticks_exist():
    known = known_flags()
    for code in {code for path in PAGES for code in inline_code(path)}:
        if is_complete(code):
            parse_songgen(arguments_of(code))
        for flag in re.findall(r"(?<![\w-])--[a-z][\w-]*", code):
            assert flag in known, f"{flag} in `{code}`"

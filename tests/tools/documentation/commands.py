"""Execution of the shell blocks of the documentation.

``songgen-hf`` runs in this process. Commands of other programs are not run, but the files, extras
and make targets that they name must exist.
"""

import argparse
import re
import shlex
import subprocess
from pathlib import Path

from .blocks import ROOT, Block

CONTINUATION = re.compile(r"\\\n\s*")


def commands_in(code: str) -> list[str]:
    """The commands of a block, one per line or joined by ``&&``, without comments."""
    commands = []
    for line in CONTINUATION.sub(" ", code).splitlines():
        line = line.strip().removeprefix("$ ")
        if not line or line.startswith("#"):
            continue
        commands += [part.strip() for part in re.split(r" && ", line)]
    return commands


def arguments_of(command: str) -> list[str]:
    """Split a command as the shell does."""
    return shlex.split(command, comments=True)


def with_additions(words: list[str], additions: list[tuple[str, str]]) -> list[str]:
    """Add the arguments of the page's comments to a command."""
    for command, added in additions:
        if words[1 : 1 + len(command.split())] == command.split():
            words = [*words, *shlex.split(added)]
    return words


def check_syntax(block: Block) -> None:
    """Check that bash can parse the block."""
    done = subprocess.run(["bash", "-n"], input=block.code, capture_output=True, text=True)
    assert done.returncode == 0, f"{block.place}: {done.stderr}"


def run_songgen(words: list[str]) -> None:
    """Run one command of songgen-hf in this process."""
    from songgen_hf.cli import main

    try:
        status = main(words[1:])
    except SystemExit as stop:  # argparse: help, version or an error
        status = stop.code if isinstance(stop.code, int) else 1
    assert status == 0, f"exit status {status} of {shlex.join(words)}"


def parse_songgen(words: list[str]) -> argparse.Namespace:
    """Parse one command of songgen-hf with its real parser, training flags included."""
    from songgen_hf.cli import build_parser

    try:
        arguments = build_parser().parse_args(words[1:])
    except SystemExit as stop:
        raise AssertionError(f"the parser refuses {shlex.join(words)}") from stop
    if arguments.command == "train":
        parse_training_flags(list(arguments.options))
    return arguments


def training_options() -> dict[str, tuple[type, ...]]:
    """The dataclasses of options of every kind of training."""
    from songgen_hf.training.codec.options import CodecTrainingOptions, TeacherTrainingOptions
    from songgen_hf.training.conditioner.options import CONDITIONER_OPTIONS
    from songgen_hf.training.language_model.options import LANGUAGE_MODEL_OPTIONS, LORA_OPTIONS
    from songgen_hf.training.masked.options import MASKED_OPTIONS

    return {
        "lm": LANGUAGE_MODEL_OPTIONS,
        "lora": LORA_OPTIONS,
        "conditioner": CONDITIONER_OPTIONS,
        "masked": MASKED_OPTIONS,
        "codec": (CodecTrainingOptions,),
        "teacher": (TeacherTrainingOptions,),
    }


def parse_training_flags(options: list[str]) -> None:
    """Parse the arguments of ``songgen-hf train``."""
    from songgen_hf.training.option_parsing import parse_options

    kinds = training_options()
    kind = options.pop(0) if options and not options[0].startswith("-") else "lm"
    assert kind in kinds, f"no kind of training {kind!r}"
    try:
        parse_options(kinds[kind], options)
    except SystemExit as stop:
        raise AssertionError(f"the parser refuses train {kind} {shlex.join(options)}") from stop


def check_other(command: str) -> None:
    """Check a command of another program without running it.

    Raises:
        AssertionError: for an unknown program.
    """
    words = arguments_of(command)
    while words and re.fullmatch(r"\w+=.*", words[0]):  # VARIABLE=value in front
        words = words[1:]
    if not words:
        return
    program, rest = words[0], words[1:]
    if program in ("sudo", "nice"):
        check_other(shlex.join(rest))
    elif program == "make":
        check_make(rest)
    elif program in ("pip", "pip3") or rest[:2] == ["-m", "pip"]:
        check_pip(rest)
    elif Path(program).name in ("python", "python3", "python3.11", "accelerate"):
        check_python(rest)
    elif program == ".ci/run":
        assert (ROOT / program).is_file()
    else:
        known = ("apt-get", "cd", "docker", "export", "git", "hf", "mkdir", "source", ".", "eval")
        assert program in known, f"no check for {program!r}: use <!-- parse: why -->"


def check_make(words: list[str]) -> None:
    """Check that the targets and variables exist in the Makefile."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([\w-]+):", text, re.M))
    variables = set(re.findall(r"^(?:define )?(\w+) *\??:?=?", text, re.M))
    for word in words:
        name, equals, _ = word.partition("=")
        assert name in (variables if equals else targets), f"the Makefile has no {name}"


def check_pip(words: list[str]) -> None:
    """Check that the requested extras of this package exist."""
    text = (ROOT / "setup.py").read_text(encoding="utf-8")
    extras = set(re.findall(r'^    "(\w+)": \[', text, re.M)) | {"dev"}
    for word in words:
        if found := re.search(r"(?:^|songgen-hf|\.)\[([\w,-]+)\]", word):
            missing = set(found[1].split(",")) - extras
            assert not missing, f"setup.py has no extra {', '.join(sorted(missing))}"


def check_python(words: list[str]) -> None:
    """Check that the scripts and modules of the repository exist."""
    for word in words:
        if word.endswith(".py") and word.startswith(("examples/", "benchmarks/", "docs/")):
            assert (ROOT / word).is_file(), f"there is no {word}"
        if word.startswith(("songgen_hf.", "tests.")):
            assert (ROOT / (word.replace(".", "/") + ".py")).is_file(), f"there is no {word}"


__all__ = [
    "check_other",
    "check_syntax",
    "commands_in",
    "arguments_of",
    "parse_songgen",
    "run_songgen",
    "training_options",
    "with_additions",
]

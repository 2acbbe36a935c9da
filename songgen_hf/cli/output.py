"""What a command answers: words for people or one JSON object for programs, and an exit status.

Commands return a :class:`CommandResult` and print nothing themselves. With ``--json`` stdout holds
the JSON object alone; words, progress and whatever a library prints go to stderr.
"""

import argparse
import errno
import json
import math
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, TextIO

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_MISUSE = 2
EXIT_INTERRUPTED = 130
EXIT_PIPE_CLOSED = 141

EXIT_STATUS = (
    "exit status: 0 done; 1 a check failed, or memory ran out; 2 wrong input; 130 interrupted; "
    "141 nobody reads the output any more"
)


@dataclass(frozen=True)
class CommandResult:
    """The outcome of a command.

    Args:
        facts: for programs; paths, numpy numbers and numbers that JSON lacks are allowed.
        text: the same for people, without a last newline; "" for nothing to say.
        status: exit status.
    """

    facts: Mapping[str, Any]
    text: str
    status: int = EXIT_DONE


def add_output_arguments(parser: argparse.ArgumentParser, *, nested: bool = False) -> None:
    """The arguments of every command.

    Args:
        parser: of a command.
        nested: the parser is that of a sub-command: what the command's own parser found is kept.
    """
    default: Any = argparse.SUPPRESS if nested else False
    parser.add_argument(
        "--json",
        action="store_true",
        default=default,
        help="print one JSON object, words to stderr",
    )
    parser.add_argument(
        "--debug", action="store_true", default=default, help="show errors with traceback"
    )


@contextmanager
def kept_for_answer(apart: bool) -> Iterator[TextIO]:
    """The stream of the answer; within the block all other output goes to stderr if ``apart``."""
    stream = sys.stdout
    if not apart:
        yield stream
        return
    with redirect_stdout(sys.stderr):
        yield stream


def show(answer: CommandResult, stream: TextIO, *, as_json: bool) -> None:
    """Print an answer: its words, or its JSON to ``stream`` and its words to stderr."""
    if as_json:
        print(answer_json(answer.facts), file=stream)
    if answer.text:
        print(answer.text, file=sys.stderr if as_json else stream)


def answer_json(facts: Mapping[str, Any]) -> str:
    """JSON that any console and any parser reads: ASCII, and null for what is no finite number."""
    return json.dumps(_plain(facts), indent=2, allow_nan=False)


def write_what_cannot_be_encoded() -> None:
    """Let a console that lacks a character show its number instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def output_is_closed() -> bool:
    """Whether stdout has lost its reader, as in ``songgen-hf info | head -1``.

    If so, what is still to be written is dropped, so that the interpreter ends without a word.
    """
    if sys.stdout is None:
        return False
    try:
        sys.stdout.flush()
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.EINVAL):  # Windows says the latter
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, Mapping):
        return {str(name): _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, PurePath):
        return str(value)
    if hasattr(value, "item") and not isinstance(value, str | bytes):
        value = value.item()  # a number of numpy or torch
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


__all__ = [
    "EXIT_DONE",
    "EXIT_FAILED",
    "EXIT_INTERRUPTED",
    "EXIT_MISUSE",
    "EXIT_PIPE_CLOSED",
    "EXIT_STATUS",
    "CommandResult",
    "add_output_arguments",
    "answer_json",
    "kept_for_answer",
    "output_is_closed",
    "show",
    "write_what_cannot_be_encoded",
]

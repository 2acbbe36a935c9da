"""The result of a command: text for people or one JSON object for programs, and an exit status.

Commands return a :class:`CommandResult` and print nothing themselves. With ``--json`` stdout holds
the JSON object alone; the text, progress and whatever a library prints go to stderr.
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

LONGEST_MESSAGE = 360
"""Characters of the message of an error; ``--debug`` shows longer ones whole."""

EXIT_STATUS = (
    "exit status: 0 done; 1 a check failed, or memory ran out; 2 wrong input; 130 interrupted; "
    "141 the output was closed before everything was written"
)


@dataclass(frozen=True)
class CommandResult:
    """The outcome of a command.

    Args:
        facts: the result for programs; paths, numpy numbers and numbers that JSON lacks are
            allowed.
        text: the result for people, without a last newline; "" for no text.
        status: exit status.
    """

    facts: Mapping[str, Any]
    text: str
    status: int = EXIT_DONE


def add_output_arguments(parser: argparse.ArgumentParser, *, nested: bool = False) -> None:
    """Add ``--json`` and ``--debug``, which every command takes.

    Args:
        parser: parser of a command.
        nested: whether it is the parser of a sub-command, which must not reset what the parser of
            the command has read.
    """
    default: Any = argparse.SUPPRESS if nested else False
    for flag, text in (
        ("--json", "print one JSON object; text goes to stderr"),
        ("--debug", "show errors with their traceback"),
    ):
        parser.add_argument(flag, action="store_true", default=default, help=text)


@contextmanager
def result_stream(*, separate: bool) -> Iterator[TextIO]:
    """Yield the stream for the result, which is stdout.

    Args:
        separate: send all other output within the block to stderr.
    """
    stream = sys.stdout
    if not separate:
        yield stream
        return
    with redirect_stdout(sys.stderr):
        yield stream


def show(result: CommandResult, stream: TextIO, *, as_json: bool) -> None:
    """Print the text of a result to ``stream``, or its JSON there and its text to stderr."""
    if as_json:
        print(result_json(result.facts), file=stream)
    if result.text:
        print(result.text, file=sys.stderr if as_json else stream)


def result_json(facts: Mapping[str, Any]) -> str:
    """JSON that any console and any parser reads: ASCII, and null for numbers that JSON lacks."""
    return json.dumps(_plain(facts), indent=2, allow_nan=False)


def shortened(message: str) -> str:
    """A message of at most ``LONGEST_MESSAGE`` characters, with its beginning and its remedy."""
    if len(message) <= LONGEST_MESSAGE:
        return message
    half = (LONGEST_MESSAGE - 5) // 2
    return f"{message[:half]} ... {message[-half:]}"


def escape_unencodable_characters() -> None:
    """Let a console that lacks a character show its number instead of ending the command."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def output_is_closed() -> bool:
    """Whether stdout has lost its reader, as in ``songgen-hf info | head -1``.

    If so, what is still to be written is dropped, so that the interpreter ends without a message.
    """
    if sys.stdout is None:
        return False
    try:
        sys.stdout.flush()
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.EINVAL):  # EINVAL on Windows
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


def _plain(value: Any) -> Any:
    """A value in the types of JSON."""
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

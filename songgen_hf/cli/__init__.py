"""The command ``songgen-hf``: one flat table of commands, each in a file of its own.

A command's module has ``HELP``, ``add_arguments(parser)`` and ``run(arguments)``, which returns a
:class:`~songgen_hf.cli.output.CommandResult`. Torch and the models are imported when a command
runs, so that ``--help`` answers at once.
"""

import argparse
import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from types import ModuleType

from .output import (
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_MISUSE,
    EXIT_PIPE_CLOSED,
    EXIT_STATUS,
    CommandResult,
    add_output_arguments,
    kept_for_answer,
    output_is_closed,
    show,
    write_what_cannot_be_encoded,
)

COMMANDS = {
    "generate": "songgen_hf.cli.generate",
    "encode": "songgen_hf.cli.encode",
    "decode": "songgen_hf.cli.decode",
    "init": "songgen_hf.cli.init",
    "info": "songgen_hf.cli.info",
    "corpus": "songgen_hf.cli.corpus",
    "prepare": "songgen_hf.cli.prepare",
    "train": "songgen_hf.cli.train",
    "evaluate": "songgen_hf.cli.evaluate",
    "export": "songgen_hf.cli.export",
    "card": "songgen_hf.cli.card",
    "space": "songgen_hf.cli.space",
    "doctor": "songgen_hf.cli.doctor",
    "completion": "songgen_hf.cli.completion",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: arguments after the program's name; by default those of the process.
    Returns:
        Exit status: 0 done, 1 for a check that failed or memory that ran out, 2 for what the
        caller got wrong, 130 after Ctrl-C, 141 if nobody reads the output any more. Errors are one
        line on stderr; stdout stays empty then.
    """
    write_what_cannot_be_encoded()
    try:
        status = run_command(argv)
    except SystemExit:  # --help, --version, or flags that nobody knows
        if output_is_closed():
            return EXIT_PIPE_CLOSED
        raise
    return EXIT_PIPE_CLOSED if output_is_closed() else status


def run_command(argv: Sequence[str] | None) -> int:
    """Parse, run, answer; the exit status, but for output that nobody reads."""
    arguments = build_parser().parse_args(argv)
    arguments.command_line = list(sys.argv[1:] if argv is None else argv)
    command: ModuleType = arguments.command_module
    try:
        needed = getattr(command, "NEEDS_MODELS", True)
        with kept_for_answer(arguments.json) as stream, models_ready() if needed else nullcontext():
            answer: CommandResult | None = command.run(arguments)
            if answer is None:
                return EXIT_DONE
            show(answer, stream, as_json=arguments.json)
            return answer.status
    except KeyboardInterrupt:
        print("songgen-hf: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except (ValueError, TypeError, OSError, ImportError, MemoryError, RuntimeError) as error:
        if isinstance(error, BrokenPipeError) and output_is_closed():
            return EXIT_PIPE_CLOSED
        memory = _is_out_of_memory(error)
        if arguments.debug or (isinstance(error, RuntimeError) and not memory):
            raise
        message = " ".join(str(error).split()) or type(error).__name__
        if memory:
            message = f"out of memory ({message}); `songgen-hf doctor` says what a model needs"
        print(f"songgen-hf {arguments.command}: error: {message}", file=sys.stderr)
        return EXIT_FAILED if memory else EXIT_MISUSE


def _is_out_of_memory(error: BaseException) -> bool:
    """Whether Python or torch, on any device, could not get memory."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in str(error)
    )


@contextmanager
def models_ready() -> Iterator[None]:
    """The models are registered; within the block, transformers' bars are for terminals only."""
    from transformers.utils import logging

    from .. import register

    register()
    before = logging.is_progress_bar_enabled()
    if not sys.stderr.isatty():
        logging.disable_progress_bar()
    try:
        yield
    finally:
        if before:
            logging.enable_progress_bar()


def build_parser(*, described: bool = False) -> argparse.ArgumentParser:
    """The parser of the program and all its commands.

    Args:
        described: for a command that takes its flags as they come (``train``), list them all. That
            imports torch; such a parser is for reading, not for parsing.
    """
    from ..version import __version__

    parser = argparse.ArgumentParser(
        prog="songgen-hf", description="Sing with SongGen.", epilog=EXIT_STATUS
    )
    parser.add_argument("--version", action="version", version=f"songgen-hf {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    for name, module_name in COMMANDS.items():
        module = importlib.import_module(module_name)
        listed = described and hasattr(module, "described_flags")
        command = commands.add_parser(
            name,
            help=module.HELP,
            description=module.HELP if described else module.__doc__,
            epilog=EXIT_STATUS,
            parents=module.described_flags() if listed else [],
            conflict_handler="resolve" if listed else "error",
        )
        add_output_arguments(command)
        command.set_defaults(command_module=module)
        (module.add_described_arguments if listed else module.add_arguments)(command)
    return parser


__all__ = ["COMMANDS", "build_parser", "main", "models_ready", "run_command"]

"""The program ``songgen-hf``: parse the arguments, run one command, print its result."""

import sys
from collections.abc import Sequence
from contextlib import nullcontext

from .loading import progress_bars_in_terminals
from .output import (
    EXIT_DONE,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    EXIT_MISUSE,
    EXIT_PIPE_CLOSED,
    CommandResult,
    escape_unencodable_characters,
    output_is_closed,
    result_stream,
    shortened,
    show,
)
from .parser import COMMANDS, build_parser, options_of


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: arguments after the program's name; by default those of the process.
    Returns:
        Exit status: 0 done, 1 for a check that failed or memory that ran out, 2 for what the
        caller got wrong, 130 after Ctrl-C, 141 if the output was closed. Errors are one line on
        stderr; stdout stays empty then.
    """
    escape_unencodable_characters()
    try:
        status = run_command(sys.argv[1:] if argv is None else list(argv))
    except SystemExit:  # --help, --version or unknown arguments
        if output_is_closed():
            return EXIT_PIPE_CLOSED
        raise
    return EXIT_PIPE_CLOSED if output_is_closed() else status


def run_command(argv: list[str]) -> int:
    """Parse the arguments, run the command and print its result; returns the exit status."""
    words = [word for word in argv if not word.startswith("-")]
    arguments = build_parser(words[0] if words else "").parse_args(argv)
    arguments.command_line = argv
    command = arguments.command_module
    needs_models = getattr(command, "NEEDS_MODELS", True)
    try:
        with (
            result_stream(separate=arguments.json) as stream,
            progress_bars_in_terminals() if needs_models else nullcontext(),
        ):
            result: CommandResult | None = command.run(options_of(arguments))
            if result is None:
                return EXIT_DONE
            show(result, stream, as_json=arguments.json)
            return result.status
    except KeyboardInterrupt:
        print("songgen-hf: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except (ValueError, TypeError, OSError, ImportError, MemoryError, RuntimeError) as error:
        if isinstance(error, BrokenPipeError) and output_is_closed():
            return EXIT_PIPE_CLOSED
        out_of_memory = _is_out_of_memory(error)
        if arguments.debug or (isinstance(error, RuntimeError) and not out_of_memory):
            raise
        message = shortened(" ".join(str(error).split())) or type(error).__name__
        if out_of_memory:
            message = f"out of memory ({message}); `songgen-hf doctor` says what a model needs"
        print(f"songgen-hf {arguments.command}: error: {message}", file=sys.stderr)
        return EXIT_FAILED if out_of_memory else EXIT_MISUSE


def _is_out_of_memory(error: BaseException) -> bool:
    """Whether Python or torch, on any device, could not get memory."""
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in str(error)
    )


__all__ = ["COMMANDS", "build_parser", "main"]

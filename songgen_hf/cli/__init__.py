"""The command ``songgen-hf``: one flat table of commands, each in a file of its own.

A command's module has ``HELP``, ``add_arguments(parser)`` and ``run(arguments)``. Torch and the
models are imported when a command runs, so that ``--help`` answers at once.
"""

import argparse
import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType

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
}

EXIT_MISUSE = 2
EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: arguments after the program's name; by default those of the process.
    Returns:
        Exit status: 0, 2 for what the caller got wrong (one line on stderr), 130 after Ctrl-C.
    """
    parser = build_parser()
    arguments = parser.parse_args(argv)
    arguments.command_line = list(sys.argv[1:] if argv is None else argv)
    command: ModuleType = arguments.command_module
    try:
        from ..registration import register

        register()
        with library_bars(sys.stderr.isatty()):
            command.run(arguments)
    except KeyboardInterrupt:
        print("songgen-hf: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except (ValueError, TypeError, OSError, ImportError) as error:
        if arguments.debug:
            raise
        message = " ".join(str(error).split()) or type(error).__name__
        print(f"songgen-hf {arguments.command}: error: {message}", file=sys.stderr)
        return EXIT_MISUSE
    return 0


@contextmanager
def library_bars(shown: bool) -> Iterator[None]:
    """Within the block, transformers' progress bars are shown only if ``shown``."""
    from transformers.utils import logging

    before = logging.is_progress_bar_enabled()
    if not shown:
        logging.disable_progress_bar()
    try:
        yield
    finally:
        if before:
            logging.enable_progress_bar()


def build_parser() -> argparse.ArgumentParser:
    """The parser of the program and all its commands."""
    from .. import __version__

    parser = argparse.ArgumentParser(prog="songgen-hf", description="Sing with SongGen.")
    parser.add_argument("--version", action="version", version=f"songgen-hf {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    for name, module_name in COMMANDS.items():
        module = importlib.import_module(module_name)
        command = commands.add_parser(name, help=module.HELP, description=module.__doc__)
        command.add_argument("--debug", action="store_true", help="show errors with traceback")
        command.set_defaults(command_module=module)
        module.add_arguments(command)
    return parser


__all__ = ["COMMANDS", "build_parser", "main"]

"""The table of commands and the parser that is made from it.

The module of a command has ``OPTIONS`` and ``run(options)``, which returns a
:class:`~songgen_hf.cli.output.CommandResult` or None. ``OPTIONS`` is a dataclass whose fields are
the arguments, see :mod:`songgen_hf.cli.flags`; a command with sub-commands has a table of them,
name -> (help line, dataclass). A command that reads its arguments in its own way has
``add_arguments(parser)`` instead, and ``run(arguments)`` gets the parsed arguments.

The docstring of the module describes the command in its help. A module is imported only if its
command is chosen, and imports torch and the models only when it runs, which keeps ``--help`` quick.
"""

import argparse
import importlib
from typing import Any

from .flags import add_flags, read_flags
from .output import EXIT_STATUS, add_output_arguments

COMMANDS = {
    "generate": ("songgen_hf.cli.generate", "generate a song"),
    "align": ("songgen_hf.cli.align", "find when words are sung in a recording"),
    "encode": ("songgen_hf.cli.encode", "turn a sound file into codes"),
    "decode": ("songgen_hf.cli.decode", "turn codes into a sound file"),
    "init": ("songgen_hf.cli.init", "write an untrained checkpoint"),
    "info": ("songgen_hf.cli.info", "describe a checkpoint"),
    "corpus": ("songgen_hf.cli.corpus", "render a corpus of songs for training"),
    "prepare": ("songgen_hf.cli.prepare", "prepare data for training"),
    "adapt": ("songgen_hf.cli.adapt", "adapt a model to your own recordings"),
    "train": (
        "songgen_hf.cli.train",
        "train a language model, an adapter, a conditioner, a masked model, a codec or a teacher",
    ),
    "evaluate": (
        "songgen_hf.cli.evaluate",
        "train the judges, and evaluate codecs and models with them",
    ),
    "experiment": (
        "songgen_hf.cli.experiment",
        "run an ablation: train variants with equal budgets and compare them",
    ),
    "export": ("songgen_hf.cli.export", "write a checkpoint for the Hub, or publish it there"),
    "card": ("songgen_hf.cli.card", "write the card of a checkpoint, with measured numbers"),
    "space": ("songgen_hf.cli.space", "run or publish the Gradio Space"),
    "serve": ("songgen_hf.cli.serve", "serve songs to programs: HTTP, WebSocket, metrics"),
    "doctor": ("songgen_hf.cli.doctor", "check the installation and which models fit"),
    "completion": ("songgen_hf.cli.completion", "print a shell completion script"),
}
"""Name of a command -> its module and its help line."""


class ParagraphFormatter(argparse.HelpFormatter):
    """Wraps each paragraph of a description on its own."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        fill = super()._fill_text
        return "\n\n".join(fill(part, width, indent) for part in text.strip().split("\n\n"))


def build_parser(chosen: str | None = None, *, described: bool = False) -> argparse.ArgumentParser:
    """The parser of the program.

    Args:
        chosen: the only command that gets its arguments; None for all commands.
        described: also list the arguments of a command that passes them on unread (``train``). That
            imports torch; such a parser is for reading, not for parsing.
    """
    from ..version import __version__

    parser = argparse.ArgumentParser(
        prog="songgen-hf", description="Generate songs with SongGen.", epilog=EXIT_STATUS
    )
    parser.add_argument("--version", action="version", version=f"songgen-hf {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    for name, (module_name, text) in COMMANDS.items():
        module: Any = importlib.import_module(module_name) if chosen in (None, name) else None
        flags = module.described_flags() if described and hasattr(module, "described_flags") else []
        command = commands.add_parser(
            name,
            help=text,
            description=text if described or module is None else module.__doc__.replace("``", "`"),
            epilog=EXIT_STATUS,
            formatter_class=ParagraphFormatter,
            parents=flags,
            conflict_handler="resolve" if flags else "error",
        )
        if module is not None:
            add_output_arguments(command)
            command.set_defaults(command_module=module)
            add_arguments(command, module, described=described)
    return parser


def add_arguments(command: argparse.ArgumentParser, module: Any, *, described: bool) -> None:
    """Add the arguments that the module of a command declares to its parser."""
    if described and hasattr(module, "add_described_arguments"):
        module.add_described_arguments(command)
    elif hasattr(module, "add_arguments"):
        module.add_arguments(command)
    elif isinstance(module.OPTIONS, dict):
        parts = command.add_subparsers(dest="part", metavar="part", required=True)
        for name, (text, options) in module.OPTIONS.items():
            part = parts.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
            add_output_arguments(part, nested=True)
            add_flags(part, options)
            part.set_defaults(options_class=options)
    else:
        add_flags(command, module.OPTIONS)
        command.set_defaults(options_class=module.OPTIONS)


def options_of(arguments: argparse.Namespace) -> Any:
    """The options of the chosen command, or all arguments for a command that reads them itself.

    Raises:
        ValueError: for values that the options refuse.
    """
    if (options := getattr(arguments, "options_class", None)) is None:
        return arguments
    return read_flags(arguments, options)

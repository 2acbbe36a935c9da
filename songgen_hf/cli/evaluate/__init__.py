"""Train the judges on a rendered corpus, and evaluate codecs and song models with them or by ear.

"judges" trains the judges and "codec" evaluates codecs. "mini" evaluates autoregressive models,
"masked" compares masked models with an autoregressive one, and "settings" compares settings of
sampling on one model. "prompts" writes prompts for the models; a fixed set comes with the package.
"listen" makes a page for a blind listening test, "votes" analyzes the votes of its listeners.
"songs" measures any folder of songs with published models, and "compare" compares such results.
"protocol" shows how papers evaluate, as settings of "songs" and "masked".

"songgen-hf evaluate judges --help" lists the flags of one part.
"""

import argparse
import shlex
from collections.abc import Callable
from typing import Any

from ..flags import add_flags, read_flags
from ..output import CommandResult, add_output_arguments
from . import codec, judges, listening, models, songs

Run = Callable[[Any, str], CommandResult]
PARTS: dict[str, tuple[str, type, Run]] = {
    "judges": ("train the judges on a corpus", judges.JudgesFlags, judges.run_judges),
    "prompts": ("make prompts of the songs of a corpus", judges.PromptsFlags, judges.run_prompts),
    "codec": ("evaluate codecs", codec.CodecFlags, codec.run_codec),
    "mini": ("evaluate autoregressive song models", models.MiniFlags, models.run_mini),
    "settings": (
        "compare settings of sampling on one model", models.SettingsFlags, models.run_settings,
    ),
    "masked": (
        "compare masked models with an autoregressive one", models.MaskedFlags, models.run_masked,
    ),
    "listen": (
        "make the page of a blind listening test", listening.ListenFlags, listening.run_listen,
    ),
    "votes": (
        "analyze the votes of a listening test", listening.VotesFlags, listening.run_votes,
    ),
    "songs": (
        "measure a folder of songs with published models", songs.SongsFlags, songs.run_songs,
    ),
    "protocol": (
        "show the protocol of a paper", songs.ProtocolFlags, songs.run_protocol,
    ),
    "compare": (
        "compare metric cards of songs", songs.CompareFlags, songs.run_compare,
    ),
}  # fmt: skip
"""Name of a part -> its help line, the dataclass of its flags, and the function that runs it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add one sub-command for each of ``PARTS``."""
    parts = parser.add_subparsers(dest="part", metavar="part", required=True)
    for name, (text, flags, _) in PARTS.items():
        part = parts.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        add_output_arguments(part, nested=True)
        add_flags(part, flags)


def run(arguments: argparse.Namespace) -> CommandResult:
    """Run the chosen sub-command; reports name the command line that made them."""
    _, flags, run_part = PARTS[arguments.part]
    command = shlex.join(["songgen-hf", *arguments.command_line])
    return run_part(read_flags(arguments, flags), command)

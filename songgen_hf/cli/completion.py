"""Print a script that completes commands, flags and values when Tab is pressed.

Load it in the running shell, or keep it where the shell looks for completions:

bash: source <(songgen-hf completion bash)

zsh: songgen-hf completion zsh > ~/.zfunc/_songgen-hf (a folder of $fpath)

fish: songgen-hf completion fish > ~/.config/fish/completions/songgen-hf.fish
"""

import argparse
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..optional import require
from .output import CommandResult

HELP = "print the completion script of a shell"
SHELLS = ("bash", "zsh", "fish")
DEVICES = ("auto", "cpu", "cuda", "mps")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``songgen-hf completion``."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("shell", choices=SHELLS, help="bash, zsh or fish")


def run(arguments: argparse.Namespace) -> CommandResult:
    """Write the script: everything is known when it is made, so that Tab starts no Python."""
    shtab = require("shtab", "completion")
    parser = described_parser()
    script = shtab.complete(parser, shell=arguments.shell)
    return CommandResult({"shell": arguments.shell, "script": script}, script)


def described_parser() -> argparse.ArgumentParser:
    """The parser of the program, each value marked with what it can be."""
    from . import build_parser

    parser = build_parser(described=True)
    known = known_values()
    for action in actions_of(parser):
        # Spelled twice by the library; one is enough to offer.
        dashed = [name for name in action.option_strings if "_" not in name]
        action.option_strings = dashed or action.option_strings
        if action.choices is not None or action.nargs == 0:
            continue
        if action.dest in known:
            set_completer(action, *known[action.dest])
        elif action.type is Path or action.dest in ("data", "validation_data", "dataset"):
            set_completer(action, (), True)
    return parser


def known_values() -> dict[str, tuple[Sequence[str], bool]]:
    """What arguments of a name can be: words, and whether paths."""
    from ..checkpoints.embedded import CODEC_FOLDER, EMBEDDED_NAME, EMBEDDED_PATTERNS
    from ..modeling.lyrics_languages import LANGUAGES
    from ..modeling.patterns import TRACK_PATTERNS
    from ..presets.models import PRESETS

    own = [EMBEDDED_NAME]
    own += [f"{EMBEDDED_NAME}/{part}" for part in (*EMBEDDED_PATTERNS, CODEC_FOLDER)]
    values: dict[str, tuple[Sequence[str], bool]] = {
        name: (own, True) for name in ("model", "models", "checkpoints", "codec", "baseline")
    }
    values |= {
        "adapter": ((), True),
        "source": ((), True),
        "device": (DEVICES, False),
        "language": (sorted(LANGUAGES), False),
        "preset": (sorted(PRESETS), False),
        "track_pattern": (TRACK_PATTERNS, False),
    }
    try:
        from ..training.option_parsing import recipe_names, stage_names
    except ImportError:  # the extra train is not installed
        return values
    return values | {"config": (recipe_names(), True), "stage": (stage_names(), False)}


def set_completer(action: argparse.Action, words: Sequence[str], paths: bool) -> None:
    """Tell shtab that a value is one of some words, or a path, or either."""
    name = "_songgen_hf_" + action.dest + ("_path" if paths else "")
    listed = shlex.join(words)
    in_bash = [f'compgen -W {shlex.quote(listed)} -- "$1"'] if words else []
    in_fish = [f"printf '%s\\n' {listed}"] if words else []
    in_zsh = [f"compadd -- {listed}"] if words else []
    if paths:
        in_bash.append('compgen -f -- "$1"')
        in_fish.append("__fish_complete_path (commandline -ct)")
        in_zsh.append("_files")
    bodies = {"bash": in_bash, "zsh": in_zsh, "fish": in_fish}
    both = {shell: "\n".join(f"  {line}" for line in body) for shell, body in bodies.items()}
    completer: dict[str, Any] = {
        "bash": name,
        "zsh": name,
        "fish": f"({name})",
        "preamble": {
            "bash": f"{name}() {{\n{both['bash']}\n}}\n",
            "zsh": f"{name}() {{\n{both['zsh']}\n}}\n",
            "fish": f"function {name}\n{both['fish']}\nend\n",
        },
    }
    action.complete = completer  # type: ignore[attr-defined]


def actions_of(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """The arguments of a parser and of all its commands."""
    for action in parser._actions:
        if isinstance(action.choices, dict):
            for command in action.choices.values():
                yield from actions_of(command)
        else:
            yield action

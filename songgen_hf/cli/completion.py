"""Print a shell script that completes commands, flags and values.

Load it in the running shell, or save it where the shell looks for completions:

bash: source <(songgen-hf completion bash)

zsh: songgen-hf completion zsh > ~/.zfunc/_songgen-hf (a folder of $fpath)

fish: songgen-hf completion fish > ~/.config/fish/completions/songgen-hf.fish
"""

import argparse
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..optional import require
from .flags import option
from .output import CommandResult

SHELLS = ("bash", "zsh", "fish")
DEVICES = ("auto", "cpu", "cuda", "mps")


@dataclass(frozen=True, kw_only=True)
class CompletionOptions:
    """Options of ``songgen-hf completion``."""

    shell: str = option(help="bash, zsh or fish", positional=True, choices=SHELLS)


OPTIONS = CompletionOptions


def run(options: CompletionOptions) -> CommandResult:
    """Print the script. It holds every completion, so that completing starts no Python."""
    shtab = require("shtab", "completion")
    script = shtab.complete(described_parser(), shell=options.shell)
    return CommandResult({"shell": options.shell, "script": script}, script)


def described_parser() -> argparse.ArgumentParser:
    """The parser of the program, with the values that shells offer for each argument."""
    from .parser import build_parser

    parser = build_parser(described=True)
    known = known_values()
    for action in actions_of(parser):
        # transformers spells every flag twice; the spelling with hyphens is enough.
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
    """The words that an argument of a name can be, and whether it can be a path."""
    from ..checkpoints.embedded import CODEC_FOLDER, EMBEDDED_NAME, EMBEDDED_PATTERNS, MASKED_FOLDER
    from ..modeling.lyrics_languages import LANGUAGES
    from ..modeling.patterns import TRACK_PATTERNS
    from ..presets.models import PRESETS

    own = [EMBEDDED_NAME]
    parts = (*EMBEDDED_PATTERNS, MASKED_FOLDER, CODEC_FOLDER)
    own += [f"{EMBEDDED_NAME}/{part}" for part in parts]
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
    """Set what shtab offers for an argument: some words, paths or both."""
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

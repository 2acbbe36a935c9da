"""Train a language model (lm, the default), a LoRA adapter (lora), a conditioner (conditioner), a
masked model (masked), a codec (codec), the semantic teacher of a codec (teacher), or a network that
separates vocal and accompaniment (separator).

Options come from --stage (1, 1.5, 2a, 2b, 3), --config (YAML) and flags; later ones win.
`songgen-hf train lora --help` lists the flags of one kind, `songgen-hf train lm --help` those of
the default.

For several processes: accelerate launch -m songgen_hf train ...
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from ..training.kinds import KINDS, options_of, train
from .output import CommandResult


class RemainingArguments(argparse.Action):
    """Stores all arguments; ``--json`` and ``--debug`` are taken out, ``--help`` comes first."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        if values[:1] in (["-h"], ["--help"]):
            parser.print_help()
            parser.exit()
        for name in ("json", "debug"):
            if f"--{name}" in values:
                setattr(namespace, name, True)
        namespace.options = [value for value in values if value not in ("--json", "--debug")]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Take all arguments as they are: the flags are fields of the dataclasses of a kind."""
    # Without prefix characters nothing is parsed as a flag, --help included.
    parser.prefix_chars = ""
    parser.add_argument(
        "options",
        nargs=argparse.REMAINDER,
        action=RemainingArguments,
        metavar="[kind] [--flag value ...]",
        help=f"kind of training ({', '.join(KINDS)}) and its flags",
    )


def add_described_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the kinds of training as commands with all their flags."""
    kinds = parser.add_subparsers(dest="kind", metavar="kind")
    for kind in KINDS:
        flags = described_flags(kind)
        kinds.add_parser(kind, help=f"train {kind}", parents=flags, conflict_handler="resolve")


def described_flags(kind: str = "lm") -> list[argparse.ArgumentParser]:
    """A parser with the flags of a kind of training; none if the extra is not installed."""
    try:
        from transformers import HfArgumentParser

        from ..training.option_parsing import add_file_flags

        flags = HfArgumentParser(options_of(kind), add_help=False, conflict_handler="resolve")
    except ImportError:
        return []
    add_file_flags(flags)
    return [flags]


def run(arguments: argparse.Namespace) -> CommandResult | None:
    """Train what the first argument names."""
    remaining = list(arguments.options)
    kind = remaining.pop(0) if remaining and not remaining[0].startswith("-") else "lm"
    if kind not in KINDS:
        raise ValueError(f"unknown kind of training: got {kind!r}, expected {', '.join(KINDS)}")
    from ..optional import require

    for package in ("yaml", "accelerate"):
        require(package, "train")
    from ..training.option_parsing import parse_options

    program = "songgen-hf train" if kind == "lm" else f"songgen-hf train {kind}"
    options = parse_options(options_of(kind), remaining, program=program)
    if kind == "masked":
        require("diffusers", "diffusers")
    if kind not in ("codec", "teacher", "separator"):
        quiet_warnings()
    written, metrics = _written(train(kind, options), options)
    if os.environ.get("RANK", "0") != "0":
        return None  # one result, not one from every process
    return CommandResult(
        {"kind": kind, "written": written, "metrics": metrics}, f"{written}: trained"
    )


def _written(result: Any, options: tuple[Any, ...]) -> tuple[Path, dict[str, Any]]:
    """The folder that a training has written, and the last value of everything it logged.

    Args:
        result: what the training returned: a trainer of the library, the metrics, or the folder of
            a model whose log lies beside it.
        options: options of the training.
    """
    if isinstance(result, dict):
        return Path(options[-1].output_dir), result
    if hasattr(result, "state"):
        return Path(result.args.output_dir), _last_values(result.state.log_history)
    from ..training.resumable_run import METRICS_FILE

    log = Path(result).parent / METRICS_FILE
    lines = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
    return Path(result), _last_values([json.loads(line) for line in lines])


def _last_values(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """The last value of each name."""
    return {name: value for entry in entries for name, value in entry.items()}


def quiet_warnings() -> None:
    """Keep the progress bar readable: no warnings, unless Python was started with some."""
    if not sys.warnoptions:
        import warnings

        warnings.simplefilter("ignore")

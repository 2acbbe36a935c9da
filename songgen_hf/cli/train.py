"""Train a language model (lm, the default), a LoRA adapter (lora), its conditioner alone, a masked
model (masked), a codec or a semantic teacher.

Options come from --stage (1, 1.5, 2a, 2b, 3), --config (YAML) and flags; later ones win.
"songgen-hf train lora --help" lists the flags of one kind. For several processes:
accelerate launch -m songgen_hf train ...
"""

import argparse
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .output import CommandResult

HELP = "train a song model of either kind, an adapter, a conditioner, a codec or a teacher"
KINDS = ("lm", "lora", "conditioner", "masked", "codec", "teacher")

# What a trainer gives back: the folder written and the last value of everything it logged.
Trained = tuple[Path, dict[str, Any]]


class Options(argparse.Action):
    """Takes everything; ``--json`` and ``--debug`` are this command's own."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        for name in ("json", "debug"):
            if f"--{name}" in values:
                setattr(namespace, name, True)
        namespace.options = [value for value in values if value not in ("--json", "--debug")]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Take everything after ``train`` as it is: its flags are fields of dataclasses."""
    # Without prefix characters nothing looks like a flag here, not even --help.
    parser.prefix_chars = ""
    parser.add_argument(
        "options",
        nargs=argparse.REMAINDER,
        action=Options,
        metavar="[kind] [--flag value ...]",
    )


def described_flags(kind: str = KINDS[0]) -> list[argparse.ArgumentParser]:
    """The flags of one kind of training, for a shell to complete; none without the extra."""
    try:
        from transformers import HfArgumentParser

        from ..training.codec.options import CodecTrainingOptions, TeacherTrainingOptions
        from ..training.conditioner.options import CONDITIONER_OPTIONS
        from ..training.language_model.options import LANGUAGE_MODEL_OPTIONS, LORA_OPTIONS
        from ..training.masked.options import MASKED_OPTIONS
        from ..training.option_parsing import add_file_flags
    except ImportError:
        return []
    types: dict[str, tuple[type, ...]] = {
        "lm": LANGUAGE_MODEL_OPTIONS,
        "lora": LORA_OPTIONS,
        "conditioner": CONDITIONER_OPTIONS,
        "masked": MASKED_OPTIONS,
        "codec": (CodecTrainingOptions,),
        "teacher": (TeacherTrainingOptions,),
    }
    flags = HfArgumentParser(types[kind], add_help=False, conflict_handler="resolve")
    add_file_flags(flags)
    return [flags]


def add_described_arguments(parser: argparse.ArgumentParser) -> None:
    """The kinds of training as commands with all their flags; without a kind it is the first."""
    kinds = parser.add_subparsers(dest="kind", metavar="kind")
    for kind in KINDS:
        flags = described_flags(kind)
        kinds.add_parser(kind, help=f"train {kind}", parents=flags, conflict_handler="resolve")


def run(arguments: argparse.Namespace) -> CommandResult | None:
    """Train what the first word names."""
    options = list(arguments.options)
    kind = options.pop(0) if options and not options[0].startswith("-") else "lm"
    if kind not in KINDS:
        raise ValueError(f"unknown kind of training: got {kind!r}, expected {', '.join(KINDS)}")
    trainers: dict[str, Callable[[list[str]], Trained]] = {
        "lm": train_lm,
        "lora": train_adapter,
        "conditioner": train_conditioner_alone,
        "masked": train_masked,
        "codec": train_codec_model,
        "teacher": train_semantic_teacher,
    }
    written, metrics = trainers[kind](options)
    if os.environ.get("RANK", "0") != "0":
        return None  # one answer, not one from every process
    return CommandResult(
        {"kind": kind, "written": written, "metrics": metrics}, f"{written}: trained"
    )


def train_lm(options: list[str]) -> Trained:
    """``songgen-hf train [lm]``."""
    from ..training.language_model.options import LANGUAGE_MODEL_OPTIONS
    from ..training.language_model.run import train_language_model
    from ..training.option_parsing import parse_options

    parsed = parse_options(LANGUAGE_MODEL_OPTIONS, options)
    quiet_warnings()
    return trained_by(train_language_model(*parsed))


def train_adapter(options: list[str]) -> Trained:
    """``songgen-hf train lora``."""
    from ..training.language_model.lora import train_lora
    from ..training.language_model.options import LORA_OPTIONS
    from ..training.option_parsing import parse_options

    parsed = parse_options(LORA_OPTIONS, options, program="songgen-hf train lora")
    quiet_warnings()
    return trained_by(train_lora(*parsed))


def train_conditioner_alone(options: list[str]) -> Trained:
    """``songgen-hf train conditioner``."""
    from ..training.conditioner.options import CONDITIONER_OPTIONS
    from ..training.conditioner.run import train_conditioner
    from ..training.option_parsing import parse_options

    parsed = parse_options(CONDITIONER_OPTIONS, options, program="songgen-hf train conditioner")
    quiet_warnings()
    metrics = train_conditioner(*parsed)
    return Path(parsed[1].output_dir), metrics


def train_masked(options: list[str]) -> Trained:
    """``songgen-hf train masked``."""
    from ..optional import require
    from ..training.masked.options import MASKED_OPTIONS
    from ..training.option_parsing import parse_options

    parsed = parse_options(MASKED_OPTIONS, options, program="songgen-hf train masked")
    require("diffusers", "diffusers")
    from ..training.masked.run import train_masked_model

    quiet_warnings()
    return trained_by(train_masked_model(*parsed))


def train_codec_model(options: list[str]) -> Trained:
    """``songgen-hf train codec``."""
    from ..training.codec.options import CodecTrainingOptions
    from ..training.codec.trainer import train_codec
    from ..training.option_parsing import parse_options

    (parsed,) = parse_options((CodecTrainingOptions,), options, program="songgen-hf train codec")
    return logged_in(train_codec(parsed))


def train_semantic_teacher(options: list[str]) -> Trained:
    """``songgen-hf train teacher``."""
    from ..training.codec.options import TeacherTrainingOptions
    from ..training.codec.semantic_teacher import train_teacher
    from ..training.option_parsing import parse_options

    (parsed,) = parse_options(
        (TeacherTrainingOptions,), options, program="songgen-hf train teacher"
    )
    return logged_in(train_teacher(parsed))


def trained_by(trainer: Any) -> Trained:
    """What one of the library's trainers wrote and logged."""
    return Path(trainer.args.output_dir), _last_values(trainer.state.log_history)


def logged_in(written: Path) -> Trained:
    """What a run on waveforms wrote and logged."""
    from ..training.resumable_run import METRICS_FILE

    log = Path(written).parent / METRICS_FILE
    lines = log.read_text(encoding="utf-8").splitlines() if log.is_file() else []
    return Path(written), _last_values([json.loads(line) for line in lines])


def _last_values(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """The last value of each name."""
    return {name: value for entry in entries for name, value in entry.items()}


def quiet_warnings() -> None:
    """Keep the progress bar readable where nobody asked for Python's warnings."""
    if not sys.warnoptions:
        import warnings

        warnings.simplefilter("ignore")

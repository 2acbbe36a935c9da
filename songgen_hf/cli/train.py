"""Train a language model (lm, the default), a LoRA adapter (lora), a codec or a semantic teacher.

Options come from --stage (1, 1.5, 2a, 2b, 3), --config (YAML) and flags; later ones win.
"songgen-hf train lora --help" lists the flags of one kind. For several processes:
accelerate launch -m songgen_hf train ...
"""

import argparse
import sys
from collections.abc import Callable

HELP = "train a language model, a LoRA adapter, a codec or a semantic teacher"
KINDS = ("lm", "lora", "codec", "teacher")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Take everything after ``train`` as it is: its flags are fields of dataclasses."""
    # Without prefix characters nothing looks like a flag here, not even --help.
    parser.prefix_chars = ""
    parser.add_argument("options", nargs=argparse.REMAINDER, metavar="[kind] [--flag value ...]")


def run(arguments: argparse.Namespace) -> None:
    """Train what the first word names."""
    options = list(arguments.options)
    kind = options.pop(0) if options and not options[0].startswith("-") else "lm"
    if kind not in KINDS:
        raise ValueError(f"unknown kind of training: got {kind!r}, expected {', '.join(KINDS)}")
    if "--debug" in options:
        options.remove("--debug")
        arguments.debug = True
    trainers: dict[str, Callable[[list[str]], object]] = {
        "lm": train_lm,
        "lora": train_adapter,
        "codec": train_codec_model,
        "teacher": train_semantic_teacher,
    }
    written = trainers[kind](options)
    print(f"{written}: trained")


def train_lm(options: list[str]) -> object:
    """``songgen-hf train [lm]``; returns the folder written."""
    from ..training.language_model import train_language_model
    from ..training.options import LANGUAGE_MODEL_OPTIONS, parse_options

    parsed = parse_options(LANGUAGE_MODEL_OPTIONS, options)
    quiet_warnings()
    return train_language_model(*parsed).args.output_dir


def train_adapter(options: list[str]) -> object:
    """``songgen-hf train lora``; returns the folder written."""
    from ..training.lora import LORA_OPTIONS, train_lora
    from ..training.options import parse_options

    parsed = parse_options(LORA_OPTIONS, options, program="songgen-hf train lora")
    quiet_warnings()
    return train_lora(*parsed).args.output_dir


def train_codec_model(options: list[str]) -> object:
    """``songgen-hf train codec``; returns the folder written."""
    from ..training.codec_options import CodecTrainingOptions
    from ..training.codec_trainer import train_codec
    from ..training.options import parse_options

    (parsed,) = parse_options((CodecTrainingOptions,), options, program="songgen-hf train codec")
    return train_codec(parsed)


def train_semantic_teacher(options: list[str]) -> object:
    """``songgen-hf train teacher``; returns the folder written."""
    from ..training.codec_options import TeacherTrainingOptions
    from ..training.options import parse_options
    from ..training.semantic_teacher import train_teacher

    (parsed,) = parse_options(
        (TeacherTrainingOptions,), options, program="songgen-hf train teacher"
    )
    return train_teacher(parsed)


def quiet_warnings() -> None:
    """Keep the progress bar readable where nobody asked for Python's warnings."""
    if not sys.warnoptions:
        import warnings

        warnings.simplefilter("ignore")

"""Flags and YAML files of `songgen-hf train`: parsing, earlier names of options, resolved options.

A run's options are a tuple of dataclasses whose field names are the flags and the YAML keys. Later
sources win: class defaults, a stage of the paper, a YAML file, flags. The resolved options are
written beside the checkpoint, and reading that file gives the same options.
"""

import argparse
import dataclasses
import difflib
import enum
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from transformers import HfArgumentParser, TrainingArguments

STAGES_FOLDER = Path(__file__).parent / "stages"
RECIPES_FOLDER = Path(__file__).parent / "recipes"
RESOLVED_FILE = "training.yaml"
LONGEST_REASON = 200
"""Characters of an error of the YAML library that a message repeats."""

EARLIER_NAMES = {
    "alignment_layers": "guided_attention_layers",
    "alignment_weight": "guided_attention_weight",
    "optimiser": "optimizer",
    "own_codes": "scheduled_sampling",
    "own_history": "scheduled_sampling",
    "sound_weight": "frame_label_weight",
}
"""Names that options had before -> their names; accepted as flags and as YAML keys."""

DIGESTS = {"data_files", "dataset_files"}
"""Digests of a run's data, which earlier runs did not record."""

_PER_MACHINE = {"hub_token", "local_rank", "use_cpu"}  # not written with the options


def option(default: Any, help_text: str) -> Any:
    """A dataclass field with a default and a help text."""
    if isinstance(default, list):
        return dataclasses.field(
            default_factory=lambda: list(default), metadata={"help": help_text}
        )
    return dataclasses.field(default=default, metadata={"help": help_text})


def check_range(
    options: Any, *names: str, low: float = 0, high: float | None = None, open_low: bool = False
) -> None:
    """Raise ValueError if an option is out of its range.

    Args:
        options: the dataclass instance.
        names: names of the options.
        low: least value.
        high: greatest value; None for no limit.
        open_low: exclude ``low`` itself.
    """
    for name in names:
        value = getattr(options, name)
        if value < low or (open_low and value == low) or (high is not None and value > high):
            if high is None:
                expected = f"more than {low}" if open_low else f"{low} or more"
            else:
                expected = f"more than {low} and at most {high}" if open_low else f"{low} to {high}"
            raise ValueError(
                f"{name} is {value}, expected {expected}; change --{name.replace('_', '-')}"
            )


def check_given(options: Any, *names: str) -> None:
    """Raise ValueError if an option has no value."""
    for name in names:
        if not getattr(options, name):
            raise ValueError(f"{name} is not given: set --{name.replace('_', '-')}")


def stage_names() -> list[str]:
    """Names of the stages that the package contains."""
    return sorted(path.stem for path in STAGES_FOLDER.glob("*.yaml"))


def recipe_names() -> list[str]:
    """Names of the recipes that the package contains."""
    return sorted(path.stem for path in RECIPES_FOLDER.glob("*.yaml"))


def parse_options(
    types: Sequence[type], arguments: Sequence[str], *, program: str = "songgen-hf train"
) -> tuple[Any, ...]:
    """Read flags, ``--stage`` and ``--config`` into one instance of each dataclass.

    Args:
        types: dataclasses without fields of the same name.
        arguments: the command line after the command's name.
        program: name shown by ``--help``.
    Returns:
        The instances, in the order of ``types``.
    Raises:
        ValueError: for an unknown flag, key or stage, or a value that the field refuses.
        OSError: if the YAML file cannot be read.
    """
    files = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    add_file_flags(files)
    chosen, rest = files.parse_known_args(list(arguments))
    values: dict[str, Any] = {}
    if chosen.stage is not None:
        values |= read_stage(chosen.stage)
    for name in chosen.config:
        path = RECIPES_FOLDER / f"{name}.yaml" if name in recipe_names() else Path(name)
        if not path.is_file():
            raise ValueError(
                f"--config is {name!r}: expected a YAML file of options, or a recipe, one of "
                f"{', '.join(recipe_names())}"
            )
        values |= current_names(read_yaml(path))
    return make_options(types, values, rest, program=program, parents=files)


def add_file_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that name sets of options."""
    parser.add_argument("--stage", help=f"options of a training stage: {', '.join(stage_names())}")
    parser.add_argument(
        "--config",
        action="append",
        default=[],
        help=f"YAML file of options, or a recipe of the package: {', '.join(recipe_names())}",
    )


def make_options(
    types: Sequence[type],
    values: Mapping[str, Any],
    arguments: Sequence[str] = (),
    *,
    program: str = "songgen-hf train",
    parents: argparse.ArgumentParser | None = None,
) -> tuple[Any, ...]:
    """Dataclass instances from ``values``, as a YAML file has them, overridden by flags.

    Raises:
        ValueError: as :func:`parse_options`.
    """
    known = [entry.name for kind in types for entry in dataclasses.fields(kind) if entry.init]
    for name in values:
        check_name(name, known)
    arguments = [current_flag(argument, known) for argument in arguments]
    parser = HfArgumentParser(
        types, prog=program, parents=[parents] if parents else [], allow_abbrev=False
    )
    parser.set_defaults(**current_names(values))
    _, remaining = parser.parse_known_args(arguments)
    if remaining:
        name = remaining[0].lstrip("-").split("=")[0].replace("-", "_")
        check_name(name, known)
        raise ValueError(f"unexpected argument {remaining[0]!r}; flags look like --name value")
    options = parser.parse_args_into_dataclasses(arguments, look_for_args_file=False)
    # --stage and --config, which parse_options reads, come after the dataclasses.
    return tuple(options[: len(types)])


def current_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values under the current names of the options."""
    return {EARLIER_NAMES.get(name, name): value for name, value in values.items()}


def current_flag(argument: str, known: Collection[str]) -> str:
    """A command-line argument, with the earlier name of a known option replaced by its name."""
    flag, equals, value = argument.partition("=")
    name = EARLIER_NAMES.get(flag.removeprefix("--").replace("-", "_"))
    return f"--{name}{equals}{value}" if flag.startswith("--") and name in known else argument


def check_name(name: str, known: Sequence[str]) -> None:
    """Raise ValueError if no option has that name, with the nearest one."""
    if EARLIER_NAMES.get(name, name) in known:
        return
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else "see songgen-hf train --help"
    raise ValueError(f"unknown option {name!r}; {hint}")


def read_stage(name: str) -> dict[str, Any]:
    """The options of one of the package's stages."""
    if name not in stage_names():
        raise ValueError(f"unknown stage: got {name!r}, expected one of {', '.join(stage_names())}")
    return read_yaml(STAGES_FOLDER / f"{name}.yaml")


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file that maps option names to values.

    Raises:
        ValueError: if it is no YAML mapping.
        OSError: if it cannot be read.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:LONGEST_REASON]
        raise ValueError(f"{path} is not YAML: {reason}; correct that place") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path} must map option names to values, like 'learning_rate: 1.0e-4'")
    return values


def assignments(texts: Sequence[str], name: str) -> dict[str, Any]:
    """Read texts such as ``decoder.hidden_size=128`` or ``lyrics_positions=false``.

    Args:
        texts: the texts; the values are read as YAML.
        name: name of the option that holds them, for the message.
    Raises:
        ValueError: for a text without ``=``, or a value that is not YAML.
    """
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        try:
            found[key] = yaml.safe_load(value)
        except yaml.YAMLError:
            equals = ""
        if not key or not equals:
            raise ValueError(f"{name}: got {text!r}, expected NAME=VALUE, such as max_steps=200")
    return found


def resolved_values(options: Sequence[Any]) -> dict[str, Any]:
    """Options as plain values; of the library's arguments only those that differ from a default."""
    values: dict[str, Any] = {}
    for instance in options:
        names = [entry.name for entry in dataclasses.fields(instance) if entry.init]
        found = {name: plain(getattr(instance, name)) for name in names if name not in _PER_MACHINE}
        if isinstance(instance, TrainingArguments):
            # The defaults are those of an instance, as the library derives fields from others.
            default = type(instance)(output_dir=instance.output_dir)
            kinds = type(instance).__mro__
            ours = {n for k in kinds[: kinds.index(TrainingArguments)] for n in k.__annotations__}
            found = {
                name: value
                for name, value in found.items()
                if name in ours or value != plain(getattr(default, name))
            }
        values |= found
    return values


def plain(value: Any) -> Any:
    """The value as YAML can hold it."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def dump_options(options: Sequence[Any]) -> str:
    """The resolved options as YAML; ``--config`` with this text gives the same options."""
    return yaml.safe_dump(resolved_values(options), sort_keys=True)


def check_unchanged(
    saved: Mapping[str, Any],
    now: Mapping[str, Any],
    *,
    free: Collection[str],
    run: Path | str,
    remedy: str,
) -> None:
    """Refuse to resume a run with other options than it was started with.

    Args:
        saved: resolved options that were written beside the checkpoint.
        now: resolved options of the resumption.
        free: names of options that may differ, as they change no computed number.
        run: the checkpoint, for the message.
        remedy: what the message advises besides restoring the options.
    Raises:
        ValueError: naming the options that differ.
    """
    saved = {name: now.get(name) for name in DIGESTS} | current_names(saved)
    differing = [
        f"{name} was {saved.get(name)!r}, now {now.get(name)!r}"
        for name in sorted(saved.keys() | now.keys())
        if name not in free and saved.get(name) != now.get(name)
    ]
    if differing:
        raise ValueError(
            f"{run} belongs to a run with other options ({'; '.join(differing)}): restore them, or "
            f"{remedy}"
        )


__all__ = [
    "EARLIER_NAMES",
    "RESOLVED_FILE",
    "add_file_flags",
    "assignments",
    "check_given",
    "check_range",
    "check_unchanged",
    "dump_options",
    "make_options",
    "option",
    "parse_options",
    "read_stage",
    "read_yaml",
    "recipe_names",
    "resolved_values",
    "stage_names",
]

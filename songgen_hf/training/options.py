"""One way to configure a run: dataclasses <-> YAML <-> command-line flags.

A run's options are a tuple of dataclasses whose field names are the flags and the YAML keys. Later
sources win: class defaults, a stage of the paper, a YAML file, flags. The resolved options are
written beside the checkpoint, and reading that file back gives the same run.
"""

import argparse
import dataclasses
import difflib
import enum
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import yaml
from transformers import HfArgumentParser, TrainingArguments

STAGES_FOLDER = Path(__file__).parent / "stages"
RECIPES_FOLDER = Path(__file__).parent / "recipes"
RESOLVED_FILE = "training.yaml"


@dataclass
class ModelOptions:
    """Which model is trained, and which parts of it."""

    model: str | None = field(
        default=None, metadata={"help": "checkpoint to start from: a directory or a Hub id"}
    )
    preset: str | None = field(
        default=None, metadata={"help": "start from an untrained model instead: mini or full"}
    )
    track_pattern: str | None = field(
        default=None,
        metadata={
            "help": "token pattern to train; a checkpoint of another pattern is converted "
            "(a dual-track model starts from a mixed one this way)"
        },
    )
    codec: str | None = field(
        default=None, metadata={"help": "codec checkpoint that the model gets in place of its own"}
    )
    voice_encoder: str | None = field(
        default=None,
        metadata={"help": "HuBERT-like checkpoint that an untrained model hears voices with"},
    )
    attention: str | None = field(
        default=None,
        metadata={
            "help": "attention of the decoder: sdpa, eager, flash_attention_2, ...; on a CPU in "
            "bf16 eager is faster for short sequences"
        },
    )
    freeze: list[str] = field(
        default_factory=list,
        metadata={
            "help": "parts not to train: text_encoder, conditions, embeddings; the codec and the "
            "voice network never are"
        },
    )


@dataclass
class DataOptions:
    """Which songs are read, and what of them the model gets to see."""

    dataset: str | None = field(
        default=None, metadata={"help": "codes parquet: a folder, a file or a Hub id"}
    )
    train_split: str = field(default="train", metadata={"help": "split to train on"})
    eval_split: str | None = field(
        default=None, metadata={"help": "split to evaluate on; needs --eval-strategy too"}
    )
    max_train_songs: int | None = field(default=None, metadata={"help": "use the first songs only"})
    max_eval_songs: int | None = field(default=None, metadata={"help": "use the first songs only"})
    min_seconds: float = field(default=0.0, metadata={"help": "leave shorter songs out"})
    max_seconds: float | None = field(default=None, metadata={"help": "leave longer songs out"})
    voice_column: str | None = field(
        default="vocal",
        metadata={
            "help": "audio column from which 3 s of reference voice are drawn; none if absent"
        },
    )
    text_dropout: float = field(default=0.0, metadata={"help": "probability of hiding the text"})
    lyrics_dropout: float = field(
        default=0.0, metadata={"help": "probability of hiding the lyrics"}
    )
    voice_dropout: float = field(
        default=0.0, metadata={"help": "probability of hiding the reference voice"}
    )
    joint_dropout: float = field(
        default=0.0,
        metadata={"help": "probability of hiding all three, the null branch of guidance"},
    )
    history_corruption: float = field(
        default=0.0,
        metadata={
            "help": "part of each track's past that the model hears wrong: codes of another place "
            "of the song, so that it learns to follow the lyrics and not its own mistakes"
        },
    )
    foreign_history: float = field(
        default=0.0,
        metadata={
            "help": "probability that the model hears another song's band up to a random place, so "
            "that it learns to follow the description and not what it hears"
        },
    )

    def __post_init__(self) -> None:
        names = ("text_dropout", "lyrics_dropout", "voice_dropout", "joint_dropout")
        for name in (*names, "history_corruption", "foreign_history"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(
                    f"{name} is a probability in [0, 1]: got {getattr(self, name)}; change --{name}"
                )


@dataclass
class AuxiliaryOptions:
    """What a model is told in training beside its codes, where the songs know it."""

    alignment_weight: float = field(
        default=0.0,
        metadata={
            "help": "factor of the attention's distance from the sung lyrics token, for songs with "
            "timed words and phonemes; 0: not computed"
        },
    )
    alignment_layers: list[int] = field(
        default_factory=list,
        metadata={"help": "layers whose first head is told; default the middle two"},
    )
    sound_weight: float = field(
        default=0.0,
        metadata={
            "help": "factor of the loss of heads that read phoneme, beat, tempo, lead instrument, "
            "gender, genre and singer from a layer, for songs that know them; 0: off"
        },
    )


@dataclass
class ObjectiveOptions(AuxiliaryOptions):
    """What is minimized."""

    codebook_weighting: bool = field(
        default=True, metadata={"help": "weigh codebooks by the curriculum"}
    )
    vocal_loss_weight: float = field(
        default=0.1, metadata={"help": "factor of the vocal heads' loss (mixed_pro)"}
    )
    own_history: float = field(
        default=0.0,
        metadata={
            "help": "part of the past that the model has drawn itself, after the true one, so that "
            "it learns to go on from its mistakes; costs a third of a step; 0: off"
        },
    )


@dataclass
class SongGenTrainingArguments(TrainingArguments):
    """The library's training arguments with defaults that fit songs, and what it lacks."""

    output_dir: str | None = field(
        default=None, metadata={"help": "folder of the checkpoints and of the trained model"}
    )
    seed: int = field(default=456, metadata={"help": "seed of the run"})
    adam_beta2: float = field(default=0.99, metadata={"help": "beta2 of AdamW"})
    weight_decay: float = field(default=1e-4, metadata={"help": "weight decay of AdamW"})
    lr_scheduler_type: str = field(default="cosine", metadata={"help": "learning rate schedule"})
    report_to: None | str | list[str] = field(
        default="none", metadata={"help": "where losses are plotted: none, tensorboard, trackio"}
    )
    train_sampling_strategy: str = field(
        default="group_by_length",
        metadata={"help": "group_by_length, random or sequential order of the songs"},
    )
    remove_unused_columns: bool = field(default=False, metadata={"help": "must stay off"})
    label_names: list[str] | None = field(
        default_factory=lambda: ["labels"], metadata={"help": "must stay as it is"}
    )
    prediction_loss_only: bool = field(default=True, metadata={"help": "must stay on"})
    logging_nan_inf_filter: bool = field(default=False, metadata={"help": "must stay off"})
    ddp_find_unused_parameters: bool | None = field(default=False, metadata={"help": "see DDP"})
    save_total_limit: int | None = field(default=3, metadata={"help": "checkpoints kept"})
    ema_decay: float = field(
        default=0.0,
        metadata={"help": "decay of the average of the weights that is saved at the end; 0: none"},
    )
    optimizer: str = field(
        default="adamw",
        metadata={"help": "adamw (or what --optim names), or muon for the matrices of the layers"},
    )
    ema_every: int = field(default=1, metadata={"help": "optimizer steps between EMA updates"})
    allow_changed_options: bool = field(
        default=False, metadata={"help": "resume although options differ from the checkpoint's"}
    )
    sample_songs: int = field(
        default=0, metadata={"help": "songs to sing at each evaluation, into samples/"}
    )
    sample_seconds: float = field(default=10.0, metadata={"help": "longest sung sample"})
    sample_guidance: float = field(default=1.0, metadata={"help": "guidance scale of the samples"})

    def __post_init__(self) -> None:
        if not self.output_dir:
            raise ValueError("no output_dir given: say where to write with --output-dir")
        if not 0 <= self.ema_decay < 1 or self.ema_every < 1:
            raise ValueError(
                f"the EMA needs 0 <= ema_decay < 1 and ema_every >= 1: got {self.ema_decay} and "
                f"{self.ema_every}"
            )
        if self.optimizer not in ("adamw", "muon"):
            raise ValueError(f"unknown optimizer: got {self.optimizer!r}, expected adamw or muon")
        if not torch.accelerator.is_available():
            self.use_cpu = True  # the library refuses bf16 on a CPU that nobody asked for
        super().__post_init__()


LANGUAGE_MODEL_OPTIONS = (ModelOptions, DataOptions, ObjectiveOptions, SongGenTrainingArguments)

# What may differ between a run and its resumption: it changes no number of the training.
FREE_TO_CHANGE = {
    "allow_changed_options",
    "attention",
    "codec",
    "dataloader_num_workers",
    "dataloader_prefetch_factor",
    "dataset",
    "disable_tqdm",
    "eval_on_start",
    "eval_split",
    "eval_steps",
    "eval_strategy",
    "logging_steps",
    "logging_strategy",
    "max_eval_songs",
    "model",
    "output_dir",
    "per_device_eval_batch_size",
    "preset",
    "report_to",
    "resume_from_checkpoint",
    "run_name",
    "sample_guidance",
    "sample_seconds",
    "sample_songs",
    "save_steps",
    "save_strategy",
    "save_total_limit",
    "voice_encoder",
}


def stage_names() -> list[str]:
    """Names of the stages that the package brings."""
    return sorted(path.stem for path in STAGES_FOLDER.glob("*.yaml"))


def recipe_names() -> list[str]:
    """Names of the recipes that the package brings."""
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
    for path in chosen.config:
        values |= read_yaml(
            RECIPES_FOLDER / f"{path}.yaml" if path in recipe_names() else Path(path)
        )
    return make_options(types, values, rest, program=program, parents=files)


def add_file_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that name sets of options."""
    parser.add_argument("--stage", help=f"options of a training stage: {', '.join(stage_names())}")
    parser.add_argument(
        "--config",
        action="append",
        default=[],
        help=f"YAML file of options, or a recipe of the package: {', '.join(recipe_names())}",
    )


def make_options(
    types: Sequence[type],
    values: dict[str, Any],
    arguments: Sequence[str] = (),
    *,
    program: str = "songgen-hf train",
    parents: argparse.ArgumentParser | None = None,
) -> tuple[Any, ...]:
    """Dataclass instances from ``values`` (as YAML has them), overridden by flags.

    Raises:
        ValueError: as :func:`parse_options`.
    """
    known = [entry.name for kind in types for entry in dataclasses.fields(kind) if entry.init]
    for name in values:
        check_name(name, known)
    parser = HfArgumentParser(
        types, prog=program, parents=[parents] if parents else [], allow_abbrev=False
    )
    parser.set_defaults(**values)
    _, remaining = parser.parse_known_args(list(arguments))
    if remaining:
        name = remaining[0].lstrip("-").split("=")[0].replace("-", "_")
        check_name(name, known)
        raise ValueError(f"unexpected argument {remaining[0]!r}; flags look like --name value")
    options = parser.parse_args_into_dataclasses(list(arguments), look_for_args_file=False)
    # What follows the dataclasses holds --stage and --config, which are read before.
    return tuple(options[: len(types)])


def check_name(name: str, known: Sequence[str]) -> None:
    """Raise ValueError if no option has that name, with the nearest one."""
    if name in known:
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
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not YAML: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path} must map option names to values, like 'learning_rate: 1.0e-4'")
    return values


def resolved_values(options: Sequence[Any]) -> dict[str, Any]:
    """Options as plain values: all of ours, the library's where they differ from its defaults."""
    values: dict[str, Any] = {}
    for instance in options:
        names = [entry.name for entry in dataclasses.fields(instance) if entry.init]
        found = {name: plain(getattr(instance, name)) for name in names if name not in _OF_MACHINE}
        if isinstance(instance, TrainingArguments):
            # Built, because the library fills many fields in from others.
            default = type(instance)(output_dir=instance.output_dir)
            found = {
                name: value
                for name, value in found.items()
                if name in SongGenTrainingArguments.__annotations__
                or value != plain(getattr(default, name))
            }
        values |= found
    return values


# What belongs to the machine or the user and not to the run.
_OF_MACHINE = {"hub_token", "local_rank", "use_cpu"}


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
    """The resolved options as YAML; ``--config`` on this text gives the same options."""
    return yaml.safe_dump(resolved_values(options), sort_keys=True)


def check_unchanged(
    saved: Mapping[str, Any],
    now: Mapping[str, Any],
    *,
    run: Path | str,
    remedy: str,
    free: Collection[str] = FREE_TO_CHANGE,
) -> None:
    """Refuse to resume a run with other options than it was started with.

    Args:
        saved: resolved options that were written beside the checkpoint.
        now: resolved options of the resumption.
        run: the checkpoint, for the message.
        remedy: what the message advises besides restoring the options.
        free: names of options that may differ, as they change no number of the training.
    Raises:
        ValueError: naming the options that differ.
    """
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
    "LANGUAGE_MODEL_OPTIONS",
    "RESOLVED_FILE",
    "DataOptions",
    "ModelOptions",
    "ObjectiveOptions",
    "SongGenTrainingArguments",
    "AuxiliaryOptions",
    "add_file_flags",
    "check_unchanged",
    "dump_options",
    "make_options",
    "parse_options",
    "read_stage",
    "read_yaml",
    "resolved_values",
    "stage_names",
]

"""Settings of sampling, and the options of the evaluations of song models.

The help text of each option is metadata of its field; ``songgen_hf/cli/flags.py`` makes flags of
the fields. Torch is not imported, which keeps ``--help`` quick.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

MAX_SECONDS = 13.0  # the longest song of the corpus lasts 12 s
NUM_INFERENCE_STEPS = (8, 16, 28, 64)
HEADLINE_STEPS = 28
REVEALS = ("confidence", "random")
UNGUIDED = (1.0, 1.0)
GUIDED = (1.0, 3.0)  # for a checkpoint whose own setting has no guidance


class SettingError(ValueError, argparse.ArgumentTypeError):
    """A setting that cannot be read; also raised inside ``argparse``, which then shows the text."""


@dataclass(frozen=True)
class AutoregressiveSetting:
    """How songs are sampled from an autoregressive model.

    Args:
        guidance: scale of classifier-free guidance, 1 for none; None for the checkpoint's own.
        voice: whether a reference voice is given.
        trained: False for the same model with random weights.
        temperature, top_k: as in ``generate()``; None for the checkpoint's own.
    """

    guidance: float | None = 1.0
    voice: bool = True
    trained: bool = True
    temperature: float | None = None
    top_k: int | None = None

    @property
    def generation(self) -> dict[str, Any]:
        """Arguments of ``generate()``."""
        values = {
            "guidance_scale": self.guidance,
            "temperature": self.temperature,
            "top_k": self.top_k,
        }
        return {"do_sample": True} | {k: value for k, value in values.items() if value is not None}

    def resolved(self, generation_config: Any) -> AutoregressiveSetting:
        """Return the setting with the guidance of a ``generation_config`` where it has none."""
        if self.guidance is not None:
            return self
        return replace(self, guidance=float(generation_config.guidance_scale or 1.0))

    def facts(self) -> dict[str, Any]:
        """Return the setting as reports write it."""
        return asdict(self)

    def __str__(self) -> str:
        parts = [f"guidance {self.guidance:g}" if self.guidance is not None else "own guidance"]
        parts += [f"temperature {self.temperature:g}"] if self.temperature is not None else []
        parts += [f"top {self.top_k}"] if self.top_k is not None else []
        return ", ".join([*parts, "a voice" if self.voice else "no voice"])


@dataclass(frozen=True)
class MaskedSetting:
    """How songs are sampled from a masked model; None stands for the checkpoint's own value.

    Args:
        num_inference_steps: number of inference steps.
        guidance: scale of classifier-free guidance at the first and at the last step, 1 for none.
        reveal: order in which codes are revealed, "confidence" or "random".
        schedule, top_p, temperature, choice_temperature: see ``MaskedRVQScheduler``.
        voice: whether a reference voice is given.
    """

    num_inference_steps: int = HEADLINE_STEPS
    guidance: tuple[float, float] | None = None
    reveal: str | None = None
    schedule: str | None = None
    top_p: float | None = None
    temperature: float | None = None
    choice_temperature: float | None = None
    voice: bool = True

    @property
    def scheduler(self) -> dict[str, Any]:
        """Values that replace those of a scheduler's configuration."""
        values = {
            "guidance_scale": None if self.guidance is None else list(self.guidance),
            "reveal": self.reveal,
            "schedule": self.schedule,
            "top_p": self.top_p,
            "temperature": self.temperature,
            "choice_temperature": self.choice_temperature,
        }
        return {name: value for name, value in values.items() if value is not None}

    def resolved(self, config: Mapping[str, Any]) -> MaskedSetting:
        """Return the setting with the values of a scheduler's configuration where it has none."""
        scale = config["guidance_scale"]
        ends = (scale, scale) if isinstance(scale, int | float) else tuple(scale)
        names = ("reveal", "schedule", "top_p", "temperature", "choice_temperature")
        own = {name: config[name] for name in names}
        own["guidance"] = (float(ends[0]), float(ends[-1]))
        missing = {name: value for name, value in own.items() if getattr(self, name) is None}
        return replace(self, **missing)

    def facts(self) -> dict[str, Any]:
        """Return the setting as reports and the names of folders write it."""
        facts = asdict(self)
        return {"passes": facts.pop("num_inference_steps"), **facts}

    def __str__(self) -> str:
        parts = [f"{self.num_inference_steps} passes"]
        if self.guidance is not None:
            first, last = self.guidance
            start = "" if first == last else f"{first:g} to "
            parts.append(f"guidance {start}{last:g}")
        parts += [self.reveal] if self.reveal is not None else []
        parts += [self.schedule] if self.schedule is not None else []
        for name in ("top_p", "temperature", "choice_temperature"):
            value = getattr(self, name)
            parts += [f"{name} {value:g}"] if value is not None else []
        return ", ".join([*parts, "a voice" if self.voice else "no voice"])


SamplingSetting = AutoregressiveSetting | MaskedSetting
HEADLINE = AutoregressiveSetting(guidance=None, voice=True)
"""The setting of the headline row: the checkpoint's own sampling, with a reference voice."""


def parse_autoregressive_setting(text: str) -> AutoregressiveSetting:
    """Read a setting such as ``guidance=2,voice=no``; an empty text is :data:`HEADLINE`.

    Raises:
        ValueError: for an unknown name or value.
    """
    readers: dict[str, Callable[[str], Any]] = {
        "guidance": float,
        "temperature": float,
        "top_k": int,
        "voice": _read_bool,
    }
    expected = "guidance=NUMBER, voice=yes, voice=no, temperature=NUMBER or top_k=NUMBER"
    return replace(HEADLINE, **_read_assignments(text, readers, expected=expected))


def parse_masked_setting(text: str) -> MaskedSetting:
    """Read a setting such as ``passes=16,guidance=1:3,reveal=random``.

    Raises:
        ValueError: for an unknown name or value.
    """

    def read_ends(value: str) -> tuple[float, float]:
        first, _, last = value.partition(":")
        return float(first), float(last or first)

    readers: dict[str, Callable[[str], Any]] = {
        "passes": int,
        "guidance": read_ends,
        "reveal": {reveal: reveal for reveal in REVEALS}.__getitem__,
        "schedule": str,
        "top_p": float,
        "temperature": float,
        "choice_temperature": float,
        "voice": _read_bool,
    }
    expected = (
        "passes=NUMBER, guidance=NUMBER or guidance=FIRST:LAST, reveal=confidence, reveal=random, "
        "schedule=NAME, top_p=, temperature= or choice_temperature=NUMBER, voice=yes or voice=no"
    )
    values = _read_assignments(text, readers, expected=expected)
    if "passes" in values:
        values["num_inference_steps"] = values.pop("passes")
    return MaskedSetting(**values)


_read_bool = {"yes": True, "no": False}.__getitem__


def _read_assignments(
    text: str, readers: Mapping[str, Callable[[str], Any]], *, expected: str
) -> dict[str, Any]:
    """Read ``name=value,name=value``.

    Args:
        text: assignments with commas between them.
        readers: function that reads the value of each name.
        expected: what the error says that each assignment should be.
    Raises:
        SettingError: for an unknown name or value.
    """
    values = {}
    for part in filter(None, text.split(",")):
        name, _, value = part.partition("=")
        try:
            values[name] = readers[name](value)
        except (KeyError, ValueError) as error:
            message = f"got {part!r}, expected {expected}, with commas between them"
            raise SettingError(message) from error
    return values


def _option(default: Any = dataclasses.MISSING, help: str = "", **metadata: Any) -> Any:
    """Declare an option with its help text and what else its flag needs."""
    return dataclasses.field(default=default, metadata={"help": help, **metadata})


def _temporary_cache() -> Path:
    return Path(tempfile.gettempdir()) / "songgen-hf-evaluation"


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions:
    """Options that all evaluations of song models share.

    Raises:
        ValueError: for a number out of range, or a list that is empty or repeats a value.
    """

    songs: Path = _option(help="folder of a rendered corpus")
    judges: Path = _option(help="folder of trained judges")
    prompts_file: Path | None = _option(None, "file of prompts (default: the fixed prompts)")
    prompts: int = _option(100, "number of prompts")
    seeds: tuple[int, ...] = _option((0,), "seeds; each prompt is sampled once with each of them")
    cache: Path = dataclasses.field(
        default_factory=_temporary_cache,
        metadata={"help": "folder of generated songs (default: a temporary folder)"},
    )
    batch_size: int = _option(50, "songs generated at a time")
    max_seconds: float = _option(MAX_SECONDS, "longest song in seconds")
    device: str = _option("cpu", "device of the models")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = _option(
        "float32", "precision of the models"
    )
    draws: int = _option(1000, "draws of the bootstrap", flag=None)

    def __post_init__(self) -> None:
        sizes = ("prompts", "row_prompts", "batch_size", "max_seconds", "draws", "headline_steps")
        for name in sizes:
            if (value := getattr(self, name, 1)) <= 0:
                raise ValueError(f"got {name} {value}, expected a positive number")
        for name in ("checkpoints", "masked", "seeds", "row_seeds", "num_inference_steps"):
            values = getattr(self, name, (1,))
            if not values or len(set(values)) < len(values):
                raise ValueError(f"got {name} {values}, expected at least one, each once")


@dataclass(frozen=True, kw_only=True)
class SongModelOptions(EvaluationOptions):
    """Options of the evaluation of autoregressive models (``songgen-hf evaluate mini``)."""

    checkpoints: tuple[str, ...] = _option(
        ("songgen-mini/mixed_pro", "songgen-mini/interleaving_A_V"),
        "song models: directories, Hub ids or embedded models",
    )
    prompts: int = _option(100, "prompts of the headline and of the untrained model")
    row_prompts: int = _option(30, "prompts of the other rows")
    seeds: tuple[int, ...] = _option((0, 1), "seeds of the headline")
    row_seeds: tuple[int, ...] = _option((0,), "seeds of the other rows")
    headline: AutoregressiveSetting = _option(
        HEADLINE,
        "setting of the headline, such as guidance=2,voice=no,temperature=0.9,top_k=50 "
        "(default: the checkpoint's own sampling, with a voice)",
        type=parse_autoregressive_setting,
    )
    # Integers, since the names of cache folders depend on how a scale is written.
    guidances: tuple[float, ...] = _option(
        (1, 2, 3), "guidance scales of the other rows", nargs="*"
    )

    @property
    def other_settings(self) -> list[AutoregressiveSetting]:
        """Every guidance scale with and without a voice, without the headline's setting."""
        settings = [
            replace(self.headline, guidance=guidance, voice=voice)
            for guidance in self.guidances
            for voice in (True, False)
        ]
        return [setting for setting in settings if setting != self.headline]


@dataclass(frozen=True, kw_only=True)
class SettingsOptions(EvaluationOptions):
    """Options of the comparison of settings on one model (``songgen-hf evaluate settings``)."""

    checkpoint: str = _option(
        help="song model: a directory, a Hub id or an embedded model", positional=True
    )
    prompts_file: Path = _option(
        help="file of prompts other than those of the final evaluation, written by `songgen-hf "
        "evaluate prompts SONGS --split validation`"
    )
    settings: tuple[AutoregressiveSetting, ...] = _option(
        help="settings such as guidance=2,voice=no,temperature=0.9,top_k=50; the checkpoint's own "
        "values are the default",
        type=parse_autoregressive_setting,
        metavar="SETTING",
    )
    prompts: int = _option(24, "prompts of each setting")
    seeds: tuple[int, ...] = _option((0,), "seeds of each setting")


@dataclass(frozen=True, kw_only=True)
class MaskedOptions(EvaluationOptions):
    """Options of the evaluation of masked models (``songgen-hf evaluate masked``)."""

    masked: tuple[str, ...] = _option(help="masked models, at most one of each head")
    checkpoint: str = _option(
        "songgen-mini/interleaving_A_V", "autoregressive song model with two tracks"
    )
    prompts: int = _option(100, "prompts of every row")
    seeds: tuple[int, ...] = _option((0,), "seeds of every row")
    num_inference_steps: tuple[int, ...] = _option(
        NUM_INFERENCE_STEPS,
        "numbers of inference steps, each a row with the checkpoint's own settings",
        flags=("--passes",),
    )
    headline_steps: int = _option(
        HEADLINE_STEPS,
        "inference steps of the rows that vary guidance and reveal",
        flags=("--headline-passes",),
    )
    settings: tuple[MaskedSetting, ...] = _option(
        (),
        "rows of each masked model instead, such as passes=16,guidance=1:3,reveal=random,"
        "top_p=0.9,voice=no; the checkpoint's own values are the default",
        type=parse_masked_setting,
        metavar="SETTING",
    )
    every_combination: bool = _option(
        False, "evaluate all numbers of steps with and without guidance and with both reveals"
    )
    headline: AutoregressiveSetting = _option(
        HEADLINE,
        "setting of the autoregressive model (default: its own sampling)",
        type=parse_autoregressive_setting,
    )
    timed_songs: int = _option(2, "songs generated one by one to measure the time; 0 for none")
    batch_size: int = _option(20, "songs generated at a time")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.timed_songs <= self.prompts:
            raise ValueError(
                f"got timed_songs {self.timed_songs}, expected 0 to the {self.prompts} prompts"
            )
        if min(self.num_inference_steps) < 1:
            raise ValueError(
                f"got num_inference_steps {self.num_inference_steps}, expected numbers of at "
                "least 1"
            )

    def rows(self, config: Mapping[str, Any]) -> list[MaskedSetting]:
        """Return the settings of one masked model's rows, the headline first.

        Args:
            config: configuration of the model's scheduler, which holds its own settings.
        """
        if self.settings:
            return [setting.resolved(config) for setting in self.settings]
        headline = MaskedSetting(self.headline_steps).resolved(config)
        reveal = next(reveal for reveal in REVEALS if reveal != headline.reveal)
        guidance = GUIDED if headline.guidance == UNGUIDED else UNGUIDED
        if self.every_combination:
            rows = [
                replace(headline, num_inference_steps=steps, guidance=ends, reveal=order)
                for steps in (self.headline_steps, *self.num_inference_steps)
                for ends in (headline.guidance, guidance)
                for order in (headline.reveal, reveal)
            ]
        else:
            rows = [
                headline,
                *(replace(headline, num_inference_steps=n) for n in self.num_inference_steps),
                replace(headline, guidance=guidance),
                replace(headline, reveal=reveal),
                replace(headline, guidance=guidance, reveal=reveal),
            ]
        return list(dict.fromkeys(rows))


__all__ = [
    "HEADLINE",
    "HEADLINE_STEPS",
    "MAX_SECONDS",
    "NUM_INFERENCE_STEPS",
    "UNGUIDED",
    "AutoregressiveSetting",
    "EvaluationOptions",
    "MaskedOptions",
    "MaskedSetting",
    "SamplingSetting",
    "SettingsOptions",
    "SongModelOptions",
    "parse_autoregressive_setting",
    "parse_masked_setting",
]

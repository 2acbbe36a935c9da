"""Settings of sampling, and the options of the evaluations of song models.

The help text of each option is metadata of its field; ``songgen_hf/cli/flags.py`` makes flags of
the fields. Torch is not imported, which keeps ``--help`` quick.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

MAX_SECONDS = 13.0  # the longest song of the corpus lasts 12 s
NUM_INFERENCE_STEPS = (8, 16, 28, 64)
HEADLINE_STEPS = 28
REVEALS = ("confidence", "random")
UNGUIDED = (1.0, 1.0)
GUIDED = (1.0, 3.0)  # for a checkpoint whose own setting has no guidance


class SettingError(ValueError, argparse.ArgumentTypeError):
    """A setting that cannot be read; ``argparse`` shows its text if a flag has raised it."""


class SamplingSetting:
    """How songs are sampled; None stands for the checkpoint's own value."""

    readers: ClassVar[Mapping[str, tuple[str, Callable[[str], Any]]]]
    """Name in a text -> the field and the function that reads its value."""
    expected: ClassVar[str]
    """What the error about a text says that each of its parts should be."""
    voice: bool

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a setting such as ``guidance=2,voice=no``; what it does not name is None.

        Raises:
            ValueError: for an unknown name or value.
        """
        values = {}
        for part in filter(None, text.split(",")):
            name, _, value = part.partition("=")
            try:
                field, read = cls.readers[name]
                values[field] = read(value)
            except (KeyError, ValueError) as error:
                message = f"got {part!r}, expected {cls.expected}, with commas between them"
                raise SettingError(message) from error
        return cls(**values)

    def facts(self) -> dict[str, Any]:
        """Return the setting as reports and the names of folders write it."""
        return asdict(self)  # type: ignore[call-overload]

    def parts(self) -> list[str]:
        """Describe the values that are set, without the voice."""
        raise NotImplementedError

    def __str__(self) -> str:
        return ", ".join([*self.parts(), "a voice" if self.voice else "no voice"])


_read_voice = ("voice", {"yes": True, "no": False}.__getitem__)


ScalePerCondition = tuple[tuple[str, float], ...]


def _read_guidance(value: str) -> float | ScalePerCondition:
    """One scale, or those of conditions in the form ``text:3+lyrics:1.5``, sorted by name."""
    if ":" not in value:
        return float(value)
    named = (part.partition(":") for part in value.split("+"))
    return tuple(sorted((name, float(scale)) for name, _, scale in named))


def scale_text(scale: float | Mapping[str, float] | None) -> str:
    """Write a scale of guidance, or each condition with its scale; nothing for None."""
    if isinstance(scale, Mapping):
        return " ".join(f"{name} {value:g}" for name, value in scale.items())
    return "" if scale is None else f"{scale:g}"


@dataclass(frozen=True)
class AutoregressiveSetting(SamplingSetting):
    """How songs are sampled from an autoregressive model.

    Args:
        guidance: scale of classifier-free guidance, 1 for none, or (condition, scale) pairs
            that are sorted by condition.
        voice: whether a reference voice is given.
        trained: False for the same model with random weights.
        temperature, top_k: arguments of ``generate()``.
    """

    readers: ClassVar = {
        "guidance": ("guidance", _read_guidance),
        "temperature": ("temperature", float),
        "top_k": ("top_k", int),
        "voice": _read_voice,
    }
    expected: ClassVar = (
        "guidance=NUMBER, guidance=text:NUMBER+lyrics:NUMBER+voice:NUMBER, voice=yes, voice=no, "
        "temperature=NUMBER or top_k=NUMBER"
    )

    guidance: float | ScalePerCondition | None = None
    voice: bool = True
    trained: bool = True
    temperature: float | None = None
    top_k: int | None = None

    @property
    def guidance_scale(self) -> float | dict[str, float] | None:
        """The scale, or that of each condition, as ``generate()`` takes them."""
        return dict(self.guidance) if isinstance(self.guidance, tuple) else self.guidance

    @property
    def generation(self) -> dict[str, Any]:
        """Arguments of ``generate()``."""
        values = {"guidance_scale": self.guidance_scale, "temperature": self.temperature}
        return {"do_sample": True, **_without_none(values | {"top_k": self.top_k})}

    def facts(self) -> dict[str, Any]:
        """Return the setting as reports and the names of folders write it."""
        return super().facts() | {"guidance": self.guidance_scale}

    def resolved(self, generation_config: Any) -> AutoregressiveSetting:
        """Return the setting with the guidance of a ``generation_config`` where it has none."""
        if self.guidance is not None:
            return self
        own = generation_config.guidance_scale
        if isinstance(own, Mapping):
            return replace(self, guidance=tuple((name, float(own[name])) for name in sorted(own)))
        return replace(self, guidance=float(own or 1.0))

    @property
    def guidance_name(self) -> str:
        """The scale, or each condition with its scale."""
        return scale_text(self.guidance_scale)

    def parts(self) -> list[str]:
        """Describe the values that are set, without the voice."""
        parts = ["own guidance" if self.guidance is None else f"guidance {self.guidance_name}"]
        parts += [] if self.temperature is None else [f"temperature {self.temperature:g}"]
        return parts + ([] if self.top_k is None else [f"top {self.top_k}"])


def _read_ends(value: str) -> tuple[float, float]:
    first, _, last = value.partition(":")
    return float(first), float(last or first)


@dataclass(frozen=True)
class MaskedSetting(SamplingSetting):
    """How songs are sampled from a masked model.

    Args:
        num_inference_steps: number of inference steps.
        guidance: scale of classifier-free guidance at the first and at the last step, 1 for none.
        reveal: order in which codes are revealed, "confidence" or "random".
        schedule, top_p, temperature, choice_temperature: see ``MaskedRVQScheduler``.
        voice: whether a reference voice is given.
    """

    readers: ClassVar = {
        "passes": ("num_inference_steps", int),
        "guidance": ("guidance", _read_ends),
        "reveal": ("reveal", {reveal: reveal for reveal in REVEALS}.__getitem__),
        "schedule": ("schedule", str),
        "top_p": ("top_p", float),
        "temperature": ("temperature", float),
        "choice_temperature": ("choice_temperature", float),
        "voice": _read_voice,
    }
    expected: ClassVar = (
        "passes=NUMBER, guidance=NUMBER or guidance=FIRST:LAST, reveal=confidence, reveal=random, "
        "schedule=NAME, top_p=, temperature= or choice_temperature=NUMBER, voice=yes or voice=no"
    )

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
        scale = None if self.guidance is None else list(self.guidance)
        names = ("reveal", "schedule", "top_p", "temperature", "choice_temperature")
        return _without_none(
            {"guidance_scale": scale, **{name: getattr(self, name) for name in names}}
        )

    def resolved(self, config: Mapping[str, Any]) -> MaskedSetting:
        """Return the setting with the values of a scheduler's configuration where it has none."""
        scale = config["guidance_scale"] if self.guidance is None else self.guidance
        if isinstance(scale, Mapping):
            raise ValueError(
                "the model has a scale for each condition, rows have one for all: give "
                "guidance=NUMBER with --settings"
            )
        ends = (scale, scale) if isinstance(scale, int | float) else tuple(scale)
        names = ("reveal", "schedule", "top_p", "temperature", "choice_temperature")
        own = {name: config[name] for name in names}
        own["guidance"] = (float(ends[0]), float(ends[-1]))
        missing = {name: value for name, value in own.items() if getattr(self, name) is None}
        return replace(self, **missing)

    def facts(self) -> dict[str, Any]:
        """Return the setting as reports and the names of folders write it."""
        facts = super().facts()
        return {"passes": facts.pop("num_inference_steps"), **facts}

    def parts(self) -> list[str]:
        """Describe the values that are set, without the voice."""
        parts = [f"{self.num_inference_steps} passes"]
        if self.guidance is not None:
            first, last = self.guidance
            parts.append(f"guidance {'' if first == last else f'{first:g} to '}{last:g}")
        parts += [name for name in (self.reveal, self.schedule) if name is not None]
        names = ("top_p", "temperature", "choice_temperature")
        values = _without_none({name: getattr(self, name) for name in names})
        return parts + [f"{name} {value:g}" for name, value in values.items()]


HEADLINE = AutoregressiveSetting()
"""The setting of the headline row: the checkpoint's own sampling, with a reference voice."""


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def option(default: Any = dataclasses.MISSING, help: str = "", **metadata: Any) -> Any:
    """Declare an option with its help text and what else its flag needs."""
    return dataclasses.field(default=default, metadata={"help": help, **metadata})


@dataclass(frozen=True, kw_only=True)
class CorpusOptions:
    """Options of every evaluation."""

    songs: Path = option(help="folder of a rendered corpus")
    judges: Path = option(help="folder of trained judges")


@dataclass(frozen=True, kw_only=True)
class CodecOptions(CorpusOptions):
    """Options of the evaluation of codecs (``songgen-hf evaluate codec``).

    Raises:
        ValueError: for a number of songs below 1.
    """

    max_songs: int = option(100, "test songs")
    probe_songs: int = option(300, "training songs of the phoneme probe")
    seed: int = option(0, "seed of the probe and of the intervals")

    def __post_init__(self) -> None:
        if self.max_songs < 1 or self.probe_songs < 1:
            raise ValueError(
                f"got {self.max_songs} songs and {self.probe_songs} songs for the probe, expected "
                "at least one of each"
            )


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions(CorpusOptions):
    """Options that all evaluations of song models share.

    Raises:
        ValueError: for a number out of range, or a list that is empty or repeats a value.
    """

    prompts_file: Path | None = option(None, "file of prompts (default: the fixed prompts)")
    prompts: int = option(100, "number of prompts")
    seeds: tuple[int, ...] = option((0,), "seeds; each prompt is sampled once with each of them")
    cache: Path | None = option(
        None, "folder of generated songs (default: songgen-hf-evaluation in the temporary folder)"
    )
    batch_size: int = option(50, "songs generated at a time")
    max_seconds: float = option(MAX_SECONDS, "longest song in seconds")
    device: str = option("cpu", "device of the models")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = option(
        "float32", "precision of the models"
    )
    draws: int = option(1000, "draws of the bootstrap", flag=None)

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

    checkpoints: tuple[str, ...] = option(
        ("songgen-mini/mixed_pro", "songgen-mini/interleaving_A_V"),
        "song models: directories, Hub ids or embedded models",
    )
    prompts: int = option(100, "prompts of the headline and of the untrained model")
    row_prompts: int = option(30, "prompts of the other rows")
    seeds: tuple[int, ...] = option((0, 1), "seeds of the headline")
    row_seeds: tuple[int, ...] = option((0,), "seeds of the other rows")
    headline: AutoregressiveSetting = option(
        HEADLINE,
        "setting of the headline, such as guidance=2,voice=no,temperature=0.9,top_k=50 "
        "(default: the checkpoint's own sampling, with a voice)",
        type=AutoregressiveSetting.parse,
    )
    # Integers, since the names of cache folders depend on how a scale is written.
    guidances: tuple[float, ...] = option((1, 2, 3), "guidance scales of the other rows", nargs="*")

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

    checkpoint: str = option(
        help="song model: a directory, a Hub id or an embedded model", positional=True
    )
    prompts_file: Path = option(
        help="file of prompts other than those of the final evaluation, written by `songgen-hf "
        "evaluate prompts SONGS --split validation`"
    )
    settings: tuple[AutoregressiveSetting, ...] = option(
        help="settings such as guidance=2,voice=no,temperature=0.9,top_k=50; the checkpoint's own "
        "values are the default",
        type=AutoregressiveSetting.parse,
        metavar="SETTING",
    )
    prompts: int = option(24, "prompts of each setting")


@dataclass(frozen=True, kw_only=True)
class MaskedOptions(EvaluationOptions):
    """Options of the evaluation of masked models (``songgen-hf evaluate masked``)."""

    masked: tuple[str, ...] = option(help="masked models, at most one of each head")
    checkpoint: str = option(
        "songgen-mini/interleaving_A_V", "autoregressive song model with two tracks"
    )
    num_inference_steps: tuple[int, ...] = option(
        NUM_INFERENCE_STEPS,
        "numbers of inference steps, each a row with the checkpoint's own settings",
        flags=("--passes",),
    )
    headline_steps: int = option(
        HEADLINE_STEPS,
        "inference steps of the rows that vary guidance and reveal",
        flags=("--headline-passes",),
    )
    settings: tuple[MaskedSetting, ...] = option(
        (),
        "rows of each masked model instead, such as passes=16,guidance=1:3,reveal=random,"
        "top_p=0.9,voice=no; the checkpoint's own values are the default",
        type=MaskedSetting.parse,
        metavar="SETTING",
    )
    every_combination: bool = option(
        False, "evaluate all numbers of steps with and without guidance and with both reveals"
    )
    headline: AutoregressiveSetting = option(
        HEADLINE,
        "setting of the autoregressive model (default: its own sampling)",
        type=AutoregressiveSetting.parse,
    )
    timed_songs: int = option(2, "songs generated one by one to measure the time; 0 for none")
    batch_size: int = option(20, "songs generated at a time")

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
    "CodecOptions",
    "EvaluationOptions",
    "MaskedOptions",
    "MaskedSetting",
    "SamplingSetting",
    "SettingsOptions",
    "SongModelOptions",
    "scale_text",
]

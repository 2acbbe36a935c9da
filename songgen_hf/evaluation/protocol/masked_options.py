"""What can be set when masked models are evaluated; knows no torch, so that help is quick."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .options import HEADLINE, MAX_SECONDS, YES_OR_NO, Setting, parse_changes

PASSES = (8, 16, 28, 64)
HEADLINE_PASSES = 28
REVEALS = ("confidence", "random")
UNGUIDED = (1.0, 1.0)
GUIDED = (1.0, 3.0)  # where the checkpoint's own setting has no guidance


@dataclass(frozen=True)
class MaskedSetting:
    """How a row of the evaluation is made by a masked model.

    Args:
        passes: of the model.
        guidance: scale of classifier-free guidance at the first and at the last pass, 1 for none;
            None for the checkpoint's own, as everything below.
        reveal: "confidence" or "random".
        schedule, top_p, temperature, choice_temperature: of the scheduler.
        voice: whether the reference voice is given.
    """

    passes: int = HEADLINE_PASSES
    guidance: tuple[float, float] | None = None
    reveal: str | None = None
    schedule: str | None = None
    top_p: float | None = None
    temperature: float | None = None
    choice_temperature: float | None = None
    voice: bool = True

    @property
    def scheduler(self) -> dict[str, Any]:
        """What changes in the configuration of a scheduler."""
        chosen = {
            "guidance_scale": None if self.guidance is None else list(self.guidance),
            "reveal": self.reveal,
            "schedule": self.schedule,
            "top_p": self.top_p,
            "temperature": self.temperature,
            "choice_temperature": self.choice_temperature,
        }
        return {name: value for name, value in chosen.items() if value is not None}

    def resolved(self, config: Mapping[str, Any]) -> MaskedSetting:
        """The same with everything that a scheduler's configuration fills in."""
        scale = config["guidance_scale"]
        ends = (scale, scale) if isinstance(scale, int | float) else tuple(scale)
        own = {
            "guidance": (float(ends[0]), float(ends[-1])),
            **{name: config[name] for name in ("reveal", "schedule", "top_p", "temperature")},
            "choice_temperature": config["choice_temperature"],
        }
        missing = {name: value for name, value in own.items() if getattr(self, name) is None}
        return replace(self, **missing)

    def __str__(self) -> str:
        parts = [f"{self.passes} passes"]
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


@dataclass(frozen=True)
class MaskedOptions:
    """What is made, judged and compared.

    Args:
        checkpoint: folder or Hub id of the autoregressive model.
        masked: folders or Hub ids of masked models, one of each head.
        songs: rendered corpus.
        judges: folder of trained judges.
        cache: folder of what is made.
        prompts_file: None for the fixed prompts.
        prompts: how many of them every row has, so that every figure compares.
        seeds: of every row.
        passes: of the rows with a checkpoint's own settings.
        headline_passes: of the rows without guidance (with it, where a checkpoint's own settings
            have none) and with the other reveal.
        settings: rows to make instead of those, for every masked model.
        every_combination: every number of passes with and without guidance and with both reveals.
        batch_size: songs made at a time.
        timed_songs: songs that each row makes one by one, for ``seconds``; 0: not timed.
        max_seconds: longest song.
        device, dtype: of the models.
        draws: of the bootstrap.
        sung: how the autoregressive model sings.
    Raises:
        ValueError: for numbers out of range.
    """

    checkpoint: str
    masked: tuple[str, ...]
    songs: Path
    judges: Path
    cache: Path
    prompts_file: Path | None = None
    prompts: int = 100
    seeds: tuple[int, ...] = (0,)
    passes: tuple[int, ...] = PASSES
    headline_passes: int = HEADLINE_PASSES
    settings: tuple[MaskedSetting, ...] = ()
    every_combination: bool = False
    batch_size: int = 20
    timed_songs: int = 2
    max_seconds: float = MAX_SECONDS
    device: str = "cpu"
    dtype: str = "float32"
    draws: int = 1000
    sung: Setting = HEADLINE

    def __post_init__(self) -> None:
        for name in ("prompts", "batch_size", "max_seconds", "draws", "headline_passes"):
            if getattr(self, name) <= 0:
                raise ValueError(f"got {name} {getattr(self, name)}, expected a positive number")
        if self.timed_songs < 0 or self.timed_songs > self.prompts:
            raise ValueError(
                f"got timed_songs {self.timed_songs}, expected 0 to the {self.prompts} prompts"
            )
        for name in ("masked", "seeds", "passes"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise ValueError(f"got {name} {values}, expected at least one, each once")
        if min(self.passes) < 1:
            raise ValueError(f"got passes {self.passes}, expected numbers of at least 1")

    def rows(self, config: Mapping[str, Any]) -> list[MaskedSetting]:
        """Settings of the rows of one masked model, the headline first.

        Args:
            config: of its scheduler, which says what its own settings are.
        """
        if self.settings:
            return [setting.resolved(config) for setting in self.settings]
        headline = MaskedSetting(self.headline_passes).resolved(config)
        other = next(reveal for reveal in REVEALS if reveal != headline.reveal)
        guidance = GUIDED if headline.guidance == UNGUIDED else UNGUIDED
        if self.every_combination:
            rows = [
                replace(headline, passes=passes, guidance=ends, reveal=reveal)
                for passes in (self.headline_passes, *self.passes)
                for ends in (headline.guidance, guidance)
                for reveal in (headline.reveal, other)
            ]
        else:
            rows = [headline]
            rows += [replace(headline, passes=passes) for passes in self.passes]
            rows += [
                replace(headline, guidance=guidance),
                replace(headline, reveal=other),
                replace(headline, guidance=guidance, reveal=other),
            ]
        return list(dict.fromkeys(rows))


def parse_masked_setting(text: str) -> MaskedSetting:
    """A setting such as ``passes=16,guidance=1:3,reveal=random``; what is not named is the
    checkpoint's own.

    Raises:
        ValueError: for an unknown name or value.
    """

    def ends(value: str) -> tuple[float, float]:
        first, _, last = value.partition(":")
        return float(first), float(last or first)

    kinds: dict[str, Callable[[str], Any]] = {
        "passes": int,
        "guidance": ends,
        "reveal": {reveal: reveal for reveal in REVEALS}.__getitem__,
        "schedule": str,
        "top_p": float,
        "temperature": float,
        "choice_temperature": float,
        "voice": YES_OR_NO,
    }
    expected = (
        "passes=NUMBER, guidance=NUMBER or guidance=FIRST:LAST, reveal=confidence, reveal=random, "
        "schedule=NAME, top_p=, temperature= or choice_temperature=NUMBER, voice=yes or voice=no"
    )
    return MaskedSetting(**parse_changes(text, kinds, expected=expected))


__all__ = [
    "HEADLINE_PASSES",
    "PASSES",
    "UNGUIDED",
    "MaskedOptions",
    "MaskedSetting",
    "parse_masked_setting",
]

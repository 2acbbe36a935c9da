"""What can be set when a song model is evaluated; knows no torch, so that help is quick."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

MAX_SECONDS = 13.0  # the longest song of the corpus lasts 12 s


@dataclass(frozen=True)
class Setting:
    """How a row of the evaluation is sung.

    Args:
        guidance: scale of classifier-free guidance, 1 for none; None for the checkpoint's own.
        voice: whether the reference voice is given.
        trained: False for the same model with fresh random weights.
        temperature, top_k: of sampling; None for the checkpoint's own.
    """

    guidance: float | None = 1.0
    voice: bool = True
    trained: bool = True
    temperature: float | None = None
    top_k: int | None = None

    @property
    def generation(self) -> dict[str, Any]:
        """Arguments of ``generate()``."""
        chosen = {
            "guidance_scale": self.guidance,
            "temperature": self.temperature,
            "top_k": self.top_k,
        }
        given = {name: value for name, value in chosen.items() if value is not None}
        return {"do_sample": True, **given}

    def with_own_guidance(self, generation_config: Any) -> Setting:
        """The same with the guidance of a checkpoint's ``generation_config``, if None."""
        if self.guidance is not None:
            return self
        return replace(self, guidance=float(generation_config.guidance_scale or 1.0))

    def __str__(self) -> str:
        parts = [f"guidance {self.guidance:g}" if self.guidance is not None else "own guidance"]
        parts += [f"temperature {self.temperature:g}"] if self.temperature is not None else []
        parts += [f"top {self.top_k}"] if self.top_k is not None else []
        return ", ".join([*parts, "a voice" if self.voice else "no voice"])


YES_OR_NO = {"yes": True, "no": False}.__getitem__
HEADLINE = Setting(guidance=None, voice=True)
"""The row that is quoted: the checkpoint's own sampling, and a reference voice."""


@dataclass(frozen=True)
class MiniOptions:
    """What is sung, judged and compared.

    Args:
        checkpoints: folders or Hub ids of song models.
        songs: rendered corpus.
        judges: folder of trained judges.
        cache: folder of what is sung.
        prompts_file: None for the fixed prompts.
        prompts: how many of them the headline and the untrained model sing.
        row_prompts: how many of them every other row sings.
        seeds: of the headline.
        row_seeds: of every other row.
        headline: the row that is quoted.
        guidances: of the other rows, each with and without a reference voice.
        batch_size: songs sung at a time.
        max_seconds: longest song.
        device, dtype: of the models.
        draws: of the bootstrap.
    Raises:
        ValueError: for numbers out of range.
    """

    checkpoints: tuple[str, ...]
    songs: Path
    judges: Path
    cache: Path
    prompts_file: Path | None = None
    prompts: int = 100
    row_prompts: int = 30
    seeds: tuple[int, ...] = (0, 1)
    row_seeds: tuple[int, ...] = (0,)
    headline: Setting = field(default=HEADLINE)
    guidances: tuple[float, ...] = (1.0, 2.0, 3.0)
    batch_size: int = 50
    max_seconds: float = MAX_SECONDS
    device: str = "cpu"
    dtype: str = "float32"
    draws: int = 1000

    def __post_init__(self) -> None:
        for name in ("prompts", "row_prompts", "batch_size", "max_seconds", "draws"):
            if getattr(self, name) <= 0:
                raise ValueError(f"got {name} {getattr(self, name)}, expected a positive number")
        for name in ("checkpoints", "seeds", "row_seeds"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise ValueError(f"got {name} {values}, expected at least one, each once")

    @property
    def other_settings(self) -> list[Setting]:
        """Every guidance with and without a voice, the headline left out."""
        settings = [
            replace(self.headline, guidance=guidance, voice=voice)
            for guidance in self.guidances
            for voice in (True, False)
        ]
        return [setting for setting in settings if setting != self.headline]


def parse_changes(
    text: str, kinds: Mapping[str, Callable[[str], Any]], *, expected: str
) -> dict[str, Any]:
    """``guidance=2,voice=yes`` as values by name.

    Args:
        kinds: what makes a name's value of its text.
        expected: what to write instead, for the error.
    Raises:
        ValueError: for an unknown name or value.
    """
    changes = {}
    for part in filter(None, text.split(",")):
        name, _, value = part.partition("=")
        try:
            changes[name] = kinds[name](value)
        except (KeyError, ValueError) as error:
            raise ValueError(
                f"got {part!r}, expected {expected}, with commas between them"
            ) from error
    return changes


def parse_setting(text: str) -> Setting:
    """A setting such as ``guidance=2,voice=yes`` over :data:`HEADLINE`; "" is that itself.

    Raises:
        ValueError: for an unknown name or value.
    """
    kinds: dict[str, Callable[[str], Any]] = {
        "guidance": float,
        "temperature": float,
        "top_k": int,
        "voice": YES_OR_NO,
    }
    expected = "guidance=NUMBER, voice=yes, voice=no, temperature=NUMBER or top_k=NUMBER"
    return replace(HEADLINE, **parse_changes(text, kinds, expected=expected))


__all__ = [
    "HEADLINE",
    "MAX_SECONDS",
    "YES_OR_NO",
    "MiniOptions",
    "Setting",
    "parse_changes",
    "parse_setting",
]

"""What a visitor asks for: one value a control, checked in one place, and as a link.

Knows nothing of gradio: the page, the API and the links all come through ``Settings.checked``.
"""

import math
import secrets
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any
from urllib.parse import urlencode

from ..pipelines.masked_settings import DEFAULT_STEPS
from .limits import Limits

MIXED, TWO_TRACKS, FEW_STEPS = "mixed", "two tracks", "few steps"
MODES = (MIXED, TWO_TRACKS, FEW_STEPS)
MOST_STEPS = 64
MAX_SEED = 2**53 - 1  # what a browser's numbers hold exactly
SHORTEST_SECONDS = 1.0
VOICE_KEY = "voice"
"""In a link: a reference voice was used, which no link can carry."""

_SPACES = dict.fromkeys(map(ord, "\t\x0b\x0c\x1c\x1d\x1e\x1f\x85\u2028\u2029"), "\n") | {
    ord("\t"): " ",
    ord("\xa0"): " ",
}
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\xad"))


@dataclass(frozen=True)
class Settings:
    """Every control but the recording of the reference voice.

    Args:
        lyrics: words to sing.
        text: style description.
        voice_start: second at which the used part of the reference voice begins.
        mode: ``"mixed"``, ``"two tracks"`` or ``"few steps"`` (a masked model).
        seconds: longest song.
        seed: where sampling starts, also as digits; None or nothing draws one.
        guidance: weight of the conditions; 1 is off.
        top_k: sample from the k likeliest codes; 0 from all. Of no effect in few steps.
        temperature: below 1 safer, above 1 wilder.
        steps: passes of a masked model; of no effect in the other modes.
        variations: songs, with the seeds seed, seed + 1, ...
        adapter: name of a LoRA adapter of the Space or its Hub id; empty for none.
        adapter_weight: 1 is the adapter as it was trained.
    """

    lyrics: str = ""
    text: str = ""
    voice_start: float = 0.0
    mode: str = MIXED
    seconds: float = 12.0
    seed: int | str | None = None
    guidance: float = 1.0
    top_k: int = 50
    temperature: float = 1.0
    steps: int = DEFAULT_STEPS
    variations: int = 1
    adapter: str = ""
    adapter_weight: float = 1.0

    def checked(self, limits: Limits, *, modes: Iterable[str] = MODES) -> "Settings":
        """These settings with clean text, whole numbers as int and a seed.

        Args:
            limits: of the Space.
            modes: those that the Space has a model for.
        Raises:
            ValueError: if a value is out of range.
            TypeError: if it is of the wrong type.
        """
        modes = tuple(modes)
        lyrics = _clean("the lyrics", self.lyrics, limits.lyrics_characters)
        text = _clean("the description", self.text, limits.text_characters).replace("\n", " ")
        if not lyrics.strip() and not text.strip():
            raise ValueError(
                "there is nothing to sing: write some lyrics or a description, or take an example"
            )
        if self.mode not in modes:
            raise ValueError(f"the mode is {self.mode!r}: this Space sings {' or '.join(modes)}")
        seed = _seed(self.seed)
        adapter = _clean("the adapter", self.adapter or "", 200).strip()
        number = _number
        return replace(
            self,
            lyrics=lyrics.strip(),
            text=" ".join(text.split()),
            voice_start=number("the voice's start", self.voice_start, 0, limits.voice_seconds),
            seconds=number("the length", self.seconds, SHORTEST_SECONDS, limits.seconds),
            seed=int(number("the seed", seed, 0, MAX_SEED, whole=True)),
            guidance=number("guidance", self.guidance, 1, 10),
            top_k=int(number("top-k", self.top_k, 0, 2048, whole=True)),
            temperature=number("the temperature", self.temperature, 0.05, 2),
            steps=int(number("the steps", self.steps, 1, MOST_STEPS, whole=True)),
            variations=int(number("variations", self.variations, 1, limits.variations, whole=True)),
            adapter=adapter,
            adapter_weight=number("the adapter's weight", self.adapter_weight, 0, 2),
        )

    def query(self, *, voice: bool = False) -> str:
        """The query of a link that restores these settings, without its question mark.

        Args:
            voice: whether a reference voice was used.
        """
        values = {name: value for name, value in asdict(self).items() if value is not None}
        return urlencode({**values, **({VOICE_KEY: 1} if voice else {})})


FIELDS = tuple(field.name for field in fields(Settings))


def from_query(query: Mapping[str, str], defaults: Settings) -> Settings | None:
    """Settings of a link; what it does not hold, or what makes no sense, is the default.

    Returns:
        None if the link holds no settings.
    """
    found: dict[str, Any] = {}
    for name in FIELDS:
        if name not in query:
            continue
        default = getattr(Settings, name) if name != "seed" else 0
        value: Any = query[name]
        if name == "mode" and value not in MODES:
            continue
        if not isinstance(default, str):
            try:
                value = float(value) if isinstance(default, float) else int(value)
            except ValueError:
                continue
            if not math.isfinite(value):
                continue
        found[name] = value
    return replace(defaults, **found) if found else None


def _clean(name: str, value: Any, longest: int) -> str:
    """Text without what cannot be seen; ValueError for control characters and excess length."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be text: got {type(value).__name__}")
    if len(value) > longest:
        raise ValueError(
            f"{name} must have at most {longest:,} characters: got {len(value):,}; shorten them"
        )
    value = value.replace("\r\n", "\n").replace("\r", "\n")
    value = value.translate(_SPACES).translate(_INVISIBLE)
    for place, character in enumerate(value):
        if character != "\n" and unicodedata.category(character) in ("Cc", "Cf", "Cs"):
            raise ValueError(
                f"{name} hold the control character U+{ord(character):04X} at position "
                f"{place + 1}: remove it, or type the text instead of pasting it"
            )
    return value


def _seed(value: Any) -> Any:
    """The seed as it was typed, or a drawn one."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return secrets.randbelow(2**31)
    if isinstance(value, str):
        if not value.strip().isdecimal():
            raise ValueError(
                f"the seed must be a whole number from 0 up: got {value[:40]!r}; leave it empty to "
                "have one drawn"
            )
        return int(value)
    return value


def _number(name: str, value: Any, low: float, high: float, *, whole: bool = False) -> float:
    """The value as float; ValueError outside [low, high], TypeError for what is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number: got {value!r}")
    if not low <= value <= high or (whole and value != int(value)):
        kind = "a whole number" if whole else "a number"
        raise ValueError(f"{name} must be {kind} from {low:g} to {high:g}: got {value}")
    return int(value) if whole else float(value)


__all__ = [
    "FEW_STEPS",
    "FIELDS",
    "MAX_SEED",
    "MIXED",
    "MODES",
    "MOST_STEPS",
    "SHORTEST_SECONDS",
    "TWO_TRACKS",
    "VOICE_KEY",
    "Settings",
    "from_query",
]

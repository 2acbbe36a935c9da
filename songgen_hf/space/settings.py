"""The settings of a request: one value for each control, checked in one place, also as a link.

Does not depend on gradio: the page, the API and links all use ``Settings.checked``.
"""

import math
import secrets
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any
from urllib.parse import urlencode

from ..pipelines.masked_settings import DEFAULT_STEPS
from ..pipelines.song_plan import DEFAULT_CONTEXT, DEFAULT_WINDOW
from ..pipelines.song_requests import check_lyrics
from .limits import Limits

MIXED, TWO_TRACKS, FEW_STEPS = "mixed", "two tracks", "few steps"
MODES = (MIXED, TWO_TRACKS, FEW_STEPS)
MAX_STEPS = 64
MAX_SEED = 2**53 - 1  # the largest integer that a browser represents exactly
MIN_SECONDS = 1.0
LONGEST = "max_seconds"
"""Name of the pipelines for ``seconds``, which the API and links take as well."""
VOICE_KEY = "voice"
"""Key in a link that says that a reference voice was used, which a link cannot contain."""

CONDITIONS = ("text", "lyrics", "voice")
"""The conditions that can have a guidance of their own."""

_SPACES = dict.fromkeys(map(ord, "\t\x0b\x0c\x1c\x1d\x1e\x1f\x85\u2028\u2029"), "\n") | {
    ord("\t"): " ",
    ord("\xa0"): " ",
}
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\xad"))


@dataclass(frozen=True)
class Settings:
    """The values of all controls except the recording of the reference voice.

    Args:
        lyrics: words to sing.
        text: style description.
        voice_start: second at which the used part of the reference voice begins.
        mode: ``"mixed"``, ``"two tracks"`` or ``"few steps"`` (a masked model).
        seconds: largest length to generate, the ``max_seconds`` of the pipelines.
        seed: seed of the first song, as a number or as digits; a random one for None or "".
        guidance: scale of classifier-free guidance; 1 turns it off.
        top_k: sample from the k most likely codes, or from all codes for 0; ignored in the mode
            "few steps".
        temperature: sampling temperature.
        steps: number of inference steps of a masked model; ignored in the other modes.
        variations: number of songs, with the seeds seed, seed + 1, and so on.
        adapter: name of one of the Space's LoRA adapters, or a Hub id; "" for no adapter; several
            with weights of their own as "blues:0.7, me/choir:0.3".
        adapter_weight: weight of the adapter; 1 applies it as it was trained.
        best_of: number of takes of the song, of which the one with the clearest words is shown
            first; 1 for one take.
        guidance_text, guidance_lyrics, guidance_voice: guidance of one condition, from 1 to 10; 0
            for that of ``guidance``.
        whole: whether the lyrics, with tags such as ``[verse]``, become a whole song that is sung
            section by section; its length is that of the sections.
        window: seconds that the model hears and generates at a time in a whole song.
        context: seconds of a whole song that each section continues.
        repeat_chorus: whether a chorus with the words of an earlier one repeats its sound.
    """

    lyrics: str = ""
    text: str = ""
    voice_start: float = 0.0
    mode: str = TWO_TRACKS
    seconds: float = 12.0
    seed: int | str | None = None
    guidance: float = 1.0
    top_k: int = 50
    temperature: float = 1.0
    steps: int = DEFAULT_STEPS
    variations: int = 1
    adapter: str = ""
    adapter_weight: float = 1.0
    best_of: int = 1
    guidance_text: float = 0.0
    guidance_lyrics: float = 0.0
    guidance_voice: float = 0.0
    whole: bool = False
    window: float = DEFAULT_WINDOW
    context: float = DEFAULT_CONTEXT
    repeat_chorus: bool = True

    def checked(self, limits: Limits, *, modes: Iterable[str] = MODES) -> "Settings":
        """Return these settings with cleaned text, whole numbers as int and a seed.

        Args:
            limits: limits of the Space.
            modes: the modes that the Space has a model for.
        Raises:
            ValueError: if a value is out of range.
            TypeError: if a value has the wrong type.
        """
        modes = tuple(modes)
        lyrics = clean_text("the lyrics", self.lyrics, limits.lyrics_characters)
        check_lyrics(lyrics)
        text = clean_text("the description", self.text, limits.text_characters).replace("\n", " ")
        if not lyrics.strip() and not text.strip():
            raise ValueError(
                "there is nothing to sing: write lyrics or a description, or choose an example"
            )
        if self.mode not in modes:
            raise ValueError(f"the mode is {self.mode!r}: this Space sings {' or '.join(modes)}")
        return replace(
            self,
            lyrics=lyrics.strip(),
            text=" ".join(text.split()),
            voice_start=_number("the voice's start", self.voice_start, 0, limits.voice_seconds),
            seconds=_number("the length", self.seconds, MIN_SECONDS, limits.seconds),
            seed=whole_number("the seed", _seed(self.seed), 0, MAX_SEED),
            guidance=_number("guidance", self.guidance, 1, 10),
            top_k=whole_number("top-k", self.top_k, 0, 2048),
            temperature=_number("the temperature", self.temperature, 0.05, 2),
            steps=whole_number("the steps", self.steps, 1, MAX_STEPS),
            variations=whole_number("variations", self.variations, 1, limits.variations),
            adapter=clean_text("the adapter", self.adapter or "", 200).strip(),
            adapter_weight=_number("the adapter's weight", self.adapter_weight, 0, 2),
            best_of=self._checked_best_of(limits),
            guidance_text=self._own_guidance("text"),
            guidance_lyrics=self._own_guidance("lyrics"),
            guidance_voice=self._own_guidance("voice"),
            **self._checked_whole(limits),
        )

    def _checked_whole(self, limits: Limits) -> dict[str, Any]:
        """The settings of whole songs; bounds matter only where one is asked for."""
        for name in ("whole", "repeat_chorus"):
            if not isinstance(getattr(self, name), bool):
                raise TypeError(f"{name} must be true or false: got {getattr(self, name)!r}")
        if not self.whole:
            window = min(_number("the window", self.window, 0, 1e6), limits.seconds)
            context = _number("the context", self.context, 0, 1e6)
            return {"window": window, "context": context}
        window = _number("the window", self.window, MIN_SECONDS, limits.seconds)
        context = _number("the context", self.context, 0, 30)
        if context > window / 2:
            raise ValueError(
                f"the context is {context:g} s and the window {window:g} s: at most half of the "
                "window can be context"
            )
        if self.variations != 1:
            raise ValueError(
                f"variations is {self.variations}: whole songs are sung one by one; leave "
                "variations at 1"
            )
        return {"window": window, "context": context}

    def _checked_best_of(self, limits: Limits) -> int:
        best_of = whole_number("best of", self.best_of, 1, limits.takes)
        if best_of > 1 and self.variations != 1:
            raise ValueError(
                f"best of is {best_of} and variations is {self.variations}: both sing several "
                "songs; leave one of them at 1"
            )
        return best_of

    def _own_guidance(self, name: str) -> float:
        value = getattr(self, f"guidance_{name}")
        if value == 0 and not isinstance(value, bool):
            return 0.0
        return _number(f"guidance of the {name} (0 for that of guidance)", value, 1, 10)

    def query(self, *, voice: bool = False) -> str:
        """The query string of a link that restores these settings, without the question mark.

        Args:
            voice: whether a reference voice was used.
        """
        values = {name: value for name, value in asdict(self).items() if value is not None}
        values |= {name: int(value) for name, value in values.items() if isinstance(value, bool)}
        return urlencode({**values, **({VOICE_KEY: 1} if voice else {})})


FIELDS = tuple(field.name for field in fields(Settings))


def read_link(
    query: Mapping[str, str], defaults: Settings, limits: Limits, modes: Iterable[str]
) -> tuple[Settings | None, list[str]]:
    """The settings of a link as far as this Space can sing them, and what it cannot.

    Args:
        query: query of the link.
        defaults: settings of an empty form, which replace what is impossible.
        limits: limits of the Space.
        modes: the modes that the Space has a model for.
    Returns:
        The settings, None for a link without any; and one message for each impossible setting.
    """
    modes = tuple(modes)
    # Something to sing, because each setting is checked for itself.
    base = replace(defaults, lyrics="la", text="", seed=0, variations=1, best_of=1)
    kept: dict[str, Any] = {}
    problems = []
    found = _in_query(query)
    for name, value in found.items():
        if value is None and name == "mode":
            value = query[name][:40]
        if value is None:
            kind = "0 or 1" if isinstance(getattr(Settings, name, 0), bool) else "a number"
            problems.append(f"the link has {name}={query.get(name, '')[:40]!r}: expected {kind}")
            continue
        if name in ("lyrics", "text") or value != "":
            try:
                replace(base, **{name: value}).checked(limits, modes=modes)
            except (ValueError, TypeError) as error:
                problems.append(str(error))
                continue
        kept[name] = value
    if kept.get("variations", 1) > 1:
        together = {name: kept[name] for name in ("best_of", "variations", "whole") if name in kept}
        try:
            replace(base, **together).checked(limits)
        except ValueError as error:
            problems.append(str(error))
            del kept["variations"]
    return (replace(defaults, **kept) if found else None), problems


def _in_query(query: Mapping[str, str]) -> dict[str, Any]:
    """The values of settings in a query; None for one that cannot be read."""
    found: dict[str, Any] = {}
    if LONGEST in query:
        query = {**query, "seconds": query[LONGEST]}
    for name in FIELDS:
        if name not in query:
            continue
        default = getattr(Settings, name) if name != "seed" else 0
        value: Any = query[name]
        if name == "mode" and value not in MODES:
            value = None
        elif isinstance(default, bool):
            value = {"1": True, "0": False}.get(value)
        elif not isinstance(default, str):
            try:
                value = float(value) if isinstance(default, float) else int(value)
            except ValueError:
                value = None
            if value is not None and not math.isfinite(value):
                value = None
        found[name] = value
    return found


def clean_text(name: str, value: Any, longest: int) -> str:
    """The text without invisible characters; ValueError if it is too long or has control codes."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be text: got {type(value).__name__}")
    if len(value) > longest:
        raise ValueError(
            f"{name} must have at most {longest} characters: got {len(value)}; shorten them"
        )
    value = value.replace("\r\n", "\n").replace("\r", "\n")
    value = value.translate(_SPACES).translate(_INVISIBLE)
    for place, character in enumerate(value):
        if character != "\n" and unicodedata.category(character) in ("Cc", "Cf", "Cs"):
            raise ValueError(
                f"the control character U+{ord(character):04X} at position {place + 1} is not "
                f"allowed in {name}: remove it, or type the text instead of pasting it"
            )
    return value


def _seed(value: Any) -> Any:
    """The seed that was entered, or a random one."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return secrets.randbelow(2**31)
    if isinstance(value, str):
        if not value.strip().isdecimal():
            raise ValueError(
                f"the seed must be a whole number, 0 or more: got {value[:40]!r}; leave it empty "
                "for a random seed"
            )
        return int(value)
    return value


def whole_number(name: str, value: Any, low: int, high: int) -> int:
    """The value as an int.

    Raises:
        TypeError: if it is not a number.
        ValueError: if it is not a whole number from ``low`` to ``high``.
    """
    return int(_number(name, value, low, high, whole=True))


def _number(name: str, value: Any, low: float, high: float, *, whole: bool = False) -> float:
    """The value as a float; ValueError outside of [low, high], TypeError for other types."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number: got {value!r}")
    if not low <= value <= high or (whole and value != int(value)):
        kind = "a whole number" if whole else "a number"
        raise ValueError(f"{name} must be {kind} from {low:g} to {high:.16g}: got {value}")
    return float(value)


__all__ = [
    "CONDITIONS",
    "FEW_STEPS",
    "FIELDS",
    "LONGEST",
    "MAX_SEED",
    "MAX_STEPS",
    "MIN_SECONDS",
    "MIXED",
    "MODES",
    "TWO_TRACKS",
    "VOICE_KEY",
    "Settings",
    "clean_text",
    "read_link",
    "whole_number",
]

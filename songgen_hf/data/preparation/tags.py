"""Reads tags of music: which of them name a genre, a mood, an instrument, a voice, tempo or key."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ..corpus.genres import GENRES as RENDERED_GENRES
from ..corpus.instruments import INSTRUMENTS as RENDERED_INSTRUMENTS

GENRES = frozenset(RENDERED_GENRES) | frozenset(
    ("acoustic", "alternative", "ambient", "bluegrass", "cabaret", "celtic", "chanson", "classical")
    + ("cumbia", "dance", "drum and bass", "dub", "dubstep", "edm", "emo", "fado", "flamenco")
    + ("gospel", "grunge", "hard rock", "hip hop", "house", "indie", "indie pop", "indie rock")
    + ("j-pop", "k-pop", "latin", "lo-fi", "metal", "musical", "new age", "opera", "post-punk")
    + ("progressive rock", "psychedelic", "r&b", "rap", "reggaeton", "rock and roll", "salsa")
    + ("samba", "schlager", "shoegaze", "singer-songwriter", "ska", "soul", "swing", "synth-pop")
    + ("synthwave", "tango", "techno", "trance", "trap", "trip hop", "world music")
)
MOODS = frozenset(
    mood for genre in RENDERED_GENRES.values() for mood in genre.moods_major + genre.moods_minor
) | frozenset(
    ("aggressive", "anxious", "beautiful", "calm", "catchy", "chill", "emotional", "epic", "gentle")
    + ("intense", "intimate", "melancholy", "mellow", "motivational", "ominous", "passionate")
    + ("powerful", "sentimental", "sexy", "soft", "somber", "soothing", "upbeat", "uplifting")
)
INSTRUMENTS = frozenset(RENDERED_INSTRUMENTS) | frozenset(
    ("acoustic guitar", "bass", "bass guitar", "bells", "brass", "choir", "congas", "double bass")
    + ("drum machine", "drums", "fiddle", "french horn", "guitar", "hand claps", "horns")
    + ("keyboard", "keyboards", "lute", "mandolin", "organ", "pedal steel", "percussion", "sax")
    + ("saxophone", "sitar", "strings", "synth", "synthesizer", "tabla", "tambourine", "tuba")
    + ("ukulele", "viola", "whistle")
)
_WOMAN = re.compile(r"\b(female|woman|women|girl|soprano|alto)\b")
_MAN = re.compile(r"\b(male|man|men|boy|tenor|baritone)\b")
_PITCHED = re.compile(r"(soprano|alto|tenor|baritone|bass) (sax(ophone)?|clarinet|flute|guitar)$")
_NO_VOICE = frozenset(("instrumental", "no vocals", "without vocals"))
_TEMPO = re.compile(r"^(\d{2,3}(?:\.\d+)?) ?(?:bpm|beats per minute)$")
_KEY = re.compile(r"^(?:key:? )?([a-g](?:#|b| sharp| flat)?)[ -]?(major|maj|minor|min|m)$")


def read_tags(tags: Iterable[str]) -> dict[str, Any]:
    """Sort tags by what they say of a song.

    Case and underscores are ignored. The first genre, mood, tempo, key and voice count; a tag of
    nothing known is an ``other``.

    Returns:
        The facts that are found: ``genre``, ``mood``, ``gender`` (female or male), ``instruments``,
        ``tempo`` in bpm, ``key`` such as ``Bb minor``, ``instrumental`` (True), and ``other``, a
        list.
    """
    facts: dict[str, Any] = {}
    for given in tags:
        tag = " ".join(str(given).replace("_", " ").lower().split())
        if not tag:
            continue
        if tag in INSTRUMENTS or _PITCHED.match(tag):
            facts.setdefault("instruments", []).append(tag)
        elif tag in _NO_VOICE:
            facts["instrumental"] = True
        elif (kind := _kind(tag)) and kind[0] not in facts:
            facts[kind[0]] = kind[1]
        elif tag not in facts.setdefault("other", []):
            facts["other"].append(tag)
    if not facts.get("other"):
        facts.pop("other", None)
    return facts


def _kind(tag: str) -> tuple[str, Any] | None:
    if tag in GENRES:
        return "genre", tag
    if tag in MOODS:
        return "mood", tag
    if tempo := _TEMPO.match(tag):
        return "tempo", float(tempo[1])
    if key := _KEY.match(tag):
        tonic = key[1].replace(" sharp", "#").replace(" flat", "b")
        mode = "major" if key[2].startswith("maj") else "minor"
        return "key", f"{tonic[0].upper()}{tonic[1:]} {mode}"
    if _WOMAN.search(tag):
        return "gender", "female"
    if _MAN.search(tag):
        return "gender", "male"
    return None


__all__ = ["GENRES", "INSTRUMENTS", "MOODS", "read_tags"]

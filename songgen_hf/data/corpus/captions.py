"""Writes captions: descriptions of a song in many phrasings, most of them incomplete.

Captions are written from the metadata of a song, so that more captions can be written later from a
row of the dataset.
"""

import random
from collections.abc import Mapping, Sequence
from typing import Any

CAPTIONS_PER_SONG = 4

_KEEP = {"mood": 0.7, "gender": 0.8, "lead": 0.8, "others": 0.45, "tempo": 0.75, "key": 0.45}

_OPENINGS = (
    "{a_style} song",
    "{a_style} track",
    "{a_style} piece",
    "{a_style} tune with vocals",
    "this is {a_style} song",
    "a song in {genre} style{mood_tail}",
    "{genre} music{mood_tail}",
    "{style}",
)
_OPENINGS_WITHOUT_GENRE = ("{a_style} song", "{a_style} track", "{a_style} piece of music")
_OPENINGS_WITHOUT_VOICE = ("{a_style} track", "{a_style} piece", "{a_style} instrumental")
_LEADS = (
    "led by {lead}",
    "with {lead} as the lead instrument",
    "featuring {lead}",
    "{lead} carries the melody",
    "the lead instrument is {lead}",
    "{lead} in the foreground",
)
_OTHERS = (
    "backed by {others}",
    "accompanied by {others}",
    "{others} in the background",
    "with {others} behind",
)
_GENDERS = (
    "sung by a {gender} voice",
    "{gender} vocals",
    "a {gender} singer",
    "with a {gender} vocalist",
    "{person} sings",
    "the singer is {gender}",
)
_TEMPI_IN_WORDS = {
    "slow": ("slow", "at a slow pace", "slow tempo", "unhurried"),
    "medium": ("mid-tempo", "at a medium pace", "moderate tempo", "at a walking pace"),
    "fast": ("upbeat", "at a brisk pace", "fast tempo", "lively tempo"),
    "very fast": ("very fast", "at a racing pace", "very fast tempo", "driving tempo"),
}
_TEMPI_IN_NUMBERS = ("{bpm} bpm", "at {bpm} bpm", "tempo {bpm}", "{bpm} beats per minute")
_KEYS = ("in {key}", "key of {key}", "in the key of {key}", "{key}")


def tempo_word(bpm: float) -> str:
    """``slow`` below 85 bpm, ``medium`` to 112, ``fast`` to 136, ``very fast`` above."""
    if bpm < 85:
        return "slow"
    if bpm < 112:
        return "medium"
    return "fast" if bpm < 136 else "very fast"


def write_captions(
    rng: random.Random, facts: Mapping[str, Any], count: int = CAPTIONS_PER_SONG
) -> list[str]:
    """Write several captions of one song, of which the first is complete.

    Args:
        rng: random number generator.
        facts: ``genre``, ``mood``, ``gender``, ``lead_instrument``, ``instruments``, ``tempo`` (in
            bpm) and ``key`` of the song.
        count: number of captions.
    """
    return [write_caption(rng, facts, complete=index == 0) for index in range(count)]


def write_caption(rng: random.Random, facts: Mapping[str, Any], *, complete: bool = False) -> str:
    """Write one caption.

    Args:
        rng: random number generator.
        facts: metadata as for :func:`write_captions`. Facts that are missing or empty are left out,
            and ``lead_instrument`` is then the first of ``instruments``. ``instrumental`` says that
            nobody sings.
        complete: whether the caption must contain every fact.
    """
    keep = {name: complete or rng.random() < chance for name, chance in _KEEP.items()}
    genre, mood, gender = (facts.get(name) or "" for name in ("genre", "mood", "gender"))
    instruments = list(facts.get("instruments") or [])
    lead = facts.get("lead_instrument") or (instruments[0] if instruments else "")
    others = [name for name in instruments if name != lead]
    style = " ".join(filter(None, (mood if keep["mood"] else "", genre)))
    words = {
        "genre": genre,
        "style": style,
        "a_style": f"{_article(style)} {style}" if style else "a",
        "mood_tail": f", {mood}" if keep["mood"] and mood else "",
        "lead": lead,
        "others": join_names(others if complete else rng.sample(others, min(2, len(others)))),
        "gender": gender,
        "person": {"female": "a woman", "male": "a man"}.get(gender, "a singer"),
        "bpm": facts.get("tempo") and round(facts["tempo"]),
        "key": facts.get("key"),
    }
    phrases = []
    if facts.get("instrumental"):
        phrases.append("without vocals")
    elif keep["gender"] and gender:
        phrases.append(rng.choice(_GENDERS))
    if keep["lead"] and lead:
        phrases.append(rng.choice(_LEADS))
    if keep["others"] and others:
        phrases.append(rng.choice(_OTHERS))
    if keep["tempo"] and facts.get("tempo"):
        in_words = _TEMPI_IN_WORDS[tempo_word(facts["tempo"])]
        phrases.append(rng.choice(in_words if rng.random() < 0.5 else _TEMPI_IN_NUMBERS))
    if keep["key"] and facts.get("key"):
        phrases.append(rng.choice(_KEYS))
    rng.shuffle(phrases)
    openings = _OPENINGS if genre else _OPENINGS_WITHOUT_GENRE
    if facts.get("instrumental"):
        openings = _OPENINGS_WITHOUT_VOICE
    caption = ", ".join([rng.choice(openings), *phrases]).format(**words)
    looks = rng.random()
    if looks < 0.4:
        return caption[0].upper() + caption[1:] + "."
    return caption if looks < 0.7 else caption[0].upper() + caption[1:]


def _article(words: str) -> str:
    return "an" if words[0] in "aeiou" else "a"


def join_names(names: Sequence[str]) -> str:
    """Names as a list in a sentence: "a, b and c"."""
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"

"""Phonemes of written lyrics: espeak-ng pronounces each line, without any audio."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from .espeak import open_espeak
from .phonemes import merge_phonemes

VOICE = "en-us"
ENGLISH = ("en", "en-us", "en-gb")
"""Codes of the languages that are pronounced with ``VOICE``."""
_UTF8, _IPA, _SEPARATOR = 1, 2, "_"
_SECTION = re.compile(r"\[[^\]]*\]")  # [chorus]
_UNSPOKEN = re.compile(r"[^\w'\u2019-]")
_STRESS = "ˈˌ‿ "
_UNSTRESSED = {"a": ("ə",)}  # words of one letter, which espeak-ng spells by themselves


class LyricsWord(NamedTuple):
    """A word of lyrics as it is written, its phonemes (merged classes), and its line."""

    text: str
    phonemes: tuple[str, ...]
    line: int


def lyrics_words(lyrics: str) -> list[LyricsWord]:
    """Split English lyrics into words with their phonemes.

    Marks of sections in brackets are left out, and so is what has no phonemes in ``PHONEMES``.

    Args:
        lyrics: lines of text.
    Raises:
        ImportError: if espeak-ng is missing.
    """
    found = []
    for index, line in enumerate(_SECTION.sub(" ", lyrics).splitlines()):
        pairs = [(word, _UNSPOKEN.sub("", word)) for word in line.split()]
        pairs = [(word, spoken) for word, spoken in pairs if any(map(str.isalnum, spoken))]
        pronounced = _pronounce([spoken for _, spoken in pairs])
        for (word, _), phonemes in zip(pairs, pronounced, strict=True):
            if phonemes:
                found.append(LyricsWord(word, phonemes, index))
    return found


def _pronounce(words: Sequence[str]) -> list[tuple[str, ...]]:
    """The phonemes of each word of a line; in the line, unless espeak-ng joins words in it."""
    if not words:
        return []
    groups = _espeak(" ".join(words))
    if len(groups) == len(words):
        return [_merged(group) for group in groups]
    return [
        _UNSTRESSED.get(word.lower(), _merged([s for group in _espeak(word) for s in group]))
        for word in words
    ]


def _merged(symbols: Sequence[str]) -> tuple[str, ...]:
    known = []
    for symbol in symbols:
        try:
            known += merge_phonemes([symbol])
        except ValueError:  # a sound of another language
            continue
    return tuple(known)


@cache
def _espeak(text: str) -> list[list[str]]:
    """The IPA symbols of each group that espeak-ng writes without a space."""
    library = _library()
    if library.espeak_SetVoiceByName(VOICE.encode()) != 0:
        raise ImportError(f"espeak-ng has no voice {VOICE!r}: apt-get install -y espeak-ng-data")
    place, groups = ctypes.c_char_p(text.encode()), []
    while place.value is not None:
        clause = library.espeak_TextToPhonemes(ctypes.byref(place), _UTF8, _IPA | ord("_") << 8)
        groups += clause.decode().split()
    symbols = [[one.strip(_STRESS) for one in group.split(_SEPARATOR)] for group in groups]
    return [[one for one in group if one] for group in symbols]


@cache
def _library() -> ctypes.CDLL:
    library, _ = open_espeak()
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    library.espeak_TextToPhonemes.argtypes = [
        ctypes.POINTER(ctypes.c_char_p),
        ctypes.c_int,
        ctypes.c_int,
    ]
    return library


__all__ = ["ENGLISH", "LyricsWord", "lyrics_words"]

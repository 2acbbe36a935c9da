"""The phoneme classes of the recognizer, and the merging of espeak-ng's symbols into them.

The corpus uses the 59 symbols of espeak-ng for American English. As is usual for phoneme error
rates since Lee and Hon (1989), symbols that listeners do not distinguish are merged: stressed and
reduced vowels (``ʌ ɐ ə``, ``ɪ ᵻ``), vowels with and without a length mark, and the allophones of t
(``ɾ ʔ``). R-colored vowels other than ``ɚ`` become two phonemes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

# A symbol that is not listed stands for itself if it is in PHONEMES.
MERGED: dict[str, tuple[str, ...]] = {
    "ʌ": ("ə",),
    "ɐ": ("ə",),
    "ᵻ": ("ɪ",),
    "ɨ": ("ɪ",),
    "iː": ("i",),
    "uː": ("u",),
    "ɑː": ("ɑ",),
    "ɒ": ("ɑ",),
    "ɔː": ("ɔ",),
    "oː": ("ɔ",),
    "o": ("oʊ",),
    "e": ("eɪ",),
    "a": ("æ",),
    "aː": ("ɑ",),
    "ɜː": ("ɚ",),
    "ɜ": ("ɚ",),
    "ɝ": ("ɚ",),
    "ɑːɹ": ("ɑ", "ɹ"),
    "ɔːɹ": ("ɔ", "ɹ"),
    "oːɹ": ("ɔ", "ɹ"),
    "ɛɹ": ("ɛ", "ɹ"),
    "ɪɹ": ("ɪ", "ɹ"),
    "ʊɹ": ("ʊ", "ɹ"),
    "aɪɚ": ("aɪ", "ɚ"),
    "aɪə": ("aɪ", "ə"),
    "iə": ("i", "ə"),
    "əl": ("ə", "l"),
    "l̩": ("ə", "l"),
    "n̩": ("ə", "n"),
    "m̩": ("ə", "m"),
    "ɾ": ("t",),
    "ʔ": ("t",),
    "ʒ": ("ʃ",),
    "r": ("ɹ",),
    "g": ("ɡ",),
    "x": ("k",),
}
VOWELS = ("i", "ɪ", "ɛ", "æ", "ə", "ɑ", "ɔ", "ʊ", "u", "ɚ", "eɪ", "aɪ", "ɔɪ", "aʊ", "oʊ")
CONSONANTS = (
    "p", "b", "t", "d", "k", "ɡ", "tʃ", "dʒ", "f", "v", "θ", "ð", "s", "z", "ʃ", "h",
    "m", "n", "ŋ", "l", "ɹ", "j", "w",
)  # fmt: skip
PHONEMES = (*VOWELS, *CONSONANTS)


def merge_phonemes(symbols: Iterable[str]) -> list[str]:
    """Replace each symbol of espeak-ng by members of ``PHONEMES``; members stay as they are.

    Raises:
        ValueError: for a symbol that is neither in ``PHONEMES`` nor in ``MERGED``.
    """
    merged: list[str] = []
    for symbol in symbols:
        parts = MERGED.get(symbol, (symbol,))
        if any(part not in PHONEMES for part in parts):
            raise ValueError(
                f"got the phoneme {symbol!r}, expected one of espeak-ng's for American English: "
                "add it to MERGED"
            )
        merged.extend(parts)
    return merged


def row_phonemes(row: Mapping[str, Any]) -> list[str]:
    """Return the merged phonemes of a row of the corpus, in order."""
    return merge_phonemes(phoneme["symbol"] for phoneme in row["phonemes"])


__all__ = ["CONSONANTS", "MERGED", "PHONEMES", "VOWELS", "merge_phonemes", "row_phonemes"]

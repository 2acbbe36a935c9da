"""The sounds of a sung line as judged: symbols that listeners tell apart, and the error rate.

The corpus names sounds as espeak-ng does (59 symbols). As is usual for phoneme error rates since
Lee and Hon (1989), what listeners cannot tell is merged: stressed from reduced vowels (``ʌ ɐ ə``,
``ɪ ᵻ``), length marks, allophones of t (``ɾ ʔ``); r-colored vowels but ``ɚ`` are two sounds.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

# Unlisted symbols stand for themselves, if they are in PHONEMES.
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
    """Symbols of espeak-ng -> members of ``PHONEMES``, in order; already merged ones stay.

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
    """The merged phonemes of a row of the corpus, in the order sung."""
    return merge_phonemes(phoneme["symbol"] for phoneme in row["phonemes"])


def edit_distance(reference: Sequence[str], hypothesis: Sequence[str]) -> int:
    """Least number of insertions, deletions and substitutions between the two."""
    if len(reference) < len(hypothesis):
        reference, hypothesis = hypothesis, reference
    columns = np.arange(len(hypothesis) + 1)
    row = columns.copy()
    codes = {symbol: code for code, symbol in enumerate({*reference, *hypothesis})}
    heard = np.array([codes[symbol] for symbol in hypothesis], dtype=np.int64)
    for symbol in reference:
        above_or_diagonal = np.minimum(row[1:] + 1, row[:-1] + (heard != codes[symbol]))
        row = np.concatenate([row[:1] + 1, above_or_diagonal])
        # From the left: the best of all cells to the left plus their distance.
        row = np.minimum.accumulate(row - columns) + columns
    return int(row[-1])


def phoneme_edits(
    references: Sequence[Sequence[str]], hypotheses: Sequence[Sequence[str]]
) -> tuple[np.ndarray, np.ndarray]:
    """Edits and reference lengths of each song; both sides are merged first.

    Returns:
        int64 [N] edits and int64 [N] lengths: the error rate of any set of songs is the ratio of
        the sums.
    Raises:
        ValueError: if the numbers of songs differ, or for unknown symbols.
    """
    if len(references) != len(hypotheses):
        raise ValueError(
            f"got {len(references)} references and {len(hypotheses)} hypotheses, expected one "
            "hypothesis for each reference"
        )
    pairs = [
        (merge_phonemes(reference), merge_phonemes(hypothesis))
        for reference, hypothesis in zip(references, hypotheses, strict=True)
    ]
    edits = [edit_distance(reference, hypothesis) for reference, hypothesis in pairs]
    lengths = [len(reference) for reference, _ in pairs]
    return np.array(edits, dtype=np.int64), np.array(lengths, dtype=np.int64)


def phoneme_error_rate(
    references: Sequence[Sequence[str]], hypotheses: Sequence[Sequence[str]]
) -> float:
    """Edits of all songs over phonemes of all references: 0 is perfect, silence scores 1.

    Raises:
        ValueError: as :func:`phoneme_edits`, or if the references hold no phoneme.
    """
    edits, lengths = phoneme_edits(references, hypotheses)
    if not lengths.sum():
        raise ValueError("got references without phonemes, expected at least one phoneme in all")
    return float(edits.sum() / lengths.sum())


__all__ = [
    "CONSONANTS",
    "MERGED",
    "PHONEMES",
    "VOWELS",
    "edit_distance",
    "merge_phonemes",
    "phoneme_edits",
    "phoneme_error_rate",
    "row_phonemes",
]

"""Word error rate: how far the words that are heard in a song are from its lyrics.

Units: insertions, deletions and substitutions over the words of the lyrics. The rate of several
songs is the ratio of the sums, as in jiwer; 0 is perfect, silence scores 1, and values above 1 are
possible. Both texts are normalized in the same way first; marks of sections in brackets fall away.
Source: the words of a speech recognizer such as Whisper; its normalizers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ...data.listening.edit_distance import edit_distance
from .phoneme_error_rate import validate

NORMALIZERS = ("english", "basic", "none")
"""Whisper's normalizer of English, its normalizer of other languages, and the words as they are."""
Normalizer = Callable[[str], str]


def normalizer(name: str, spellings: Mapping[str, str] | None = None) -> Normalizer:
    """Return a function that normalizes a text.

    Args:
        name: one of ``NORMALIZERS``.
        spellings: British spellings with their American ones, which "english" replaces; Whisper
            models bring them.
    Raises:
        ValueError: for another name.
    """
    from transformers.models.whisper.english_normalizer import (
        BasicTextNormalizer,
        EnglishTextNormalizer,
    )

    if name == "english":
        return EnglishTextNormalizer(dict(spellings or {}))
    if name == "basic":
        return BasicTextNormalizer()
    if name == "none":
        return str
    raise ValueError(f"got the normalizer {name!r}, expected one of {', '.join(NORMALIZERS)}")


def word_edits(
    references: Sequence[str], hypotheses: Sequence[str], normalize: Normalizer
) -> tuple[np.ndarray, np.ndarray]:
    """Count the edits and the reference words of each song.

    Args:
        references: lyrics of each song.
        hypotheses: recognized text of each song.
        normalize: applied to both.
    Returns:
        int64 [N] edits and int64 [N] words of the lyrics; the error rate is the ratio of their
        sums. A song without words in its lyrics has as many edits as words were heard.
    Raises:
        ValueError: if the numbers of songs differ.
    """
    validate(references, hypotheses)
    pairs = [
        (normalize(reference).split(), normalize(hypothesis).split())
        for reference, hypothesis in zip(references, hypotheses, strict=True)
    ]
    edits = [edit_distance(reference, hypothesis) for reference, hypothesis in pairs]
    lengths = [len(reference) for reference, _ in pairs]
    return np.array(edits, dtype=np.int64), np.array(lengths, dtype=np.int64)


def word_error_rate(
    references: Sequence[str], hypotheses: Sequence[str], normalize: Normalizer
) -> float:
    """Divide the edits of all songs by the words of all lyrics.

    Raises:
        ValueError: like :func:`word_edits`, or if the lyrics hold no word.
    """
    edits, lengths = word_edits(references, hypotheses, normalize)
    if not lengths.sum():
        raise ValueError("got lyrics without words, expected at least one word in all")
    return float(edits.sum() / lengths.sum())


__all__ = [
    "NORMALIZERS",
    "Normalizer",
    "normalizer",
    "validate",
    "word_edits",
    "word_error_rate",
]

"""Phoneme error rate: how far the phonemes of a song are from those of its lyrics.

Units: insertions, deletions and substitutions over the phonemes of the lyrics. The rate of several
songs is the ratio of the sums, so long songs count more; 0 is perfect, silence scores 1, and values
above 1 are possible. Both sides are merged to the classes of
``data/listening/phonemes.py`` first. Source: the phoneme recognizer of the judges.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...data.listening.edit_distance import edit_distance
from ...data.listening.phonemes import merge_phonemes
from ..judges.loading import Judges, Waveforms


def validate(references: Sequence[object], hypotheses: Sequence[object]) -> None:
    """Raise ValueError unless there is one hypothesis for each reference."""
    if len(references) != len(hypotheses):
        raise ValueError(
            f"got {len(references)} references and {len(hypotheses)} hypotheses, expected one "
            "hypothesis for each reference"
        )


def phoneme_edits(
    references: Sequence[Sequence[str]], hypotheses: Sequence[Sequence[str]]
) -> tuple[np.ndarray, np.ndarray]:
    """Count the edits and the reference phonemes of each song.

    Args:
        references: phonemes of the lyrics of each song, merged or as espeak-ng names them.
        hypotheses: recognized phonemes of each song.
    Returns:
        int64 [N] edits and int64 [N] lengths; the error rate is the ratio of their sums.
    Raises:
        ValueError: if the numbers of songs differ, or for unknown symbols.
    """
    validate(references, hypotheses)
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
    """Divide the edits of all songs by the phonemes of all references.

    Raises:
        ValueError: like :func:`phoneme_edits`, or if the references hold no phoneme.
    """
    edits, lengths = phoneme_edits(references, hypotheses)
    if not lengths.sum():
        raise ValueError("got references without phonemes, expected at least one phoneme in all")
    return float(edits.sum() / lengths.sum())


def lyrics_edits(
    judges: Judges, waveforms: Waveforms, phonemes: Sequence[Sequence[str]]
) -> tuple[np.ndarray, np.ndarray]:
    """Apply :func:`phoneme_edits` to the phonemes that the recognizer finds in waveforms.

    Args:
        judges: with a phoneme recognizer.
        waveforms: vocals or mixtures.
        phonemes: phonemes of the lyrics of each song.
    """
    return phoneme_edits(phonemes, judges.phonemes(waveforms))


def evaluate_lyrics(
    judges: Judges, waveforms: Waveforms, phonemes: Sequence[Sequence[str]]
) -> dict[str, float]:
    """Return ``per``, the phoneme error rate of all songs; arguments as :func:`lyrics_edits`.

    Raises:
        ValueError: if the numbers differ, for unknown phonemes, or if the lyrics hold no phoneme.
    """
    return {"per": phoneme_error_rate(phonemes, judges.phonemes(waveforms))}


__all__ = [
    "evaluate_lyrics",
    "lyrics_edits",
    "phoneme_edits",
    "phoneme_error_rate",
    "validate",
]

"""Phoneme error rate: how far the phonemes of a song are from those of its lyrics.

Units: insertions, deletions and substitutions over the phonemes of the lyrics. The rate of several
songs is the ratio of the sums, so long songs count more; 0 is perfect, silence scores 1, and values
above 1 are possible. Both sides are merged to the classes of ``judges/phonemes.py`` first.
Source: the phoneme recognizer of the judges (``judges/phoneme_recognizer.py``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..judges.loading import Judges, Waveforms
from ..judges.phonemes import merge_phonemes


def validate(references: Sequence[object], hypotheses: Sequence[object]) -> None:
    """Raise ValueError unless there is one hypothesis for each reference."""
    if len(references) != len(hypotheses):
        raise ValueError(
            f"got {len(references)} references and {len(hypotheses)} hypotheses, expected one "
            "hypothesis for each reference"
        )


def edit_distance(reference: Sequence[str], hypothesis: Sequence[str]) -> int:
    """Count the insertions, deletions and substitutions between two sequences, at the least."""
    if len(reference) < len(hypothesis):
        reference, hypothesis = hypothesis, reference
    columns = np.arange(len(hypothesis) + 1)
    row = columns.copy()
    ids = {symbol: index for index, symbol in enumerate({*reference, *hypothesis})}
    hypothesis_ids = np.array([ids[symbol] for symbol in hypothesis], dtype=np.int64)
    for symbol in reference:
        above_or_diagonal = np.minimum(row[1:] + 1, row[:-1] + (hypothesis_ids != ids[symbol]))
        row = np.concatenate([row[:1] + 1, above_or_diagonal])
        # From the left: the best of all cells to the left plus their distance.
        row = np.minimum.accumulate(row - columns) + columns
    return int(row[-1])


def edits_by_phoneme(reference: Sequence[str], hypothesis: Sequence[str]) -> np.ndarray:
    """Count the edits at each phoneme of the reference, along one alignment with the fewest.

    An insertion counts at the phoneme before it, or at the first one.

    Returns:
        int64 [len(reference)], whose sum is :func:`edit_distance`; without a reference, empty.
    """
    rows, columns = len(reference), len(hypothesis)
    costs = np.zeros((rows + 1, columns + 1), dtype=np.int64)
    costs[:, 0], costs[0] = np.arange(rows + 1), np.arange(columns + 1)
    for row in range(1, rows + 1):
        for column in range(1, columns + 1):
            replaced = costs[row - 1, column - 1] + (reference[row - 1] != hypothesis[column - 1])
            left_out = min(costs[row - 1, column], costs[row, column - 1]) + 1
            costs[row, column] = min(replaced, left_out)
    edits = np.zeros(rows, dtype=np.int64)
    row, column = rows, columns
    while rows and (row or column):
        different = row > 0 and column > 0 and reference[row - 1] != hypothesis[column - 1]
        if row and column and costs[row, column] == costs[row - 1, column - 1] + different:
            edits[row - 1] += different
            row, column = row - 1, column - 1
        elif row and costs[row, column] == costs[row - 1, column] + 1:
            edits[row - 1] += 1
            row -= 1
        else:
            edits[max(0, row - 1)] += 1
            column -= 1
    return edits


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
    "edit_distance",
    "edits_by_phoneme",
    "evaluate_lyrics",
    "lyrics_edits",
    "phoneme_edits",
    "phoneme_error_rate",
    "validate",
]

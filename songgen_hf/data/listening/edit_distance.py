"""Edit distances between two sequences: insertions, deletions and substitutions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


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


__all__ = ["edit_distance", "edits_by_phoneme"]

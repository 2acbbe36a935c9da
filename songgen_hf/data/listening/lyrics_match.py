"""Tells whether lyrics are sung: their likelihood against that of their phonemes in random order.

The edit distance to what a recognizer hears grows with every error of the recognizer, so that its
bound depends on how clear a vocal is. A likelihood ratio does not: both sides hear the same vocal.
"""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import ctc_loss

SHUFFLES = 16


def lyrics_match(
    log_probabilities: np.ndarray,
    lyrics: np.ndarray,
    heard: np.ndarray,
    rng: np.random.Generator,
) -> float:
    """Compute how much of what is heard the lyrics explain.

    With L the log likelihood of a sequence (CTC, all alignments) and R its mean over random orders
    of the phonemes of the lyrics, the match is (L(lyrics) - R) / (L(heard) - R), from 0 to 1.

    Args:
        log_probabilities: float32 [T, classes], class 0 the blank.
        lyrics: int64 [N], the classes of the phonemes of the lyrics.
        heard: int64 [M], those that the recognizer decodes.
        rng: draws the random orders.
    Returns:
        About 1 for lyrics that are sung and 0 for other ones, however clear the vocal is. 0 if the
        lyrics are empty or have more phonemes than can be sung in T frames.
    """
    if not len(lyrics) or 2 * len(lyrics) > len(log_probabilities):
        return 0.0
    frames = torch.from_numpy(log_probabilities)
    orders = [_log_likelihood(frames, rng.permutation(lyrics)) for _ in range(SHUFFLES)]
    least = float(np.mean(orders))
    most = _log_likelihood(frames, heard)
    if most <= least:
        return 0.0
    return float(np.clip((_log_likelihood(frames, lyrics) - least) / (most - least), 0.0, 1.0))


def _log_likelihood(log_probabilities: torch.Tensor, classes: np.ndarray) -> float:
    frames, length = len(log_probabilities), len(classes)
    loss = ctc_loss(
        log_probabilities[:, None],
        torch.from_numpy(classes)[None],
        torch.tensor([frames]),
        torch.tensor([length]),
        reduction="none",
    )
    return -float(loss)


__all__ = ["SHUFFLES", "lyrics_match"]

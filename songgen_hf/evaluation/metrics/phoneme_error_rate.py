"""Are the words sung? The phoneme error rate of what the recognizer hears.

Conventions: a song's error rate is its edits over the phonemes asked for; that of many songs is the
ratio of the sums, so long songs count more and silence scores 1. Above 1 is possible.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..judges.loading import Judges, Waveforms
from ..judges.phonemes import phoneme_edits


def lyrics_edits(
    judges: Judges, waveforms: Waveforms, phonemes: Sequence[Sequence[str]]
) -> tuple[np.ndarray, np.ndarray]:
    """Edits and phonemes of each song, int64 [N] each; the error rate is the ratio of their sums.

    Args:
        judges: with a phoneme recognizer.
        waveforms: vocals or mixtures.
        phonemes: asked for, merged or as espeak-ng names them.
    Raises:
        ValueError: if the numbers differ, or for unknown phonemes.
    """
    return phoneme_edits(phonemes, judges.phonemes(waveforms))


def evaluate_lyrics(
    judges: Judges, waveforms: Waveforms, phonemes: Sequence[Sequence[str]]
) -> dict[str, float]:
    """``{"per": ...}``; arguments and errors as :func:`lyrics_edits`.

    Raises:
        ValueError: also if no song asks for any phoneme.
    """
    edits, lengths = lyrics_edits(judges, waveforms, phonemes)
    if not lengths.sum():
        raise ValueError("got songs without phonemes, expected at least one phoneme in all")
    return {"per": float(edits.sum() / lengths.sum())}


__all__ = ["evaluate_lyrics", "lyrics_edits"]

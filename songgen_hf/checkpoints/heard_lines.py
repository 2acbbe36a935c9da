"""How much of each line of lyrics recognizer-mini hears in a vocal, which tells skipped lines."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch

from ..modeling.audio_io import resample
from ..pipelines.timestamps import LEAST_HEARD
from ..pipelines.word_times import best_path
from .embedded import RECOGNIZER_NAME, find_checkpoint

_AUDIBLE = 0.3  # probability from which a phoneme counts as heard


def heard_lines(
    lines: Sequence[str], language: str, vocal: np.ndarray, sampling_rate: int
) -> list[float] | None:
    """Return the share of the phonemes of each line that are heard, in the order of the lyrics.

    The probabilities of the phonemes in each frame take the place of attention: one path through
    the lyrics never goes back and may leave phonemes out.

    Args:
        lines: lines of the lyrics.
        language: code of their language.
        vocal: [channels, samples].
        sampling_rate: sampling rate in Hz.
    Returns:
        Shares from 0 to 1; None for a language that the recognizer does not know, without
        espeak-ng, which pronounces the lyrics, or without a phoneme or a frame.
    """
    from ..data.listening.log_mels import SAMPLING_RATE, log_mels
    from ..data.listening.spelling import ENGLISH, lyrics_words

    if language not in ENGLISH:
        return None
    try:
        words = lyrics_words("\n".join(lines))
    except ImportError:
        return None
    mono = np.asarray(vocal, np.float32).mean(axis=0)
    network = _recognizer()
    places = {symbol: index + 1 for index, symbol in enumerate(network.config.phonemes)}
    classes = np.array([places[one] for word in words for one in word.phonemes], dtype=int)
    if not len(classes) or len(mono) < sampling_rate // 10:
        return None
    sound = np.ascontiguousarray(resample(mono, sampling_rate, SAMPLING_RATE))
    with torch.no_grad():
        frames = network(log_mels(sound)[None])[1][0]
    weights = frames.softmax(dim=-1).numpy()[:, classes].astype(np.float64)  # [T, N]
    lengths = [len(word.phonemes) for word in words]
    words_of = np.repeat(np.arange(len(words)), lengths)
    lines_of = np.repeat([word.line for word in words], lengths)
    return line_shares(weights, words_of, lines_of, len(lines))


def line_shares(
    weights: np.ndarray, words_of: np.ndarray, lines_of: np.ndarray, num_lines: int
) -> list[float]:
    """Return the share of the phonemes of each line that are heard.

    A line that is not sung takes frames of its neighbors, of which less is heard then. Each line of
    which less than ``LEAST_HEARD`` is heard is therefore read again without the other such lines.

    Args:
        weights: [T, N] probabilities of the phonemes of the lyrics in each frame.
        words_of, lines_of: [N], the word and the line of each phoneme.
        num_lines: number of lines; those without phonemes have the share 1.
    """

    def heard(kept: np.ndarray) -> np.ndarray:
        """The shares of all lines, with a path through some phonemes (bool [N])."""
        shares = np.ones(num_lines)
        if kept.any():
            own, of_line = weights[:, kept], lines_of[kept]
            letter = best_path(own, words_of[kept], None)
            sung = np.flatnonzero(letter >= 0)
            clearest = np.zeros(own.shape[1])
            np.maximum.at(clearest, letter[sung], own[sung, letter[sung]])
            for line in np.unique(of_line):
                shares[line] = (clearest[of_line == line] > _AUDIBLE).mean()
        return shares

    shares = heard(np.ones(len(lines_of), dtype=bool))
    missing = np.flatnonzero(shares < LEAST_HEARD)
    if len(missing) > 1:
        for line in missing:
            shares[line] = heard(~np.isin(lines_of, missing[missing != line]))[line]
    return [float(share) for share in shares]


@cache
def _recognizer() -> Any:
    from ..data.listening.phoneme_recognizer import PhonemeRecognizer

    return PhonemeRecognizer.from_pretrained(find_checkpoint(RECOGNIZER_NAME))


__all__ = ["heard_lines", "line_shares"]

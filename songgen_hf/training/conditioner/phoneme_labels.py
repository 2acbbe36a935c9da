"""The phoneme that each lyrics token stands for, and the phonemes before and after it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...modeling.patterns import IGNORED_LABEL
from ...modeling.processing_songgen import SongGenProcessor
from ..auxiliary.guided_attention import letters, tokens_of_words
from .labels import LYRICS_COLUMNS, Vocabulary

PHONEME_LABELS = ("phoneme", "phoneme_before", "phoneme_after")


@dataclass
class Lyrics:
    """The lyrics of a song, or a line of spoken words.

    Args:
        ids: [P].
        labels: [P] of each of ``PHONEME_LABELS``, -100 if none.
        is_sung: whether they are of a song.
    """

    ids: Tensor
    labels: dict[str, Tensor]
    is_sung: bool = True


def read_lyrics(
    columns: dict[str, list[Any]], vocabulary: Vocabulary, processor: SongGenProcessor
) -> list[Lyrics]:
    """The lyrics of all songs whose sung words are those of the lyrics."""
    if not set(LYRICS_COLUMNS) <= set(columns) or "phonemes" not in vocabulary.values:
        return []
    songs = []
    for row, lyrics in enumerate(columns["lyrics"]):
        sung, phonemes = columns["words"][row], columns["phonemes"][row]
        if not lyrics or not sung or not phonemes:
            continue
        language = (columns["language"][row] if "language" in columns else None) or "en"
        written = tokens_of_words(processor, lyrics, language)
        if [letters(text) for text, _ in written] != [letters(word["word"]) for word in sung]:
            continue
        tagged = processor.tag_lyrics(lyrics, language)
        ids = torch.tensor(processor.lyrics_tokenizer(tagged)["input_ids"])
        classes = [vocabulary.index("phonemes", phoneme["symbol"]) for phoneme in phonemes]
        indices = phonemes_of_tokens(
            [tokens for _, tokens in written], [phoneme["word"] for phoneme in phonemes], len(ids)
        )
        songs.append(Lyrics(ids, _with_neighbors(classes, indices)))
    return songs


def phonemes_of_tokens(
    words: Sequence[Sequence[int]], words_of_phonemes: Sequence[int], num_tokens: int
) -> np.ndarray:
    """The phoneme of each lyrics token: the tokens of a word are spread evenly over its phonemes.

    Args:
        words: positions of the tokens of each word.
        words_of_phonemes: the word of each phoneme.
        num_tokens: P.
    Returns:
        [P] int, indices of phonemes; -100 for tokens without a phoneme.
    """
    indices = np.full(num_tokens, IGNORED_LABEL)
    of_word: dict[int, list[int]] = {}
    for index, word in enumerate(words_of_phonemes):
        of_word.setdefault(word, []).append(index)
    for number, tokens in enumerate(words):
        own = of_word.get(number, [])
        for place, token in enumerate(tokens):
            if own:
                indices[token] = own[int((place + 0.5) / len(tokens) * len(own))]
    return indices


def _with_neighbors(classes: list[int], indices: np.ndarray) -> dict[str, Tensor]:
    """Labels of each of ``PHONEME_LABELS``: the class of a token's phoneme and of its neighbors."""
    padded = np.array([0, *classes, 0])  # 0 is NO_PHONEME
    known = indices != IGNORED_LABEL
    places = np.where(known, indices + 1, 0)
    return {
        name: torch.from_numpy(np.where(known, padded[places + shift], IGNORED_LABEL))
        for name, shift in zip(PHONEME_LABELS, (0, -1, 1), strict=True)
    }


__all__ = ["PHONEME_LABELS", "Lyrics", "phonemes_of_tokens", "read_lyrics"]

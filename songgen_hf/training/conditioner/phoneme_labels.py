"""Which phoneme each lyrics token writes, and which come before and after it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...modeling.patterns import IGNORED_LABEL
from ...modeling.processing_songgen import SongGenProcessor
from ..auxiliary.guided_attention import letters, tokens_of_words
from .labels import SOUND_COLUMNS, Vocabulary

SOUNDS = ("phoneme", "phoneme_before", "phoneme_after")


@dataclass
class Lines:
    """The lyrics of a song: ids [P] and, for each of ``SOUNDS``, targets [P] (-100: no sound)."""

    ids: Tensor
    sounds: dict[str, Tensor]


def read_lines(
    columns: dict[str, list[Any]], vocabulary: Vocabulary, processor: SongGenProcessor
) -> list[Lines]:
    """The lyrics of the songs whose sung words are those of their lyrics."""
    if not set(SOUND_COLUMNS) <= set(columns) or "phonemes" not in vocabulary.values:
        return []
    songs = []
    for row, lyrics in enumerate(columns["lyrics"]):
        sung, phonemes = columns["words"][row], columns["phonemes"][row]
        if not lyrics or not sung or not phonemes:
            continue
        language = columns["language"][row] if "language" in columns else None
        written = tokens_of_words(processor, lyrics, language or "en")
        if [letters(text) for text, _ in written] != [letters(word["word"]) for word in sung]:
            continue
        tagged = processor.tag_lyrics(lyrics, language or "en")
        ids = torch.tensor(processor.lyrics_tokenizer(tagged)["input_ids"])
        symbols = [vocabulary.index("phonemes", phoneme["symbol"]) for phoneme in phonemes]
        places = written_phonemes(
            [tokens for _, tokens in written], [phoneme["word"] for phoneme in phonemes], len(ids)
        )
        songs.append(Lines(ids, _neighbors(symbols, places)))
    return songs


def written_phonemes(
    words: Sequence[Sequence[int]], words_of_phonemes: Sequence[int], num_tokens: int
) -> np.ndarray:
    """The phoneme that each lyrics token writes: a word's tokens spread evenly over its phonemes.

    The inverse of how :func:`.lyrics_alignment.sung_tokens` gives a word's phonemes to its tokens.

    Args:
        words: places of each word's tokens.
        words_of_phonemes: the word of each phoneme.
        num_tokens: P.
    Returns:
        [P] int, places among the phonemes; -100 where a token writes none.
    """
    places = np.full(num_tokens, IGNORED_LABEL)
    of_word: dict[int, list[int]] = {}
    for place, word in enumerate(words_of_phonemes):
        of_word.setdefault(word, []).append(place)
    for number, tokens in enumerate(words):
        own = of_word.get(number, [])
        for index, token in enumerate(tokens):
            if own:
                places[token] = own[int((index + 0.5) / len(tokens) * len(own))]
    return places


def _neighbors(symbols: list[int], places: np.ndarray) -> dict[str, Tensor]:
    """Targets of each of ``SOUNDS``: the phoneme of each token, the one before, the one after."""
    padded = np.array([0, *symbols, 0])  # 0: NO_PHONEME
    sounding = places != IGNORED_LABEL
    return {
        name: torch.from_numpy(
            np.where(sounding, padded[np.where(sounding, places + 1, 0) + shift], IGNORED_LABEL)
        )
        for name, shift in zip(SOUNDS, (0, -1, 1), strict=True)
    }


__all__ = ["SOUNDS", "Lines", "read_lines", "written_phonemes"]

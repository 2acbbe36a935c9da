"""The corpus' true songs that sung ones are compared with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ...data.corpus.rows import read_sound
from ..judges.loading import Judges
from ..judges.log_mels import SAMPLING_RATE
from ..metrics.frechet_distance import Moments, semantic_moments
from .prompts import Prompt, corpus_rows

HELD_OUT = ("validation", "test")
_COLUMNS = ("song_id", "mixture", "vocal", "accompaniment", "sampling_rate")


class TrueSongs:
    """Held-out songs by their ids, their sound decoded when asked for.

    Args:
        folder: of the corpus.
        judges: whose voice embeddings are compared.
        splits: to read.
    Raises:
        FileNotFoundError: if a split is missing.
        ValueError: for songs of another rate than the judges'.
    """

    def __init__(self, folder: Path | str, judges: Judges, splits: Sequence[str] = HELD_OUT):
        rows = [row for split in splits for row in corpus_rows(folder, split, columns=_COLUMNS)]
        rates = {row.pop("sampling_rate") for row in rows}
        if rates != {SAMPLING_RATE}:
            raise ValueError(
                f"{folder} has songs at {', '.join(map(str, sorted(rates)))} Hz, expected "
                f"{SAMPLING_RATE}; render it with songgen-hf corpus"
            )
        self._rows: dict[str, Any] = {row["song_id"]: row for row in rows}
        self._judges = judges
        self.voice_embedding = lru_cache(maxsize=None)(self._voice_embedding)

    def sound(self, song_id: str, column: str = "mixture") -> np.ndarray:
        """float32 [S] at 16 kHz.

        Raises:
            ValueError: for a song that these splits do not hold.
        """
        if song_id not in self._rows:
            raise ValueError(
                f"no song {song_id!r} among {len(self._rows)}: the prompts were made of another "
                "corpus; render the one of seed 0 or make prompts of yours with songgen-hf "
                "evaluate prompts"
            )
        return read_sound(self._rows[song_id], column)

    def voice(self, song_id: str) -> tuple[np.ndarray, int]:
        """The vocal of a song with its rate in Hz, as a reference voice."""
        return self.sound(song_id, "vocal"), SAMPLING_RATE

    def moments_besides(self, codec: Any, prompts: Sequence[Prompt]) -> Moments:
        """Of the semantic features of all mixtures but those of the prompts' own songs.

        Raises:
            ValueError: if no song is left.
        """
        own = {prompt.id for prompt in prompts}
        others = (self.sound(song_id) for song_id in self._rows if song_id not in own)
        return Moments.pooled(_each(codec, others))

    def _voice_embedding(self, song_id: str) -> np.ndarray:
        return self._judges.voice_embedding([self.sound(song_id, "vocal")])[0]


def _each(codec: Any, waveforms: Iterator[np.ndarray]) -> Iterator[Moments]:
    for waveform in waveforms:
        yield from semantic_moments(codec, [waveform])


__all__ = ["HELD_OUT", "TrueSongs"]

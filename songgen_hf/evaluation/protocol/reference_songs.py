"""Songs of the corpus that generated songs are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ...data.corpus.rows import read_sound
from ...data.listening.log_mels import SAMPLING_RATE
from ...data.listening.phonemes import merge_phonemes
from ..judges.loading import Judges
from ..metrics.frechet_distance import Moments, semantic_moments
from .prompts import Prompt, corpus_rows

HELD_OUT_SPLITS = ("validation", "test")
_COLUMNS = (
    "song_id", "mixture", "vocal", "accompaniment", "sampling_rate", "phonemes", "words",
    "unseen_words",
)  # fmt: skip


class ReferenceSongs:
    """Songs of held-out splits by their ids, decoded when they are needed.

    Args:
        folder: folder of the corpus.
        judges: judges whose voice embeddings are compared.
        splits: splits to read.
    Raises:
        FileNotFoundError: if a split is missing.
        ValueError: for songs of another rate than that of the judges.
    """

    def __init__(
        self, folder: Path | str, judges: Judges, splits: Sequence[str] = HELD_OUT_SPLITS
    ) -> None:
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

    def waveform(self, song_id: str, column: str = "mixture") -> np.ndarray:
        """Return the mixture, vocal or accompaniment of a song, float32 [S] at 16 kHz.

        Raises:
            ValueError: for a song that the splits do not contain.
        """
        return read_sound(self._row(song_id), column)

    def _row(self, song_id: str) -> dict[str, Any]:
        if song_id not in self._rows:
            raise ValueError(
                f"no song {song_id!r} among {len(self._rows)}: the prompts belong to another "
                "corpus; render the corpus of seed 0, or make prompts of yours with songgen-hf "
                "evaluate prompts"
            )
        return self._rows[song_id]

    def unseen_phonemes(self, song_id: str) -> np.ndarray:
        """Return which merged phonemes of a song belong to words of no training song, bool [N]."""
        row = self._row(song_id)
        unseen = set(row["unseen_words"] or ())
        of_words = [word["word"] in unseen for word in row["words"]]
        return np.array(
            [
                of_words[phoneme["word"]]
                for phoneme in row["phonemes"]
                for _ in merge_phonemes([phoneme["symbol"]])
            ],
            dtype=bool,
        )

    def reference_voice(self, song_id: str) -> tuple[np.ndarray, int]:
        """Return the vocal of a song and its rate in Hz."""
        return self.waveform(song_id, "vocal"), SAMPLING_RATE

    def moments_excluding(self, codec: Any, prompts: Sequence[Prompt]) -> Moments:
        """Return the moments of all mixtures but those of the prompts' own songs.

        Raises:
            ValueError: if no song is left.
        """
        own = {prompt.id for prompt in prompts}
        others = (song_id for song_id in self._rows if song_id not in own)
        # One by one, since the waveforms of a corpus fill gigabytes.
        return Moments.pooled(semantic_moments(codec, [self.waveform(one)])[0] for one in others)

    def _voice_embedding(self, song_id: str) -> np.ndarray:
        return self._judges.voice_embedding([self.waveform(song_id, "vocal")])[0]


__all__ = ["HELD_OUT_SPLITS", "ReferenceSongs"]

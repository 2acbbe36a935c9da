"""Packed songs: codes, ids of captions and lyrics, labels and voices, as memory-mapped columns.

``packing.py`` writes them. Reading one song takes microseconds and needs neither pyarrow nor a
tokenizer; :class:`SongDataset` and :class:`SongCollator` make the same batches of it as of the
parquet row that it was packed from.
"""

import hashlib
import json
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np

from ...data.packed import PackedShard, PackedTable
from ...modeling.patterns import IGNORED_LABEL
from ..auxiliary.frame_labels import CATEGORY_COLUMNS

CODE_COLUMNS = ("codes", "vocal_codes", "accompaniment_codes")
INTEGER_COLUMNS = ("num_frames", "mixture_epoch")
NO_NAME = -1


class PackedSong:
    """One song of a shard, with the values that :class:`SongDataset` asks a row for.

    Args:
        songs: the songs that it belongs to.
        shard: its shard.
        number: its number in the shard.
    """

    def __init__(self, songs: "PackedSongs", shard: PackedShard, number: int):
        self.songs, self.shard, self.number = songs, shard, number

    def codes(self, name: str) -> np.ndarray:
        """The codes of a column, [K, T]."""
        return self.shard.row(self.number, name).T

    def value(self, name: str | None) -> Any:
        """The value of a parquet column, as ids where it was text; None if there is none."""
        if name is None or name not in self.songs.column_names:
            return None
        if name == "captions":
            return self._parts("text")
        if name == "lyrics":
            ids = self._row("lyrics")
            return ids if len(ids) else None
        if name == "words":
            tokens = self._row("sung_tokens")
            return tokens if len(tokens) else None
        if name == "phonemes":
            phonemes = self._row("phonemes")
            return self.songs.phoneme_ids(self.shard)[phonemes] if len(phonemes) else None
        if name == self.songs.voice_column:
            return [(clip, self.songs.voice_rate) for clip in self._parts("voice")]
        if name in (*CATEGORY_COLUMNS, "language"):
            place = int(self._row(name)[0])
            return None if place == NO_NAME else self.shard.facts["names"][name][place]
        if name == "tempo":
            tempo = float(self._row(name)[0])
            return None if np.isnan(tempo) else tempo
        return int(self._row(name)[0]) if name in INTEGER_COLUMNS else None

    def _row(self, name: str) -> np.ndarray:
        return self.shard.row(self.number, name)

    def _parts(self, name: str) -> list[np.ndarray]:
        """The values of a column that has several parts in each song."""
        ends = np.cumsum(self._row(f"{name}_lengths"), dtype=np.int64)[:-1]
        return np.split(self._row(name), ends) if len(self._row(f"{name}_lengths")) else []


class PackedSongs(PackedTable):
    """The songs of one split of a packed folder, in place of a ``datasets.Dataset``."""

    @cached_property
    def column_names(self) -> list[str]:
        """Names of the parquet columns that were packed."""
        return self.index["columns"]

    @property
    def voice_column(self) -> str | None:
        """Name of the audio column of the packed voices."""
        return self.index["voice"]["column"]

    @property
    def voice_rate(self) -> int:
        """Sampling rate of the packed voices, in Hz."""
        return self.index["voice"]["sampling_rate"]

    def __getitem__(self, row: int) -> PackedSong:
        return PackedSong(self, *self.place(row))

    def num_frames(self, column: str) -> np.ndarray:
        """Number of frames of every song, [N] int64."""
        if "num_frames" not in self.column_names:
            return self.lengths(column)
        return self.integers("num_frames")

    def integers(self, column: str) -> np.ndarray:
        """The values of a column that has one integer in each song, [N] int64."""
        values = [shard.columns[column] for shard in self.shards]
        return np.concatenate(values).astype(np.int64)[self.kept]

    def phoneme_ids(self, shard: PackedShard) -> np.ndarray:
        """Ids of a shard's phonemes -> ids of the folder's; both begin with silence, 0."""
        if shard.path not in self._phoneme_ids:
            names = shard.facts["names"]["phonemes"]
            place = {name: number for number, name in enumerate(self.index["phonemes"], 1)}
            self._phoneme_ids[shard.path] = np.array([0, *(place[name] for name in names)])
        return self._phoneme_ids[shard.path]

    @cached_property
    def _phoneme_ids(self) -> dict[Any, np.ndarray]:
        return {}

    def distinct(self, column: str) -> list[str]:
        """The sorted names that occur in a column of the kept songs."""
        found: set[str] = set()
        stored = "phoneme_names" if column == "phonemes" else column
        shard_of = np.searchsorted(self.firsts, self.kept, side="right") - 1
        for number in np.unique(shard_of):
            shard = self.shards[number]
            kept = self.kept[shard_of == number] - self.firsts[number]
            values: Iterable[int]
            if len(kept) == shard.facts["last"] - shard.facts["first"]:
                values = np.unique(shard.columns[stored])
            else:
                values = {int(value) for row in kept for value in shard.row(row, stored)}
            names = shard.facts["names"][column]
            found |= {names[value] for value in values if value != NO_NAME}
        return sorted(found)

    def add_ids(self, song: dict[str, Any]) -> None:
        """Add to a song of the dataset what the collator takes in place of its text."""
        text, lyrics, words = song["text"], song["lyrics"], song["words"]
        null = self.index["null_ids"]
        song["text_ids"] = np.array(null["text"]) if text is None else text
        song["lyrics_ids"] = (
            np.array(null["lyrics"][song["language"]]) if lyrics is None else lyrics
        )
        num_frames = song["codes"].shape[-1]
        sung = lyrics is not None and words is not None
        song["sung_tokens"] = words if sung else np.full(num_frames, IGNORED_LABEL)

    def check(self, processor: Any) -> None:
        """Check that the songs were packed for the tokenizers and the voices of a processor.

        Raises:
            ValueError: naming what differs.
        """
        expected = {
            "text tokenizer": vocabulary_digest(processor.tokenizer),
            "lyrics tokenizer": vocabulary_digest(processor.lyrics_tokenizer),
        }
        found = {name: self.index["tokenizers"][name] for name in expected}
        if self.voice_column is not None:
            expected["sampling rate of voices"] = processor.voice_feature_extractor.sampling_rate
            found["sampling rate of voices"] = self.voice_rate
        for name, value in expected.items():
            if found[name] != value:
                raise ValueError(
                    f"{self.folder} was packed for another {name} ({found[name]}) than the model's "
                    f"({value}): pack it with songgen-hf prepare pack --model and this model"
                )


def vocabulary_digest(tokenizer: Any) -> str:
    """A short digest of the tokens and ids of a tokenizer, the same for every library version."""
    content = json.dumps(sorted(tokenizer.get_vocab().items()))
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def packed_voice(
    clips: list[tuple[np.ndarray, int]], place: float, seconds: float
) -> dict[str, Any]:
    """The voice of a song and where its used part starts.

    Args:
        clips: one whole recording [S], or several clips of which one is taken.
        place: 0 to 1, which clip, or which part of the recording.
        seconds: duration of the used part.
    """
    if not clips:
        return {}
    if len(clips) > 1:
        return {"voice": clips[min(int(place * len(clips)), len(clips) - 1)]}
    waveform, rate = clips[0]
    return {
        "voice": clips[0],
        "voice_start": place * max(0.0, len(waveform) / rate - seconds),
    }


__all__ = ["PackedSong", "PackedSongs", "packed_voice", "vocabulary_digest"]

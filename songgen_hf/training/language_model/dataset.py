"""Songs as codes parquet: which are trained on, in which order, and what the model sees of each.

Every random choice about a song (which caption, which three seconds of voice, which conditions are
hidden) follows from the run's seed, the epoch and the song's index alone: never from the batch, the
process or what was drawn before. So a resumed run and any number of processes see the same songs.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from ...modeling.configuration_songgen import SongGenConfig
from ...modeling.processing_songgen import DEFAULT_VOICE_SECONDS
from ...optional import require
from ..auxiliary.frame_labels import SOUND_COLUMNS
from ..options import DataOptions

CORRUPTED_FRAMES = (2, 16)  # shortest and longest wrong stretch: about a phoneme
REQUIRED_COLUMNS = {1: ("codes",), 2: ("accompaniment_codes", "vocal_codes")}
CAPTION_COLUMNS = ("captions", "caption", "text")
OPTIONAL_COLUMNS = ("id", "song_id", "lyrics", "language", "num_frames", *CAPTION_COLUMNS)
KNOWN_COLUMNS = ("words", "phonemes", *SOUND_COLUMNS)


def read_songs(dataset: str, split: str) -> Any:
    """The rows of one split as a ``datasets.Dataset``.

    Args:
        dataset: a folder or file of parquet, or a Hub id.
        split: its name, as ``datasets`` finds it (files ``train-*.parquet``, ...).
    Raises:
        ValueError: if there is no such split.
        OSError: if there is nothing of that name.
    """
    datasets = require("datasets", "train")
    path = Path(dataset)
    if path.is_file():
        return datasets.load_dataset("parquet", data_files={split: str(path)}, split=split)
    if path.is_dir() and not list(path.rglob("*.parquet")):
        raise FileNotFoundError(
            f"{dataset} holds no parquet files; write them with songgen-hf prepare codes"
        )
    return datasets.load_dataset(dataset, split=split)


class SongDataset(Dataset):
    """Rows of codes parquet as the collator takes them.

    Columns: ``codes`` (mixture) or ``accompaniment_codes`` and ``vocal_codes``, each int [K, T];
    also read where present: ``captions`` (list) or ``caption``, ``lyrics``, ``language``,
    ``num_frames``, an audio column for the reference voice, ``id``, ``words`` and ``phonemes`` with
    their times (see ``lyrics_alignment.py``), and what else sounds (see ``sound_targets.py``).

    Args:
        rows: ``datasets.Dataset``.
        config: of the model that is trained.
        options: filters and dropout.
        seed: of every choice.
        training: hide conditions; else every condition is given, and the first caption.
        voice_seconds: seconds of voice that the processor takes.
    Raises:
        ValueError: if columns are missing or no song is left.
    """

    def __init__(
        self,
        rows: Any,
        config: SongGenConfig,
        options: DataOptions,
        *,
        seed: int = 0,
        training: bool = True,
        voice_seconds: float = DEFAULT_VOICE_SECONDS,
    ):
        decoder: Any = config.decoder
        self.num_tracks = decoder.num_tracks
        self.num_codebooks = decoder.num_codebooks
        self.codebook_size = decoder.codebook_size
        self.voice_seconds = voice_seconds
        self.options = options
        self.seed = seed
        self.training = training
        self.code_columns = REQUIRED_COLUMNS[self.num_tracks]
        if decoder.add_vocal_loss:
            self.code_columns += ("vocal_codes",)
        missing = [name for name in self.code_columns if name not in rows.column_names]
        if missing:
            raise ValueError(
                f"the dataset lacks {' and '.join(missing)}, which {decoder.track_pattern} needs: "
                f"it has {', '.join(rows.column_names)}; write it with songgen-hf prepare codes"
            )
        voice = options.voice_column
        self.voice_column = voice if voice in rows.column_names else None
        columns = [*self.code_columns, *OPTIONAL_COLUMNS, *KNOWN_COLUMNS, self.voice_column]
        rows = rows.select_columns([name for name in columns if name in rows.column_names])
        if self.voice_column is not None:
            audio = require("datasets", "train").Audio(decode=False)
            rows = rows.cast_column(self.voice_column, audio)
        self.lengths = num_frames_of(rows, self.code_columns[0])
        kept = np.flatnonzero(self._fits(self.lengths, config.frame_rate))
        if len(kept) == 0:
            raise ValueError(
                f"no song of {len(rows)} lasts {options.min_seconds} to {options.max_seconds} s; "
                "change --min-seconds or --max-seconds"
            )
        if len(kept) < len(rows):
            rows, self.lengths = rows.select(kept), self.lengths[kept]
        self.rows = rows.with_format("arrow")

    def _fits(self, lengths: np.ndarray, frame_rate: float) -> np.ndarray:
        seconds = lengths / frame_rate
        longest = self.options.max_seconds
        fits = (seconds >= self.options.min_seconds) & (lengths > 0)
        return fits if longest is None else fits & (seconds <= longest)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: int | tuple[int, int]) -> dict[str, Any]:
        """One song; ``key`` is (epoch, index), or an index of epoch 0."""
        epoch, index = key if isinstance(key, tuple) else (0, key)
        row = self.rows[index]
        random = np.random.default_rng([self.seed, epoch, index])
        chances = random.random(4)
        tracks = [self._codes(row, name, index) for name in self.code_columns[: self.num_tracks]]
        num_frames = min(track.shape[-1] for track in tracks)
        song: dict[str, Any] = {
            "codes": torch.stack([track[:, :num_frames] for track in tracks]),
            "text": self._caption(row, random),
            "lyrics": value_of(row, "lyrics"),
            "language": value_of(row, "language") or "en",
            "voice": None,
            "voice_start": 0.0,
        }
        for name in KNOWN_COLUMNS:
            song[name] = value_of(row, name)
        if len(self.code_columns) > self.num_tracks:
            song["vocal_codes"] = self._codes(row, self.code_columns[-1], index)[None]
        if self.voice_column is not None:
            song |= self._voice(row, random)
        if self.training:
            options = self.options
            jointly = chances[3] < options.joint_dropout
            for name, chance, dropout in (
                ("text", chances[0], options.text_dropout),
                ("lyrics", chances[1], options.lyrics_dropout),
                ("voice", chances[2], options.voice_dropout),
            ):
                if jointly or chance < dropout:
                    song[name] = None
            if options.history_corruption or options.foreign_history:
                own = np.random.default_rng([self.seed, epoch, index, 1])
                heard = corrupted(song["codes"], options.history_corruption, own)
                if own.random() < options.foreign_history:
                    other = int(own.integers(len(self)))
                    name = self.code_columns[0]
                    self._begin_with(heard[0], self._codes(self.rows[other], name, other), own)
                song["heard_codes"] = heard
        return song

    @staticmethod
    def _begin_with(track: Tensor, other: Tensor, random: np.random.Generator) -> None:
        """Overwrite a random first part of a track [K, T] with another song's beginning."""
        place = int(random.integers(min(track.shape[-1], other.shape[-1]) + 1))
        track[:, :place] = other[:, :place]

    def _codes(self, row: Any, name: str, index: int) -> Tensor:
        array = row.column(name).chunk(0)
        levels = array.flatten()
        values = levels.flatten().to_numpy(zero_copy_only=False)
        where = f"{name} of song {value_of(row, 'id') or index}"
        if len(levels) != self.num_codebooks or len(values) % self.num_codebooks:
            raise ValueError(
                f"{where}: got {len(levels)} codebooks, expected {self.num_codebooks} of one "
                "length; prepare the codes with the codec of this model"
            )
        if len(values) and not 0 <= values.min() <= values.max() < self.codebook_size:
            raise ValueError(
                f"{where}: got codes from {values.min()} to {values.max()}, expected 0 to "
                f"{self.codebook_size - 1}; prepare the codes with the codec of this model"
            )
        return torch.from_numpy(values.astype(np.int64)).view(self.num_codebooks, -1)

    def _caption(self, row: Any, random: np.random.Generator) -> str | None:
        for name in CAPTION_COLUMNS:
            found = value_of(row, name)
            if isinstance(found, list):
                if found:
                    return found[int(random.integers(len(found))) if self.training else 0]
            elif found is not None:
                return found
        return None

    def _voice(self, row: Any, random: np.random.Generator) -> dict[str, Any]:
        audio = value_of(row, self.voice_column)
        if audio is None or (audio.get("bytes") is None and audio.get("path") is None):
            return {}
        place = random.random() if self.training else 0.0
        return {
            "voice": audio,
            "voice_start": place * max(0.0, seconds_of(audio) - self.voice_seconds),
        }


def corrupted(codes: Tensor, share: float, random: np.random.Generator) -> Tensor:
    """Codes with stretches from elsewhere in the song, each track by itself.

    A model that has only seen true pasts trusts its own, and a wrong sound leads to the next
    (exposure bias; scheduled sampling, arXiv 1506.03099, draws the wrong past from the model, which
    costs a second pass). A stretch of the same track has the right voice and the wrong sound, as
    a mistake would.

    Args:
        codes: [tracks, K, T].
        share: of the frames, about.
        random: all draws.
    """
    shortest, longest = CORRUPTED_FRAMES
    num_frames = codes.shape[-1]
    number = round(share * num_frames / ((shortest + longest) / 2))
    wrong = codes.clone()
    for track in range(len(codes)):
        for _ in range(number):
            size = min(int(random.integers(shortest, longest + 1)), num_frames)
            place, source = random.integers(num_frames - size + 1, size=2)
            wrong[track, :, place : place + size] = codes[track, :, source : source + size]
    return wrong


def value_of(row: Any, name: str | None) -> Any:
    """The Python value of a column of a one-row arrow table; None if there is no such column."""
    return row.column(name)[0].as_py() if name in row.column_names else None


def seconds_of(audio: dict[str, Any]) -> float:
    """Duration of encoded audio, from its header."""
    import io

    import soundfile

    data = audio.get("bytes")
    return soundfile.info(audio["path"] if data is None else io.BytesIO(data)).duration


def num_frames_of(rows: Any, column: str) -> np.ndarray:
    """Frames T of every row, [N] int64, from ``num_frames`` or from the codes."""
    if "num_frames" in rows.column_names:
        return np.asarray(rows["num_frames"][:], dtype=np.int64)
    compute = require("pyarrow.compute", "train")
    lengths = [
        compute.list_value_length(compute.list_element(table.column(column), 0)).to_numpy()
        for table in rows.with_format("arrow").iter(1000)
    ]
    return np.concatenate(lengths).astype(np.int64)


class SongSampler(Sampler):
    """Order of the songs of an epoch: keys (epoch, index).

    Grouping by length shuffles, cuts the order into pieces of many batches, and sorts each piece,
    so that a batch holds songs of about the same length; the longest batch comes first, so that a
    run that does not fit in memory fails at once.

    Args:
        lengths: of the songs.
        batch_size: songs that are trained on together, over all processes.
        seed: of the order.
        strategy: "group_by_length", "random" or "sequential".
    """

    PIECE = 50

    def __init__(self, lengths: Sequence[int], batch_size: int, *, seed: int, strategy: str):
        if strategy not in ("group_by_length", "random", "sequential"):
            raise ValueError(
                f"unknown train_sampling_strategy: got {strategy!r}, expected group_by_length, "
                "random or sequential"
            )
        self.lengths = np.asarray(lengths)
        self.batch_size = batch_size
        self.seed = seed
        self.strategy = strategy
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter([(self.epoch, int(index)) for index in self.order()])

    def order(self) -> np.ndarray:
        """Indices of this epoch."""
        if self.strategy == "sequential":
            return np.arange(len(self))
        random = np.random.default_rng([self.seed, self.epoch])
        order = random.permutation(len(self))
        if self.strategy == "random":
            return order
        size = self.batch_size * self.PIECE
        pieces = [order[start : start + size] for start in range(0, len(order), size)]
        order = np.concatenate([p[np.argsort(-self.lengths[p], kind="stable")] for p in pieces])
        whole = len(order) // self.batch_size
        batches = order[: whole * self.batch_size].reshape(whole, self.batch_size)
        shuffled = random.permutation(whole)
        if whole:
            longest = int(np.argmax(self.lengths[batches].max(axis=1)))
            shuffled = np.concatenate([[longest], shuffled[shuffled != longest]])
        return np.concatenate([batches[shuffled].flatten(), order[whole * self.batch_size :]])


__all__ = ["SongDataset", "SongSampler", "corrupted", "read_songs"]

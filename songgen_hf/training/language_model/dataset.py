"""The songs of a codes parquet, or packed ones, as a dataset, and the sampler that orders them.

Every random choice about a song (caption, three seconds of voice, conditions that are left out)
follows from the seed of the run, the epoch and the index of the song alone, never from the batch,
the process or earlier choices. A resumed run, and any number of processes, get the same songs.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from ...data.packed import is_packed
from ...data.tables import load_rows
from ...modeling.configuration_songgen import SongGenConfig
from ...modeling.processing_songgen import DEFAULT_VOICE_SECONDS
from ...optional import require
from ..auxiliary.frame_labels import FRAME_LABEL_COLUMNS
from ..options import DataOptions
from .packed_songs import PackedSong, PackedSongs, packed_voice

CORRUPTED_FRAMES = (2, 16)  # shortest and longest corrupted span: about a phoneme
REQUIRED_COLUMNS = {1: ("codes",), 2: ("accompaniment_codes", "vocal_codes")}
CAPTION_COLUMNS = ("captions", "caption", "text")
MIXTURE_COLUMN = "mixture_epoch"
OPTIONAL_COLUMNS = (
    *("id", "song_id", "lyrics", "language", "num_frames", MIXTURE_COLUMN),
    *CAPTION_COLUMNS,
)
ANNOTATION_COLUMNS = ("words", "phonemes", *FRAME_LABEL_COLUMNS)


def read_songs(dataset: str, split: str) -> Any:
    """The rows of one split as a ``datasets.Dataset``, or :class:`PackedSongs`.

    Args:
        dataset: a folder or file of parquet, a Hub id, or a folder of packed songs.
        split: name of the split, as ``datasets`` finds it (files ``train-*.parquet``, ...).
    Raises:
        ValueError: if there is no such split, or packed songs are incomplete.
        OSError: if there is no such dataset.
    """
    return PackedSongs(dataset, split) if is_packed(dataset) else load_rows(dataset, split)


class SongDataset(Dataset):
    """The songs of a codes parquet as the collator takes them.

    Required columns are ``codes`` (mixture) or ``accompaniment_codes`` and ``vocal_codes``, each
    int [K, T]. Optional columns are ``captions`` (list) or ``caption``, ``lyrics``, ``language``,
    ``num_frames``, ``id``, an audio column for the reference voice, ``words`` and ``phonemes`` with
    times (see ``guided_attention.py``), and the labels of ``frame_labels.py``. Rows with a
    ``mixture_epoch`` that is not negative are mixtures of two songs for that epoch alone, see
    :class:`SongSampler`.

    Args:
        rows: ``datasets.Dataset`` or :class:`PackedSongs`.
        config: configuration of the model.
        options: filters and dropout.
        seed: seed of every random choice.
        training: apply dropout; otherwise all conditions are given, with the first caption.
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
        if not isinstance(rows, PackedSongs):
            rows = self._with_needed_columns(rows)
        self.lengths = num_frames_of(rows, self.code_columns[0])
        kept = np.flatnonzero(self._fits(self.lengths, config.frame_rate))
        if len(kept) == 0:
            raise ValueError(
                f"no song of {len(rows)} lasts {options.min_seconds} to {options.max_seconds} s; "
                "change --min-seconds or --max-seconds"
            )
        self.mixture_epochs = mixture_epochs_of(rows)[kept]
        if len(kept) < len(rows):
            rows, self.lengths = rows.select(kept), self.lengths[kept]
        self.rows = rows if isinstance(rows, PackedSongs) else rows.with_format("arrow")

    def _with_needed_columns(self, rows: Any) -> Any:
        columns = [*self.code_columns, *OPTIONAL_COLUMNS, *ANNOTATION_COLUMNS, self.voice_column]
        rows = rows.select_columns([name for name in columns if name in rows.column_names])
        if self.voice_column is None:
            return rows
        audio = require("datasets", "train").Audio(decode=False)
        return rows.cast_column(self.voice_column, audio)

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
        for name in ANNOTATION_COLUMNS:
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
                random = np.random.default_rng([self.seed, epoch, index, 1])
                codes = corrupted(song["codes"], options.history_corruption, random)
                if random.random() < options.foreign_history:
                    other = int(random.integers(len(self)))
                    foreign = self._codes(self.rows[other], self.code_columns[0], other)
                    length = int(random.integers(min(num_frames, foreign.shape[-1]) + 1))
                    codes[0, :, :length] = foreign[:, :length]
                song["input_codes"] = codes
        if isinstance(self.rows, PackedSongs):
            self.rows.add_ids(song)
        return song

    def _codes(self, row: Any, name: str, index: int) -> Tensor:
        values, num_codebooks = codes_of(row, name)
        where = f"{name} of song {value_of(row, 'id') or index}"
        if num_codebooks != self.num_codebooks or values.size % self.num_codebooks:
            raise ValueError(
                f"{where}: got {num_codebooks} codebooks, expected {self.num_codebooks} of one "
                "length; prepare the codes with the codec of this model"
            )
        if values.size and not 0 <= values.min() <= values.max() < self.codebook_size:
            raise ValueError(
                f"{where}: got codes from {values.min()} to {values.max()}, expected 0 to "
                f"{self.codebook_size - 1}; prepare the codes with the codec of this model"
            )
        return torch.from_numpy(values.astype(np.int64, order="C")).view(self.num_codebooks, -1)

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
        if isinstance(audio, list):
            place = random.random() if self.training else 0.0
            return packed_voice(audio, place, self.voice_seconds)
        if audio is None or (audio.get("bytes") is None and audio.get("path") is None):
            return {}
        place = random.random() if self.training else 0.0
        return {
            "voice": audio,
            "voice_start": place * max(0.0, seconds_of(audio) - self.voice_seconds),
        }


def corrupted(codes: Tensor, share: float, random: np.random.Generator) -> Tensor:
    """Replace spans of codes by spans from elsewhere in the song, in each track independently.

    A model that is trained on true codes only does not recover from its own mistakes (exposure
    bias). Scheduled sampling (arXiv 1506.03099) trains it on samples of its own, which takes a
    second forward pass; a span of the same track is as wrong as a mistake and has the right voice.

    Args:
        codes: [tracks, K, T].
        share: approximate share of the frames to replace.
        random: source of all random numbers.
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
    """The value of a column of a packed song or of an arrow table with one row, or None."""
    if isinstance(row, PackedSong):
        return row.value(name)
    return row.column(name)[0].as_py() if name in row.column_names else None


def codes_of(row: Any, name: str) -> tuple[np.ndarray, int]:
    """The codes of a row, codebook by codebook, and the number of codebooks."""
    if isinstance(row, PackedSong):
        codes = row.codes(name)
        return codes, len(codes)
    levels = row.column(name).chunk(0).flatten()
    return levels.flatten().to_numpy(zero_copy_only=False), len(levels)


def seconds_of(audio: dict[str, Any]) -> float:
    """Duration of encoded audio, read from its header."""
    import io

    import soundfile

    data = audio.get("bytes")
    return soundfile.info(audio["path"] if data is None else io.BytesIO(data)).duration


def num_frames_of(rows: Any, column: str) -> np.ndarray:
    """Number of frames of every row, [N] int64, from ``num_frames`` or from the codes."""
    if isinstance(rows, PackedSongs):
        return rows.num_frames(column)
    if "num_frames" in rows.column_names:
        return np.asarray(rows["num_frames"][:], dtype=np.int64)
    compute = require("pyarrow.compute", "train")
    lengths = [
        compute.list_value_length(compute.list_element(table.column(column), 0)).to_numpy()
        for table in rows.with_format("arrow").iter(1000)
    ]
    return np.concatenate(lengths).astype(np.int64)


def mixture_epochs_of(rows: Any) -> np.ndarray:
    """The epoch of each mixture and -1 for each song, [N] int64."""
    if MIXTURE_COLUMN not in rows.column_names:
        return np.full(len(rows), -1)
    if isinstance(rows, PackedSongs):
        return rows.integers(MIXTURE_COLUMN)
    return np.asarray(rows[MIXTURE_COLUMN][:], dtype=np.int64)


class SongSampler(Sampler):
    """The order of the songs of an epoch, as keys (epoch, index).

    Grouping by length shuffles the songs, splits the order into groups of many batches, and sorts
    each group, so that the songs of a batch have similar lengths. The longest batch comes first, so
    that a run that does not fit into memory fails immediately.

    Every epoch has all songs and the mixtures that ``prepare codes --mixture-epochs`` has drawn for
    it; after the last of these epochs, they come again. Where filters have left different numbers
    of mixtures, epochs have the smallest of them, so that all epochs are equally long.

    Args:
        lengths: lengths of the songs.
        batch_size: number of songs in the batches of all processes together.
        seed: seed of the order.
        strategy: "group_by_length", "random" or "sequential".
        mixture_epochs: epoch of each row that is a mixture, negative for songs; None for songs
            alone.
    """

    BATCHES_PER_GROUP = 50

    def __init__(
        self,
        lengths: Sequence[int],
        batch_size: int,
        *,
        seed: int,
        strategy: str,
        mixture_epochs: np.ndarray | None = None,
    ):
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
        own = np.full(len(self.lengths), -1) if mixture_epochs is None else mixture_epochs
        self.songs = np.flatnonzero(own < 0)
        mixtures = [np.flatnonzero(own == epoch) for epoch in range(own.max(initial=-1) + 1)]
        fewest = min(map(len, mixtures), default=0)
        self.mixtures = [rows[:fewest] for rows in mixtures]

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch whose order comes next."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.songs) + (len(self.mixtures[0]) if self.mixtures else 0)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter([(self.epoch, int(index)) for index in self.order()])

    def order(self) -> np.ndarray:
        """Indices of the songs in the order of the current epoch."""
        rows = self.songs
        if self.mixtures:
            rows = np.concatenate([rows, self.mixtures[self.epoch % len(self.mixtures)]])
        if self.strategy == "sequential":
            return rows
        random = np.random.default_rng([self.seed, self.epoch])
        order = rows[random.permutation(len(rows))]
        if self.strategy == "random":
            return order
        size = self.batch_size * self.BATCHES_PER_GROUP
        groups = [order[start : start + size] for start in range(0, len(order), size)]
        order = np.concatenate([g[np.argsort(-self.lengths[g], kind="stable")] for g in groups])
        whole = len(order) // self.batch_size
        batches = order[: whole * self.batch_size].reshape(whole, self.batch_size)
        shuffled = random.permutation(whole)
        if whole:
            longest = int(np.argmax(self.lengths[batches].max(axis=1)))
            shuffled = np.concatenate([[longest], shuffled[shuffled != longest]])
        return np.concatenate([batches[shuffled].flatten(), order[whole * self.batch_size :]])


__all__ = ["SongDataset", "SongSampler", "corrupted", "read_songs"]

"""The training songs of the judges: mels of both stems with labels, in memory.

An hour of songs takes 115 MB.
"""

from __future__ import annotations

import glob
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from transformers.utils.logging import tqdm

from ...data.corpus.rows import read_sound
from ...data.listening.log_mels import FRAME_RATE, NUM_MELS, SAMPLING_RATE, mel_power
from ...data.listening.phonemes import PHONEMES, merge_phonemes
from ...optional import require
from ..codec_round_trip import codec_round_trip

_QUIETEST = 1e-10  # least power, whose logarithm float16 can represent
_COLUMNS = (
    "vocal", "accompaniment", "gender", "lead_family", "voice_id", "phonemes", "words",
)  # fmt: skip
_MARGIN = 1.0  # most seconds before and after a crop of lines


class Sound(NamedTuple):
    """A phoneme of a song: index in ``PHONEMES``, start and end in seconds, index of the line."""

    phoneme: int
    start: float
    end: float
    line: int


@dataclass(frozen=True)
class JudgeSong:
    """A song: log10 mel power of its stems, float16 [mels, M], and its labels.

    ``coded`` has the mel power of vocal, accompaniment and mixture after a codec, or is empty.
    """

    vocal: np.ndarray
    accompaniment: np.ndarray
    gender: str
    lead_family: str
    voice_id: str
    sounds: tuple[Sound, ...]
    coded: Mapping[str, np.ndarray] = field(default_factory=dict)

    def power(self, stem: str, first: int, last: int, *, coded: bool = False) -> Tensor:
        """Mel power of the frames ``first`` to ``last`` of a stem, float32 [mels, frames]."""
        mels = self.coded[stem] if coded else getattr(self, stem)
        return 10.0 ** torch.from_numpy(mels[:, first:last].astype(np.float32))

    @property
    def num_frames(self) -> int:
        """Number of mel frames."""
        return self.vocal.shape[1]


def read_rows(
    pattern: str | Path, *, columns: tuple[str, ...] | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the rows of the corpus' parquet files.

    Args:
        pattern: pattern of the files, for example ``songs/data/train-*.parquet``.
        columns: columns to read; all by default.
    Raises:
        FileNotFoundError: if no file matches.
        ImportError: if pyarrow is missing.
    """
    parquet = require("pyarrow.parquet", "evaluate")
    paths = sorted(glob.glob(str(pattern)))
    if not paths:
        raise FileNotFoundError(
            f"no file matches {pattern}: render songs with `songgen-hf corpus songs`"
        )
    for path in paths:
        for batch in parquet.ParquetFile(path).iter_batches(batch_size=16, columns=columns):
            yield from batch.to_pylist()


def count_rows(pattern: str | Path) -> int:
    """The number of rows that :func:`read_rows` yields."""
    parquet = require("pyarrow.parquet", "evaluate")
    return sum(parquet.read_metadata(path).num_rows for path in glob.glob(str(pattern)))


def read_judge_songs(
    pattern: str | Path, *, codec: Any = None, coded_songs: int = 0, progress: bool = True
) -> list[JudgeSong]:
    """Read all songs of the corpus' parquet files.

    Args:
        pattern: pattern of the files, see :func:`read_rows`.
        codec: codec that some of the songs are also encoded and decoded with; None for none.
        coded_songs: number of these songs, evenly distributed over all songs.
        progress: show a progress bar.
    Raises:
        FileNotFoundError, ImportError: as :func:`read_rows`.
        ValueError: for rows without phonemes or with another sampling rate.
    """
    more = ("sampling_rate",) if codec is None else ("sampling_rate", "mixture")
    rows = read_rows(pattern, columns=(*_COLUMNS, *more))
    total = count_rows(pattern)
    coded = 0 if codec is None else min(coded_songs, total)
    bar = tqdm(rows, total=total, desc="songs", disable=not progress)
    return [
        judge_song(row, codec if (place + 1) * coded // total > place * coded // total else None)
        for place, row in enumerate(bar)
    ]


def judge_song(row: Mapping[str, Any], codec: Any = None) -> JudgeSong:
    """Make a song of a row of the corpus, with its sound after the codec if there is one.

    Raises:
        ValueError: for a row without phonemes, or with another rate than ``SAMPLING_RATE``.
    """
    if row["sampling_rate"] != SAMPLING_RATE or not row["phonemes"]:
        raise ValueError(
            f"got a song of {row['sampling_rate']} Hz with {len(row['phonemes'])} phonemes, "
            f"expected {SAMPLING_RATE} Hz and at least one: render songs with `songgen-hf corpus`"
        )
    sounds: list[Sound] = []
    for sound in row["phonemes"]:
        parts = merge_phonemes([sound["symbol"]])
        length = (sound["end"] - sound["start"]) / len(parts)
        line = row["words"][sound["word"]]["line"]
        for place, part in enumerate(parts):
            start = sound["start"] + place * length
            sounds.append(Sound(PHONEMES.index(part), start, start + length, line))
    vocal, accompaniment = (read_sound(row, stem) for stem in ("vocal", "accompaniment"))
    coded = {}
    if codec is not None:
        sounds_in = (vocal, accompaniment, read_sound(row, "mixture"))
        decoded = codec_round_trip(codec, sounds_in)
        names = ("vocal", "accompaniment", "mixture")
        # A codec drops incomplete frames, but all mels of a song must have the same length.
        coded = {
            name: _stored_mels(np.pad(sound, (0, len(vocal) - len(sound))))
            for name, sound in zip(names, decoded, strict=True)
        }
    return JudgeSong(
        _stored_mels(vocal),
        _stored_mels(accompaniment),
        row["gender"],
        row["lead_family"],
        row["voice_id"],
        tuple(sounds),
        coded,
    )


def _stored_mels(waveform: np.ndarray) -> np.ndarray:
    return mel_power(waveform).clamp(min=_QUIETEST).log10().numpy().astype(np.float16)


class LineCrop(NamedTuple):
    """Lines of a song: the mel frames ``first`` to ``last`` and their phonemes."""

    first: int
    last: int
    sounds: tuple[Sound, ...]


def crop_lines(song: JudgeSong, rng: np.random.Generator) -> LineCrop:
    """Crop one or two consecutive lines with up to a second before and after them.

    The crop contains no phonemes of other lines.
    """
    lines = sorted({sound.line for sound in song.sounds})
    count = min(int(rng.integers(1, 3)), len(lines))
    begin = int(rng.integers(len(lines) - count + 1))
    chosen = set(lines[begin : begin + count])
    inside = [sound for sound in song.sounds if sound.line in chosen]
    earlier = [sound.end for sound in song.sounds if sound.line < min(chosen)]
    later = [sound.start for sound in song.sounds if sound.line > max(chosen)]
    start, end = inside[0].start, inside[-1].end
    before = min(_MARGIN, start - max(earlier, default=0.0))
    after = min(_MARGIN, min(later, default=song.num_frames / FRAME_RATE) - end)
    first = int((start - rng.random() * max(0.0, before)) * FRAME_RATE)
    last = int(np.ceil((end + rng.random() * max(0.0, after)) * FRAME_RATE))
    return LineCrop(first, min(last, song.num_frames), tuple(inside))


def frame_classes(crop: LineCrop, num_frames: int, stride: int) -> Tensor:
    """The class of each output frame: 0 without a phoneme, else the index of the phoneme plus one.

    Args:
        crop: the crop.
        num_frames: number of output frames.
        stride: mel frames per output frame.
    Returns:
        int64 [num_frames].
    """
    classes = torch.zeros(num_frames, dtype=torch.int64)
    for sound in crop.sounds:
        first = round((sound.start * FRAME_RATE - crop.first) / stride)
        last = round((sound.end * FRAME_RATE - crop.first) / stride)
        classes[max(0, first) : max(0, last)] = sound.phoneme + 1
    return classes


def pad_mels(mels: list[Tensor], value: float) -> Tensor:
    """Join [mels, M] of different lengths to [B, mels, longest], padded with ``value``."""
    longest = max(one.shape[1] for one in mels)
    padded = torch.full((len(mels), NUM_MELS, longest), value)
    for row, one in zip(padded, mels, strict=True):
        row[:, : one.shape[1]] = one
    return padded


__all__ = [
    "JudgeSong",
    "LineCrop",
    "Sound",
    "count_rows",
    "crop_lines",
    "frame_classes",
    "judge_song",
    "pad_mels",
    "read_judge_songs",
    "read_rows",
]

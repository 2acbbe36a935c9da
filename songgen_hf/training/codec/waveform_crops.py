"""Random crops of sounds in a folder or in parquet files, with labels of their frames.

A batch follows from seed and step alone, so a run that is resumed or uses several processes reads
the same crops as a single uninterrupted one. Nothing here depends on codecs.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...data.tables import local_files
from ...optional import require
from ..auxiliary.frame_labels import FRAME_LABEL_COLUMNS, FrameLabels

STEM_COLUMNS = ("mixture", "vocal", "accompaniment")
SOUND_ENDINGS = (".wav", ".flac", ".ogg", ".mp3")
DATA_ENDINGS = (*SOUND_ENDINGS, ".parquet")
SILENCE_RMS = 1e-3  # below it another crop is drawn, at most SILENCE_DRAWS times
SILENCE_DRAWS = 4
# What cannot be heard in one of the stems; the accompaniment is known to have no phoneme.
UNHEARD = {
    "vocal": ("tempo", "lead_instrument", "genre"),
    "accompaniment": ("gender", "voice_id"),
}


class WaveformCrops:
    """Crops of the sounds under a path.

    Args:
        path: a folder of sound files, a parquet file, a folder of parquet files, or a pattern such
            as ``songs/data/train-*.parquet``; folders are searched recursively. Parquet cells hold
            the bytes of a sound file, directly or as ``{"bytes": ...}``.
        sampling_rate: sampling rate of the crops in Hz; other rates are resampled.
        columns: parquet columns to read; missing ones are ignored.
        labels: kinds of frame labels to read as well, keys of ``FrameLabels.classes``.
    Raises:
        FileNotFoundError: if the path does not exist.
        ValueError: if a folder has no sounds, or the parquet files none of the columns or not all
            of the labels.
    """

    def __init__(
        self,
        path: str | Path,
        sampling_rate: int,
        *,
        columns: Sequence[str] = STEM_COLUMNS,
        labels: Sequence[str] = (),
    ) -> None:
        self.path, self.sampling_rate = Path(path), sampling_rate
        self.labels: FrameLabels | None = None
        self._annotations: Any = None
        found = local_files(path, DATA_ENDINGS)
        if not found and not self.path.is_dir():
            raise FileNotFoundError(
                f"{path} does not exist: give a folder of sounds or parquet files, or a pattern"
            )
        tables = [str(file.resolve()) for file in found if file.suffix == ".parquet"]
        self._files = [file for file in found if file.suffix.lower() in SOUND_ENDINGS]
        self._songs: Any = None  # all columns of the parquet files
        self._rows: Any = None  # those with sounds
        self._columns: list[str] = []
        if tables:
            self._open_tables(tables, columns)
        elif not self._files:
            raise ValueError(
                f"{path} holds no sound: expected files ending in {', '.join(SOUND_ENDINGS)} or "
                ".parquet"
            )
        if labels:
            self._read_labels(labels)

    def _read_labels(self, kinds: Sequence[str]) -> None:
        rows = self._songs
        found = None
        if rows is not None:
            names = [
                name for name in ("phonemes", *FRAME_LABEL_COLUMNS) if name in rows.column_names
            ]
            self._annotations = rows.select_columns(names)
            found = FrameLabels.from_rows(self._annotations) if names else None
        missing = [kind for kind in kinds if found is None or kind not in found.classes]
        if found is None or missing:
            raise ValueError(
                f"{self.path} has no labels {', '.join(missing)}: expected songs as "
                "`songgen-hf corpus` renders them; pass --label-weight 0 for others"
            )
        self.labels = FrameLabels({kind: found.classes[kind] for kind in kinds})

    def _open_tables(self, tables: list[str], columns: Sequence[str]) -> None:
        datasets = require("datasets", "train")
        rows = datasets.load_dataset("parquet", data_files=tables, split="train")
        self._columns = [name for name in columns if name in rows.column_names]
        if not self._columns or not len(rows):
            raise ValueError(
                f"{self.path} has {len(rows)} rows with columns {', '.join(rows.column_names)}, "
                f"expected one or more of {', '.join(columns)}; name the columns that hold sounds "
                "with --columns"
            )
        self._songs = rows
        rows = rows.select_columns(self._columns)
        for name in self._columns:
            if isinstance(rows.features[name], datasets.Audio):
                rows = rows.cast_column(name, datasets.Audio(decode=False))
        self._rows = rows

    def __len__(self) -> int:
        """Number of sounds; a parquet row has one in each column."""
        return len(self._files) if self._rows is None else len(self._rows) * len(self._columns)

    def batch(
        self, batch_size: int, num_samples: int, *, seed: int, step: int, first: int = 0
    ) -> Tensor:
        """The crops of one training step.

        Args:
            batch_size: B.
            num_samples: S; shorter sounds are padded with zeros at the end.
            seed: seed of the run.
            step: number of the step.
            first: index of the first crop in the batch of all processes (rank times B).
        Returns:
            float32 [B, 1, S] in [-1, 1].
        Raises:
            ValueError: if a sound cannot be read.
        """
        return torch.from_numpy(
            np.stack(
                [
                    crop
                    for crop, _, _ in self._draws(
                        batch_size, num_samples, seed=seed, step=step, first=first
                    )
                ]
            )
        )[:, None]

    def labeled_batch(
        self,
        batch_size: int,
        num_samples: int,
        *,
        hop_length: int,
        seed: int,
        step: int,
        first: int = 0,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The crops of :meth:`batch` with the labels of their frames.

        Args:
            hop_length: samples per frame.
            batch_size, num_samples, seed, step, first: as for :meth:`batch`.
        Returns:
            The crops [B, 1, S], and for each kind of label [B, S / hop] int64, -100 where it is
            unknown or cannot be heard in the stem.
        Raises:
            ValueError: if a sound cannot be read, or the crops were opened without labels.
        """
        if self.labels is None:
            raise ValueError(f"{self.path} was opened without labels: pass labels=[...]")
        draws = self._draws(batch_size, num_samples, seed=seed, step=step, first=first)
        num_frames, rate = num_samples // hop_length, self.sampling_rate / hop_length
        rows = [self._labels(index, start, num_frames, rate) for _, index, start in draws]
        crops = torch.from_numpy(np.stack([crop for crop, _, _ in draws]))[:, None]
        return crops, {kind: torch.stack([row[kind] for row in rows]) for kind in rows[0]}

    def _labels(
        self, index: int, start: float, num_frames: int, frame_rate: float
    ) -> dict[str, Tensor]:
        assert self.labels is not None  # the caller checks it
        column = self._columns[index % len(self._columns)]
        song = dict(self._annotations[index // len(self._columns)])
        song |= dict.fromkeys(UNHEARD.get(column, ()))
        if column == "accompaniment" and song.get("phonemes") is not None:
            song["phonemes"] = []
        skipped = round(start * frame_rate)
        labels = self.labels.of_song(song, skipped + num_frames, frame_rate)
        return {kind: label[skipped:] for kind, label in labels.items()}

    def _draws(
        self, batch_size: int, num_samples: int, *, seed: int, step: int, first: int
    ) -> list[tuple[np.ndarray, int, float]]:
        """Crops with the indices of their sounds and their starts in seconds."""
        return [
            self._draw(np.random.default_rng([seed, step, first + place]), num_samples)
            for place in range(batch_size)
        ]

    def _draw(self, rng: np.random.Generator, num_samples: int) -> tuple[np.ndarray, int, float]:
        for _ in range(SILENCE_DRAWS):
            index = int(rng.integers(len(self)))
            waveform, start = self._read(index, num_samples, rng.random())
            if np.sqrt(np.mean(waveform**2)) >= SILENCE_RMS:
                break
        return waveform, index, start

    def read(self, index: int, num_samples: int, *, position: float = 0.0) -> np.ndarray:
        """Read one crop.

        Args:
            index: index of the sound.
            num_samples: S.
            position: start of the crop, from 0 (first possible) to 1 (last possible).
        Returns:
            float32 [S], mono.
        Raises:
            ValueError: if the sound cannot be read.
        """
        return self._read(index, num_samples, position)[0]

    def _read(self, index: int, num_samples: int, position: float) -> tuple[np.ndarray, float]:
        """The crop at a position, and its start in seconds."""
        import soundfile
        import soxr

        source, name = self._source(index)
        try:
            with soundfile.SoundFile(source) as sound:
                ratio = sound.samplerate / self.sampling_rate
                wanted = int(np.ceil(num_samples * ratio))
                start = int(position * max(0, sound.frames - wanted))
                sound.seek(start)
                waveform = sound.read(wanted, dtype="float32", always_2d=True).mean(axis=1)
                rate = sound.samplerate
        except soundfile.LibsndfileError as error:
            raise ValueError(
                f"{name} cannot be read as sound: {error}; remove it or replace it"
            ) from error
        if rate != self.sampling_rate:
            waveform = soxr.resample(waveform, rate, self.sampling_rate)
        waveform = waveform[:num_samples]
        if not np.isfinite(waveform).all():
            raise ValueError(f"{name} holds NaN or infinity: remove it or replace it")
        padded = np.pad(waveform, (0, num_samples - len(waveform))).astype(np.float32)
        return padded, start / rate

    def _source(self, index: int) -> tuple[Any, str]:
        """A file or buffer for soundfile, and its name in messages."""
        if self._rows is None:
            return str(self._files[index]), str(self._files[index])
        row, column = index // len(self._columns), self._columns[index % len(self._columns)]
        name = f"{self.path}: row {row}, column {column}"
        cell = self._rows[row][column]
        if isinstance(cell, dict):
            cell = cell.get("bytes")
        if not isinstance(cell, bytes):
            raise ValueError(
                f"{name} holds {type(cell).__name__}, expected the bytes of a sound file"
            )
        return io.BytesIO(cell), name


__all__ = ["DATA_ENDINGS", "STEM_COLUMNS", "WaveformCrops"]

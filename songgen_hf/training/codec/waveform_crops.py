"""Random crops of sounds in a folder or in parquet files.

A batch follows from seed and step alone, so a run that is resumed or uses several processes reads
the same crops as a single uninterrupted one. Nothing here depends on codecs.
"""

from __future__ import annotations

import glob
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...optional import require

STEM_COLUMNS = ("mixture", "vocal", "accompaniment")
SOUND_ENDINGS = (".wav", ".flac", ".ogg", ".mp3")
SILENCE_RMS = 1e-3  # below it another crop is drawn, at most SILENCE_DRAWS times
SILENCE_DRAWS = 4


class WaveformCrops:
    """Crops of the sounds under a path.

    Args:
        path: a folder of sound files, a parquet file, a folder of parquet files, or a pattern such
            as ``songs/data/train-*.parquet``; folders are searched recursively. Parquet cells hold
            the bytes of a sound file, directly or as ``{"bytes": ...}``.
        sampling_rate: sampling rate of the crops in Hz; other rates are resampled.
        columns: parquet columns to read; missing ones are ignored.
    Raises:
        FileNotFoundError: if the path does not exist.
        ValueError: if a folder has no sounds, or the parquet files none of the columns.
    """

    def __init__(
        self, path: str | Path, sampling_rate: int, *, columns: Sequence[str] = STEM_COLUMNS
    ) -> None:
        self.path, self.sampling_rate = Path(path), sampling_rate
        if self.path.is_dir():
            found = sorted(self.path.rglob("*"))
        else:
            found = [self.path] if self.path.is_file() else sorted(map(Path, glob.glob(str(path))))
        if not found and not self.path.is_dir():
            raise FileNotFoundError(
                f"{path} does not exist: give a folder of sounds or parquet files, or a pattern"
            )
        tables = [str(file.resolve()) for file in found if file.suffix == ".parquet"]
        self._files = [file for file in found if file.suffix.lower() in SOUND_ENDINGS]
        self._rows: Any = None
        self._columns: list[str] = []
        if tables:
            self._open_tables(tables, columns)
        elif not self._files:
            raise ValueError(
                f"{path} holds no sound: expected files ending in {', '.join(SOUND_ENDINGS)} or "
                ".parquet"
            )

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
        crops = [
            self._draw(np.random.default_rng([seed, step, first + place]), num_samples)
            for place in range(batch_size)
        ]
        return torch.from_numpy(np.stack(crops))[:, None]

    def _draw(self, rng: np.random.Generator, num_samples: int) -> np.ndarray:
        for _ in range(SILENCE_DRAWS):
            waveform = self.read(int(rng.integers(len(self))), num_samples, position=rng.random())
            if np.sqrt(np.mean(waveform**2)) >= SILENCE_RMS:
                break
        return waveform

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
        import soundfile
        import soxr

        source, name = self._source(index)
        try:
            with soundfile.SoundFile(source) as sound:
                ratio = sound.samplerate / self.sampling_rate
                wanted = int(np.ceil(num_samples * ratio))
                sound.seek(int(position * max(0, sound.frames - wanted)))
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
        return np.pad(waveform, (0, num_samples - len(waveform))).astype(np.float32)

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


__all__ = ["STEM_COLUMNS", "WaveformCrops"]

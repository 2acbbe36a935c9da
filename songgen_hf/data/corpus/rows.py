"""The rows of the dataset: rendering a song to a row, the columns, and reading waveforms."""

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from ...optional import require
from ..tables import local_files
from .performance import SAMPLING_RATE, perform
from .song import plan_song
from .speech import Speaker
from .synthesizer import Synthesizer

AUDIO_COLUMNS = ("mixture", "vocal", "accompaniment")
_TEXTS = (
    "song_id", "split", "lyrics", "genre", "mood", "key", "gender", "voice_id",
    "lead_instrument", "lead_family",
)  # fmt: skip
_LISTS = ("captions", "instruments", "unseen_words")


def render_row(
    speaker: Speaker,
    synthesizer: Synthesizer,
    seed: int,
    split: str,
    index: int,
    voices: Sequence[str] = (),
    edition: str = "small",
) -> dict[str, Any]:
    """Render one song to a row with its FLAC files and its metadata.

    Args:
        speaker: espeak-ng, in its initial state if the result must be reproducible (see
            ``isolation.py``).
        synthesizer: FluidSynth, in its initial state if the result must be reproducible.
        seed: seed of the corpus.
        split: split of the song.
        index: index of the song in its split.
        voices: names of the singers to choose from; by default those of the edition.
        edition: ``small`` or ``large``.
    """
    plan = plan_song(seed, split, index, speaker, voices, edition)
    entropy = int.from_bytes(f"{seed}/{split}/{index}".encode(), "big")
    performance = perform(plan, synthesizer, entropy)
    row: dict[str, Any] = {
        column: {"bytes": _flac(getattr(performance, column)), "path": None}
        for column in AUDIO_COLUMNS
    }
    row |= plan.facts
    row["sampling_rate"] = SAMPLING_RATE
    row["duration"] = len(performance.vocal) / SAMPLING_RATE
    row["words"] = performance.words
    row["phonemes"] = performance.phonemes
    row["notes"] = performance.notes
    return row


def to_dataset(rows: list[dict[str, Any]]) -> Any:
    """Make a ``datasets.Dataset`` of rows, with undecoded audio columns."""
    datasets = require("datasets", "corpus")
    value = datasets.Value
    text, second, whole = value("string"), value("float64"), value("int32")
    span = {"start": second, "end": second}
    features = {column: {"bytes": value("binary"), "path": text} for column in AUDIO_COLUMNS}
    features |= {name: text for name in _TEXTS} | {name: datasets.List(text) for name in _LISTS}
    features |= {"tempo": whole, "sampling_rate": whole, "duration": second}
    features["unseen_voice"] = value("bool")
    features["words"] = datasets.List({"word": text, **span, "line": whole})
    features["phonemes"] = datasets.List({"symbol": text, **span, "word": whole})
    features["notes"] = datasets.List({"pitch": whole, **span})
    order = list(rows[0])
    dataset = datasets.Dataset.from_list(
        rows, features=datasets.Features({name: features[name] for name in order})
    )
    for column in AUDIO_COLUMNS:
        dataset = dataset.cast_column(
            column, datasets.Audio(sampling_rate=SAMPLING_RATE, decode=False)
        )
    return dataset


def read_sound(row: Mapping[str, Any], column: str = "mixture") -> np.ndarray:
    """Read a waveform of a row.

    Args:
        row: row of the dataset with undecoded audio.
        column: one of ``AUDIO_COLUMNS``.
    Returns:
        float32 [S] in [-1, 1], at the ``sampling_rate`` of the row.
    Raises:
        ValueError: for another column.
    """
    if column not in AUDIO_COLUMNS:
        raise ValueError(f"got column {column!r}, expected one of {', '.join(AUDIO_COLUMNS)}")
    waveform, _ = soundfile.read(io.BytesIO(row[column]["bytes"]), dtype="float32")
    return waveform


def read_songs(
    source: str | Path, columns: Sequence[str], *, first: int = 0, count: int | None = None
) -> Iterator[dict[str, Any]]:
    """Read songs of a rendered corpus one after the other, without holding a file of them.

    Args:
        source: parquet file, folder of them or pattern.
        columns: columns of the rows; those of ``AUDIO_COLUMNS`` become waveforms, float32 [S].
        first: number of songs that are left out.
        count: number of songs; None for all others.
    """
    parquet = require("pyarrow.parquet", "corpus")
    last = None if count is None else first + count
    place = 0
    for path in local_files(source):
        file = parquet.ParquetFile(path)
        if place + file.metadata.num_rows <= first:
            place += file.metadata.num_rows
            continue
        for batch in file.iter_batches(batch_size=8, columns=list(columns)):
            for row in batch.to_pylist():
                if last is not None and place >= last:
                    return
                if place >= first:
                    sounds = [column for column in columns if column in AUDIO_COLUMNS]
                    yield {**row, **{column: read_sound(row, column) for column in sounds}}
                place += 1


def _flac(waveform: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, waveform, SAMPLING_RATE, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()

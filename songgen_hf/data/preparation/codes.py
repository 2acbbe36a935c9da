"""Songs -> codec codes, as parquet: what language models train on.

The work is cut into shards. One shard is one stateless call: it reads its rows, encodes them and
writes its file, whole or not at all. ``datasets.map`` runs the calls on one machine, Ray Data on
many; both write the same files, and a run that was killed goes on where it stopped.
"""

import dataclasses
import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from ...checkpoints.digests import codes_digest
from ...checkpoints.loading import load_codec
from ...files import encode_json, write_files
from ...optional import require
from .mixing import captions_of, join_captions, mix_waveforms

logger = logging.getLogger(__name__)

TRACKS = {"codes": "mixture", "vocal_codes": "vocal", "accompaniment_codes": "accompaniment"}
"""Column of codes -> column of audio that it is made of."""
DESCRIPTION_FILE = "codes.json"
RUNNERS = ("map", "ray")


@dataclass(frozen=True)
class CodesOptions:
    """What is encoded, how and where to.

    Args:
        source: folder or file of parquet with audio columns, or a Hub id.
        output: folder to write.
        model: checkpoint of the codec, or of a song model that holds one.
        splits: names of the splits; None for all.
        keep_audio: audio columns that are copied, for the reference voice.
        max_seconds: longer songs are cut; None for no limit.
        mixtures: for every song of the training split, add this many songs made of two (AudioGen's
            augmentation). It is for songs with descriptions only: nothing but the mixture's codes
            and captions is written then.
        seed: of the added songs.
        songs_per_shard: rows of one file.
        runner: "map" or "ray".
        workers: processes.
        device: of the codec; "auto" for an accelerator where there is one.
    Raises:
        ValueError: if a value is out of range.
    """

    source: str
    output: Path
    model: str
    splits: tuple[str, ...] | None = None
    keep_audio: tuple[str, ...] = ("vocal",)
    max_seconds: float | None = None
    mixtures: float = 0.0
    seed: int = 0
    songs_per_shard: int = 200
    runner: str = "map"
    workers: int = 1
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.runner not in RUNNERS:
            raise ValueError(f"unknown runner: got {self.runner!r}, expected map or ray")
        for name in ("songs_per_shard", "workers"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1: got {getattr(self, name)}")
        if self.mixtures < 0:
            raise ValueError(f"mixtures must be 0 or more: got {self.mixtures}")

    def identity(self) -> dict[str, Any]:
        """What decides the rows; where, how fast and by whom they are made does not."""
        names = (
            "source",
            "model",
            "keep_audio",
            "max_seconds",
            "mixtures",
            "seed",
            "songs_per_shard",
        )
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Shard:
    """One file to write: rows [first, last) of a split, added songs counted after its own."""

    split: str
    number: int
    count: int
    first: int
    last: int

    @property
    def name(self) -> str:
        """File name."""
        return f"{self.split}-{self.number:05d}-of-{self.count:05d}.parquet"


def prepare_codes(options: CodesOptions, *, progress: bool = True) -> dict[str, int]:
    """Encode every split.

    Returns:
        The number of rows of each split.
    Raises:
        ValueError: if the output holds codes made with other options, or the source lacks a column.
        OSError: if something cannot be read or written.
        ImportError: if the runner's package is missing.
    """
    with progress_bars(progress):
        splits = split_sizes(options)
        describe(options)
        shards = list(shards_of(options, splits))
        missing = [shard for shard in shards if not (options.output / shard.name).is_file()]
        if missing:
            run = run_with_ray if options.runner == "ray" else run_with_map
            run(partial(write_shard, options=options), missing, options, progress)
    return {split: added(options, split, size) + size for split, size in splits.items()}


@contextmanager
def progress_bars(shown: bool) -> Iterator[None]:
    """Show or hide the bars of the datasets library for a while."""
    datasets = require("datasets", "prepare")
    was_enabled = datasets.is_progress_bar_enabled()
    if not shown:
        datasets.disable_progress_bars()
    try:
        yield
    finally:
        if was_enabled:
            datasets.enable_progress_bars()


def split_sizes(options: CodesOptions) -> dict[str, int]:
    """Rows of the chosen splits of the source."""
    available = source_splits(options.source)
    chosen = options.splits or tuple(available)
    unknown = [split for split in chosen if split not in available]
    if unknown:
        raise ValueError(
            f"{options.source} has no split {unknown[0]!r}: it has {', '.join(available)}"
        )
    return {split: len(read_source(options.source, split)) for split in chosen}


def added(options: CodesOptions, split: str, size: int) -> int:
    """Songs made of two that a split gets."""
    return round(options.mixtures * size) if split == "train" else 0


def shards_of(options: CodesOptions, splits: dict[str, int]) -> Iterator[Shard]:
    """All files to write."""
    for split, size in splits.items():
        total = size + added(options, split, size)
        step = options.songs_per_shard
        starts = range(0, total, step)
        for number, first in enumerate(starts):
            yield Shard(split, number, len(starts), first, min(total, first + step))


def describe(options: CodesOptions) -> None:
    """Write ``codes.json``: what the codes are. Refuse a folder that holds others.

    Raises:
        ValueError: if it holds codes of other options.
    """
    codec = _codec(options.model, options.device)
    description = {
        "sampling_rate": codec.config.sample_rate,
        "frame_rate": codec.config.sample_rate / codec.config.hop_length,
        "num_codebooks": codec.config.num_quantizers,
        "codebook_size": codec.config.codebook_size,
        "codec_weights": codes_digest(codec),
        **options.identity(),
    }
    description = json.loads(json.dumps(description))
    path = options.output / DESCRIPTION_FILE
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        differing = [name for name, value in description.items() if found.get(name) != value]
        if differing:
            name = differing[0]
            raise ValueError(
                f"{options.output} holds codes of another {name} ({found.get(name)!r}, now "
                f"{description[name]!r}): choose a new folder or remove the old one"
            )
        return
    write_files({path: encode_json(description)})


def write_shard(shard: Shard | dict[str, Any], options: CodesOptions) -> dict[str, Any]:
    """Encode the rows of one shard and write its file.

    Args:
        shard: as an object or as a mapping of its fields, as the runners hand it on.
    Returns:
        The mapping of its fields.
    """
    if not isinstance(shard, Shard):
        fields = [entry.name for entry in dataclasses.fields(Shard)]
        shard = Shard(**{name: shard[name] for name in fields})
    if options.workers > 1:
        import torch

        torch.set_num_threads(max(1, (os.cpu_count() or 1) // options.workers))
    rows = read_source(options.source, shard.split)
    codec = _codec(options.model, options.device)
    encoded = [encode_row(rows, index, codec, options) for index in range(shard.first, shard.last)]
    write_rows(encoded, options.output / shard.name, rows.features.arrow_schema)
    return dataclasses.asdict(shard)


def encode_row(rows: Any, index: int, codec: Any, options: CodesOptions) -> dict[str, Any]:
    """One row of the output; ``index`` from the split's size on names a song made of two."""
    if index >= len(rows):
        return encode_mixture(rows, index, codec, options)
    row = rows[index]
    tracks = {name: column for name, column in TRACKS.items() if row.get(column) is not None}
    if options.mixtures:
        tracks.pop("vocal_codes", None)
        tracks.pop("accompaniment_codes", None)
    if not tracks:
        raise ValueError(
            f"{options.source} has none of the audio columns {', '.join(TRACKS.values())} in row "
            f"{index}; rename yours, or render songs with songgen-hf corpus"
        )
    waveforms = [read_track(row[column], codec, options) for column in tracks.values()]
    codes = encode(codec, waveforms)
    result: dict[str, Any] = {"id": str(row.get("id") or row.get("song_id") or index)}
    result |= dict(zip(tracks, codes, strict=True))
    result["num_frames"] = codes[0].shape[-1]
    if options.mixtures:
        return result | {"captions": captions_of(row)}
    result |= {name: row[name] for name in options.keep_audio if name in row}
    known = {*result, *TRACKS.values(), "song_id"}
    result |= {name: value for name, value in row.items() if name not in known}
    return result


def encode_mixture(rows: Any, index: int, codec: Any, options: CodesOptions) -> dict[str, Any]:
    """A song made of two, with both captions; its pair and its sound follow from its index."""
    random = np.random.default_rng([options.seed, index])
    first, second = (rows[int(one)] for one in random.choice(len(rows), 2, replace=len(rows) < 2))
    column = TRACKS["codes"]
    mixed = mix_waveforms(
        read_track(first[column], codec, options),
        read_track(second[column], codec, options),
        random,
    )
    codes = encode(codec, [mixed])
    names = [str(row.get("id") or row.get("song_id") or "") for row in (first, second)]
    return {
        "id": f"{names[0]}+{names[1]}-{index}",
        "codes": codes[0],
        "num_frames": codes[0].shape[-1],
        "captions": join_captions(first, second),
    }


def read_track(audio: Any, codec: Any, options: CodesOptions) -> np.ndarray:
    """The waveform [S] of an audio cell, at the codec's rate."""
    from ...modeling.audio_io import read_audio

    return read_audio(audio, codec.config.sample_rate, duration=options.max_seconds)


def encode(codec: Any, waveforms: list[np.ndarray]) -> np.ndarray:
    """Waveforms, cut to the shortest -> int16 [N, K, T]."""
    import torch

    shortest = min(len(waveform) for waveform in waveforms)
    values = torch.from_numpy(np.stack([waveform[:shortest] for waveform in waveforms]))
    codes = codec.encode(values[:, None]).audio_codes
    return codes.cpu().numpy().astype(np.int16)


def write_rows(rows: list[dict[str, Any]], path: Path, schema: Any) -> None:
    """A parquet file of rows, written whole or not at all.

    Args:
        rows: of one shard.
        path: of the file.
        schema: arrow schema of the source: types of the columns that are copied, so that a column
            that is empty in one shard has one type in all.
    """
    pyarrow = require("pyarrow", "prepare")
    parquet = require("pyarrow.parquet", "prepare")
    names = list(dict.fromkeys(name for row in rows for name in row))
    codes_type = pyarrow.list_(pyarrow.list_(pyarrow.int16()))
    types = {field.name: field.type for field in schema}
    types |= {name: codes_type for name in TRACKS}
    types |= {
        "id": pyarrow.string(),
        "num_frames": pyarrow.int32(),
    }
    if not any(isinstance(row.get("captions"), str) for row in rows):
        types["captions"] = pyarrow.list_(pyarrow.string())
    columns = {}
    for name in names:
        values = [row.get(name) for row in rows]
        if name in TRACKS:
            values = [None if value is None else value.tolist() for value in values]
        columns[name] = pyarrow.array(values, types[name])
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.table(columns), sink)
    write_files({path: sink.getvalue().to_pybytes()})


def run_with_map(task: Any, shards: list[Shard], options: CodesOptions, progress: bool) -> None:
    """Run one task a shard through ``datasets.map``."""
    datasets = require("datasets", "prepare")
    work = datasets.Dataset.from_list([dataclasses.asdict(shard) for shard in shards])
    work.map(
        task,
        num_proc=options.workers if options.workers > 1 else None,
        keep_in_memory=True,
        load_from_cache_file=False,
        # The library would hash the task to find results of earlier runs: none are wanted.
        new_fingerprint="songgen-hf-prepare-codes",
        desc="Encoding shards",
    )


def run_with_ray(task: Any, shards: list[Shard], options: CodesOptions, progress: bool) -> None:
    """Run one task a shard through Ray Data; the output folder must be seen by every machine."""
    require("ray", "ray")
    data = require("ray.data", "ray")
    data.DataContext.get_current().enable_progress_bars = progress
    work = data.from_items([dataclasses.asdict(shard) for shard in shards])
    work = work.repartition(len(shards))
    absolute = dataclasses.replace(options, output=options.output.resolve())
    work.map(partial(task.func, options=absolute), concurrency=options.workers).materialize()


def source_splits(source: str) -> list[str]:
    """Names of the splits of the source."""
    datasets = require("datasets", "prepare")
    path = Path(source)
    if path.is_file():
        return ["train"]
    if path.is_dir() and not list(path.rglob("*.parquet")):
        raise FileNotFoundError(f"{source} holds no parquet files")
    return list(datasets.get_dataset_split_names(source))


@cache
def read_source(source: str, split: str) -> Any:
    """The rows of one split, audio as bytes."""
    datasets = require("datasets", "prepare")
    path = Path(source)
    if path.is_file():
        rows = datasets.load_dataset("parquet", data_files={split: str(path)}, split=split)
    else:
        rows = datasets.load_dataset(source, split=split)
    for name, feature in rows.features.items():
        if isinstance(feature, datasets.Audio):
            rows = rows.cast_column(name, datasets.Audio(decode=False))
    return rows


@cache
def _codec(model: str, device: str) -> Any:
    """The codec of a checkpoint in float32; loaded once in each process."""
    import torch

    return load_codec(model, device=device, dtype=torch.float32)


__all__ = ["CodesOptions", "Shard", "prepare_codes", "write_shard"]

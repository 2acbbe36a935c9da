"""Encodes songs with the codec and writes the codes to parquet files for training.

Each shard is encoded by one stateless call, which reads the rows of the shard and writes its file
whole or not at all. The calls run under ``datasets.map`` on one machine, or under Ray Data on many
machines. Both write the same files, and an interrupted run can be resumed.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Collection
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from ...checkpoints.digests import codes_digest
from ...checkpoints.loading import load_codec
from ...files import encode_json, encode_sound, write_files
from ...modeling.audio_io import read_audio
from ...optional import require
from ..shards import Shard, datasets_progress_bars, parquet_bytes, shards_of
from ..tables import (
    DIGITS,
    contents_digest,
    load_rows,
    source_digest,
    split_files,
    split_names,
)
from .clips import PREPARATION_FILE, TRACK_COLUMNS, absolute_tracks, read_clip
from .memory import flat_memory
from .mixing import captions_of, draw_mixing, join_captions, mix_waveforms
from .options import CodesOptions
from .runners import run_all

TRACKS = {"codes": "mixture", "vocal_codes": "vocal", "accompaniment_codes": "accompaniment"}
"""Audio column from which each column of codes is made."""
DESCRIPTION_FILE = "codes.json"
KEPT_RATE = 24000
"""Sampling rate in Hz of the audio of clips that is kept for the reference voice."""
NO_MIXTURE = -1
"""``mixture_epoch`` of songs, which every epoch has."""
CLIP_COLUMNS = ("path", "clip_start", "voice_start", "voice_seconds")
"""Columns of clips that mean nothing beside their codes."""


def prepare_codes(options: CodesOptions, *, progress: bool = True) -> dict[str, int]:
    """Encode the songs of every split.

    Args:
        options: what to encode, and where to write it.
        progress: whether to show progress bars.
    Returns:
        The number of rows of each split.
    Raises:
        ValueError: if the output contains codes of other options, or the source lacks a column.
        OSError: if a file cannot be read or written.
        ImportError: if the package of the runner is missing.
    """
    read_source.cache_clear()  # the files may be others than in an earlier call
    with datasets_progress_bars(progress, extra="prepare"):
        sizes = {
            split: size + options.mixture_epochs * num_mixtures(options, split, size)
            for split, size in split_sizes(options).items()
        }
        write_description(options)
        shards = shards_of(sizes, options.songs_per_shard)
        missing = [shard for shard in shards if not (options.output / shard.name).is_file()]
        if missing:
            absolute = dataclasses.replace(options, output=options.output.resolve())
            run_all(
                [dataclasses.asdict(shard) for shard in missing],
                partial(write_shard, options=absolute),
                runner=options.runner,
                workers=options.workers,
                device_share=options.device_share,
                description="Encoding shards",
                progress=progress,
            )
    return sizes


def split_sizes(options: CodesOptions) -> dict[str, int]:
    """Number of songs in each of the requested splits of the source."""
    available = source_splits(options.source)
    chosen = options.splits or tuple(available)
    unknown = [split for split in chosen if split not in available]
    if unknown:
        raise ValueError(
            f"{options.source} has no split {unknown[0]!r}: it has {', '.join(available)}"
        )
    return {split: len(read_source(options.source, split)) for split in chosen}


def num_mixtures(options: CodesOptions, split: str, size: int) -> int:
    """Number of mixtures of two songs that an epoch of a split has."""
    return round(options.mixtures * size) if split == "train" else 0


def write_description(options: CodesOptions) -> None:
    """Write ``codes.json``, which describes the codes, or check the existing file.

    Raises:
        ValueError: if the folder contains codes of other options.
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
    if (digest := source_digest(options.source)) is not None:
        description["source_files"] = digest
    description = json.loads(json.dumps(description))
    path = options.output / DESCRIPTION_FILE
    if not path.is_file():
        if digest is not None:
            description["source_songs"] = songs_digest(options.source)
        write_files({path: encode_json(description)})
        return
    recorded = json.loads(path.read_text(encoding="utf-8"))
    present = recorded
    if digest is not None and (
        recorded.get("source_files") == digest
        or recorded.get("source_songs") == songs_digest(options.source)
    ):  # the same songs, perhaps in another place
        present = recorded | {name: description[name] for name in ("source", "source_files")}
    unknown = ["source_files", *([] if options.mixtures else ["mixture_epochs"])]
    found = {name: description.get(name) for name in unknown} | present  # none in earlier ones
    differing = [name for name, value in description.items() if found.get(name) != value]
    if differing:
        name = differing[0]
        raise ValueError(
            f"{options.output} holds codes of another {name} ({found.get(name)!r}, now "
            f"{description[name]!r}): choose a new folder or remove the old one"
        )
    if present != recorded:
        write_files({path: encode_json(present)})


def songs_digest(source: str) -> str:
    """A digest of the songs of a local source, which copies of it have, too.

    Clips are compared without the paths of their recordings, other songs by their files.
    """
    parquet = require("pyarrow.parquet", "prepare")
    splits = source_splits(source)
    files = [path for split in splits for path in split_files(source, split, extra="prepare")]
    if not all(is_clip(parquet.read_schema(path).names) for path in files):
        return contents_digest(files)
    digest = hashlib.sha256()
    for path in files:
        rows = parquet.read_table(path).to_pylist()
        for row in rows:
            row |= {name: row.get(name) is not None for name in TRACK_COLUMNS.values()}
        digest.update(json.dumps([path.name, rows], default=str).encode())
    return digest.hexdigest()[:DIGITS]


def write_shard(shard: Shard | dict[str, Any], options: CodesOptions) -> dict[str, Any]:
    """Encode the rows of one shard and write its file.

    Args:
        shard: the shard, or a mapping of its fields, which is what the runners pass.
        options: what to encode, and where to write it.
    Returns:
        The mapping of the fields of the shard.
    """
    if not isinstance(shard, Shard):
        fields = [entry.name for entry in dataclasses.fields(Shard)]
        shard = Shard(**{name: shard[name] for name in fields})
    if options.workers > 1:
        import torch

        torch.set_num_threads(max(1, (os.cpu_count() or 1) // options.workers))
    rows = read_source(options.source, shard.split)
    codec = _codec(options.model, options.device)
    encoded = []
    for index in range(shard.first, shard.last):
        with flat_memory():
            encoded.append(encode_row(rows, index, codec, options))
    write_rows(encoded, options.output / shard.name, rows.features.arrow_schema)
    return dataclasses.asdict(shard)


def encode_row(rows: Any, index: int, codec: Any, options: CodesOptions) -> dict[str, Any]:
    """One row of the output; an index beyond the split's own rows is that of a mixture."""
    if index >= len(rows):
        return encode_mixture(rows, index, codec, options)
    row = song_of(rows, index, options.source)
    tracks = {name: column for name, column in TRACKS.items() if has_track(row, column)}
    if options.mixtures:
        tracks.pop("vocal_codes", None)
        tracks.pop("accompaniment_codes", None)
    if not tracks:
        raise ValueError(
            f"{options.source} has none of the audio columns {', '.join(TRACKS.values())} in row "
            f"{index}; rename yours, or render songs with songgen-hf corpus"
        )
    waveforms = [read_track(row, column, codec, options) for column in tracks.values()]
    codes = encode(codec, waveforms)
    result: dict[str, Any] = {"id": song_id(row) or str(index)}
    result |= dict(zip(tracks, codes, strict=True))
    result["num_frames"] = codes[0].shape[-1]
    if options.mixtures:
        none = {"mixture_epoch": NO_MIXTURE, "mixture_snr": None, "mixture_start": None}
        return result | {"captions": captions_of(row), **none}
    result |= {name: kept_audio(row, name) for name in options.keep_audio if name in row}
    known = {*result, *TRACKS.values(), *(CLIP_COLUMNS if is_clip(row) else ()), "song_id"}
    result |= {name: value for name, value in row.items() if name not in known}
    return result


def encode_mixture(rows: Any, index: int, codec: Any, options: CodesOptions) -> dict[str, Any]:
    """The row of a mixture of two songs with both captions, drawn with the index as the seed.

    The mixtures of each epoch follow those of the epoch before.
    """
    random = np.random.default_rng([options.seed, index])
    chosen = random.choice(len(rows), 2, replace=len(rows) < 2)
    songs = [song_of(rows, int(one), options.source) for one in chosen]
    first, second = (read_track(song, TRACKS["codes"], codec, options) for song in songs)
    rate = int(codec.config.sample_rate)
    draw = draw_mixing((len(first), len(second)), rate, random)
    codes = encode(codec, [mix_waveforms(first, second, draw)])
    return {
        "id": f"{song_id(songs[0])}+{song_id(songs[1])}-{index}",
        "codes": codes[0],
        "num_frames": codes[0].shape[-1],
        "captions": join_captions(*songs),
        "mixture_epoch": (index - len(rows)) // num_mixtures(options, "train", len(rows)),
        "mixture_snr": draw.snr,
        "mixture_start": draw.start / rate,
    }


def song_of(rows: Any, index: int, source: str) -> dict[str, Any]:
    """A row of the source; of a clip, with its paths, which are relative to its preparation."""
    row, path = rows[index], Path(source).resolve()
    if is_clip(row):
        for folder in (path, *path.parents):
            if (folder / PREPARATION_FILE).is_file():
                return absolute_tracks(row, folder)
    return row


def song_id(row: dict[str, Any]) -> str:
    """The id of a song of the source; "" if it has none."""
    return str(row.get("id") or row.get("song_id") or "")


def is_clip(row: Collection[str]) -> bool:
    """Whether rows of these columns name places of recordings (``clips.py``) and hold no audio."""
    return "clip_start" in row


def has_track(row: dict[str, Any], column: str) -> bool:
    """Whether a row has the audio of a track."""
    return row.get(TRACK_COLUMNS[column] if is_clip(row) else column) is not None


def kept_audio(row: dict[str, Any], column: str) -> Any:
    """An audio cell as it is kept beside the codes; of a clip, its place as a FLAC file.

    Of a clip with ``voice_start`` the vocal is its reference voice, from another place of the
    recording; None if there is no such place.
    """
    if not is_clip(row) or column not in TRACK_COLUMNS:
        return row[column]
    if column == "vocal" and "voice_start" in row:
        if row["voice_start"] is None:
            return None
        row = {**row, "clip_start": row["voice_start"], "clip_seconds": row["voice_seconds"]}
    waveform = read_clip(row, column, KEPT_RATE)
    if waveform is None:
        return None
    return {"bytes": encode_sound(waveform[None], KEPT_RATE, "clip.flac"), "path": None}


def read_track(row: dict[str, Any], column: str, codec: Any, options: CodesOptions) -> np.ndarray:
    """The waveform [S] of an audio cell, at the sampling rate of the codec.

    Raises:
        ValueError: naming the song, if the audio cannot be read.
    """
    try:
        if is_clip(row):
            waveform = read_clip(row, column, codec.config.sample_rate)
            assert waveform is not None  # see has_track
            longest = options.max_seconds and round(options.max_seconds * codec.config.sample_rate)
            return waveform[:longest]
        return read_audio(row[column], codec.config.sample_rate, duration=options.max_seconds)
    except ValueError as error:
        place = f"{column} of the song {song_id(row)!r} of {options.source}"
        raise ValueError(f"{place}: {error}") from error


def encode(codec: Any, waveforms: list[np.ndarray]) -> np.ndarray:
    """Encode waveforms, cut to the length of the shortest, to int16 codes [N, K, T]."""
    import torch

    shortest = min(len(waveform) for waveform in waveforms)
    values = torch.from_numpy(np.stack([waveform[:shortest] for waveform in waveforms]))
    codes = codec.encode(values[:, None]).audio_codes
    return codes.cpu().numpy().astype(np.int16)


def write_rows(rows: list[dict[str, Any]], path: Path, schema: Any) -> None:
    """Write rows to a parquet file, whole or not at all.

    Args:
        rows: the rows of one shard.
        path: path of the file.
        schema: arrow schema of the source, which gives copied columns the same type in all shards,
            also in a shard where a column is empty.
    """
    pyarrow = require("pyarrow", "prepare")
    codes_type = pyarrow.list_(pyarrow.list_(pyarrow.int16()))
    types = {field.name: field.type for field in schema}
    types |= {name: codes_type for name in TRACKS}
    types |= {"id": pyarrow.string(), "num_frames": pyarrow.int32()}
    types |= {"mixture_epoch": pyarrow.int32()}
    types |= dict.fromkeys(("mixture_snr", "mixture_start"), pyarrow.float32())
    if is_clip(types):  # the paths of their tracks become sounds, see kept_audio
        sound = pyarrow.struct({"bytes": pyarrow.binary(), "path": pyarrow.string()})
        types |= dict.fromkeys(TRACK_COLUMNS, sound)
    if not any(isinstance(row.get("captions"), str) for row in rows):
        types["captions"] = pyarrow.list_(pyarrow.string())
    columns = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        values = [row.get(name) for row in rows]
        if name in TRACKS:
            values = [None if value is None else value.tolist() for value in values]
        columns[name] = pyarrow.array(values, types[name])
    write_files({path: parquet_bytes(pyarrow.table(columns))})


def source_splits(source: str) -> list[str]:
    """Names of the splits of the source."""
    datasets = require("datasets", "prepare")
    path = Path(source)
    if path.is_file():
        return ["train"]
    if path.is_dir():
        return split_names(path, extra="prepare")
    return list(datasets.get_dataset_split_names(source))


@cache
def read_source(source: str, split: str) -> Any:
    """The rows of a split, with undecoded audio."""
    datasets = require("datasets", "prepare")
    rows = load_rows(source, split, extra="prepare")
    for name, feature in rows.features.items():
        if isinstance(feature, datasets.Audio):
            rows = rows.cast_column(name, datasets.Audio(decode=False))
    return rows


@cache
def _codec(model: str | None, device: str) -> Any:
    """The codec of a checkpoint in float32, loaded once in each process."""
    import torch

    return load_codec(model, device=device, dtype=torch.float32)


__all__ = ["DESCRIPTION_FILE", "prepare_codes", "songs_digest", "write_rows", "write_shard"]

"""Many songs to parquet: in parallel, shard by shard, resumable.

A shard is written to a temporary file and renamed, so that a file with a shard's name is a whole
shard; a run that finds one does not render it again. Bytes depend on the seed and the numbers of
songs alone.
"""

import json
import logging
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from ...files import encode_json
from ...optional import require
from .card import write_card
from .isolation import Studio, check_system, end_with_parent
from .lyrics_grammar import SPLITS
from .rows import render_row, to_dataset
from .singer import singers_named, world

MANIFEST = "corpus.json"

logger = logging.getLogger(__name__)
_studio: Studio | None = None  # of a worker process


@dataclass(frozen=True, kw_only=True)
class CorpusOptions:
    """What to render and where.

    Args:
        output: folder of the dataset; a started one is continued.
        seed: of the whole corpus.
        train_songs: number of songs for training; a song lasts 10.7 s on average.
        validation_songs: likewise, words known from training, lines not.
        test_songs: likewise, some words unknown to training.
        songs_per_shard: songs in one parquet file.
        workers: processes; does not change the bytes.
        soundfont: General-MIDI .sf2 file; by default Debian's fluid-soundfont-gm.
        voices: the singers to draw from, held-out ones too; by default those of every corpus.
        progress: whether to show a progress bar.
    Raises:
        ValueError: if a number is out of range or a voice unknown.
    """

    output: Path
    seed: int = 0
    train_songs: int = 1800
    validation_songs: int = 100
    test_songs: int = 200
    songs_per_shard: int = 100
    workers: int = 2
    soundfont: str | None = None
    voices: tuple[str, ...] = ()
    progress: bool = True

    def __post_init__(self) -> None:
        for name in ("seed", "train_songs", "validation_songs", "test_songs"):
            if getattr(self, name) < 0:
                raise ValueError(f"got {name} {getattr(self, name)}, expected 0 or more")
        for name in ("songs_per_shard", "workers"):
            if getattr(self, name) < 1:
                raise ValueError(f"got {name} {getattr(self, name)}, expected 1 or more")
        if sum(self.songs.values()) == 0:
            raise ValueError("got no songs to render: ask for at least one in some split")
        singers_named(self.voices)

    @property
    def songs(self) -> dict[str, int]:
        """Number of songs by split."""
        return {split: getattr(self, f"{split}_songs") for split in SPLITS}

    @property
    def manifest(self) -> dict[str, Any]:
        """What the bytes depend on."""
        names = ("seed", "train_songs", "validation_songs", "test_songs", "songs_per_shard")
        values = asdict(self)
        manifest = {"format": 1} | {name: values[name] for name in names}
        return manifest | ({"voices": list(self.voices)} if self.voices else {})


@dataclass(frozen=True)
class Shard:
    """One parquet file: songs ``first`` to ``last`` (excluded) of a split."""

    split: str
    number: int
    of: int
    first: int
    last: int

    @property
    def path(self) -> Path:
        """Path within the dataset."""
        return Path("data") / f"{self.split}-{self.number:05d}-of-{self.of:05d}.parquet"


@dataclass(frozen=True)
class RenderReport:
    """What a run did: songs and seconds of audio rendered now, songs found, wall seconds."""

    rendered: int
    audio_seconds: float
    found: int
    wall_seconds: float


def shards_of(options: CorpusOptions) -> list[Shard]:
    """All files of a corpus, in order."""
    shards = []
    for split, count in options.songs.items():
        files = -(-count // options.songs_per_shard)
        for number in range(files):
            first = number * options.songs_per_shard
            last = min(count, first + options.songs_per_shard)
            shards.append(Shard(split, number, files, first, last))
    return shards


def render_corpus(options: CorpusOptions) -> RenderReport:
    """Render every shard that is not there yet, then the dataset card.

    Raises:
        ValueError: if the folder holds a corpus of other options, or other files.
        ImportError: if a package of the extra ``corpus`` or a Debian package is missing.
    """
    for module in ("datasets", "pyloudnorm", "scipy.ndimage", "tqdm"):
        require(module, "corpus")
    world()
    check_system(options.soundfont)
    _claim(options)
    started = time.perf_counter()
    shards = shards_of(options)
    missing = [shard for shard in shards if not (options.output / shard.path).exists()]
    found = sum(shard.last - shard.first for shard in shards if shard not in missing)
    if found:
        logger.info("%d songs are rendered already", found)
    audio_seconds = 0.0
    rendered = 0
    for shard, rows in _rendered(options, missing):
        _write_shard(options.output / shard.path, rows)
        rendered += len(rows)
        audio_seconds += sum(row["duration"] for row in rows)
    write_card(options.output, seed=options.seed, songs=options.songs, voices=options.voices)
    return RenderReport(rendered, audio_seconds, found, time.perf_counter() - started)


def _claim(options: CorpusOptions) -> None:
    """Write the manifest, or check the one that is there; drop what a killed run left."""
    path = options.output / MANIFEST
    if path.exists():
        present = json.loads(path.read_text(encoding="utf-8"))
        if present != options.manifest:
            raise ValueError(
                f"{options.output} holds a corpus of other options: got {options.manifest}, "
                f"expected {present}; continue with those or give a new folder"
            )
    elif options.output.exists() and any(options.output.iterdir()):
        raise ValueError(f"{options.output} is not empty and no corpus: give a new folder")
    else:
        (options.output / "data").mkdir(parents=True)
        temporary = path.with_name(f".{MANIFEST}.partial")
        temporary.write_bytes(encode_json(options.manifest))
        os.replace(temporary, path)
    for leftover in (options.output / "data").glob(".*.partial"):
        leftover.unlink()


def _rendered(
    options: CorpusOptions, shards: list[Shard]
) -> Iterator[tuple[Shard, list[dict[str, Any]]]]:
    """Shards with their rows; workers may run ahead by one shard."""
    if not shards:
        return
    total = sum(shard.last - shard.first for shard in shards)
    tqdm = require("tqdm", "corpus").tqdm
    with (
        ProcessPoolExecutor(
            options.workers, get_context("spawn"), _open_studio, (options.soundfont,)
        ) as pool,
        tqdm(total=total, unit="song", disable=not options.progress) as bar,
    ):
        waiting = list(shards)
        begun: list[tuple[Shard, list[Any]]] = []
        while waiting or begun:
            while waiting and len(begun) < 2:
                shard = waiting.pop(0)
                songs = range(shard.first, shard.last)
                jobs = [
                    pool.submit(_render_song, options.seed, shard.split, i, options.voices)
                    for i in songs
                ]
                begun.append((shard, jobs))
            shard, jobs = begun.pop(0)
            rows = []
            for job in jobs:
                rows.append(job.result())
                bar.update()
            yield shard, rows


def _open_studio(soundfont: str | None) -> None:
    global _studio
    end_with_parent()
    _studio = Studio(soundfont)


def _render_song(seed: int, split: str, index: int, voices: tuple[str, ...]) -> dict[str, Any]:
    assert _studio is not None
    return _studio.call(render_row, seed, split, index, voices)


def _write_shard(path: Path, rows: list[dict[str, Any]]) -> None:
    temporary = path.with_name(f".{path.name}.partial")
    dataset = to_dataset(rows)
    with _no_inner_progress_bar():
        # One row group per few songs keeps a streaming reader's memory small.
        dataset.to_parquet(str(temporary), batch_size=25)
    os.replace(temporary, path)


@contextmanager
def _no_inner_progress_bar() -> Iterator[None]:
    """``datasets`` draws a bar per file, which would tear ours."""
    datasets = require("datasets", "corpus")
    if datasets.utils.logging.is_progress_bar_enabled():
        datasets.disable_progress_bars()
        try:
            yield
        finally:
            datasets.enable_progress_bars()
    else:
        yield

"""Renders a corpus to parquet files, in parallel; an interrupted run can be resumed.

Every shard is written whole or not at all, and a run skips the shards that exist. The content of a
shard depends only on the seed, the number of songs, the edition and the chosen voices.
"""

import io
import json
import logging
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from ...files import encode_json, write_files
from ...optional import require
from ..shards import Shard, datasets_progress_bars, shards_of
from .card import write_card
from .isolation import IsolatedSynthesizers, check_system, end_with_parent
from .options import CorpusOptions
from .rows import render_row, to_dataset
from .singer import world

MANIFEST = "corpus.json"

logger = logging.getLogger(__name__)
_synthesizers: IsolatedSynthesizers | None = None  # of this worker process


@dataclass(frozen=True)
class RenderReport:
    """Result of a run.

    Args:
        rendered: number of songs that this run rendered.
        audio_seconds: total duration of these songs.
        found: number of songs that existed before.
        wall_seconds: time that the run took.
    """

    rendered: int
    audio_seconds: float
    found: int
    wall_seconds: float


def render_corpus(options: CorpusOptions) -> RenderReport:
    """Render all shards that do not exist yet, then write the dataset card.

    Raises:
        ValueError: if the folder contains a corpus with other options, or other files.
        ImportError: if a package of the extra ``corpus`` or a Debian package is missing.
    """
    # What a package of the extra imports comes before it, so that the message names the extra.
    for module in ("pyarrow", "datasets", "scipy", "pyloudnorm", "tqdm"):
        require(module, "corpus")
    world()
    check_system(options.soundfont)
    _open_output(options)
    started = time.perf_counter()
    paths = {
        shard: options.output / "data" / shard.name
        for shard in shards_of(options.songs, options.songs_per_shard)
    }
    missing = [shard for shard, path in paths.items() if not path.exists()]
    found = sum(shard.num_rows for shard in paths) - sum(shard.num_rows for shard in missing)
    if found:
        logger.info("%d songs exist already", found)
    audio_seconds = 0.0
    rendered = 0
    for shard, rows in _rendered_shards(options, missing):
        _write_shard(paths[shard], rows)
        rendered += len(rows)
        audio_seconds += sum(row["duration"] for row in rows)
    write_card(
        options.output,
        seed=options.seed,
        songs=options.songs,
        voices=options.voices,
        edition=options.edition,
    )
    return RenderReport(rendered, audio_seconds, found, time.perf_counter() - started)


def _open_output(options: CorpusOptions) -> None:
    """Write the manifest or check the existing one; delete partial files of an aborted run."""
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
        write_files({path: encode_json(options.manifest)})
    for partial in (options.output / "data").glob(".*"):
        partial.unlink()


def _rendered_shards(
    options: CorpusOptions, shards: list[Shard]
) -> Iterator[tuple[Shard, list[dict[str, Any]]]]:
    """Render shards in worker processes, which may work ahead by one shard."""
    if not shards:
        return
    tqdm = require("tqdm", "corpus").tqdm
    with (
        ProcessPoolExecutor(
            options.workers, get_context("spawn"), _open_synthesizers, (options.soundfont,)
        ) as pool,
        tqdm(
            total=sum(shard.num_rows for shard in shards),
            unit="song",
            disable=not options.progress,
        ) as bar,
    ):
        waiting = list(shards)
        started: list[tuple[Shard, list[Any]]] = []
        while waiting or started:
            while waiting and len(started) < 2:
                shard = waiting.pop(0)
                jobs = [
                    pool.submit(
                        _render_song,
                        options.seed,
                        shard.split,
                        index,
                        options.voices,
                        options.edition,
                    )
                    for index in range(shard.first, shard.last)
                ]
                started.append((shard, jobs))
            shard, jobs = started.pop(0)
            rows = []
            for job in jobs:
                rows.append(job.result())
                bar.update()
            yield shard, rows


def _open_synthesizers(soundfont: str | None) -> None:
    global _synthesizers
    end_with_parent()
    _synthesizers = IsolatedSynthesizers(soundfont)


def _render_song(*arguments: Any) -> dict[str, Any]:
    assert _synthesizers is not None
    return _synthesizers.call(render_row, *arguments)


def _write_shard(path: Path, rows: list[dict[str, Any]]) -> None:
    buffer = io.BytesIO()
    # The bar of datasets for each file would disturb the bar of the whole run.
    with datasets_progress_bars(False, extra="corpus"):
        # Row groups of a few songs keep the memory of a streaming reader small.
        to_dataset(rows).to_parquet(buffer, batch_size=25)
    write_files({path: buffer.getvalue()})


__all__ = ["MANIFEST", "RenderReport", "render_corpus"]

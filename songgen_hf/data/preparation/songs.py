"""Prepares recordings for training: whole songs become clips with lyrics, captions and scores.

SongGen's data pipeline (arXiv 2502.13128, section 3.4) in stages that can be used alone, changed by
a configuration, killed and resumed. The recordings stay where they are; the output folder holds

    songs.json       what was prepared, and how
    preview.json     the time that a recording took in a preview
    recordings/      sounds of a source that is a dataset
    stems/           vocal and accompaniment of recordings that came without
    stages/          the result of each stage, one parquet file for each recording or 32 clips
    clips.parquet    all clips with all scores, kept or not, and the reasons
    data/            the kept clips, which `songgen-hf prepare codes` reads
    README.md        the dataset card of the clips
    report.html      counts, distributions, and clips to listen to

Paths of files in this folder are stored relative to it, so that it can be moved.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from ...files import encode_json, remove_leftovers, write_files
from ...optional import require
from ..shards import datasets_progress_bars, parquet_bytes, shards_of
from ..tables import CARD
from . import (
    alignment,
    captioning,
    inspection,
    quality,
    segmentation,
    separation,
    transcription,
    voice_prompts,
)
from .clips import PREPARATION_FILE, absolute_tracks, relative_tracks
from .clips_card import render_clips_card
from .configuration import Preparation, read_preparation
from .duplicates import group_duplicates
from .filtering import PRESETS, Thresholds, filter_table
from .options import SongsOptions
from .recordings import find_recordings
from .report import report
from .runners import Report
from .stages import ERROR, Row, Stage, forget_errors, is_done, read_clips, run_stages

DESCRIPTION_FILE, TABLE_FILE, REPORT_FILE = PREPARATION_FILE, "clips.parquet", "report.html"
PREVIEW_FILE = "preview.json"
DATA_FOLDER = "data"
CLIPS_PER_SHARD = 1000


class PreparedSongs(NamedTuple):
    """What a preparation has found.

    ``recordings`` and ``clips`` are numbers, as are ``kept`` and ``failed`` (recordings and clips
    with an error); ``seconds`` is the length of the kept clips, ``reasons`` counts the rules by
    which clips were dropped. ``unused_stems`` are folders of stems that the package made for
    recordings that are not in the source any more.
    """

    recordings: int
    clips: int
    kept: int
    failed: int
    seconds: float
    reasons: dict[str, int]
    unused_stems: tuple[Path, ...] = ()


class Preview(NamedTuple):
    """A preparation of some recordings: what was found, and seconds that the others will take.

    The seconds are None if the recordings had been prepared before, by something else than a
    preview.
    """

    found: PreparedSongs
    remaining_seconds: float | None


def prepare_songs(options: SongsOptions, *, progress: bool | Report = True) -> PreparedSongs | None:
    """Prepare all recordings of a source, or go on with it.

    Args:
        options: what to prepare, how, and where to write it.
        progress: whether to show progress, or a function that is told of it, see
            :func:`~.runners.run_all`.
    Returns:
        What was found; None if ``options.until`` stops before the filter.
    Raises:
        FileNotFoundError: if the source has no recordings.
        ValueError: if the output holds a preparation with other stages.
        OSError: if a file cannot be read or written.
        ImportError: if the package of a stage is missing.
    """
    recordings = find_recordings(options.source, options.output / "recordings", split=options.split)
    found = _prepare(options, recordings, progress)
    unused = separation.unused_stems(options.output / "stems", recordings)
    return found and found._replace(unused_stems=unused)


def preview_songs(options: SongsOptions, count: int = 10, *, progress: bool = True) -> Preview:
    """Prepare some recordings, drawn with the seed; their results are used when all are prepared.

    Recordings that have been prepared are in the preview, too, so that none is lost.

    Args:
        options: as for :func:`prepare_songs`.
        count: number of recordings.
        progress: whether to show progress.
    Raises: as :func:`prepare_songs`.
    """
    recordings = find_recordings(options.source, options.output / "recordings", split=options.split)
    chosen = random.Random(f"songgen-preview/{options.seed}").sample(
        range(len(recordings)), min(count, len(recordings))
    )
    waiting = set(_unprepared(options, recordings))
    drawn = [row for place, row in enumerate(recordings) if place in chosen or place not in waiting]
    missing = len(waiting.intersection(chosen))
    path, start = options.output / PREVIEW_FILE, time.monotonic()
    found = _prepare(options, drawn, progress)
    if missing:
        seconds = (time.monotonic() - start) / missing
        write_files({path: encode_json({"seconds_per_recording": seconds})})
    elif path.is_file():
        seconds = json.loads(path.read_text(encoding="utf-8"))["seconds_per_recording"]
    else:
        seconds = None
    rest = len(_unprepared(options, recordings))
    remaining = 0.0 if not rest else None if seconds is None else rest * seconds
    assert found is not None or options.until is not None
    return Preview(found or PreparedSongs(len(drawn), 0, 0, 0, 0.0, {}), remaining)


def _unprepared(options: SongsOptions, recordings: Sequence[Row]) -> list[int]:
    """The places of the recordings that some stage has yet to process."""
    stages = _stages(options, read_preparation(options.config, options.changes))
    folder = options.output / "stages"
    return [
        place
        for place, row in enumerate(recordings)
        if not is_done(stages, row["recording_id"], folder)
    ]


def filter_again(
    output: Path,
    *,
    config: str | None = None,
    changes: Sequence[str] = (),
    validation_share: float | None = None,
    seed: int | None = None,
) -> PreparedSongs:
    """Apply other bounds to a finished table; no stage is run.

    Args:
        output: folder of a preparation.
        config: preset or YAML file with the bounds; None for those of the preparation.
        changes: ``filter.option=value`` each.
        validation_share, seed: see :class:`SongsOptions`; None for those of the preparation.
    Raises:
        FileNotFoundError: if the output holds no finished preparation.
        ValueError: for wrong bounds.
    """
    path = output / TABLE_FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} does not exist: prepare songs first with `songgen-hf prepare songs`"
        )
    described = json.loads((output / DESCRIPTION_FILE).read_text(encoding="utf-8"))
    preparation = read_preparation(config or {"filter": described["filter"]}, changes)
    options = SongsOptions(
        source=described["source"],
        output=output,
        validation_share=_first(validation_share, described.get("validation_share"), 0.0),
        seed=_first(seed, described.get("seed"), 0),
    )
    table = require("pyarrow.parquet", "prepare").read_table(path)
    found = _finish(options, preparation.filter, table)
    _write_description(options, {**described, **_choices(options, preparation)})
    return found


def _first(*values: Any) -> Any:
    """The first value that is not None."""
    return next(value for value in values if value is not None)


def build_stages(preparation: Preparation, output: Path) -> tuple[Stage, ...]:
    """The stages of a preparation, in order, for :func:`~.stages.run_stages`."""
    stems = (output / "stems").resolve()
    return (
        Stage("inspect", "recording", inspection.inspect_recording, inspection.columns),
        Stage(
            "separate",
            "recording",
            partial(_separate, options=preparation.separate, stems=stems),
            separation.columns,
            preparation.separate.device_share,
        ),
        Stage(
            "segment",
            "cut",
            partial(_segment, preparation=preparation),
            _segment_columns,
        ),
        Stage(
            "transcribe",
            "clips",
            partial(transcription.transcribe, options=preparation.transcribe),
            transcription.columns,
            preparation.transcribe.device_share,
        ),
        Stage("score", "clips", partial(quality.score, options=preparation.score), quality.columns),
        Stage(
            "caption",
            "clips",
            partial(captioning.caption, options=preparation.caption),
            captioning.columns,
            preparation.caption.device_share,
        ),
    )


def _separate(recording: Row, *, options: Any, stems: Path) -> Row:
    return separation.separate(recording, options, stems)


def _segment(recording: Row, *, preparation: Preparation) -> list[Row]:
    """Cut a recording, distribute its lyrics over the clips, and choose their reference voices.

    Raises:
        ValueError: if nothing of it is loud enough, so that the recording is not lost silently.
    """
    clips = segmentation.segment(recording, preparation.segment)
    if not clips:
        level = preparation.segment.silence_level
        raise ValueError(
            f"it is silent in mono, below {level:g} dB throughout: replace or remove it"
        )
    clips = alignment.align_lyrics(clips, preparation.align)
    return voice_prompts.choose_voices(clips, preparation.voice)


def _segment_columns() -> list[Any]:
    return [*segmentation.columns(), *alignment.columns(), *voice_prompts.columns()]


def _prepare(
    options: SongsOptions, recordings: Sequence[Row], progress: bool | Report
) -> PreparedSongs | None:
    """Run the stages on recordings, and finish their table if all have run."""
    preparation = read_preparation(options.config, options.changes)
    _check_stages(options, preparation)
    identity = {"source": options.source, "stages": preparation.identity()}
    _write_description(options, {**identity, **_choices(options, preparation)})
    stages = _stages(options, preparation)
    folder = options.output / "stages"
    for place in (options.output / "stems", *folder.glob("*/")):
        remove_leftovers(place)
    if options.retry:
        forget_errors(stages, recordings, folder)
    with datasets_progress_bars(progress is True, extra="prepare"):
        run_stages(
            stages,
            recordings,
            folder,
            runner=options.runner,
            workers=options.workers,
            progress=progress,
        )
    if options.until is not None:
        return None
    clips = read_clips(stages, recordings, folder)
    table = _as_table([relative_tracks(row, options.output) for row in clips], stages)
    return _finish(options, preparation.filter, table)


def _stages(options: SongsOptions, preparation: Preparation) -> tuple[Stage, ...]:
    """The stages up to the last one that is wanted."""
    stages = build_stages(preparation, options.output)
    names = [stage.name for stage in stages]
    return stages if options.until is None else stages[: names.index(options.until) + 1]


def _as_table(rows: Sequence[Row], stages: Sequence[Stage]) -> Any:
    """A table of clips; the columns of stages have their types, those of recordings any."""
    pyarrow = require("pyarrow", "prepare")
    types = {field.name: field.type for stage in stages for field in stage.columns()}
    types |= {"id": pyarrow.string(), ERROR: pyarrow.string()}
    columns = {}
    for name in dict.fromkeys([*(name for row in rows for name in row), *types]):
        values = [row.get(name) for row in rows]
        try:
            columns[name] = pyarrow.array(values, types.get(name))
        except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError):
            if name in types:
                raise
            # A user's column with values of different kinds.
            texts = [None if value is None else str(value) for value in values]
            columns[name] = pyarrow.array(texts, pyarrow.string())
    return pyarrow.table(columns)


def _choices(options: SongsOptions, preparation: Preparation) -> dict[str, Any]:
    """What decides which clips are kept, and their splits; it can be changed later."""
    return {
        "filter": asdict(preparation.filter),
        "validation_share": options.validation_share,
        "seed": options.seed,
    }


def _check_stages(options: SongsOptions, preparation: Preparation) -> None:
    """Check that the stages are those of an earlier run in the output.

    Raises:
        ValueError: if it holds a preparation with other stages.
    """
    path = options.output / DESCRIPTION_FILE
    if not path.is_file():
        return
    found = json.loads(path.read_text(encoding="utf-8"))["stages"]
    for name, section in json.loads(json.dumps(preparation.identity())).items():
        for key, value in section.items():
            if found.get(name, {}).get(key) != value:
                raise ValueError(
                    f"{options.output} was prepared with another {name}.{key} "
                    f"({found.get(name, {}).get(key)!r}, now {value!r}): choose a new folder, "
                    "or remove the old one"
                )


def _write_description(options: SongsOptions, description: Mapping[str, Any]) -> None:
    write_files({options.output / DESCRIPTION_FILE: encode_json(description)})


def _finish(options: SongsOptions, thresholds: Thresholds, table: Any) -> PreparedSongs:
    """Filter a table, and write it, the data and the report."""
    table = filter_table(_with_duplicates(table), thresholds)
    write_files({options.output / TABLE_FILE: parquet_bytes(table)})
    _write_data(options, table)
    unused = [name for name in ("fingerprint", "words") if name in table.column_names]
    rows = [absolute_tracks(row, options.output) for row in table.drop_columns(unused).to_pylist()]
    data = sorted((options.output / DATA_FOLDER).glob("*.parquet"))
    card = render_clips_card(
        rows,
        thresholds,
        PRESETS["hq"],
        [f"{DATA_FOLDER}/{path.name}" for path in data],
        name=options.output.resolve().name,
    )
    page = report(rows, thresholds, seed=options.seed)
    write_files({options.output / REPORT_FILE: page.encode(), options.output / CARD: card.encode()})
    return _summary(rows)


def _with_duplicates(table: Any) -> Any:
    """A table with the groups of duplicates among its clips."""
    pyarrow = require("pyarrow", "prepare")
    names = [name for name in ("id", "fingerprint") if name in table.column_names]
    groups = [row["duplicate_group"] for row in group_duplicates(table.select(names).to_pylist())]
    if "duplicate_group" in table.column_names:
        table = table.drop_columns(["duplicate_group"])
    return table.append_column("duplicate_group", pyarrow.array(groups, pyarrow.string()))


def _write_data(options: SongsOptions, table: Any) -> None:
    """Write the kept clips as parquet files of each split, in place of earlier ones."""
    dropped = ("kept", "reasons", "fingerprint", "duplicate_group", ERROR)
    kept = table.filter(table.column("kept"))
    kept = kept.drop_columns([name for name in dropped if name in kept.column_names])
    places: dict[str, list[int]] = {"train": [], "validation": []}
    for place, name in enumerate(kept.column("recording_id").to_pylist()):
        split = _split(name, options)
        places[split].append(place)
    contents: dict[Path, bytes] = {}
    folder = options.output / DATA_FOLDER
    sizes = {split: len(rows) for split, rows in places.items() if rows}
    for shard in shards_of(sizes, CLIPS_PER_SHARD):
        rows = kept.take(places[shard.split][shard.first : shard.last])
        contents[folder / shard.name] = parquet_bytes(rows)
    found = {path: path.read_bytes() for path in folder.glob("*.parquet")}
    if found != contents:  # unchanged files keep their times, by which codes know their source
        write_files(contents)
        for path in found.keys() - contents.keys():
            path.unlink()


def _split(recording_id: str, options: SongsOptions) -> str:
    """The split of all clips of a recording; it depends on its id and the seed alone."""
    digest = sha256(f"{options.seed}/{recording_id}".encode()).digest()
    share = int.from_bytes(digest[:8], "big") / 2**64
    return "validation" if share < options.validation_share else "train"


def _summary(rows: Sequence[Row]) -> PreparedSongs:
    kept = [row for row in rows if row["kept"]]
    reasons: dict[str, int] = {}
    for row in rows:
        for reason in row["reasons"]:
            name = reason.partition(":")[0]
            reasons[name] = reasons.get(name, 0) + 1
    return PreparedSongs(
        recordings=len({row["recording_id"] for row in rows}),
        clips=len(rows),
        kept=len(kept),
        failed=sum(row[ERROR] is not None for row in rows),
        seconds=round(sum(row["clip_seconds"] for row in kept), 3),
        reasons=dict(sorted(reasons.items(), key=lambda entry: -entry[1])),
    )


__all__ = [
    "PreparedSongs",
    "Preview",
    "build_stages",
    "filter_again",
    "prepare_songs",
    "preview_songs",
]

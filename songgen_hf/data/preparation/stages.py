"""Runs the stages of a preparation over recordings, so that any of it can be killed and resumed.

A stage is a stateless function with typed columns. Some stages run on one recording, one of them
makes its clips, and the others run on a few clips at a time. The result of each run is one parquet
file, written whole or not at all, and what has a file is not computed again, unless the recording
is another one. What cannot be read becomes a row with its error.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from ...files import write_files
from ...optional import require
from ..shards import parquet_bytes
from ..tables import contents_digest
from .clips import absolute_tracks, relative_tracks
from .recordings import ERROR, recording_digest
from .runners import Report, run_all

CLIPS_PER_FILE = 32
LONGEST_REASON = 300
"""Characters of an error of a library that a message repeats."""
# In the files of the first stage: what their recording was, by the times and contents of its files.
_DIGEST, _CONTENTS = b"recording", b"contents"
_KINDS = ("recording", "cut", "clips")
Row = dict[str, Any]


@dataclass(frozen=True)
class Stage:
    """A step of a preparation.

    Args:
        name: name of the stage and of its folder.
        kind: ``recording`` for a function from a recording to the same with more columns, ``cut``
            for one from a recording to its clips, ``clips`` for one from a list of clips to the
            same clips with more columns.
        function: the function; it can be pickled.
        columns: returns the arrow fields of the columns that the function adds or changes.
        device_share: with Ray, the share of a GPU that it needs.
    """

    name: str
    kind: Literal["recording", "cut", "clips"]
    function: Callable[..., Any]
    columns: Callable[[], Sequence[Any]]
    device_share: float = 0.0


class ModelError(ValueError):
    """A model of a stage cannot be loaded: the run ends, since no recording can be processed."""


@contextmanager
def loading(what: str) -> Iterator[None]:
    """Turn errors of libraries about a model into a :class:`ModelError` of one line.

    Args:
        what: the model, for messages.
    """
    try:
        yield
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot load {what}: {_one_line(error)[:LONGEST_REASON]}") from error


def run_stages(
    stages: Sequence[Stage],
    recordings: Sequence[Row],
    folder: Path,
    *,
    runner: str = "map",
    workers: int = 1,
    progress: bool | Report = True,
) -> None:
    """Run all stages on all recordings, except for what has been done.

    Results of a recording whose row or files have changed since are computed again.

    Args:
        stages: those on recordings, the one that cuts, and those on clips; from the first stage up
            to any of them.
        recordings: rows with a ``recording_id`` each, of what JSON can hold.
        folder: folder of the results, one subfolder for each stage; the folder around it can be
            moved with the stems in it.
        runner, workers: see :func:`~.runners.run_all`.
        progress: see :func:`~.runners.run_all`.
    Raises:
        OSError: if a file cannot be written.
        ValueError: if two recordings have one id, or the stages have another order; ``ModelError``
            if a model cannot be loaded.
    """
    ids = [row["recording_id"] for row in recordings]
    if len(set(ids)) < len(ids):
        raise ValueError(f"got two recordings with one id: {_repeated(ids)!r}; rename one of them")
    order = [_KINDS.index(stage.kind) for stage in stages]
    if order != sorted(order) or order.count(1) > 1 or (2 in order and 1 not in order):
        raise ValueError("expected stages on recordings, one that cuts, then stages on clips")
    folder = folder.resolve()
    for recording in recordings:
        if not _is_current(stages[0], recording, folder):
            for stage in reversed(stages):  # the first one last, should this be interrupted
                for path in _results(stage, recording, folder):
                    path.unlink()
    for number, stage in enumerate(stages):
        earlier = tuple(stages[:number])
        pieces = [
            {"recording": json.dumps(recording), "part": part}
            for recording, name in zip(recordings, ids, strict=True)
            for part in range(_parts(earlier, folder, name) if stage.kind == "clips" else 1)
            if not result_path(folder, stage, name, part).is_file()
        ]
        run_all(
            pieces,
            partial(_run, stage=stage, earlier=earlier, folder=folder),
            runner=runner,
            workers=workers,
            device_share=stage.device_share,
            description=f"{number + 1}/{len(stages)} {stage.name}",
            progress=progress,
        )


def read_clips(stages: Sequence[Stage], recordings: Sequence[Row], folder: Path) -> Iterator[Row]:
    """Yield the clips of all recordings with the columns of all stages, in order.

    A recording that could not be read is a row with ``recording_id`` and ``error``.
    """
    for recording in recordings:
        name = recording["recording_id"]
        for part in range(_parts(stages, folder, name)):
            yield from _read(stages, recording, folder, part)


def forget_errors(stages: Sequence[Stage], recordings: Sequence[Row], folder: Path) -> int:
    """Remove the results of recordings from the first error on, so that they are computed again.

    Returns:
        The number of recordings with an error.
    """
    parquet = require("pyarrow.parquet", "prepare")
    count = 0
    for recording in recordings:
        failed = False
        for stage in stages:
            for path in _results(stage, recording, folder):
                errors = parquet.read_table(path, columns=[ERROR]).column(ERROR)
                failed = failed or errors.null_count < len(errors)
                if failed:
                    path.unlink()
        count += failed
    return count


def is_done(stages: Sequence[Stage], recording_id: str, folder: Path) -> bool:
    """Whether every stage has written all its results of a recording."""
    for number, stage in enumerate(stages):
        parts = _parts(stages[:number], folder, recording_id) if stage.kind == "clips" else 1
        if not all(
            result_path(folder, stage, recording_id, part).is_file() for part in range(parts)
        ):
            return False
    return True


def result_path(folder: Path, stage: Stage, recording_id: str, part: int) -> Path:
    """The file of a stage with the clips of one part of a recording."""
    number = f"-{part:05d}" if stage.kind == "clips" else ""
    return folder / stage.name / f"{recording_id}{number}.parquet"


def _results(stage: Stage, recording: Row, folder: Path) -> list[Path]:
    """The files of a stage that exist of a recording."""
    number = "-[0-9][0-9][0-9][0-9][0-9]" if stage.kind == "clips" else ""
    return sorted((folder / stage.name).glob(f"{recording['recording_id']}{number}.parquet"))


def _is_current(stage: Stage, recording: Row, folder: Path) -> bool:
    """Whether the results of the first stage are not those of another recording of the same id.

    The contents of files are read if their times have changed, and the new times are recorded.
    """
    parquet = require("pyarrow.parquet", "prepare")
    path = result_path(folder, stage, recording["recording_id"], 0)
    if not path.is_file():
        return True
    known = parquet.read_metadata(path).metadata or {}
    digest = recording_digest(recording).encode()
    if known.get(_DIGEST) == digest:
        return True
    if known.get(_CONTENTS) != recording_digest(recording, contents_digest).encode():
        return False
    _write_table(parquet.read_table(path), path, {_DIGEST: digest, _CONTENTS: known[_CONTENTS]})
    return True


def _run(piece: Row, *, stage: Stage, earlier: tuple[Stage, ...], folder: Path) -> Row:
    """Run a stage on a recording or on one part of its clips, and write the file."""
    recording = json.loads(piece["recording"])
    name = recording["recording_id"]
    facts: dict[bytes, bytes] = {}
    if not earlier:
        facts[_DIGEST] = recording_digest(recording).encode()
        facts[_CONTENTS] = recording_digest(recording, contents_digest).encode()
    if stage.kind == "clips":
        before = list(_read(earlier, recording, folder, piece["part"]))
        rows = _run_on_clips(stage, before)
        known = {key for row in before for key in row}
    else:
        recording = _with_columns(recording, earlier, folder)
        rows = _run_on_recording(stage, recording)
        known = set(recording)
    known -= {"id", ERROR, *(field.name for field in stage.columns())}
    # Of a row with an error, what the source has in columns of the stage may be of any type.
    added = [
        {key: value for key, value in row.items() if key not in known}
        if not row.get(ERROR)
        else {"id": row["id"], ERROR: row[ERROR]}
        for row in rows
    ]
    added = [relative_tracks(row, folder.parent) for row in added]
    _write(added, stage, result_path(folder, stage, name, piece["part"]), facts)
    return piece


def _run_on_recording(stage: Stage, recording: Row) -> list[Row]:
    """Run a stage on a recording; one row with the error if that fails or has failed before."""
    if not recording.get(ERROR):
        try:
            result = stage.function(dict(recording))
            return result if stage.kind == "cut" else [{**result, "id": result["recording_id"]}]
        except ModelError:
            raise
        except (OSError, ValueError) as error:
            recording = {**recording, ERROR: f"{stage.name}: {_one_line(error)}"}
    return [{"id": recording["recording_id"], ERROR: recording[ERROR]}]


def _with_columns(recording: Row, stages: Sequence[Stage], folder: Path) -> Row:
    """A recording with the columns of the stages on recordings; stems that it came with stay."""
    stems = {name: recording[name] for name in ("vocal", "accompaniment") if recording.get(name)}
    parquet = require("pyarrow.parquet", "prepare")
    for stage in stages:
        if stage.kind == "recording":
            path = result_path(folder, stage, recording["recording_id"], 0)
            (row,) = parquet.read_table(path).to_pylist()
            row = absolute_tracks(row, folder.parent)
            recording = {**recording, **{key: row[key] for key in row if key != "id"}, **stems}
    return recording


def _run_on_clips(stage: Stage, clips: list[Row]) -> list[Row]:
    """Run a stage on clips; if that fails, on each by itself, so that only some have an error."""
    healthy = [row for row in clips if not row.get(ERROR)]
    try:
        results = iter(stage.function([dict(row) for row in healthy]) if healthy else [])
        return [next(results) if not row.get(ERROR) else row for row in clips]
    except ModelError:
        raise
    except (OSError, ValueError) as error:
        if len(healthy) == 1:
            return [
                {**row, ERROR: f"{stage.name}: {_one_line(error)}"} if row is healthy[0] else row
                for row in clips
            ]
    return [_run_on_clips(stage, [row])[0] for row in clips]


def _read(stages: Sequence[Stage], recording: Row, folder: Path, part: int) -> Iterator[Row]:
    """The clips of one part of a recording with the columns of some stages."""
    parquet = require("pyarrow.parquet", "prepare")
    name = recording["recording_id"]
    recording = _with_columns(recording, stages, folder)
    (cut,) = (stage for stage in stages if stage.kind == "cut")
    clips = parquet.read_table(result_path(folder, cut, name, 0)).to_pylist()
    clips = clips[part * CLIPS_PER_FILE : (part + 1) * CLIPS_PER_FILE]
    others = [stage for stage in stages if stage.kind == "clips"]
    tables = [parquet.read_table(result_path(folder, one, name, part)) for one in others]
    for row, *more in zip(clips, *(table.to_pylist() for table in tables), strict=True):
        clip = {**recording, **row}
        for added in more:
            clip |= {**added, ERROR: clip.get(ERROR) or added.get(ERROR)}
        yield clip


def _parts(stages: Sequence[Stage], folder: Path, name: str) -> int:
    """The number of parts of a recording's clips."""
    parquet = require("pyarrow.parquet", "prepare")
    (cut,) = (stage for stage in stages if stage.kind == "cut")
    count = parquet.read_metadata(result_path(folder, cut, name, 0)).num_rows
    return -(-count // CLIPS_PER_FILE)


def _write(rows: Sequence[Row], stage: Stage, path: Path, facts: dict[bytes, bytes]) -> None:
    """Write the columns of a stage, and facts about the recording, to a file."""
    pyarrow = require("pyarrow", "prepare")
    types = {field.name: field.type for field in stage.columns()}
    types = {"id": pyarrow.string(), **types, ERROR: pyarrow.string()}
    unknown = sorted({name for row in rows for name in row} - set(types))
    if unknown:
        raise ValueError(f"the stage {stage.name} wrote {unknown[0]!r}, which is no column of it")
    columns = {
        name: pyarrow.array([row.get(name) for row in rows], kind) for name, kind in types.items()
    }
    _write_table(pyarrow.table(columns), path, facts)


def _write_table(table: Any, path: Path, facts: dict[bytes, bytes]) -> None:
    """Write a table with facts about the recording to a file, whole or not at all."""
    write_files({path: parquet_bytes(table.replace_schema_metadata(facts or None))})


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _repeated(names: Sequence[str]) -> str:
    return next(name for place, name in enumerate(names) if name in names[:place])


__all__ = [
    "CLIPS_PER_FILE",
    "ERROR",
    "ModelError",
    "Stage",
    "forget_errors",
    "is_done",
    "loading",
    "read_clips",
    "result_path",
    "run_stages",
]

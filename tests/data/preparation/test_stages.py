"""Tests of running stages: results, resumption, errors, workers."""

import os
from functools import partial

import pyarrow
import pytest

from songgen_hf.data.preparation.stages import (
    CLIPS_PER_FILE,
    ERROR,
    ModelError,
    Stage,
    forget_errors,
    read_clips,
    result_path,
    run_stages,
)

RECORDINGS = [
    {"recording_id": "long", "path": "long.mp3", "count": 2 * CLIPS_PER_FILE + 3},
    {"recording_id": "broken", "path": "broken.mp3", "count": -1},
    {"recording_id": "empty", "path": "empty.mp3", "count": 0},
    {"recording_id": "short", "path": "short.mp3", "count": 2},
]


def cut(recording):
    """Clips of a recording; "count" becomes a float."""
    if recording["count"] < 0:
        raise ValueError("no sound\nin the file")
    return [
        {
            **recording,
            "count": float(recording["count"]),
            "id": f"{recording['recording_id']}-{i}",
            "clip_start": i,
        }
        for i in range(recording["count"])
    ]


def separate(recording, seen=None, missing=""):
    """A recording with a stem in place of its path."""
    if seen is not None:
        seen.append(recording["recording_id"])
    if recording["recording_id"] == missing:
        raise FileNotFoundError("no such file")
    return {**recording, "path": "/stem.flac"}


def measure(rows, bad="", stop_after=None, seen=None):
    """A column from another one; fails on one clip, or after so many calls."""
    if seen is not None:
        seen.append([row["id"] for row in rows])
        if stop_after is not None and len(seen) > stop_after:
            raise KeyboardInterrupt
    if any(row["id"] == bad for row in rows):
        raise ValueError("cannot be measured")
    return [{**row, "level": 2.0 * row["clip_start"]} for row in rows]


def inspect(recording):
    """A recording with a fact about it."""
    return {**recording, "rate": 44100}


def inspect_columns():
    """Columns of ``inspect``."""
    return [pyarrow.field("rate", pyarrow.int64())]


def separate_columns():
    """Columns of ``separate``."""
    return [pyarrow.field("path", pyarrow.string())]


def cut_columns():
    """Columns of ``cut``."""
    return [
        pyarrow.field("clip_start", pyarrow.float64()),
        pyarrow.field("count", pyarrow.float64()),
    ]


def level_columns():
    """Columns of ``measure``."""
    return [pyarrow.field("level", pyarrow.float64())]


def stages(separated=None, missing="", **settings):
    """Stages of each kind."""
    first = partial(separate, seen=separated, missing=missing)
    return (
        Stage("inspect", "recording", inspect, inspect_columns),
        Stage("separate", "recording", first, separate_columns),
        Stage("cut", "cut", cut, cut_columns),
        Stage("measure", "clips", partial(measure, **settings), level_columns),
    )


def run(folder, chosen, **settings):
    """The clips after running the stages."""
    run_stages(chosen, RECORDINGS, folder, progress=False, **settings)
    return list(read_clips(chosen, RECORDINGS, folder))


def test_clips_have_the_columns_of_all_stages(tmp_path):
    rows = run(tmp_path, stages())

    assert [row["id"] for row in rows if row["recording_id"] == "short"] == ["short-0", "short-1"]
    assert rows[-1] == {
        "recording_id": "short", "path": "/stem.flac", "count": 2.0, "rate": 44100, "id": "short-1",
        "clip_start": 1.0, ERROR: None, "level": 2.0,
    }  # fmt: skip
    assert len(rows) == 2 * CLIPS_PER_FILE + 3 + 1 + 2
    first = [row for row in rows if row["recording_id"] == "long"]
    assert [row["level"] for row in first] == [2.0 * i for i in range(len(first))]


def test_what_cannot_be_read_is_a_row_with_its_error(tmp_path):
    rows = run(tmp_path, stages(bad="long-5", missing="empty"))

    wrong = {row["id"]: row[ERROR] for row in rows if row[ERROR]}
    assert wrong == {
        "broken": "cut: no sound in the file",
        "empty": "separate: no such file",
        "long-5": "measure: cannot be measured",
    }
    assert all(row["level"] is not None for row in rows if not row[ERROR])


@pytest.mark.parametrize("recording", ["broken", "short"])
def test_a_row_with_an_error_has_nothing_in_the_columns_of_its_stage(tmp_path, recording):
    rows = [{**row, "level": "loud"} for row in RECORDINGS if row["recording_id"] == recording]
    chosen = stages(bad="short-1")

    run_stages(chosen, rows, tmp_path, progress=False)

    row = list(read_clips(chosen, rows, tmp_path))[-1]
    assert row[ERROR] and row["level"] is None


def test_a_recording_that_begins_with_an_error_is_a_row_with_it(tmp_path):
    wrong = {**RECORDINGS[-1], ERROR: "inspect: no lyrics"}

    run_stages(stages(), [wrong], tmp_path, progress=False)
    (row,) = read_clips(stages(), [wrong], tmp_path)
    run_stages(stages(), RECORDINGS[-1:], tmp_path, progress=False)

    assert row["id"] == "short" and row[ERROR] == "inspect: no lyrics"
    assert [row[ERROR] for row in read_clips(stages(), RECORDINGS[-1:], tmp_path)] == [None, None]


@pytest.mark.slow
@pytest.mark.parametrize("stop_after", range(4))
def test_a_stopped_run_goes_on_without_repeating_or_losing_a_clip(tmp_path, stop_after):
    whole, seen, separated = run(tmp_path / "whole", stages()), [], []

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "parts", stages(separated, seen=seen, stop_after=stop_after))
    done = {name for call in seen[:stop_after] for name in call}
    again = []
    resumed = run(tmp_path / "parts", stages(separated, seen=again))

    assert resumed == whole and len(separated) == len(RECORDINGS)
    assert done.isdisjoint(name for call in again for name in call)


@pytest.mark.slow
def test_recordings_with_an_error_are_computed_again(tmp_path):
    run(tmp_path, stages(bad="long-5", missing="empty"))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")}

    assert forget_errors(stages(), RECORDINGS, tmp_path) == 3
    kept = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.parquet")}
    rows = run(tmp_path, stages())

    assert "measure/long-00000.parquet" not in kept and "cut/long.parquet" in kept
    assert "separate/empty.parquet" not in kept and "measure/short-00000.parquet" in kept
    assert [row["id"] for row in rows if row[ERROR]] == ["broken"]
    short = tmp_path / "measure" / "short-00000.parquet"
    assert short.stat().st_mtime_ns == before[short]


def test_a_model_that_cannot_be_loaded_ends_the_run(tmp_path):
    def load(rows):
        raise ModelError("no such model")

    chosen = (*stages()[:3], Stage("measure", "clips", load, level_columns))
    with pytest.raises(ModelError, match="no such model"):
        run(tmp_path, chosen)

    assert not (tmp_path / "measure").exists() and (tmp_path / "cut" / "long.parquet").is_file()


def test_a_changed_recording_is_computed_again_and_no_other(tmp_path):
    before, seen, separated = run(tmp_path, stages()), [], []
    changed = [
        {**row, "lyrics": "new"} if row["recording_id"] == "long" else row for row in RECORDINGS
    ]
    changed[0]["count"] = 1

    run_stages(stages(separated, seen=seen), changed, tmp_path, progress=False)
    rows = list(read_clips(stages(), changed, tmp_path))

    assert separated == ["long"] and seen == [["long-0"]]
    assert not result_path(tmp_path, stages()[3], "long", 1).exists()
    assert rows[0]["lyrics"] == "new" and rows[1:] == before[2 * CLIPS_PER_FILE + 3 :]


def test_a_copy_of_a_recording_with_another_time_is_not_computed_again(tmp_path, monkeypatch):
    path, separated, read = tmp_path / "short.wav", [], []

    def prepare(content):
        path.write_bytes(content)
        os.utime(path, ns=(0, prepare.time))
        prepare.time += 10**9
        separated.clear()
        given = [{**RECORDINGS[-1], "path": str(path)}]
        run_stages(stages(separated), given, tmp_path / "stages", progress=False)
        return bool(separated)

    prepare.time = 0
    made = [prepare(content) for content in (b"one", b"one", b"two", b"two")]
    monkeypatch.setattr("songgen_hf.data.preparation.stages.contents_digest", read.append)
    prepare.time -= 10**9

    assert made == [True, False, True, False]
    assert prepare(b"two") is False and read == []  # known by its time again


@pytest.mark.slow
def test_workers_write_the_same_files(tmp_path):
    for workers in (1, 3):
        run(tmp_path / str(workers), stages(bad="long-5"), workers=workers)

    files = sorted(path.relative_to(tmp_path / "1") for path in (tmp_path / "1").rglob("*.parquet"))
    assert len(files) == 4 + 4 + 4 + 3 + 1 + 1
    for name in files:
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "3" / name).read_bytes()


def test_a_moved_folder_goes_on_with_the_stems_in_it(tmp_path):
    given = [{**row, "vocal": "/given.flac"} for row in RECORDINGS[-1:]]
    lonely = [{**row, "recording_id": "lonely"} for row in RECORDINGS[-1:]]
    old, new, heard = tmp_path / "old", tmp_path / "new", []

    def separate(recording):
        return {"vocal": str(old / "stems" / "vocal.flac"), **recording}

    def listen(rows):
        heard.extend(row["vocal"] for row in rows)
        return [{**row, "level": 0.0} for row in rows]

    columns = partial(list, [pyarrow.field("vocal", pyarrow.string())])
    chosen = (
        Stage("separate", "recording", separate, columns),
        Stage("cut", "cut", cut, cut_columns),
        Stage("listen", "clips", listen, level_columns),
    )
    run_stages(chosen[:2], given + lonely, old / "stages", progress=False)
    old.rename(new)
    given[0]["vocal"] = "/moved.flac"
    run_stages(chosen, given + lonely, new / "stages", progress=False)

    assert heard == ["/moved.flac"] * 2 + [str(new / "stems" / "vocal.flac")] * 2


def test_wrong_stages_and_ids_are_refused(tmp_path):
    with pytest.raises(ValueError, match="two recordings with one id: 'long'"):
        run_stages(stages(), [RECORDINGS[0]] * 2, tmp_path)
    for wrong in (stages()[::3], stages()[::-1], stages()[2:3] * 2):
        with pytest.raises(ValueError, match="on recordings, one that cuts, then stages on clips"):
            run_stages(wrong, RECORDINGS, tmp_path)
    other = Stage("measure", "clips", measure, list)
    with pytest.raises(ValueError, match="measure wrote 'level', which is no column of it"):
        run(tmp_path, (*stages()[:3], other))


def test_results_lie_where_their_path_says(tmp_path):
    chosen = stages()
    run(tmp_path, chosen)

    assert result_path(tmp_path, chosen[2], "long", 0).is_file()
    assert result_path(tmp_path, chosen[3], "long", 2).is_file()
    assert not result_path(tmp_path, chosen[3], "long", 3).exists()

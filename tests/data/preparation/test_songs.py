"""The whole preparation of songs: recordings become clips with scores, reasons and a report."""

import json
import re

import numpy as np
import pyarrow.parquet
import pytest
import soundfile
import torch

from songgen_hf.cli import main
from songgen_hf.data.preparation.clips import EDGE_SECONDS
from songgen_hf.data.preparation.codes import prepare_codes
from songgen_hf.data.preparation.options import CodesOptions, SongsOptions
from songgen_hf.data.preparation.songs import filter_again, prepare_songs, preview_songs
from songgen_hf.files import TEMPORARY
from songgen_hf.modeling.audio_io import read_audio

from ...tools.sung_album import RATE, sing
from ...training.conftest import build_tiny

TRACKS = {"codes": "mixture", "vocal_codes": "vocals", "accompaniment_codes": "no_vocals"}
QUICK = ("score.music=false", "caption.phrasings=1")


@pytest.fixture(scope="module")
def album(tmp_path_factory):
    """Two songs with stems, a copy of the second one, and a text file with the name of a sound."""
    folder = tmp_path_factory.mktemp("album")
    for name, seed in (("one", 0), ("two", 1), ("two again", 1)):
        vocal, accompaniment = sing(seed)
        sounds = {"mixture": vocal + accompaniment, "vocals": vocal, "no_vocals": accompaniment}
        (folder / name).mkdir()
        for track, sound in sounds.items():
            soundfile.write(folder / name / f"{track}.wav", sound, RATE)
        (folder / name / "mixture.json").write_text('{"genre": "folk", "artist": "Ann"}')
    (folder / "broken.mp3").write_text("These are words, not sounds.")
    return folder


@pytest.fixture(scope="module")
def prepared(album, tmp_path_factory):
    """The output folder of a preparation, and what it found."""
    output = tmp_path_factory.mktemp("prepared") / "out"
    options = SongsOptions(source=str(album), output=output, config="small", changes=QUICK)
    return output, prepare_songs(options, progress=False)


def table(folder):
    """The rows of clips.parquet."""
    return pyarrow.parquet.read_table(folder / "clips.parquet").to_pylist()


@pytest.mark.slow
def test_songs_become_clips_with_scores_and_reasons(prepared):
    folder, found = prepared
    rows = table(folder)

    assert found.recordings == 4 and found.clips == len(rows) and found.failed == 1
    assert found.kept == sum(row["kept"] for row in rows) > 0
    assert all(row["kept"] == (not row["reasons"]) for row in rows)
    (broken,) = (row for row in rows if row["error"])
    assert broken["recording_id"] == "broken" and broken["reasons"][0].startswith("error: inspect")
    good = [row for row in rows if not row["error"]]
    assert {row["genre"] for row in good} == {"folk"} and all(row["captions"] for row in good)
    assert all(row["vocal_energy"] > 0 and row["loudness"] > -50 for row in good)
    copies = {row["recording_id"]: row["kept"] for row in good if row["duplicate_group"]}
    assert set(copies) == {"two", "two-again"} and sum(copies.values()) == 1
    assert found.reasons["duplicate"] == sum(not kept for kept in copies.values())


def test_a_silent_recording_is_told_of(tmp_path):
    (tmp_path / "album").mkdir()
    soundfile.write(tmp_path / "album" / "silence.wav", np.zeros((3 * RATE, 2)), RATE)
    options = SongsOptions(source=str(tmp_path / "album"), output=tmp_path / "out", changes=QUICK)

    found = prepare_songs(options, progress=False)

    (row,) = table(tmp_path / "out")
    assert (found.recordings, found.kept, row["recording_id"]) == (1, 0, "silence")
    assert row["error"].startswith("segment: it is silent in mono, below -60 dB throughout")


@pytest.mark.slow
def test_kept_clips_and_a_report_are_written(prepared, monkeypatch):
    folder, found = prepared
    data = pyarrow.parquet.read_table(folder / "data").to_pylist()

    assert len(data) == found.kept
    assert "fingerprint" not in data[0] and data[0]["clip_seconds"] >= 2
    page = (folder / "report.html").read_text()
    assert "duplicate" in page and "<audio" in page
    card = (folder / "README.md").read_text()
    (code,) = re.findall("```python\n(.*?)```", card, re.DOTALL)
    monkeypatch.chdir(folder.parent)
    exec(code, names := {})
    assert names["clips"]["id"] == [row["id"] for row in data]
    assert "| all clips |" in card
    missing = set(re.findall(r"`(\w+)`", card.partition("## Columns")[2])) - set(table(folder)[0])
    assert missing == set()
    described = json.loads((folder / "songs.json").read_text())
    assert described["stages"]["score"]["music"] is False


@pytest.mark.slow
def test_other_bounds_need_no_stage(prepared, album, monkeypatch):
    folder, found = prepared
    before = {path: path.stat().st_mtime_ns for path in folder.glob("stages/**/*.parquet")}
    none_kept = filter_again(folder, changes=("filter.min_loudness=-1",))
    described = json.loads((folder / "songs.json").read_text())
    assert described["filter"]["min_loudness"] == -1 and described["source"] == str(album)
    again = filter_again(folder, config="small")

    assert none_kept.kept == 0 and none_kept.reasons["loudness"] > 0
    assert again == found
    after = {path: path.stat().st_mtime_ns for path in folder.glob("stages/**/*.parquet")}
    assert after == before


@pytest.mark.slow
def test_a_preview_prepares_some_and_the_rest_follows(album, prepared, tmp_path):
    _, whole = prepared
    options = SongsOptions(source=str(album), output=tmp_path, config="small", changes=QUICK)

    preview = preview_songs(options, 2, progress=False)
    again = preview_songs(options, 2, progress=False)
    done = {path: path.stat().st_mtime_ns for path in tmp_path.glob("stages/**/*.parquet")}
    for place in ("stems", "stages/separate"):  # of a run that was killed
        (tmp_path / place / f".one.k1lled{TEMPORARY}").mkdir(parents=True)
    found = prepare_songs(options, progress=False)

    assert preview.found.recordings == 2 and preview.remaining_seconds > 0
    assert again == preview  # though nothing was left to compute
    after = preview_songs(options, 2, progress=False)
    assert (after.found, after.remaining_seconds) == (whole, 0)  # and not the two alone
    assert found == whole
    assert all(path.stat().st_mtime_ns == then for path, then in done.items())
    assert not list(tmp_path.rglob(f"*{TEMPORARY}"))


@pytest.mark.slow
def test_other_stages_in_the_same_folder_are_refused(prepared, album):
    folder, _ = prepared
    changes = (*QUICK, "segment.mean_seconds=8")
    options = SongsOptions(source=str(album), output=folder, config="small", changes=changes)

    with pytest.raises(ValueError, match=r"another segment.mean_seconds \(15.0, now 8\)"):
        prepare_songs(options, progress=False)


@pytest.mark.slow
def test_clips_of_a_recording_stay_in_one_split(album, tmp_path, capsys):
    gone = tmp_path / "out" / "stems" / "gone"
    gone.mkdir(parents=True)
    (gone / "vocal.flac").write_bytes(bytes(2_000_000))
    status = main(
        ["prepare", "songs", str(album), str(tmp_path / "out"), "--config", "small", "--quiet"]
        + ["--validation-share", "0.5", "--set", *QUICK, "filter.duplicates=true"]
    )

    shown = capsys.readouterr().out
    assert status == 0 and "report.html" in shown and gone.is_dir()
    assert f"stems of recordings that are gone take 2.0 MB; remove them: {gone}\n" in shown

    def read_splits():
        return {
            path.name.split("-")[0]: {*pyarrow.parquet.read_table(path)["recording_id"].to_pylist()}
            for path in (tmp_path / "out" / "data").glob("*.parquet")
        }

    splits = read_splits()
    assert main(["prepare", "filter", str(tmp_path / "out")]) == 0
    assert read_splits() == splits and {*splits} == {"train", "validation"}
    assert sum(map(len, splits.values())) == len(set.union(*splits.values())) == 3


def test_filtering_needs_a_finished_preparation(tmp_path, capsys):
    assert main(["prepare", "filter", str(tmp_path)]) == 2
    assert "prepare songs first with `songgen-hf prepare songs`" in capsys.readouterr().err


def test_a_source_without_sounds_is_refused(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert main(["prepare", "songs", str(tmp_path / "empty"), str(tmp_path / "out")]) == 2
    assert "holds no sound files" in capsys.readouterr().err


@pytest.mark.slow
def test_codes_of_kept_clips_are_those_of_the_true_cuts(prepared, album, tmp_path):
    codec = build_tiny("mixed")[0].audio_encoder.eval()
    codec.save_pretrained(tmp_path / "codec")
    source = str(prepared[0] / "data")
    options = CodesOptions(source=source, output=tmp_path / "codes", model=str(tmp_path / "codec"))

    prepare_codes(options, progress=False)

    clips = {row["id"]: row for row in pyarrow.parquet.read_table(source).to_pylist()}
    (path,) = (tmp_path / "codes").glob("*.parquet")
    codes = pyarrow.parquet.read_table(path, columns=["id", *TRACKS]).to_pylist()
    assert len(codes) == len(clips) > 0
    rate, folders = codec.config.sample_rate, {"one": "one", "two": "two", "two-again": "two again"}
    for row in codes:
        clip = clips[row["id"]]
        first = round(clip["clip_start"] * RATE)
        last = first + round(clip["clip_seconds"] * RATE)
        for column, track in TRACKS.items():
            sound, _ = soundfile.read(album / folders[clip["recording_id"]] / f"{track}.wav")
            soundfile.write(tmp_path / "cut.wav", sound[first:last], RATE)
            cut = read_audio(tmp_path / "cut.wav", rate).copy()
            edge = round(EDGE_SECONDS * rate)
            fade = (np.arange(edge, dtype=np.float32) + 0.5) / edge
            cut[:edge] *= fade
            cut[-edge:] *= fade[::-1]
            with torch.no_grad():
                expected = codec.encode(torch.from_numpy(cut)[None, None]).audio_codes[0]
            np.testing.assert_array_equal(row[column], expected)

"""Adapting a model to a folder of recordings."""

import json
import os
import shutil
from dataclasses import replace

import pytest
import soundfile

from songgen_hf.cli import main
from songgen_hf.data.preparation.options import SongsOptions
from songgen_hf.data.preparation.songs import prepare_songs
from songgen_hf.pipelines.text_to_song import TextToSongPipeline
from songgen_hf.training.adaptation.run import (
    AdaptOptions,
    NothingKept,
    adapt,
    recording_states,
)

from ...tools.sung_album import RATE, sing
from ..conftest import build_tiny

pytestmark = pytest.mark.slow
QUICK = ("score.music=false", "caption.phrasings=1", "segment.mean_seconds=4")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Two songs with stems, and a file that is no sound."""
    folder = tmp_path_factory.mktemp("recordings")
    for seed, name in enumerate(("one", "two")):
        vocal, accompaniment = sing(seed, lines=1)
        sounds = {"mixture": vocal + accompaniment, "vocals": vocal, "no_vocals": accompaniment}
        (folder / name).mkdir(parents=True)
        for track, sound in sounds.items():
            soundfile.write(folder / name / f"{track}.wav", sound, RATE)
        (folder / name / "mixture.json").write_text('{"genre": "folk", "language": "English"}')
    (folder / "broken.mp3").write_text("words")
    return folder


@pytest.fixture(scope="module")
def songs(recordings, tmp_path_factory):
    """The recordings as they are prepared for every adaptation of this module."""
    songs = tmp_path_factory.mktemp("prepared") / "songs"
    options = SongsOptions(source=str(recordings), output=songs, config="small", changes=QUICK)
    prepare_songs(options, progress=False)
    return songs


@pytest.fixture
def options(recordings, songs, tiny_checkpoint, tmp_path):
    """Factory of options of a short adaptation of prepared recordings."""
    shutil.copytree(songs, tmp_path / "adapter" / "songs")

    def build(**changes):
        values = {
            "source": str(recordings), "out": tmp_path / "adapter", "changes": QUICK, "rank": 2,
            "model": tiny_checkpoint("mixed", dropout=0.0), "steps": 4, "every": 2, "samples": 1,
            "sample_seconds": 0.1, "batch_size": 1, **changes,
        }  # fmt: skip
        return AdaptOptions(**values)

    return build


def test_recordings_become_an_adapter_that_sings_and_is_trained_further(options, tmp_path):
    shutil.rmtree(tmp_path / "adapter" / "songs")
    asked = []
    result = adapt(options(), lambda *given: asked.append(given) or True, progress=False)

    ((found, states),) = asked
    assert result.found == found and found.kept >= 2 and result.steps == 4
    by_name = {state.recording_id: state for state in states}
    assert by_name["broken"].kept == 0 and by_name["broken"].reason.startswith("error")
    assert by_name["one"].kept >= 1
    assert states == recording_states(tmp_path / "adapter" / "songs")
    assert sorted(path.name for path in result.samples.iterdir()) == [
        "step-0000000", "step-0000002", "step-0000004",
    ]  # fmt: skip
    model, processor = build_tiny("mixed", dropout=0.0)
    pipe = TextToSongPipeline(model=model, processor=processor, adapter=str(tmp_path / "adapter"))
    assert pipe("folk", seed=0, max_seconds=0.1)["audio"].size
    card = (tmp_path / "adapter" / "README.md").read_text()
    assert f"songs: {found.kept}, " in card and "4 steps of 1 of them" in card

    stages = tmp_path / "adapter" / "songs" / "stages"
    made = {path.name: path.stat().st_ino for path in stages.glob("segment/[ot]*.parquet")}
    shutil.rmtree(tmp_path / "adapter" / "run" / "checkpoint-4")
    again = adapt(options(), progress=False)
    moved = (tmp_path / "adapter").rename(tmp_path / "moved")
    copied = tmp_path / "copied"
    shutil.copytree(options().source, copied, copy_function=shutil.copyfile)
    for path in (*copied.rglob("*.*"), *(moved / "songs").rglob("*.parquet")):
        os.utime(path, ns=(0, 0))
    further = adapt(options(steps=6, out=moved, source=str(copied)), progress=False)

    assert (again.steps, further.steps) == (4, 6)
    with pytest.raises(ValueError, match="has the rank 2, --rank is 3: give that rank, or another"):
        adapt(options(steps=8, rank=3, out=moved), progress=False)
    with pytest.raises(ValueError, match="was trained for .*, --model is .*mixed_pro: give that"):
        adapt(options(steps=8, out=moved, model="songgen-mini/mixed_pro"), progress=False)
    stages = moved / "songs" / "stages"
    after = {path.name: path.stat().st_ino for path in stages.glob("segment/[ot]*.parquet")}
    assert after == made and len(made) == 2
    (codes,) = moved.glob("codes-*")

    shutil.rmtree(copied / "two")
    (moved / "codes-mine").mkdir()
    adapt(options(steps=6, out=moved, source=str(copied)), progress=False)

    assert not codes.exists() and len(list(moved.glob("codes-*"))) == 2


def test_training_stops_at_the_drift_and_stays_there(options):
    drifting = options(max_drift=1e-6, learning_rate=0.05, steps=8)
    result = adapt(drifting, progress=False)
    again = adapt(drifting, progress=False)
    further = adapt(replace(drifting, max_drift=1e6, steps=3), progress=False)

    assert result.stopped_by_drift and result.steps == 2 and result.drift > 1e-6
    assert again == result
    assert further.steps == 3 and not further.stopped_by_drift


def test_the_answer_no_trains_nothing(options, tmp_path):
    assert adapt(options(), lambda *_: False, progress=False) is None
    assert not (tmp_path / "adapter" / "run").exists()


def test_the_command_shows_the_recordings_and_needs_an_answer(
    options, tmp_path, capsys, monkeypatch
):
    given = options()
    words = ["adapt", given.source, "--out", str(given.out), "--model", given.model, "--quiet"]
    words += ["--steps", "2", "--every", "2", "--rank", "2", "--batch-size", "1"]
    words += ["--sample-seconds", "0.1", "--samples", "1", "--set", *QUICK]

    assert main(words) == 2
    shown = capsys.readouterr().err
    assert "broken: 0 of 1 clips (error: inspect" in shown and "add --yes" in shown
    assert main([*words, "--yes", "--json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["steps"] == 2
    assert "songs of every evaluation" in shown.err
    assert not any(part in shown.err for part in ("it/s", "examples/s", "%|", "codebook"))
    shutil.rmtree(given.out / "run" / "samples")
    assert main([*words, "--yes"]) == 0
    assert "songs of every evaluation" not in capsys.readouterr().out


def test_a_masked_model_is_refused_before_anything_is_prepared(recordings, tmp_path):
    masked = AdaptOptions(str(recordings), tmp_path / "adapter", model="songgen-mini/masked")

    with pytest.raises(ValueError, match="songgen-mini/masked is of type 'songgen_masked': adap"):
        adapt(masked, progress=False)

    assert not (tmp_path / "adapter").exists()


def test_recordings_without_a_usable_clip_are_refused(options):
    changes = (*QUICK, "filter.min_loudness=-1")
    message = r"none of the \d clips .* can be used \(mostly: loudness"
    with pytest.raises(NothingKept, match=message) as caught:
        adapt(options(changes=changes), progress=False)
    assert all(state.kept == 0 and state.reason for state in caught.value.states)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("steps", 0, "steps must be at least 1: got 0"),
        ("workers", 0, "workers must be at least 1: got 0"),
        ("samples", -1, "samples must be 0 or more: got -1"),
        ("learning_rate", 0.0, "learning_rate must be more than 0: got 0.0"),
        ("sample_seconds", -1.0, "sample_seconds must be more than 0: got -1.0"),
        ("max_drift", 0, "max_drift must be more than 0: got 0"),
    ],
)
def test_numbers_are_checked_before_anything_is_prepared(tmp_path, name, value, message):
    with pytest.raises(ValueError, match=message):
        AdaptOptions(source="a", out=tmp_path, **{name: value})

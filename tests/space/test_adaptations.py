"""Adaptations of the Adapt tab: their states, their process, and what the tab shows of them."""

import pytest
import soundfile

pytest.importorskip("gradio", reason="needs the extra space")

from songgen_hf.space.adapt_markup import adapt_status, recordings_table, samples_view
from songgen_hf.space.adaptations import (
    ASKING,
    DONE,
    STOPPED,
    TRAINING,
    Adaptations,
    AdaptState,
    after,
    copy_sample,
)
from songgen_hf.space.strings import speaker

from ..tools.sung_album import RATE, sing
from ..tools.waiting import wait_until

ROWS = [
    {"recording_id": "one", "clips": 2, "kept": 2, "reason": ""},
    {
        "recording_id": "<b>two</b>",
        "clips": 3,
        "kept": 1,
        "reason": "loudness: -45 LUFS is below the lowest allowed, -40 LUFS",
    },
]
SAYS = {"event": "recordings", "rows": ROWS, "kept": 3, "seconds": 30.0}
QUICK = ("score.music=false", "caption.phrasings=1", "segment.mean_seconds=4")


def stepped(done, total=4, **facts):
    known = {"loss": None, "drift": None, **facts}
    return {"event": "progress", "stage": "train", "done": done, "total": total, **known}


def test_the_states_of_an_adaptation_follow_from_what_its_process_tells():
    state = after(AdaptState("mine", "preparing"), SAYS)
    assert (state.phase, state.kept, state.rows) == (ASKING, 3, ROWS)

    state = after(state, stepped(2, loss=1.25, drift=0.125))
    assert state.phase == TRAINING and "2 of 4 · loss 1.25 · drift 0.12" in adapt_status(state)
    trained = {"event": "trained", "steps": 4, "drift": 0.1, "stopped_by_drift": False}

    assert after(state, trained).phase == DONE
    assert after(state, trained | {"steps": 3}).phase == STOPPED
    drifted = after(state, trained | {"steps": 3, "stopped_by_drift": True})
    assert drifted.phase == DONE and "moved far enough" in adapt_status(drifted)
    failed = after(state, {"event": "failed", "message": "no disk", "rows": ROWS[1:]})
    assert failed.rows == ROWS[1:]  # the table says why nothing can be used
    assert 'role="alert"' in adapt_status(failed) and "No disk." in adapt_status(failed)


def test_the_table_has_the_reasons_as_text():
    state = after(AdaptState("mine"), SAYS)

    table = recordings_table(state, speaker("de"))

    assert "2 von 2" in table and "1 von 3" in table and "Lautheit: -45 LUFS" in table
    assert "<b>" not in table
    assert recordings_table(AdaptState()) == ""


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": "../x"}, "name of the adapter is '../x': expected letters"),
        ({"name": ""}, "name of the adapter is ''"),
        ({"source": "/nowhere/at/all"}, "there is no folder 'all'"),
        ({"source": ""}, "there are no recordings"),
        ({"uploads": ["a.wav"]}, "were both given"),
        ({"steps": 0}, "steps must be at least 1"),
    ],
)
def test_a_wrong_request_starts_nothing(tmp_path, given, message):
    adaptations = Adaptations(tmp_path / "adapters")
    request = {"name": "mine", "source": str(tmp_path), **given}

    with pytest.raises(ValueError, match=message):
        adaptations.start(request.pop("name"), request.pop("source"), **request)

    assert adaptations.state == AdaptState() and adaptations.names == []
    with pytest.raises(ValueError, match="nothing to train on"):
        adaptations.answer()


@pytest.mark.parametrize(
    ("given", "named"), [({"host": "0.0.0.0"}, "--host 0.0.0.0"), ({"share": True}, "--share")]
)
def test_the_tab_is_refused_where_others_can_open_the_page(tmp_path, given, named):
    from songgen_hf.cli.space import RunOptions, start

    with pytest.raises(ValueError, match=f"nobody else may open the page: got {named}"):
        start(RunOptions(adapt=tmp_path, **given))


def test_songs_of_evaluations_are_shown_by_their_steps(tmp_path):
    adaptations = Adaptations(tmp_path / "adapters")
    for step in (0, 50):
        folder = tmp_path / "adapters" / "mine" / "run" / "samples" / f"step-{step:07d}"
        folder.mkdir(parents=True)
        (folder / "0.flac").write_bytes(b"fLaC")

    samples = adaptations.samples("mine")
    copied = {step: [copy_sample(song, tmp_path / "served") for song in songs]
              for step, songs in samples.items()}  # fmt: skip
    page = samples_view(copied)

    assert list(samples) == [0, 50] and page.count("<audio") == 2
    assert "Before, without the adapter" in page and "After 50 steps" in page
    assert all(path.is_file() for songs in copied.values() for path in songs)
    assert adaptations.samples("") == {} and adaptations.adapter("mine") is None


@pytest.mark.slow  # two processes that prepare and train
def test_an_adapter_is_trained_stopped_and_finished(tiny_checkpoint, tmp_path, pipelines):
    from songgen_hf.pipelines.adapters import load_adapters

    for seed in (0, 1):
        vocal, accompaniment = sing(seed, lines=1)
        folder = tmp_path / "songs" / f"song-{seed}"
        folder.mkdir(parents=True)
        tracks = {"mixture": vocal + accompaniment, "vocals": vocal, "no_vocals": accompaniment}
        for track, sound in tracks.items():
            soundfile.write(folder / f"{track}.wav", sound, RATE)
    (tmp_path / "songs" / "broken.mp3").write_text("words")
    adaptations = Adaptations(
        tmp_path / "adapters", changes=QUICK, rank=2, every=2, samples=1, sample_seconds=0.1,
        batch_size=1, model=tiny_checkpoint("mixed_pro"),
    )  # fmt: skip
    try:
        adaptations.start("mine", str(tmp_path / "songs"), steps=500)
        wait_until(lambda: adaptations.state.phase in (ASKING, "failed"), 400)
        asked = adaptations.state
        with pytest.raises(ValueError, match="'mine' is being made"):
            adaptations.start("other", str(tmp_path / "songs"))
        adaptations.answer()
        wait_until(lambda: len(adaptations.samples("mine")) > 1, 400)
        adaptations.stop()
        wait_until(lambda: adaptations.state.phase == STOPPED, 100)
        stopped = adaptations.state

        adaptations.start("mine", "", steps=stopped.steps + 1)  # the recordings of before
        wait_until(lambda: adaptations.state.phase in (ASKING, "failed"), 400)
        adaptations.answer()
        wait_until(lambda: adaptations.state.phase in (DONE, "failed"), 400)
    finally:
        adaptations.close()

    by_name = {row["recording_id"]: row for row in asked.rows}
    assert by_name["broken"]["kept"] == 0 and by_name["broken"]["reason"].startswith("error")
    assert asked.kept >= 2 and 2 <= stopped.steps < 500
    assert adaptations.state.phase == DONE and adaptations.state.steps == stopped.steps + 1
    assert list(adaptations.samples("mine"))[0] == 0 and adaptations.names == ["mine"]
    folder = adaptations.adapter("mine")
    load_adapters(pipelines["mixed"].model, {str(folder): 1.0})
    load_adapters(pipelines["mixed"].model, {})

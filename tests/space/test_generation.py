"""Songs are sung step by step, stop at once, and do not depend on what is sung beside them."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from songgen_hf.space.generation import Progress, Singer, SungSong, mode_of, ramp
from songgen_hf.space.settings import Settings
from songgen_hf.training.language_model.lora import LoraOptions, add_lora

from ..tools.waiting import wait_until

# PEFT, of transformers.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
SETTINGS = Settings(lyrics="the river runs", text="folk", seconds=0.6, seed=7)


def songs_of(items):
    """The songs among what ``sing`` yields."""
    return [item for item in items if isinstance(item, SungSong)]


@pytest.mark.slow
def test_modes_are_what_the_token_patterns_sing(pipelines):
    assert {mode: mode_of(pipeline) for mode, pipeline in pipelines.items()} == {
        "mixed": "mixed",
        "two tracks": "two tracks",
    }
    assert Singer(pipelines["two tracks"]).modes == ("two tracks",)
    with pytest.raises(ValueError, match="the pipeline for 'mixed' sings 'two tracks'"):
        Singer({"mixed": pipelines["two tracks"]})
    with pytest.raises(ValueError, match="at least one pipeline"):
        Singer({})


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["mixed", "two tracks"])
def test_a_song_is_the_pipelines_own(singer, pipelines, mode):
    settings = replace(SETTINGS, mode=mode)

    (song,) = songs_of(singer.sing(settings))

    expected = pipelines[mode](
        "folk", lyrics="the river runs", seed=7, max_seconds=0.6, min_seconds=0.3,
        guidance_scale=1.0, top_k=50, temperature=1.0, do_sample=True,
    )  # fmt: skip
    np.testing.assert_array_equal(song.mix, expected["audio"])
    if mode == "two tracks":
        np.testing.assert_array_equal(song.vocal, expected["vocal"])
        np.testing.assert_array_equal(song.band, expected["accompaniment"])
    else:
        assert song.vocal is None and song.band is None


@pytest.fixture
def few_steps(tiny_masked):
    """A fresh singer over a tiny masked model; at the end nobody sings any more."""
    singer = Singer(tiny_masked())
    yield singer
    wait_until(lambda: singer.singing == 0)


FEW = replace(SETTINGS, mode="few steps", steps=4, guidance=2.25)


def test_a_song_of_few_steps_is_the_pipelines_own(few_steps, tiny_masked):
    assert few_steps.modes == ("few steps",)

    (song,) = songs_of(few_steps.sing(FEW))

    expected = tiny_masked()(
        "folk", lyrics="the river runs", seed=7, max_seconds=0.6, min_seconds=0.3,
        guidance_scale=(1.5, 3.0), temperature=1.0, num_inference_steps=4, progress=False,
    )  # fmt: skip
    np.testing.assert_array_equal(song.mix, expected["audio"])
    np.testing.assert_array_equal(song.vocal, expected["vocal"])
    np.testing.assert_array_equal(song.band, expected["accompaniment"])
    (more,) = songs_of(few_steps.sing(replace(FEW, steps=5)))
    assert not np.array_equal(song.mix, more.mix)


def test_guidance_of_few_steps_grows_around_what_was_asked_for():
    assert ramp(1.0) == (1.0, 1.0)
    assert ramp(3.0) == pytest.approx((1.8, 4.2))


def test_few_steps_take_no_adapter_and_say_so(few_steps):
    with pytest.raises(ValueError, match="adapters are for the modes 'mixed' and 'two tracks'"):
        list(few_steps.sing(FEW, None, {"me/my-voice": 1.0}))

    assert len(songs_of(few_steps.sing(FEW))) == 1


@pytest.mark.slow
def test_each_variation_is_the_song_of_its_own_seed(singer):
    three = songs_of(singer.sing(replace(SETTINGS, variations=3)))

    assert [song.seed for song in three] == [7, 8, 9]
    (alone,) = songs_of(singer.sing(replace(SETTINGS, seed=9)))
    np.testing.assert_array_equal(three[2].mix, alone.mix)
    assert not np.array_equal(three[0].mix[:, :100], three[1].mix[:, :100])


@pytest.mark.slow
def test_progress_grows_and_remaining_time_is_told(singer):
    settings = replace(SETTINGS, variations=2, seconds=2.0)

    reports = [item for item in singer.sing(settings) if isinstance(item, Progress)]

    shares = [report.done for report in reports]
    assert shares == sorted(shares) and 0 <= shares[0] and shares[-1] <= 1
    assert any(report.seconds_left is not None for report in reports) or len(reports) < 4
    assert reports[0].songs == 2


@pytest.mark.parametrize("mode", ["mixed", "few steps"])
def test_closing_the_iterator_stops_at_the_next_step(pipelines, tiny_masked, mode, monkeypatch):
    pipeline = tiny_masked() if mode == "few steps" else pipelines[mode]
    model = pipeline.transformer if mode == "few steps" else pipeline.model
    steps = []
    forward = model.forward
    monkeypatch.setattr(model, "forward", lambda *a, **k: (steps.append(1), forward(*a, **k))[1])
    singer = Singer(pipeline)
    items = singer.sing(replace(SETTINGS, mode=mode, steps=64, seconds=4.0, variations=4))
    next(items)
    wait_until(lambda: len(steps) > 3)

    items.close()
    at_close = len(steps)

    wait_until(lambda: singer.singing == 0)
    assert len(steps) <= at_close + 3


def test_a_stopped_song_frees_its_place_for_the_next(singer):
    first = singer.sing(replace(SETTINGS, seconds=4.0, variations=4))
    next(first)
    wait_until(lambda: singer.singing == 1)
    second = singer.sing(SETTINGS)
    assert next(second).waiting

    first.close()

    assert len(songs_of(second)) == 1


@pytest.mark.slow
def test_one_that_waits_can_be_stopped_too(singer):
    first = singer.sing(replace(SETTINGS, seconds=4.0))
    next(first)
    wait_until(lambda: singer.singing == 1)
    second = singer.sing(SETTINGS)
    next(second)

    second.close()
    assert len(songs_of(first)) == 1

    wait_until(lambda: singer.singing == 0)


@pytest.mark.slow
def test_songs_sung_at_the_same_time_are_those_sung_alone(pipelines):
    singer = Singer(pipelines, places=3)
    seeds = [1, 2, 3, 4, 5, 6]
    alone = [songs_of(singer.sing(replace(SETTINGS, seed=seed)))[0].mix for seed in seeds]

    with ThreadPoolExecutor(3) as pool:
        together = pool.map(lambda seed: songs_of(singer.sing(replace(SETTINGS, seed=seed))), seeds)
        for one, (song,) in zip(alone, together, strict=True):
            np.testing.assert_array_equal(song.mix, one)


def test_an_error_of_the_model_reaches_the_one_who_asked(singer):
    with pytest.raises(ValueError, match="max_seconds must be above 0"):
        list(singer.sing(replace(SETTINGS, seconds=-1.0)))

    assert len(songs_of(singer.sing(SETTINGS))) == 1


@pytest.fixture
def adapter(tiny_checkpoint, tmp_path):
    """A LoRA adapter of the mixed model that is clearly heard."""
    import torch
    from transformers import AutoProcessor

    from songgen_hf.modeling.modeling_songgen import SongGenForConditionalGeneration

    directory = tiny_checkpoint("mixed_pro")
    model = SongGenForConditionalGeneration.from_pretrained(directory)
    adapted = add_lora(model, LoraOptions(lora_rank=2), AutoProcessor.from_pretrained(directory))
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.normal_(generator=torch.Generator().manual_seed(0))
    adapted.save_pretrained(tmp_path / "adapter")
    return str(tmp_path / "adapter")


@pytest.mark.slow
def test_adapters_come_and_go_without_a_trace(singer, adapter):
    (before,) = songs_of(singer.sing(SETTINGS))
    (adapted,) = songs_of(singer.sing(SETTINGS, None, {adapter: 1.0}))
    (half,) = songs_of(singer.sing(SETTINGS, None, {adapter: 0.5}))
    (after,) = songs_of(singer.sing(SETTINGS))

    assert not np.array_equal(before.mix, adapted.mix)
    assert not np.array_equal(half.mix, adapted.mix)
    np.testing.assert_array_equal(before.mix, after.mix)


@pytest.mark.slow
def test_an_adapter_that_does_not_fit_leaves_the_model_as_it_was(singer, adapter):
    (before,) = songs_of(singer.sing(SETTINGS))
    broken = f"{adapter}/adapter_model.safetensors"
    with open(broken, "r+b") as file:
        file.write(b"\xff" * 20)

    with pytest.raises(ValueError, match="cannot load the adapter"):
        list(singer.sing(SETTINGS, None, {adapter: 1.0}))

    (after,) = songs_of(singer.sing(SETTINGS))
    np.testing.assert_array_equal(before.mix, after.mix)


def test_a_reference_voice_is_heard(singer):
    tone = 0.3 * np.sin(np.arange(48000) * 0.06).astype(np.float32)

    (plain,) = songs_of(singer.sing(SETTINGS))
    (voiced,) = songs_of(singer.sing(SETTINGS, (tone, 24000)))

    assert not np.array_equal(plain.mix, voiced.mix)


def test_a_lent_gpu_is_asked_for_by_the_work_and_bounded(singer):
    short = singer._gpu_seconds(replace(SETTINGS, seconds=1.0))
    long = singer._gpu_seconds(replace(SETTINGS, seconds=4.0, variations=4))

    assert 10 < short < long


def test_a_gpu_is_lent_to_few_steps_for_their_number_not_their_length(few_steps):
    short, long, more = (
        few_steps._gpu_seconds(replace(FEW, **change))
        for change in ({"seconds": 1.0}, {"seconds": 20.0}, {"steps": 64})
    )

    assert 10 <= short == long < more

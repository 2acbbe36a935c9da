"""Generation reports progress, stops at once, and is independent of other requests."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from songgen_hf.checkpoints.separators import separate_voice
from songgen_hf.modeling.audio_io import read_audio
from songgen_hf.space.generation import (
    GeneratedSong,
    SongGenerator,
    guidance_range,
    mode_of,
)
from songgen_hf.space.progress import Progress
from songgen_hf.space.settings import Settings
from songgen_hf.space.streams import Chunk, first_part, joined
from songgen_hf.training.language_model.lora import LoraOptions, add_lora

from ..tools.waiting import wait_until

SETTINGS = Settings(lyrics="the river runs", text="folk", seconds=0.6, seed=7, mode="mixed")


def songs_of(items):
    """The songs among the items that ``generate`` yields."""
    return [item for item in items if isinstance(item, GeneratedSong)]


@pytest.mark.slow
def test_the_mode_of_a_pipeline_follows_from_its_track_pattern(pipelines):
    assert {mode: mode_of(pipeline) for mode, pipeline in pipelines.items()} == {
        "mixed": "mixed",
        "two tracks": "two tracks",
    }
    assert SongGenerator(pipelines["two tracks"]).modes == ("two tracks",)
    with pytest.raises(ValueError, match="the pipeline for 'mixed' generates 'two tracks'"):
        SongGenerator({"mixed": pipelines["two tracks"]})
    with pytest.raises(ValueError, match="at least one pipeline"):
        SongGenerator({})


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["mixed", "two tracks"])
def test_a_song_equals_the_output_of_the_pipeline(generator, pipelines, mode):
    settings = replace(SETTINGS, mode=mode)

    (song,) = songs_of(generator.generate(settings))

    expected = pipelines[mode](
        "folk", lyrics="the river runs", seed=7, max_seconds=0.6, min_seconds=0.3,
        guidance_scale=1.0, top_k=50, temperature=1.0, do_sample=True,
    )  # fmt: skip
    np.testing.assert_array_equal(song.mixture, expected["audio"])
    if mode == "two tracks":
        np.testing.assert_array_equal(song.vocal, expected["vocal"])
        np.testing.assert_array_equal(song.accompaniment, expected["accompaniment"])
    else:
        assert song.vocal is None and song.accompaniment is None


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["mixed", "two tracks"])
def test_the_chunks_of_a_song_are_its_sound_and_its_codes(generator, mode):
    items = list(generator.generate(replace(SETTINGS, mode=mode, seconds=1.5)))

    chunks = [item for item in items if isinstance(item, Chunk)]
    (song,) = songs_of(items)
    assert len(chunks) > 2 and len(chunks[0].mixture) < len(chunks[1].mixture)
    assert items.index(chunks[1]) < items.index(song)
    sound = joined(chunks, "mixture")
    # The codec decodes windows, whose sums round otherwise.
    tolerance = 1e-5 * np.abs(song.mixture).max()
    np.testing.assert_allclose(sound, song.mixture[0, : len(sound)], atol=tolerance)
    codes = np.concatenate([chunk.codes for chunk in chunks], axis=-1)
    np.testing.assert_array_equal(codes, song.codes[..., : codes.shape[-1]])


@pytest.mark.slow
def test_the_first_chunks_of_a_song_are_a_song_that_fades_out(generator):
    settings = replace(SETTINGS, mode="two tracks", seconds=1.5)
    chunks = [item for item in generator.generate(settings) if isinstance(item, Chunk)][:2]

    part = first_part(chunks, generator.hop_length("two tracks"))

    length = part["audio"].shape[-1]
    assert length == sum(len(chunk.mixture) for chunk in chunks)
    assert part["codes"].shape[-1] == length // generator.hop_length("two tracks")
    np.testing.assert_array_equal(part["audio"], part["accompaniment"] + part["vocal"])
    assert abs(part["vocal"][0, -1]) < 1e-3


@pytest.mark.slow
def test_the_takes_of_a_song_are_ranked(generator):
    takes = songs_of(generator.generate(replace(SETTINGS, best_of=2)))

    assert sorted(song.seed for song in takes) == [7, 8]
    assert takes[0].score >= takes[1].score


@pytest.mark.slow
def test_guidance_of_one_condition_changes_the_song(generator):
    (plain,) = songs_of(generator.generate(SETTINGS))
    (guided,) = songs_of(generator.generate(replace(SETTINGS, guidance_lyrics=4.0)))

    assert not np.array_equal(plain.mixture, guided.mixture)


def test_a_space_can_compile_the_steps_of_its_models(pipelines, monkeypatch):
    def generate(**arguments):
        raise ValueError(f"compile is {arguments.get('compile')}")

    monkeypatch.setattr(pipelines["mixed"].model, "generate", generate)
    for compiled in (True, None):
        generator = SongGenerator(pipelines["mixed"], compile=bool(compiled))
        with pytest.raises(ValueError, match=f"compile is {compiled}"):
            list(generator.generate(SETTINGS))


@pytest.fixture
def few_steps(tiny_masked):
    """A new generator with a tiny masked model; waits until all requests have ended."""
    generator = SongGenerator(tiny_masked())
    yield generator
    wait_until(lambda: generator.running == 0)


FEW = replace(SETTINGS, mode="few steps", steps=4, guidance=2.25)


def test_a_song_of_few_steps_equals_the_output_of_the_masked_pipeline(few_steps, tiny_masked):
    assert few_steps.modes == ("few steps",)

    (song,) = songs_of(few_steps.generate(FEW))

    expected = tiny_masked()(
        "folk", lyrics="the river runs", seed=7, max_seconds=0.6, min_seconds=0.3,
        guidance_scale=(1.5, 3.0), temperature=1.0, num_inference_steps=4, progress=False,
    )  # fmt: skip
    np.testing.assert_array_equal(song.mixture, expected["audio"])
    np.testing.assert_array_equal(song.vocal, expected["vocal"])
    np.testing.assert_array_equal(song.accompaniment, expected["accompaniment"])
    (more,) = songs_of(few_steps.generate(replace(FEW, steps=5)))
    assert not np.array_equal(song.mixture, more.mixture)


def test_the_guidance_range_of_few_steps_has_the_requested_mean():
    assert guidance_range(1.0) == (1.0, 1.0)
    assert guidance_range(3.0) == pytest.approx((1.8, 4.2))


def test_an_adapter_is_refused_for_few_steps(few_steps):
    with pytest.raises(ValueError, match="adapters are for the modes 'mixed' and 'two tracks'"):
        list(few_steps.generate(FEW, None, {"me/my-voice": 1.0}))

    assert len(songs_of(few_steps.generate(FEW))) == 1


@pytest.mark.slow
def test_each_variation_equals_the_song_of_its_seed(generator):
    three = songs_of(generator.generate(replace(SETTINGS, variations=3)))

    assert [song.seed for song in three] == [7, 8, 9]
    (alone,) = songs_of(generator.generate(replace(SETTINGS, seed=9)))
    np.testing.assert_array_equal(three[2].mixture, alone.mixture)
    assert not np.array_equal(three[0].mixture[:, :100], three[1].mixture[:, :100])


@pytest.mark.slow
def test_progress_never_decreases_and_includes_the_remaining_time(generator):
    settings = replace(SETTINGS, variations=2, seconds=2.0)

    reports = [item for item in generator.generate(settings) if isinstance(item, Progress)]

    shares = [report.done for report in reports]
    assert shares == sorted(shares) and 0 <= shares[0] and shares[-1] <= 1
    assert any(report.seconds_left is not None for report in reports) or len(reports) < 4
    assert reports[0].songs == 2


@pytest.mark.parametrize("mode", ["mixed", "few steps"])
def test_closing_the_iterator_stops_the_model_within_a_few_steps(
    pipelines, tiny_masked, mode, monkeypatch
):
    pipeline = tiny_masked() if mode == "few steps" else pipelines[mode]
    model = pipeline.transformer if mode == "few steps" else pipeline.model
    steps = []
    forward = model.forward
    monkeypatch.setattr(model, "forward", lambda *a, **k: (steps.append(1), forward(*a, **k))[1])
    generator = SongGenerator(pipeline)
    items = generator.generate(replace(SETTINGS, mode=mode, steps=64, seconds=4.0, variations=4))
    next(items)
    wait_until(lambda: len(steps) > 3)

    items.close()
    at_close = len(steps)

    wait_until(lambda: generator.running == 0)
    assert len(steps) <= at_close + 3


def test_a_stopped_request_frees_its_place_for_the_next_one(generator):
    first = generator.generate(replace(SETTINGS, seconds=4.0, variations=4))
    next(first)
    wait_until(lambda: generator.running == 1)
    second = generator.generate(SETTINGS)
    assert next(second).waiting

    first.close()

    assert len(songs_of(second)) == 1


@pytest.mark.slow
def test_a_waiting_request_can_be_stopped(generator):
    first = generator.generate(replace(SETTINGS, seconds=4.0))
    next(first)
    wait_until(lambda: generator.running == 1)
    second = generator.generate(SETTINGS)
    next(second)

    second.close()
    assert len(songs_of(first)) == 1

    wait_until(lambda: generator.running == 0)


@pytest.mark.slow
def test_concurrent_songs_equal_songs_generated_alone(pipelines):
    generator = SongGenerator(pipelines, places=3)
    seeds = [1, 2, 3, 4, 5, 6]
    alone = [
        songs_of(generator.generate(replace(SETTINGS, seed=seed)))[0].mixture for seed in seeds
    ]

    with ThreadPoolExecutor(3) as pool:
        together = pool.map(
            lambda seed: songs_of(generator.generate(replace(SETTINGS, seed=seed))), seeds
        )
        for one, (song,) in zip(alone, together, strict=True):
            np.testing.assert_array_equal(song.mixture, one)


def test_an_error_of_the_pipeline_is_raised_by_the_iterator(generator):
    with pytest.raises(ValueError, match="seconds must be above 0"):
        list(generator.generate(replace(SETTINGS, seconds=-1.0)))

    assert len(songs_of(generator.generate(SETTINGS))) == 1


@pytest.fixture
def adapter(tiny_checkpoint, tmp_path):
    """A LoRA adapter that clearly changes the songs of the mixed model."""
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
def test_the_model_is_unchanged_after_requests_with_adapters(generator, adapter):
    (before,) = songs_of(generator.generate(SETTINGS))
    (adapted,) = songs_of(generator.generate(SETTINGS, None, {adapter: 1.0}))
    (half,) = songs_of(generator.generate(SETTINGS, None, {adapter: 0.5}))
    (after,) = songs_of(generator.generate(SETTINGS))

    assert not np.array_equal(before.mixture, adapted.mixture)
    assert not np.array_equal(half.mixture, adapted.mixture)
    np.testing.assert_array_equal(before.mixture, after.mixture)


@pytest.mark.slow
def test_the_model_is_unchanged_after_an_adapter_that_cannot_be_loaded(generator, adapter):
    (before,) = songs_of(generator.generate(SETTINGS))
    broken = f"{adapter}/adapter_model.safetensors"
    with open(broken, "r+b") as file:
        file.write(b"\xff" * 20)

    with pytest.raises(ValueError, match="cannot load the adapter"):
        list(generator.generate(SETTINGS, None, {adapter: 1.0}))

    (after,) = songs_of(generator.generate(SETTINGS))
    np.testing.assert_array_equal(before.mixture, after.mixture)


def test_a_reference_voice_changes_the_song(generator):
    tone = 0.3 * np.sin(np.arange(48000) * 0.06).astype(np.float32)

    (plain,) = songs_of(generator.generate(SETTINGS))
    (voiced,) = songs_of(generator.generate(SETTINGS, (tone, 24000)))

    assert not np.array_equal(plain.mixture, voiced.mixture)


@pytest.mark.slow
def test_the_accompaniment_of_a_reference_voice_is_removed(generator):
    folder = Path(__file__).parents[2] / "docs" / "audio"
    mixed = (read_audio(folder / "rendered.flac", 24000), 24000)
    alone, _ = separate_voice(mixed)

    (song,) = songs_of(generator.generate(SETTINGS, mixed))
    (expected,) = songs_of(generator.generate(SETTINGS, alone))

    np.testing.assert_array_equal(song.mixture, expected.mixture)


def test_the_gpu_time_of_a_request_grows_with_length_and_variations(generator):
    short = generator._gpu_seconds(replace(SETTINGS, seconds=1.0))
    long = generator._gpu_seconds(replace(SETTINGS, seconds=4.0, variations=4))

    assert 10 < short < long


def test_the_gpu_time_of_few_steps_depends_on_the_number_of_steps_only(few_steps):
    short, long, more = (
        few_steps._gpu_seconds(replace(FEW, **change))
        for change in ({"seconds": 1.0}, {"seconds": 20.0}, {"steps": 64})
    )

    assert 10 <= short == long < more

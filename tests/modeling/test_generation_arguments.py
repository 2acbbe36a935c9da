"""Tests of the arguments of generate(): which ones are optional, and which ones are refused."""

import pytest
import torch

from songgen_hf.modeling.patterns import TRACK_PATTERNS

from .test_generation import GREEDY, each_pattern, some_codes


def test_the_voice_encoder_runs_once_per_call(tiny_model, tiny_inputs):
    model = tiny_model()
    calls = []
    encoder = model.conditioner.voice_encoder
    handle = encoder.register_forward_hook(lambda *_: calls.append(1))

    try:
        model.generate(**tiny_inputs(), **GREEDY)
        model.generate(**tiny_inputs(), **GREEDY, use_cache=False)
    finally:
        handle.remove()

    assert len(calls) == 2


@pytest.mark.slow
@each_pattern
def test_no_voice_is_the_same_as_a_silent_voice_without_mask(tiny_model, tiny_inputs, pattern):
    model = tiny_model(pattern)
    inputs = tiny_inputs(voice=False)
    silent = {
        "voice_values": torch.zeros(2, 3200),
        "voice_attention_mask": torch.zeros(2, 3200, dtype=torch.long),
    }

    assert torch.equal(
        model.generate(**inputs, **silent, **GREEDY), model.generate(**inputs, **GREEDY)
    )


def test_a_song_needs_no_lyrics(tiny_model, tiny_inputs):
    codes = tiny_model().generate(**tiny_inputs(lyrics=False, voice=False), **GREEDY)

    assert codes.shape == (2, 1, 4, 5)


def test_a_missing_text_mask_means_that_every_id_counts(tiny_model, tiny_inputs):
    inputs = tiny_inputs()
    given = inputs | {"attention_mask": torch.ones_like(inputs["input_ids"])}
    missing = {name: value for name, value in inputs.items() if name != "attention_mask"}

    assert torch.equal(
        tiny_model().generate(**missing, **GREEDY), tiny_model().generate(**given, **GREEDY)
    )


@pytest.mark.slow
@pytest.mark.parametrize("use_cache", [True, False])
def test_a_song_may_be_longer_than_the_position_table(tiny_model, tiny_inputs, use_cache):
    short, long = (
        tiny_model("mixed", decoder={"max_position_embeddings": size}) for size in (6, 256)
    )

    codes = short.generate(**tiny_inputs(), **GREEDY, use_cache=use_cache)

    assert torch.equal(codes, long.generate(**tiny_inputs(), **GREEDY))


@each_pattern
def test_a_length_that_holds_no_frame_is_refused(tiny_model, tiny_inputs, pattern):
    model = tiny_model(pattern)
    too_short = model.config.decoder.pattern.num_steps(1) - 1

    with pytest.raises(ValueError, match="max_length|max_new_frames"):
        model.generate(**tiny_inputs(), do_sample=False, max_length=too_short)

    codes = model.generate(**tiny_inputs(), do_sample=False, max_length=too_short + 1)
    assert codes.shape[-1] == 1


@pytest.mark.parametrize("num_frames", [0, -1, 2.5, "3"])
def test_max_new_frames_must_be_a_positive_whole_number(tiny_model, tiny_inputs, num_frames):
    with pytest.raises((ValueError, TypeError), match="max_new_frames"):
        tiny_model().generate(**tiny_inputs(), max_new_frames=num_frames)


@each_pattern
def test_a_prompt_longer_than_the_song_is_refused(tiny_model, tiny_inputs, pattern):
    model = tiny_model(pattern)

    with pytest.raises(ValueError, match="max_length|prompt"):
        model.generate(**tiny_inputs(), audio_prompt_codes=some_codes(model, 30), max_length=20)


def test_a_prompt_of_the_wrong_shape_is_refused(tiny_model, tiny_inputs):
    with pytest.raises(ValueError, match=r"audio_prompt_codes must be \[B, 1, 4, T\]"):
        tiny_model().generate(
            **tiny_inputs(), audio_prompt_codes=torch.zeros(2, 4, 6, dtype=torch.long), **GREEDY
        )


def test_a_prompt_for_another_batch_size_is_refused(tiny_model, tiny_inputs):
    model = tiny_model()

    with pytest.raises(ValueError, match="audio_prompt_codes"):
        model.generate(
            **tiny_inputs(3), audio_prompt_codes=some_codes(model, 2, batch_size=2), **GREEDY
        )


def test_a_prompt_with_special_ids_is_refused(tiny_model, tiny_inputs):
    model = tiny_model()

    with pytest.raises(ValueError, match="audio_prompt_codes"):
        model.generate(**tiny_inputs(), audio_prompt_codes=some_codes(model, 2) + 1020, **GREEDY)


def test_beam_search_is_refused_with_a_remedy(tiny_model, tiny_inputs):
    with pytest.raises(ValueError, match="num_beams=1"):
        tiny_model().generate(**tiny_inputs(), num_beams=2, max_new_frames=2)


def test_assisted_generation_is_refused_with_a_remedy(tiny_model, tiny_inputs):
    model = tiny_model()

    with pytest.raises(ValueError, match="assistant_model"):
        model.generate(**tiny_inputs(1), assistant_model=model, max_new_frames=2)


def test_a_misspelled_argument_is_refused_by_name(tiny_model, tiny_inputs):
    with pytest.raises(ValueError, match="lyric_ids"):
        tiny_model().generate(**tiny_inputs(), lyric_ids=torch.zeros(2, 3), **GREEDY)


def test_a_missing_lyrics_mask_means_that_every_id_counts(tiny_model, tiny_inputs):
    inputs = tiny_inputs()
    given = inputs | {"lyrics_attention_mask": torch.ones_like(inputs["lyrics_ids"])}
    missing = {name: given[name] for name in given if name != "lyrics_attention_mask"}

    assert torch.equal(
        tiny_model().generate(**missing, **GREEDY), tiny_model().generate(**given, **GREEDY)
    )


def test_a_call_with_only_a_length_generates_from_the_null_conditions(tiny_model):
    codes = tiny_model().generate(**GREEDY)

    assert codes.shape == (1, 1, 4, 5)


def test_conditions_of_different_batch_sizes_are_refused(tiny_model, tiny_inputs):
    inputs = tiny_inputs(3) | {"lyrics_ids": tiny_inputs(2)["lyrics_ids"]}
    inputs["lyrics_attention_mask"] = tiny_inputs(2)["lyrics_attention_mask"]

    with pytest.raises(ValueError, match=r"one batch size: got \[2, 3\]"):
        tiny_model().generate(**inputs, **GREEDY)


@pytest.mark.slow
@pytest.mark.parametrize("pattern", TRACK_PATTERNS)
def test_no_track_ends_within_min_new_frames(tiny_model, tiny_inputs, pattern):
    model = tiny_model(pattern)
    inputs = tiny_inputs(batch_size=2)
    settings = {
        "max_new_frames": 12,
        "seed": 1,
        "sequence_bias": {(model.config.decoder.eos_token_id,): 50.0},  # ends as soon as possible
    }

    free = model.generate(**inputs, **settings)
    kept = model.generate(**inputs, **settings, min_new_frames=7)

    end = model.config.decoder.eos_token_id
    assert free.shape[-1] < 7 or (free[..., :7] == end).any()
    assert (kept[..., :7] != end).all()
    assert kept.shape[-1] < 12 or (kept[..., 7:] == end).any()


def test_min_new_frames_beyond_the_maximum_is_refused(tiny_model, tiny_inputs):
    with pytest.raises(ValueError, match="shortest song must not exceed the longest: got 9 and 4"):
        tiny_model("mixed").generate(**tiny_inputs(), max_new_frames=4, min_new_frames=9)

"""Arguments of the pipelines that are out of range are refused in one line, before any work."""

import re

import pytest

from songgen_hf.pipelines.song_requests import check_lyrics, make_requests
from songgen_hf.pipelines.text_to_song import TextToSongPipeline


@pytest.fixture
def generate(tiny_singer, tiny_processor):
    return TextToSongPipeline(model=tiny_singer("mixed"), processor=tiny_processor)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"max_seconds": 1e12}, ValueError, "max_seconds must be at most 3600 seconds: got 1e"),
        ({"max_seconds": 0}, ValueError, "max_seconds must be above 0 and finite"),
        (
            {"guidance_scale": -1},
            ValueError,
            "guidance_scale is -1: expected a number of at least 0",
        ),
        ({"guidance_scale": "3"}, TypeError, "guidance_scale must be a number, .*: got '3'"),
        ({"batch_size": 0}, ValueError, "batch_size must be an integer of at least 1: got 0"),
        ({"batch_size": 2.5}, ValueError, "batch_size must be an integer of at least 1: got 2.5"),
        ({"top_p": 2}, ValueError, "top_p must be above 0 and at most 1: got 2"),
        ({"return_dict_in_generate": True}, ValueError, "return_dict_in_generate is an argument"),
        ({"min_seconds": 3}, ValueError, "min_seconds must not exceed max_seconds: got 3 and 0.1"),
        ({"lyrics": "la \ud800 la"}, ValueError, "lyrics holds .* lone surrogate, at position 3"),
    ],
)
def test_an_autoregressive_pipeline_refuses(generate, arguments, error, message):
    with pytest.raises(error, match=message) as caught:
        generate("folk", **{"max_seconds": 0.1, **arguments})

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"seconds": 600}, ValueError, "seconds must be at most 300 seconds: got 600"),
        ({"max_seconds": 1e12}, ValueError, "max_seconds must be at most 300 seconds: got 1e"),
        ({"num_inference_steps": 10000}, ValueError, "must be at most 1000: got 10000"),
        ({"batch_size": 2.5}, ValueError, "batch_size must be an integer of at least 1: got 2.5"),
        ({"lyrics": "\udfff"}, ValueError, "lyrics holds .* lone surrogate, at position 0"),
    ],
)
def test_a_masked_pipeline_refuses(tiny_masked, arguments, error, message):
    pytest.importorskip("diffusers", reason="needs the extra diffusers")

    with pytest.raises(error, match=message):
        tiny_masked()("folk", **{"num_inference_steps": 2, **arguments})


@pytest.mark.parametrize("lyrics", ["😀", "...", " !!!\n♪ "])
def test_lyrics_without_a_letter_are_refused(generate, lyrics):
    message = f"lyrics have no letter or digit to sing: got '{re.escape(lyrics.strip()[:3])}"

    with pytest.raises(ValueError, match=message):
        generate("folk", lyrics, max_seconds=0.1)
    with pytest.raises(ValueError, match="lyrics have no letter"):
        generate([{"text": "folk", "lyrics": lyrics}], max_seconds=0.1)


@pytest.mark.parametrize("lyrics", ["", " \n", "7", "…la", "空"])
def test_blank_lyrics_and_lyrics_with_a_letter_or_digit_are_taken(lyrics):
    check_lyrics(lyrics)


@pytest.mark.parametrize("setting", [{"voice_start": 2.0}, {"separate_voice": True}])
def test_settings_of_a_voice_without_one_are_refused(generate, setting):
    (name,) = setting
    message = f"{name} is .*, but there is no reference voice: give one, or leave {name} out"

    for call in (generate, generate.whole_song):
        with pytest.raises(ValueError, match=message):
            call("folk", "la la", **setting)
    with pytest.raises(ValueError, match=message):
        generate(["folk", {"text": "jazz", **setting}])


def test_settings_of_a_voice_are_taken_where_one_of_the_inputs_has_a_voice():
    shared = {"lyrics": None, "reference_voice": [None, "a.wav"], "voice_start": 2.0}

    assert len(make_requests(["folk", "jazz"], shared, None, 1)) == 2
    make_requests("folk", {**shared, "reference_voice": None, "voice_start": 0.0}, None, 1)

"""The settings of a request: their checks, and links that restore them."""

from dataclasses import replace
from urllib.parse import parse_qsl

import pytest

from songgen_hf.space.error_messages import in_german
from songgen_hf.space.limits import Limits
from songgen_hf.space.settings import FIELDS, MAX_SEED, MODES, Settings, read_link

LIMITS = Limits()
SOME = Settings(
    lyrics="one & two\nthree = four? #5 <b>",
    text="a warm folk song, led by flute",
    voice_start=1.5,
    mode="few steps",
    seconds=7.5,
    seed=123456789,
    guidance=2.5,
    top_k=20,
    temperature=0.85,
    steps=12,
    variations=3,
    adapter="me/my-adapter",
    adapter_weight=0.5,
    guidance_text=3.0,
    guidance_lyrics=4.0,
    guidance_voice=1.5,
    window=15.0,
    context=3.0,
    repeat_chorus=False,
)


def test_a_link_restores_every_setting():
    others = [name for name in FIELDS if name not in ("best_of", "whole")]  # not with variations
    assert all(getattr(SOME, name) != getattr(Settings(), name) for name in others)

    for settings in (SOME, replace(SOME, variations=1, best_of=3, whole=True)):
        query = dict(parse_qsl(settings.query(), keep_blank_values=True))
        assert read_link(query, Settings(), LIMITS, MODES) == (settings, [])


def test_a_link_says_which_settings_are_impossible():
    query = {"text": "pop", "seconds": "900", "mode": "two tracks", "seed": "x", "top_k": "20"}

    settings, problems = read_link(query, Settings(mode="mixed"), LIMITS, ["mixed"])

    assert settings == Settings(text="pop", mode="mixed", top_k=20)
    assert problems == [
        "the mode is 'two tracks': this Space sings mixed",
        "the length must be a number from 1 to 30: got 900.0",
        "the link has seed='x': expected a number",
    ]


@pytest.mark.parametrize("setting", [{"seconds": "nan"}, {"top_k": "1e9"}])
def test_a_number_that_cannot_be_read_in_a_link_becomes_the_default(setting):
    settings, problems = read_link({"text": "pop", **setting}, Settings(), LIMITS, MODES)

    assert settings == Settings(text="pop")
    assert len(problems) == 1 and problems[0].endswith("expected a number")


def test_a_link_says_what_modes_and_switches_may_be():
    query = {"text": "pop", "mode": "opera", "whole": "yes"}

    _, problems = read_link(query, Settings(mode="mixed"), LIMITS, ["mixed"])

    assert problems == [
        "the mode is 'opera': this Space sings mixed",
        "the link has whole='yes': expected 0 or 1",
    ]
    assert [in_german(problem) for problem in problems] == [
        "der Modus ist 'opera': dieser Space singt mixed",
        "im Link steht whole='yes': erwartet 0 oder 1",
    ]


def test_a_link_with_takes_and_variations_keeps_the_takes():
    settings, problems = read_link({"best_of": "2", "variations": "3"}, Settings(), LIMITS, MODES)

    assert (settings.best_of, settings.variations) == (2, 1)
    assert len(problems) == 1 and "both sing several songs" in problems[0]


def test_a_link_without_settings_has_no_problems():
    assert read_link({"__theme": "dark"}, Settings(), LIMITS, MODES) == (None, [])


def test_a_link_of_the_longest_lyrics_is_short_enough_for_servers():
    lyrics = "ö" * LIMITS.lyrics_characters

    query = replace(SOME, lyrics=lyrics).query(voice=True)

    assert len(query) < 32_000
    settings, _ = read_link(dict(parse_qsl(query)), Settings(), LIMITS, MODES)
    assert settings.lyrics == lyrics


def test_a_link_may_name_the_longest_length_as_the_pipelines_do():
    link = read_link({"max_seconds": "4"}, Settings(), LIMITS, MODES)

    assert link == (Settings(seconds=4.0), [])


def test_valid_settings_are_unchanged_by_the_check():
    assert SOME.checked(LIMITS) == SOME


def test_an_empty_seed_becomes_a_random_seed():
    seeds = {Settings(text="pop", seed=empty).checked(LIMITS).seed for empty in (None, "", " ")}

    assert len(seeds) == 3
    assert all(isinstance(seed, int) and 0 <= seed <= MAX_SEED for seed in seeds)


def test_a_seed_may_be_text_with_digits():
    assert Settings(text="pop", seed=" 42 ").checked(LIMITS).seed == 42


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lyrics": "", "text": " \n"}, "nothing to sing"),
        ({"lyrics": "la" * 50_000}, "at most 2000 characters: got 100000"),
        ({"lyrics": "♪ ♪"}, "lyrics have no letter or digit to sing: got '♪ ♪'"),
        ({"text": "x" * 501}, "description must have at most 500 characters"),
        ({"lyrics": "one\x00two"}, r"control character U\+0000 at position 4"),
        ({"lyrics": "\u202eevil"}, r"U\+202E"),
        ({"lyrics": "\ud800"}, r"U\+D800"),
        ({"mode": "opera"}, "the mode is 'opera'"),
        ({"seconds": 1e9}, "length must be a number from 1 to 30"),
        ({"seconds": float("nan")}, "length must be"),
        ({"seconds": 0}, "length must be"),
        ({"seed": -1}, "seed must be"),
        ({"seed": "-1"}, "seed must be a whole number"),
        ({"seed": 1.5}, "seed must be a whole number"),
        ({"seed": 2**60}, "seed must be a whole number from 0 to 9007199254740991: got"),
        ({"guidance": 0.5}, "guidance must be"),
        ({"top_k": -1}, "top-k must be"),
        ({"top_k": 10.5}, "top-k must be a whole number"),
        ({"temperature": 0}, "temperature must be"),
        ({"steps": 0}, "steps must be a whole number from 1 to 64"),
        ({"variations": 5}, "variations must be a whole number from 1 to 4"),
        ({"voice_start": -1}, "voice's start must be"),
        ({"adapter": "x" * 300}, "adapter must have at most"),
        ({"adapter_weight": 3}, "adapter's weight must be"),
        ({"best_of": 5}, "best of must be a whole number from 1 to 4"),
        ({"best_of": 2}, "best of is 2 and variations is 3: .* leave one of them at 1"),
        ({"guidance_voice": 0.5}, "guidance of the voice .* must be a number from 1 to 10"),
    ],
)
def test_a_value_out_of_range_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(SOME, **change).checked(LIMITS)


@pytest.mark.parametrize(
    "change",
    [{"lyrics": None}, {"lyrics": ["la"]}, {"seconds": "long"}, {"top_k": True}, {"seed": [1]}],
)
def test_a_value_of_the_wrong_type_is_refused(change):
    with pytest.raises(TypeError, match="must be"):
        replace(SOME, **change).checked(LIMITS)


def test_invisible_characters_are_removed():
    pasted = "\ufeffone\u200b two\xadthree\r\nfour\u2028five\tsix"

    assert replace(SOME, lyrics=pasted).checked(LIMITS).lyrics == "one twothree\nfour\nfive six"


def test_a_mode_without_a_model_is_refused():
    with pytest.raises(ValueError, match="this Space sings mixed"):
        SOME.checked(LIMITS, modes=["mixed"])

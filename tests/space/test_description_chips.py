"""Description chips change the description and are switched on by its words."""

import random

import pytest

from songgen_hf.data.corpus.captions import write_caption
from songgen_hf.data.corpus.genres import GENRES
from songgen_hf.space.description_chips import (
    CHIPS,
    EXAMPLES,
    GENRE,
    LEAD,
    MOOD,
    VOICE,
    chips_on,
    find_words,
    with_chips,
)
from songgen_hf.space.limits import Limits
from songgen_hf.space.settings import Settings


def test_chips_write_a_description_in_the_phrases_of_the_corpus():
    text = with_chips("", GENRE, ["folk"])
    text = with_chips(text, MOOD, ["energetic"])
    text = with_chips(text, LEAD, ["flute"])
    text = with_chips(text, VOICE, ["female"])

    assert text == "an energetic folk song, led by flute, sung by a female voice"


def test_a_second_genre_mood_or_voice_replaces_the_first():
    text = "a sad jazz song, sung by a male voice"

    assert with_chips(text, GENRE, ["jazz", "electronic"]).startswith("a sad electronic song")
    assert with_chips(text, MOOD, ["sad", "energetic"]).startswith("an energetic jazz song")
    assert with_chips(text, VOICE, ["male", "female"]).endswith("sung by a female voice")


def test_several_instruments_are_added_to_the_description():
    text = with_chips("a pop song", LEAD, ["piano"])
    text = with_chips(text, LEAD, ["piano", "violin"])
    text = with_chips(text, LEAD, ["piano", "violin", "flute"])

    assert text == "a pop song, led by piano, backed by violin and flute"


def test_other_text_of_the_description_is_kept():
    text = "something like rain on a tin roof, with a male singer"

    text = with_chips(text, GENRE, ["blues"])
    text = with_chips(text, VOICE, [])

    assert "rain on a tin roof" in text and "blues" in text and "male" not in text


def test_a_part_of_another_word_switches_no_chip_on():
    assert find_words("electric piano, female", LEAD) == ["electric piano"]
    assert chips_on("female vocals", VOICE) == ["female"]
    assert chips_on("popular folklore", GENRE) == []


@pytest.mark.parametrize("kind", CHIPS)
def test_every_chip_can_be_switched_on_and_off_alone(kind):
    for word in CHIPS[kind]:
        text = with_chips("", kind, [word])
        assert chips_on(text, kind) == [word], text
        assert with_chips(text, kind, []) == "", text


def test_chips_can_be_switched_in_captions_of_the_corpus():
    rng = random.Random(0)
    for _ in range(300):
        genre = rng.choice(list(GENRES.values()))
        facts = {
            "genre": genre.name,
            "mood": rng.choice(genre.moods_major),
            "gender": rng.choice(["female", "male"]),
            "lead_instrument": genre.leads[0],
            "instruments": [genre.leads[0], *genre.comps[:1], *genre.basses[:1]],
            "tempo": 100,
            "key": "C major",
        }
        caption = write_caption(rng, facts)
        kind = rng.choice(list(CHIPS))
        before = chips_on(caption, kind)
        if before and rng.random() < 0.5:
            chosen = [word for word in before if word != before[0]]
            after = with_chips(caption, kind, chosen)
            assert chips_on(after, kind) == chosen, (caption, after)
        else:
            word = rng.choice([word for word in CHIPS[kind] if word not in before])
            after = with_chips(caption, kind, [*before, word])
            assert word in chips_on(after, kind), (caption, after)
            if kind != LEAD:
                assert len(find_words(after, kind)) == 1, (caption, after)
        assert not after.startswith((",", " ")) and ", ," not in after and "  " not in after


def test_examples_are_valid_settings_and_switch_chips_on():
    for example in EXAMPLES:
        settings = Settings(lyrics=example.lyrics, text=example.text).checked(Limits())
        assert settings.text == example.text
        assert all(len(chips_on(example.text, kind)) <= 1 for kind in (GENRE, MOOD, VOICE))
        assert chips_on(example.text, GENRE) and chips_on(example.text, VOICE)

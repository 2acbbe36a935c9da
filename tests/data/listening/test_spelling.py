"""Phonemes of written lyrics."""

import pytest

from songgen_hf.data.corpus.speech import Speaker
from songgen_hf.data.listening.phonemes import PHONEMES, merge_phonemes
from songgen_hf.data.listening.spelling import lyrics_words

pytestmark = pytest.mark.debian


def test_words_are_spelled_as_espeak_speaks_them():
    line = "the silver river runs below my window"
    words = lyrics_words(line)
    spoken = Speaker().speak(line, "en-us").phonemes
    again = lyrics_words("under the bridge")

    assert [word.text for word in words] == line.split()
    assert [s for word in words for s in word.phonemes] == merge_phonemes(p.symbol for p in spoken)
    assert all(symbol in PHONEMES for word in again for symbol in word.phonemes)


def test_words_that_espeak_joins_are_spelled_one_by_one():
    words = lyrics_words("out of the end of a day")

    assert len(words) == 7
    assert words[5].phonemes == ("ə",) and words[2].phonemes == ("ð", "ə")


def test_marks_of_sections_and_lone_signs_are_no_words():
    words = lyrics_words("[Verse 1]\nHello, you!\n\n-- don't\u2014 stop \u2026")

    assert [(word.text, word.line) for word in words] == [
        ("Hello,", 1), ("you!", 1), ("don't\u2014", 3), ("stop", 3),
    ]  # fmt: skip
    assert words[2].phonemes == ("d", "oʊ", "n", "t")
    assert lyrics_words("") == lyrics_words("[chorus]\n...") == []


def test_what_has_no_english_sound_is_left_out():
    assert lyrics_words("\u6c34") == [] or all(
        symbol in PHONEMES for word in lyrics_words("\u6c34") for symbol in word.phonemes
    )

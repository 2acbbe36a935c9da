"""Words of lyrics: their tokens spell them, and lines are those that were given."""

import pytest

from songgen_hf.modeling.lyrics_words import letters
from songgen_hf.presets.tokenizers import build_mini_processor


@pytest.fixture(scope="module")
def processor():
    return build_mini_processor()


@pytest.mark.parametrize(
    "lyrics",
    ["The river, the sea!\nDon't go", "[verse]\nrun run\n\n[chorus] 21 ways home", "a-b  c"],
)
def test_the_tokens_of_a_word_spell_it(processor, lyrics):
    words, _ = processor.lyrics_words(lyrics)
    ids = processor(text="", lyrics=lyrics)["lyrics_ids"][0]

    assert words
    for word in words:
        spelled = processor.decode_lyrics(ids[list(word.tokens)])
        if not any(sign.isdigit() for sign in word.text):
            assert letters(spelled) == letters(word.text)
    tokens = [token for word in words for token in word.tokens]
    assert tokens == sorted(set(tokens))


def test_sections_are_not_sung_and_lines_are_as_they_were_given(processor):
    words, lines = processor.lyrics_words("[verse]\nRun, River\n\n[chorus 2] go home\n  yes ")

    assert [(word.text, word.line) for word in words] == [
        ("Run", 0), ("River", 0), ("go", 1), ("home", 1), ("yes", 2),
    ]  # fmt: skip
    assert lines == ["Run, River", "go home", "yes"]


def test_numbers_are_the_words_that_are_sung(processor):
    words, lines = processor.lyrics_words("21 ways")

    assert [word.text for word in words] == ["twenty-one", "ways"] or [
        word.text for word in words
    ] == ["21", "ways"]
    assert lines == ["21 ways"]


@pytest.mark.parametrize("lyrics", ["", "  \n ", "[intro]\n[verse]", "...!"])
def test_lyrics_without_words_have_none(processor, lyrics):
    assert processor.lyrics_words(lyrics)[0] == []

"""The lyrics: splits, held-out words, inflection and articles."""

import random

import pytest

from songgen_hf.data.corpus.lexicon import Word, is_held_out, lexicon
from songgen_hf.data.corpus.lyrics_grammar import SPLITS, compose_line, split_of
from songgen_hf.data.corpus.morphology import inflect


def lines(split: str, count: int = 200) -> list[str]:
    rng = random.Random(3)
    return [compose_line(rng, 4 + index % 7, split)[0] for index in range(count)]


@pytest.mark.parametrize("split", SPLITS)
def test_every_line_belongs_to_the_requested_split(split):
    assert {split_of(line) for line in lines(split)} == {split}


@pytest.mark.slow
def test_no_line_occurs_in_two_splits():
    train, test = set(lines("train", 2000)), set(lines("test", 500))

    assert len(train) > 1950
    assert not train & test


@pytest.mark.slow
def test_training_lines_contain_no_held_out_word():
    held_out = {word.text for words in lexicon().values() for word in words}
    held_out = {text for text in held_out if is_held_out(text)}
    rng = random.Random(1)

    train = [compose_line(rng, 6, "train") for _ in range(500)]
    test = [compose_line(rng, 6, "test") for _ in range(200)]

    assert 50 < len(held_out) < 200
    assert all(not unseen for _, unseen in train)
    assert not held_out & {word for line, _ in train for word in line.split()}
    assert sum(bool(unseen) for _, unseen in test) > 80
    assert {word for _, unseen in test for word in unseen} <= held_out


@pytest.mark.slow
def test_the_same_seed_gives_the_same_lines():
    assert lines("validation") == lines("validation")


@pytest.mark.slow
def test_an_comes_before_a_vowel_and_a_before_a_consonant():
    words = " ".join(lines("train", 3000)).split()
    pairs = list(zip(words, words[1:], strict=False))

    assert not [pair for pair in pairs if pair[0] == "a" and pair[1][0] in "aeiou"]
    assert not [pair for pair in pairs if pair[0] == "an" and pair[1][0] not in "aeiou"]


@pytest.mark.parametrize(
    ("text", "syllables", "slot", "expected"),
    [
        ("rose", 1, "NS", ("roses", 2)),
        ("city", 2, "NS", ("cities", 2)),
        ("valley", 2, "NS", ("valleys", 2)),
        ("catch", 1, "VTS", ("catches", 2)),
        ("carry", 2, "VTS", ("carries", 2)),
        ("go", 1, "VIS", ("goes", 1)),
        ("dance", 1, "VING", ("dancing", 2)),
        ("run", 1, "VING", ("running", 2)),
        ("lie", 1, "VING", ("lying", 2)),
        ("dream", 1, "VING", ("dreaming", 2)),
        ("grow", 1, "VING", ("growing", 2)),
        ("river", 2, "N", ("river", 2)),
    ],
)
def test_inflected_forms_have_the_right_spelling_and_syllables(text, syllables, slot, expected):
    assert inflect(Word(text, "any", syllables), slot) == expected


def test_an_unknown_split_or_length_is_refused():
    with pytest.raises(ValueError, match="got split 'dev', expected one of train"):
        compose_line(random.Random(0), 6, "dev")
    with pytest.raises(ValueError, match="got 40 syllables, expected 3 to 14"):
        compose_line(random.Random(0), 40, "train")

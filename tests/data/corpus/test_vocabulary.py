"""The words and lines of the large edition."""

import random

import pytest

from songgen_hf.data.corpus.card import card_text
from songgen_hf.data.corpus.large_grammar import compose_line
from songgen_hf.data.corpus.lexicon import Word, is_held_out, lexicon
from songgen_hf.data.corpus.lyrics_grammar import SPLITS, split_of
from songgen_hf.data.corpus.made_up_names import made_up_names
from songgen_hf.data.corpus.morphology import agent, inflect, quality
from songgen_hf.data.corpus.vocabulary import is_unseen, vocabulary


def words(unseen: bool) -> set[str]:
    return {text for forms in vocabulary(unseen).values() for text in forms.texts}


@pytest.mark.slow
def test_the_vocabulary_is_large_and_three_in_a_hundred_words_are_held_out():
    known, unseen = words(False), words(True)

    assert len(known) > 10_000
    assert 0.03 < len(unseen) / len(known) < 0.07
    assert not known & unseen
    assert all(is_unseen(word) for word in unseen)
    assert all(text.isalpha() and text.islower() for text in known | unseen)


def test_words_that_the_small_edition_holds_out_are_held_out_in_every_form():
    for word in (word for kind in lexicon().values() for word in kind if is_held_out(word.text)):
        assert is_unseen(word.text)
        if word.kind == "noun":
            assert is_unseen(inflect(word, "NS")[0])


@pytest.mark.slow
@pytest.mark.parametrize("split", SPLITS)
def test_lines_belong_to_their_split_and_only_held_out_splits_have_unseen_words(split):
    rng = random.Random(2)
    lines = [compose_line(rng, 5 + index % 6, split) for index in range(150)]

    assert {split_of(line) for line, _ in lines} == {split}
    sung = {word for line, _ in lines for word in line.split()}
    named = {word for _, unseen in lines for word in unseen}
    assert bool(named) == (split != "train")
    assert named == sung & words(True)


@pytest.mark.slow
def test_common_words_are_more_frequent_than_derived_words():
    rng = random.Random(1)
    lines = [compose_line(rng, 7, "train")[0].split() for _ in range(2000)]
    common = {word.text for kind in lexicon().values() for word in kind} & words(False)
    counts = {word: 0 for word in words(False)}
    for word in (word for line in lines for word in line):
        if word in counts:
            counts[word] += 1

    rare = words(False) - common
    assert sum(counts[w] for w in common) / len(common) > 3 * sum(counts[w] for w in rare) / len(
        rare
    )


@pytest.mark.parametrize(
    ("text", "syllables", "slot", "expected"),
    [
        ("carry", 2, "VTD", ("carried", 2)),
        ("hunt", 1, "VTD", ("hunted", 2)),
        ("sing", 1, "VID", ("sang", 1)),
        ("stop", 1, "VID", ("stopped", 1)),
        ("permit", 2, "VTD", ("permitted", 3)),
        ("big", 1, "AE", ("biggest", 2)),
        ("happy", 2, "AR", ("happier", 3)),
        ("gentle", 2, "ADV", ("gently", 2)),
        ("happy", 2, "ADV", ("happily", 3)),
        ("full", 1, "ADV", ("fully", 2)),
    ],
)
def test_new_inflections_have_the_right_spelling_and_syllables(text, syllables, slot, expected):
    assert inflect(Word(text, "any", syllables), slot) == expected


def test_derived_words_are_spelled_regularly():
    assert agent(Word("run", "intransitive", 1)).text == "runner"
    assert agent(Word("dance", "intransitive", 1)).text == "dancer"
    assert quality(Word("happy", "adjective", 2)) == Word("happiness", "noun", 3)


def test_made_up_names_are_distinct():
    names = made_up_names()

    assert {kind: len(set(names[kind])) for kind in names} == {"place": 600, "person": 600}


def test_the_card_of_the_large_edition_names_what_is_held_out():
    text = card_text(0, {"train": 5, "test": 1}, edition="large")

    assert "with seed 0, edition large" in text and "72 singers" in text
    assert "3 % of all words" in text and "female_34" in text
    assert "unseen_voice" not in card_text(0, {"train": 5})

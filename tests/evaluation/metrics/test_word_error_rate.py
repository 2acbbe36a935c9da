"""The word error rate."""

import random
from functools import cache

import pytest

from songgen_hf.evaluation.metrics.word_error_rate import (
    NORMALIZERS,
    normalizer,
    word_edits,
    word_error_rate,
)

LYRICS = "[Chorus]\nSoft the rain, it's falling on twenty-one grey roofs"


def slow_distance(reference, hypothesis):
    """The edit distance by its recursive definition."""

    @cache
    def distance(i, j):
        if i == 0 or j == 0:
            return i + j
        change = reference[i - 1] != hypothesis[j - 1]
        return min(distance(i - 1, j) + 1, distance(i, j - 1) + 1, distance(i - 1, j - 1) + change)

    return distance(len(reference), len(hypothesis))


@pytest.mark.parametrize("name", NORMALIZERS)
def test_equal_texts_have_no_errors(name):
    assert word_error_rate([LYRICS], [LYRICS], normalizer(name)) == 0


@pytest.mark.parametrize("name", ["english", "basic"])
def test_case_punctuation_and_sections_do_not_count(name):
    sung = "SOFT the rain it's falling on Twenty-One grey roofs!"

    assert word_error_rate([LYRICS], [sung], normalizer(name)) == 0
    assert word_error_rate([LYRICS], [sung], normalizer("none")) > 0


def test_english_knows_contractions_numbers_and_spellings():
    english = normalizer("english", {"grey": "gray"})

    assert word_error_rate([LYRICS], ["soft the rain it is falling on 21 gray roofs"], english) == 0


def test_edits_are_those_of_the_definition():
    draw = random.Random(0)
    texts = [" ".join(draw.choices("abcd", k=draw.randrange(9))) for _ in range(60)]

    edits, lengths = word_edits(texts[:30], texts[30:], normalizer("none"))

    pairs = [(one.split(), two.split()) for one, two in zip(texts[:30], texts[30:], strict=True)]
    assert edits.tolist() == [slow_distance(tuple(one), tuple(two)) for one, two in pairs]
    assert lengths.tolist() == [len(one) for one, _ in pairs]


def test_the_rate_grows_with_every_word_that_is_cut():
    words = normalizer("basic")(LYRICS).split()
    heard = [" ".join(words[: len(words) - cut]) for cut in range(len(words) + 1)]

    rates = [word_error_rate([LYRICS], [text], normalizer("basic")) for text in heard]

    assert rates == sorted(rates) and rates[0] == 0 and rates[-1] == 1


def test_the_rate_is_a_ratio_of_sums():
    assert word_error_rate(["a", "b c d"], ["x", "b c d"], str) == 0.25
    assert word_error_rate(["a", ""], ["a", "b"], str) == 1.0


def test_wrong_input_is_an_error():
    with pytest.raises(ValueError, match="got 1 references and 0 hypotheses"):
        word_edits(["a"], [], str)
    with pytest.raises(ValueError, match="lyrics without words"):
        word_error_rate(["[verse]"], ["a"], normalizer("basic"))
    with pytest.raises(ValueError, match="got the normalizer 'german', expected one of english"):
        normalizer("german")

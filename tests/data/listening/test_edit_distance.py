"""Edit distances."""

import itertools

import numpy as np
import pytest

from songgen_hf.data.listening.edit_distance import edit_distance, edits_by_phoneme


def slow_edit_distance(reference, hypothesis):
    """The recursive definition."""
    if not reference or not hypothesis:
        return len(reference) + len(hypothesis)
    return min(
        slow_edit_distance(reference[1:], hypothesis) + 1,
        slow_edit_distance(reference, hypothesis[1:]) + 1,
        slow_edit_distance(reference[1:], hypothesis[1:]) + (reference[0] != hypothesis[0]),
    )


def test_the_edit_distance_equals_the_recursive_definition():
    words = ["".join(word) for size in range(4) for word in itertools.product("ab", repeat=size)]

    for reference, hypothesis in itertools.product(words, words):
        expected = slow_edit_distance(reference, hypothesis)
        assert edit_distance(reference, hypothesis) == expected, (reference, hypothesis)


def test_the_edit_distance_is_symmetric_and_zero_for_equal_ones_only():
    rng = np.random.default_rng(0)
    for _ in range(50):
        one, two = ([*rng.choice(list("xyz"), rng.integers(12))] for _ in range(2))
        assert edit_distance(one, two) == edit_distance(two, one)
        assert (edit_distance(one, two) == 0) == (one == two)


def test_edits_by_phoneme_add_up_to_the_edit_distance():
    rng = np.random.default_rng(0)
    for _ in range(200):
        reference, hypothesis = ([*rng.choice(list("abc"), rng.integers(8))] for _ in range(2))
        edits = edits_by_phoneme(reference, hypothesis)
        assert len(edits) == len(reference)
        assert not reference or edits.sum() == edit_distance(reference, hypothesis)


@pytest.mark.parametrize(
    ("reference", "hypothesis", "edits"),
    [
        ("abcd", "abcd", [0, 0, 0, 0]),
        ("abcd", "abxd", [0, 0, 1, 0]),
        ("abcd", "acd", [0, 1, 0, 0]),
        ("abcd", "abcdx", [0, 0, 0, 1]),
        ("abcd", "xabcd", [1, 0, 0, 0]),
        ("ab", "", [1, 1]),
        ("", "ab", []),
    ],
)
def test_edits_count_at_the_phoneme_that_is_wrong(reference, hypothesis, edits):
    assert edits_by_phoneme(list(reference), list(hypothesis)).tolist() == edits

"""Merging of phoneme symbols."""

import pytest

from songgen_hf.data.listening.phonemes import (
    CONSONANTS,
    MERGED,
    PHONEMES,
    VOWELS,
    merge_phonemes,
    row_phonemes,
)


def test_merging_phonemes_twice_changes_nothing_more():
    merged = merge_phonemes([*MERGED, *PHONEMES])

    assert merge_phonemes(merged) == merged
    assert set(merged) == set(PHONEMES)


def test_no_phoneme_is_listed_twice():
    assert len({*VOWELS, *CONSONANTS}) == len(VOWELS) + len(CONSONANTS) == len(PHONEMES)


@pytest.mark.parametrize(
    ("symbols", "expected"),
    [
        (["w", "ʌ", "n"], ["w", "ə", "n"]),
        (["s", "t", "ɑːɹ"], ["s", "t", "ɑ", "ɹ"]),
        (["b", "ʌ", "ʔ", "n̩"], ["b", "ə", "t", "ə", "n"]),
        ([], []),
    ],
)
def test_phonemes_that_listeners_do_not_distinguish_are_merged(symbols, expected):
    assert merge_phonemes(symbols) == expected


def test_the_phonemes_of_a_row_are_in_order():
    row = {"phonemes": [{"symbol": "j"}, {"symbol": "ʊɹ"}]}

    assert row_phonemes(row) == ["j", "ʊ", "ɹ"]


def test_an_unknown_phoneme_is_an_error():
    with pytest.raises(ValueError, match="got the phoneme 'ø'"):
        merge_phonemes(["s", "ø"])

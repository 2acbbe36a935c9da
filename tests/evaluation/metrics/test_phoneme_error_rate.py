"""The phoneme error rate."""

import pytest

from songgen_hf.evaluation.metrics.phoneme_error_rate import (
    phoneme_edits,
    phoneme_error_rate,
)


def test_the_phoneme_error_rate_is_a_ratio_of_sums_not_a_mean_of_songs():
    references = [["s"], ["t"] * 9]
    hypotheses = [["z"], ["t"] * 9]

    assert phoneme_error_rate(references, hypotheses) == pytest.approx(0.1)


def test_silence_scores_one_and_merged_phonemes_are_right():
    assert phoneme_error_rate([["s", "iː"]], [[]]) == 1.0
    assert phoneme_error_rate([["s", "iː"]], [["s", "i"]]) == 0.0


def test_phoneme_edits_and_lengths_are_per_song():
    edits, lengths = phoneme_edits([["s", "ɑːɹ"], ["t"]], [["s"], ["t", "t"]])

    assert edits.tolist() == [2, 1]
    assert lengths.tolist() == [3, 1]


def test_different_numbers_of_references_and_hypotheses_are_an_error():
    with pytest.raises(ValueError, match="got 1 references and 0 hypotheses"):
        phoneme_edits([["s"]], [])


def test_references_without_phonemes_are_an_error():
    with pytest.raises(ValueError, match="without phonemes"):
        phoneme_error_rate([[]], [["s"]])

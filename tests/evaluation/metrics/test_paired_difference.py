"""Paired differences: calibration without a difference, power with one, units, and errors."""

import numpy as np
import pytest

from songgen_hf.evaluation.metrics.paired_difference import (
    difference_of_draws,
    holm,
    paired_difference,
    sums_of_prompts,
)
from songgen_hf.evaluation.metrics.phoneme_error_rate import phoneme_edits
from songgen_hf.evaluation.protocol.prompts import read_prompts

SONGS, RESAMPLES, RATE = 100, 100, 0.35
PROMPTS = read_prompts()


def singing(random, lengths, extra, seeds):
    """Edits of songs whose error rates differ by song and by take: about 35 %, plus ``extra``."""
    hard = random.beta(7 * RATE, 7 * (1 - RATE), size=(len(lengths), 1))  # of the lyrics themselves
    hard = np.repeat(hard, seeds, axis=1)
    for more in (0.0, extra):
        rates = np.clip(random.beta(30 * hard, 30 * (1 - hard)) + more, 0, 1)
        yield random.binomial(lengths[:, None], rates).sum(axis=1)


def resamples(extra, seeds=1):
    """Differences of two systems, ``extra`` more errors in the second, 100 real lyrics each."""
    random = np.random.default_rng(0)
    lengths = np.array([len(prompt.phonemes) for prompt in PROMPTS])
    for seed in range(RESAMPLES):
        chosen = random.integers(len(lengths), size=SONGS)
        sides = (
            sums_of_prompts(range(SONGS), edits, seeds * lengths[chosen])
            for edits in singing(random, lengths[chosen], extra, seeds)
        )
        yield paired_difference(*sides, seed=seed, draws=200)


def garbled(random, phonemes, rate):
    """Replace, drop and insert phonemes at a rate, as a recognizer of bad singing does."""
    kinds = sorted({symbol for prompt in PROMPTS for symbol in prompt.phonemes})
    found = []
    for symbol in phonemes:
        fate = random.random() / rate
        if fate >= 1:
            found.append(symbol)
        elif fate < 0.55:
            found.append(kinds[random.integers(len(kinds))])
        elif fate < 0.7:
            found += [symbol, kinds[random.integers(len(kinds))]]
    return found


@pytest.mark.slow
def test_no_difference_is_called_in_at_most_7_of_100():
    called = sum(found.p_value < 0.05 for found in resamples(0.0))

    assert called <= 7


@pytest.mark.slow
def test_three_points_of_separate_takes_need_several_seeds():
    """One take finds the difference in about half of the resamples, five nearly always."""
    once, often = (list(resamples(0.03, seeds)) for seeds in (1, 5))

    assert np.mean([one.value for one in once + often]) == pytest.approx(0.03, abs=0.003)
    assert 40 <= sum(one.p_value < 0.05 for one in once) <= 65
    assert sum(one.p_value < 0.05 for one in often) >= 90


@pytest.mark.slow
def test_three_planted_points_are_found_in_90_of_100():
    random = np.random.default_rng(1)
    lyrics = [prompt.phonemes for prompt in PROMPTS]
    heard = [garbled(random, phonemes, RATE) for phonemes in lyrics]
    worse = [garbled(random, phonemes, 0.05) for phonemes in heard]
    (ours, lengths), (theirs, _) = (phoneme_edits(lyrics, one) for one in (heard, worse))
    planted = (theirs.sum() - ours.sum()) / lengths.sum()
    assert planted == pytest.approx(0.03, abs=0.005)

    called = 0
    for seed in range(RESAMPLES):
        chosen = random.integers(len(lyrics), size=SONGS)
        sides = (
            sums_of_prompts(range(SONGS), edits[chosen], lengths[chosen])
            for edits in (ours, theirs)
        )
        called += paired_difference(*sides, seed=seed, draws=200).p_value < 0.05

    assert called >= 90


def test_the_randomization_test_equals_all_exchanges():
    random = np.random.default_rng(3)
    ours, theirs = (random.integers(0, 9, size=8).astype(float) for _ in range(2))
    values = []
    for code in range(2**8):
        swap = np.array([code >> place & 1 for place in range(8)], dtype=bool)
        values.append(np.where(swap, ours, theirs).mean() - np.where(swap, theirs, ours).mean())
    exact = np.mean(np.abs(values) >= abs(theirs.mean() - ours.mean()) - 1e-12)

    found = paired_difference(
        *(sums_of_prompts(range(8), one) for one in (ours, theirs)), seed=0, draws=20000
    )

    assert found.p_value == pytest.approx(exact, abs=0.015)
    assert found.value == pytest.approx(theirs.mean() - ours.mean())


def test_songs_of_a_prompt_are_one_unit():
    random = np.random.default_rng(0)
    ours, theirs = random.normal(size=(2, 12))
    once = paired_difference(
        *(sums_of_prompts(range(12), one) for one in (ours, theirs)), seed=0, draws=300
    )
    often = paired_difference(
        *(sums_of_prompts(np.repeat(range(12), 5), np.repeat(one, 5)) for one in (ours, theirs)),
        seed=0,
        draws=300,
    )

    assert often.n == once.n == 12
    assert often.interval == pytest.approx(once.interval)
    assert often.p_value == once.p_value


def test_equal_systems_have_no_difference_and_other_prompts_are_left_out():
    ours = sums_of_prompts("abcd", [1, 2, 3, 4], [9, 9, 9, 9])
    theirs = sums_of_prompts("abcde", [1, 2, 3, 4, 99], [9, 9, 9, 9, 1])

    found = paired_difference(ours, theirs, seed=0, draws=50)

    assert (found.value, found.interval, found.p_value, found.n) == (0, (0, 0), 1, 4)


def test_draws_of_the_same_prompts_cancel_what_both_systems_share():
    random = np.random.default_rng(0)
    shared = random.normal(scale=5, size=200)
    draws = (10 + shared).tolist(), (11 + shared + random.normal(scale=0.2, size=200)).tolist()

    found = difference_of_draws((10, 11), draws, 30)

    assert found.value == 1 and found.n == 30
    assert 0.5 < found.interval[0] < 1 < found.interval[1] < 1.5
    assert found.p_value == pytest.approx(2 / 201)
    assert difference_of_draws((10, 10), (draws[0], draws[0]), 30).p_value == 1


def test_holm_adjusts_for_the_number_of_comparisons():
    assert holm([0.01, None, 0.04, 0.03]) == pytest.approx([0.03, None, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]


@pytest.mark.parametrize(
    ("first", "second", "draws", "message"),
    [
        ({"a": (1, 1)}, {"a": (1, 1)}, 9, "got 1 shared prompts and 9 draws, expected at least"),
        ({"a": (1, 1), "b": (1, 1)}, {"a": (1, 1), "b": (1, 1)}, 0, "0 draws"),
        ({"a": (1, 0), "b": (1, 0)}, {"a": (1, 1), "b": (1, 1)}, 9, "denominators are zero"),
    ],
)
def test_wrong_input_is_an_error(first, second, draws, message):
    with pytest.raises(ValueError, match=message):
        paired_difference(first, second, seed=0, draws=draws)


def test_lengths_that_differ_are_an_error():
    with pytest.raises(ValueError, match="got 2 prompts, 1 numerators and 1 denominators"):
        sums_of_prompts("ab", [1])
    with pytest.raises(ValueError, match="got 1 and 2 draws, expected equally many"):
        difference_of_draws((1, 1), ([1], [1, 2]), 5)

"""Bootstrap intervals."""

import numpy as np
import pytest

from songgen_hf.evaluation.metrics.bootstrap import bootstrap, ratio_interval


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution():
    values = np.random.default_rng(0).normal(5.0, 2.0, 400)

    lower, upper = ratio_interval(values, seed=0, draws=2000)

    error = values.std() / 20
    assert lower == pytest.approx(values.mean() - 1.96 * error, abs=0.2 * error)
    assert upper == pytest.approx(values.mean() + 1.96 * error, abs=0.2 * error)


def test_the_interval_of_equal_songs_has_no_width():
    assert ratio_interval([2, 4, 6], [4, 8, 12], seed=1) == (0.5, 0.5)


def test_a_ratio_weighs_songs_by_their_denominators():
    lower, upper = ratio_interval([0, 100], [1, 100], seed=0)

    assert (lower, upper) == (0, 1)
    assert ratio_interval([0, 50], [0, 100], seed=0, groups=["a", "a"]) == (0.5, 0.5)


def test_songs_of_one_prompt_are_drawn_together():
    values, prompts = [0, 0, 0, 1, 1, 1], list("aaabbb")
    alone, together = (ratio_interval(values, seed=0, groups=groups) for groups in (None, prompts))

    assert together == (0, 1)
    assert alone[1] - alone[0] < 1


def test_the_seed_alone_decides_an_interval():
    values = np.arange(20)

    assert ratio_interval(values, seed=3) == ratio_interval(values, seed=3)
    assert ratio_interval(values, seed=3) != ratio_interval(values, seed=4)


def test_the_interval_of_a_higher_level_is_wider():
    values = np.arange(50)
    narrow, wide = (ratio_interval(values, seed=0, level=level) for level in (0.5, 0.99))

    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_bootstrap_arguments_that_do_not_fit_are_errors():
    with pytest.raises(ValueError, match="got 0 songs"):
        bootstrap(lambda drawn: 0.0, 0, seed=0)
    with pytest.raises(ValueError, match="level 1"):
        ratio_interval([1], seed=0, level=1)
    with pytest.raises(ValueError, match="2 numerators, 1 denominators"):
        ratio_interval([1, 2], [1], seed=0)
    with pytest.raises(ValueError, match="all denominators are zero"):
        ratio_interval([1, 2], [0, 0], seed=0)

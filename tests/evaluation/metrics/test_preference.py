"""Bradley-Terry strengths with ties, and the exact test of correct answers."""

from math import comb

import numpy as np
import pytest

from songgen_hf.evaluation.metrics.bootstrap import crossed_bootstrap
from songgen_hf.evaluation.metrics.preference import correct_share, fit_bradley_terry


def expected_counts(strengths, tie_parameter, each=10_000.0):
    """The numbers of wins and ties that the model expects of ``each`` comparisons of a pair."""
    worth = np.exp(np.asarray(strengths, dtype=float))
    tied = tie_parameter * np.sqrt(np.outer(worth, worth))
    total = worth[:, None] + worth[None] + tied
    wins, ties = each * worth[:, None] / total, each * tied / total
    np.fill_diagonal(wins, 0)
    np.fill_diagonal(ties, 0)
    return wins, ties


@pytest.mark.parametrize("tie_parameter", [0.0, 0.4, 3.0])
@pytest.mark.parametrize("strengths", [(0.5, -0.5), (1.2, 0.1, -1.3), (0, 0, 0, 0)])
def test_planted_strengths_and_ties_are_recovered(strengths, tie_parameter):
    found = fit_bradley_terry(*expected_counts(strengths, tie_parameter))

    np.testing.assert_allclose(found.strengths, strengths, atol=1e-5)
    assert found.tie_parameter == pytest.approx(tie_parameter, abs=1e-4)
    assert found.finite


def test_strengths_of_drawn_votes_are_near_the_planted_ones():
    strengths = np.array([0.8, 0.0, -0.8])
    wins, ties = expected_counts(strengths, 0.5, each=1.0)
    random, drawn_wins, drawn_ties = np.random.default_rng(0), np.zeros((3, 3)), np.zeros((3, 3))
    for one, other in ((0, 1), (0, 2), (1, 2)):
        chances = [wins[one, other], wins[other, one], ties[one, other]]
        drawn = random.multinomial(2000, chances)
        drawn_wins[one, other], drawn_wins[other, one] = drawn[:2]
        drawn_ties[one, other] = drawn_ties[other, one] = drawn[2]

    found = fit_bradley_terry(drawn_wins, drawn_ties)

    np.testing.assert_allclose(found.strengths, strengths, atol=0.1)


def test_two_systems_have_the_strengths_of_the_closed_form():
    # Davidson (1970): for two systems the odds of the worths are those of the wins.
    found = fit_bradley_terry([[0, 300], [100, 0]], [[0, 200], [200, 0]])

    assert np.exp(found.strengths[0] - found.strengths[1]) == pytest.approx(3.0, rel=1e-4)
    assert found.tie_parameter == pytest.approx(200 / np.sqrt(300 * 100), rel=1e-4)
    assert found.win_probability(0, 1) == pytest.approx(0.75, abs=1e-4)


def test_swapped_systems_swap_the_strengths():
    random = np.random.default_rng(3)
    wins = random.integers(1, 9, (3, 3)) * (1 - np.eye(3))
    ties = np.array([[0, 2, 0], [2, 0, 5], [0, 5, 0]])
    order = [2, 0, 1]

    found = fit_bradley_terry(wins, ties)
    swapped = fit_bradley_terry(wins[np.ix_(order, order)], ties[np.ix_(order, order)])

    np.testing.assert_allclose(swapped.strengths, found.strengths[order], atol=1e-8)
    assert swapped.tie_parameter == pytest.approx(found.tie_parameter)
    assert found.strengths.sum() == pytest.approx(0, abs=1e-8)


def test_ties_alone_make_systems_equal():
    found = fit_bradley_terry(np.zeros((2, 2)), [[0, 7], [7, 0]])

    np.testing.assert_allclose(found.strengths, 0, atol=1e-9)
    assert found.finite and found.tie_parameter > 10


def test_a_system_that_won_every_comparison_has_no_finite_estimate():
    found = fit_bradley_terry([[0, 20], [0, 0]], np.zeros((2, 2)))
    unlinked = fit_bradley_terry(
        [[0, 2, 0, 0], [3, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]], np.zeros((4, 4))
    )

    assert not found.finite and 0.99 < found.win_probability(0, 1) < 1
    assert not unlinked.finite
    assert fit_bradley_terry([[0, 20], [0, 0]], [[0, 1], [1, 0]]).finite


@pytest.mark.parametrize(
    ("wins", "ties", "message"),
    [
        ([[0, 1]], [[0, 1]], r"got wins \[1, 2\] and ties \[1, 2\]"),
        ([[0, 1], [1, 0]], [[0]], r"ties \[1, 1\], expected two square tables"),
        ([[0, -1], [1, 0]], np.zeros((2, 2)), "must not be negative"),
        ([[0, 1], [1, 0]], [[0, 1], [0, 0]], "ties symmetric"),
        (np.zeros((2, 2)), np.zeros((2, 2)), "got no comparisons"),
    ],
)
def test_tables_that_do_not_fit_are_errors(wins, ties, message):
    with pytest.raises(ValueError, match=message):
        fit_bradley_terry(wins, ties)


@pytest.mark.parametrize(("correct", "count"), [(0, 1), (9, 10), (12, 16), (16, 16)])
def test_the_p_value_is_the_share_of_guesses_that_are_as_good(correct, count):
    share, (lower, upper), p_value = correct_share(correct, count)

    guesses = sum(comb(count, k) for k in range(correct, count + 1)) / 2**count
    assert p_value == pytest.approx(guesses, rel=1e-9)
    assert lower <= share == correct / count <= upper
    assert 0 <= lower and upper <= 1


def test_no_answers_cannot_be_tested():
    with pytest.raises(ValueError, match="got 0 correct answers of 0"):
        correct_share(0, 0)
    with pytest.raises(ValueError, match="got 3 correct answers of 2"):
        correct_share(3, 2)


def simulated_votes(random, listeners=12, songs=12):
    """Votes with effects of listener and song about a true mean of 0."""
    values = random.normal(0, 0.5, (listeners, 1)) + random.normal(0, 0.5, (1, songs))
    values = values + random.normal(0, 0.5, (listeners, songs))
    who, what = np.divmod(np.arange(listeners * songs), songs)
    return values.ravel(), who, what


@pytest.mark.slow
def test_the_interval_holds_the_truth_in_about_95_percent_of_small_simulations():
    random = np.random.default_rng(0)
    held, listeners_alone, simulations = 0, 0, 200
    for seed in range(simulations):
        values, who, what = simulated_votes(random)

        def mean(weights, values=values):
            return weights @ values / weights.sum()

        lower, upper = crossed_bootstrap(mean, who, what, seed=seed, draws=200)
        held += lower <= 0 <= upper
        lower, upper = crossed_bootstrap(mean, who, seed=seed, draws=200)
        listeners_alone += lower <= 0 <= upper

    assert 0.92 <= held / simulations <= 0.98
    assert listeners_alone / simulations < 0.9, "songs have to be drawn, too"


def test_a_crossed_bootstrap_depends_on_the_seed_and_the_groups_alone():
    values, who, what = simulated_votes(np.random.default_rng(1))

    def scores(weights):
        return np.array([weights @ values / weights.sum(), np.nan])

    ends = crossed_bootstrap(scores, who, what, seed=5, draws=50)
    renamed = crossed_bootstrap(scores, [f"{one:02}" for one in who], what, seed=5, draws=50)

    np.testing.assert_array_equal(ends, renamed)
    assert ends[0, 0] < ends[1, 0] and np.isnan(ends[:, 1]).all()
    assert (crossed_bootstrap(scores, who, what, seed=6, draws=50) != ends)[:, 0].all()


def test_votes_of_one_listener_about_one_song_have_no_width():
    ends = crossed_bootstrap(lambda weights: weights.sum() / weights.sum(), [1], ["a"], seed=0)

    assert ends.tolist() == [1.0, 1.0]
    with pytest.raises(ValueError, match=r"got groups of \[1, 2\] votes"):
        crossed_bootstrap(lambda weights: 0.0, [1], [1, 2], seed=0)
    with pytest.raises(ValueError, match="level 1"):
        crossed_bootstrap(lambda weights: 0.0, [1], [1], seed=0, level=1)

"""Scores, intervals, verdicts and pages of experiments."""

import numpy as np
import pytest

from songgen_hf.evaluation.experiments.definition import Claim, Experiment, Variant
from songgen_hf.evaluation.experiments.results import (
    describe,
    difference_of,
    report_markdown,
    score_of,
    verdict,
    with_section,
    write_results,
)


def scores_of(means, *, songs=40, seeds=(0, 1), spread=0.05):
    """Losses of songs around a mean for each seed; the noise of a song is that of every variant."""
    found = {}
    for seed, mean in zip(seeds, means, strict=True):
        noise = np.random.default_rng(seed).normal(0, spread, songs)
        found[seed] = {"loss": [[float(10 * (mean + one)), 10.0] for one in noise]}
    return found


def test_a_score_pools_songs_and_seeds():
    value, (lower, upper) = score_of({0: {"loss": [[2, 1], [9, 3]]}, 4: {"loss": [[1, 1]]}}, "loss")

    assert value == pytest.approx(12 / 5)
    assert lower <= value <= upper


def test_the_difference_is_paired_by_song_and_covers_the_seeds():
    noisy, better = scores_of((3.0, 3.0), spread=0.5), scores_of((2.9, 2.9), spread=0.5)

    value, (lower, upper) = difference_of(better, noisy, "loss")

    assert value == pytest.approx(-0.1)
    assert upper < 0 and upper - lower < 0.01


def test_seeds_that_disagree_decide_nothing():
    _, ends = difference_of(scores_of((2.8, 3.1)), scores_of((3.0, 3.0)), "loss")

    assert verdict(ends, lower_is_better=True) == "not decided"


def test_only_seeds_of_both_variants_are_compared():
    one, other = scores_of((2.0,), seeds=(0,)), scores_of((3.0, 9.0))

    assert difference_of(one, other, "loss")[0] == pytest.approx(-1)
    with pytest.raises(ValueError, match=r"no seed in common: got \[0\] and \[5\]"):
        difference_of(one, scores_of((3.0,), seeds=(5,)), "loss")


@pytest.mark.parametrize(
    ("interval", "lower_is_better", "expected"),
    [
        ((-2, -1), True, "holds"),
        ((1, 2), True, "does not hold"),
        ((-1, 1), True, "not decided"),
        ((1, 2), False, "holds"),
        ((-2, -1), False, "does not hold"),
        ((0, 2), False, "not decided"),
    ],
)
def test_a_claim_holds_only_with_its_whole_interval(interval, lower_is_better, expected):
    assert verdict(interval, lower_is_better=lower_is_better) == expected


@pytest.mark.slow
def test_no_direction_is_claimed_between_equal_variants():
    random = np.random.default_rng(0)
    decided = 0
    for _ in range(30):
        pair = [
            {0: {"loss": [[float(x), 1.0] for x in random.normal(3, 0.1, 30)]}} for _ in range(2)
        ]
        decided += verdict(difference_of(*pair, "loss")[1], lower_is_better=True) != "not decided"

    assert decided <= 5  # 5 % of 30 are 1.5


@pytest.fixture
def report():
    experiment = Experiment(
        name="two",
        title="Two",
        mirrors="a table",
        variants={"a": Variant(), "b": Variant()},
        claims=(Claim("a", "b", "loss", "1 and 2"), Claim("a", "b", "per", "3 and 4")),
    )
    scores = {"a": scores_of((2.0, 2.1)), "b": scores_of((3.0, 3.1))}
    return describe(experiment, scores, {"steps": 5})


@pytest.mark.slow
def test_a_claim_about_a_score_that_was_not_measured_is_left_out(report):
    assert [claim["metric"] for claim in report["claims"]] == ["loss"]
    assert report["claims"][0]["verdict"] == "holds"


@pytest.mark.slow
def test_the_page_states_budget_intervals_and_verdicts(report):
    text = report_markdown(report)

    assert "Every training: steps 5." in text
    assert "| `a` | 2 | 2.0" in text
    assert "| a is better than b | 1 and 2 | loss | -1.000 (-1.000 to -1.000) | holds |" in text


@pytest.mark.slow
def test_a_section_is_replaced_and_others_stay(report, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# Page\n")

    write_results(report | {"name": "other", "title": "Other"}, tmp_path / "other.json", [page])
    write_results(report | {"title": "Old"}, tmp_path / "two.json", [page])
    write_results(report, tmp_path / "two.json", [page])

    text = page.read_text()
    assert text.startswith("# Page\n") and "Old" not in text
    assert text.count("<!-- experiment ") == 2 and "## Other" in text and "## Two" in text
    assert with_section(text, "two", report_markdown(report)) == text

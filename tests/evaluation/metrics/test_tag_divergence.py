"""The divergence of tags."""

import numpy as np
import pytest
from scipy.stats import entropy

from songgen_hf.evaluation.metrics.tag_divergence import tag_distribution, tag_divergences

LOGITS, OTHERS = np.random.default_rng(0).normal(size=(2, 6, 3, 20))  # songs, windows, tags
TAGS = np.stack([tag_distribution(song) for song in LOGITS])


def test_equal_distributions_have_no_divergence():
    np.testing.assert_allclose(tag_divergences(TAGS, TAGS), 0, atol=1e-12)


def test_the_divergence_is_that_of_scipy_with_the_reference_first():
    songs = np.stack([tag_distribution(song) for song in OTHERS])

    np.testing.assert_allclose(
        tag_divergences(TAGS, songs), entropy(TAGS, songs, axis=1), rtol=1e-3
    )


def test_the_divergence_grows_with_noise():
    means = [
        tag_divergences(
            TAGS,
            np.stack([tag_distribution(song) for song in LOGITS + level * OTHERS]),
        ).mean()
        for level in (0, 0.5, 1, 2)
    ]

    assert means == sorted(means) and means[0] < means[1]


def test_windows_are_averaged_after_the_softmax():
    sure = np.array([[50.0, 0.0], [0.0, 50.0]])

    np.testing.assert_allclose(tag_distribution(sure), [0.5, 0.5])
    np.testing.assert_allclose(tag_distribution(sure + 1e4), [0.5, 0.5])


def test_a_tag_that_the_song_lacks_costs_a_finite_amount():
    (found,) = tag_divergences(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]]))

    assert found == pytest.approx(np.log(1 / 1e-6), rel=1e-3)


@pytest.mark.parametrize("songs", [np.ones((6, 20)), -TAGS, TAGS[:3], TAGS[0]])
def test_what_is_no_distribution_is_an_error(songs):
    with pytest.raises(ValueError, match="expected probabilities of shape"):
        tag_divergences(TAGS, songs)

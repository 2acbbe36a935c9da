"""Cosines of paired embeddings."""

import numpy as np
import pytest
import torch

from songgen_hf.evaluation.metrics.embedding_similarity import mean_direction, paired_cosines

RANDOM = np.random.default_rng(0)
ONE, OTHER = RANDOM.normal(size=(2, 7, 24))


def test_equal_embeddings_are_perfectly_similar_at_any_scale():
    np.testing.assert_allclose(paired_cosines(ONE, ONE), 1)
    np.testing.assert_allclose(paired_cosines(ONE, -3 * ONE), -1)


def test_cosines_are_those_of_torch():
    expected = torch.cosine_similarity(torch.from_numpy(ONE), torch.from_numpy(OTHER)).numpy()

    np.testing.assert_allclose(paired_cosines(ONE, OTHER), expected, atol=1e-12)


def test_noise_and_swapped_partners_lower_the_mean():
    means = [paired_cosines(ONE, ONE + level * OTHER).mean() for level in (0, 0.3, 1, 3)]

    assert means == sorted(means, reverse=True)
    assert paired_cosines(ONE, np.roll(ONE, 1, axis=0)).mean() < 0.5


def test_an_embedding_of_zeros_is_similar_to_nothing():
    assert paired_cosines(np.zeros((1, 3)), np.ones((1, 3))).tolist() == [0.0]
    assert paired_cosines(np.zeros((0, 3)), np.zeros((0, 3))).shape == (0,)


def test_loud_windows_do_not_outweigh_others():
    windows = np.array([[100.0, 0.0], [0.0, 1.0]])

    np.testing.assert_allclose(mean_direction(windows), [0.5, 0.5])


@pytest.mark.parametrize("other", [np.ones((3, 2)), np.ones(2), np.full((2, 2), np.nan)])
def test_embeddings_that_do_not_fit_are_an_error(other):
    with pytest.raises(ValueError, match=r"expected finite numbers of equal shapes"):
        paired_cosines(np.ones((2, 2)), other)

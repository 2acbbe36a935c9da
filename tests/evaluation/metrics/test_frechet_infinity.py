"""The Frechet distance for infinitely many frames."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from songgen_hf.evaluation.metrics.frechet_distance import Moments, frechet_distance
from songgen_hf.evaluation.metrics.frechet_infinity import frechet_infinity


def frames(seed, count, *, size=16, shift=0.0):
    """Frames of a Gaussian with unit variance."""
    return np.random.default_rng(seed).normal(size=(count, size)) + shift


def test_equal_sets_have_no_distance():
    songs = frames(0, 3000)

    found = frechet_infinity(songs, Moments.of(songs), seed=0, min_frames=300)

    assert found.distance == pytest.approx(0, abs=0.05)  # by chance


def test_the_unbiased_distance_is_that_of_numpy_cov_and_sqrtm():
    one, two = frames(1, 60, size=5), frames(2, 70, size=5, shift=0.3) * 1.5

    offset = one.mean(axis=0) - two.mean(axis=0)
    covariances = np.cov(one, rowvar=False), np.cov(two, rowvar=False)
    root = sqrtm(covariances[0] @ covariances[1]).real
    expected = offset @ offset + np.trace(sum(covariances) - 2 * root)

    found = frechet_distance(Moments.of(one), Moments.of(two), unbiased=True)
    assert found == pytest.approx(expected, rel=1e-9)


def test_the_bias_of_few_frames_is_taken_out():
    reference = Moments(10**9, np.zeros(16), 1e9 * np.eye(16))
    few = [frames(seed, 400) for seed in range(8)]  # of a distribution at distance 0

    plain = np.mean([frechet_distance(Moments.of(songs), reference) for songs in few])
    found = np.mean(
        [frechet_infinity(songs, reference, seed=0, min_frames=60).distance for songs in few]
    )

    assert plain > 0.1
    assert abs(found) < plain / 3


def test_draws_with_replacement_keep_the_bias_of_the_set():
    reference = Moments(10**9, np.zeros(16), 1e9 * np.eye(16))
    songs = frames(3, 400)
    settings = {"seed": 0, "min_frames": 60}

    without = frechet_infinity(songs, reference, **settings).distance
    with_replacement = frechet_infinity(songs, reference, replacement=True, **settings).distance

    plain = frechet_distance(Moments.of(songs), reference, unbiased=True)
    assert abs(with_replacement - plain) < abs(without - plain)


def test_the_distance_grows_with_noise_and_follows_its_seed():
    songs, reference = frames(4, 600), Moments.of(frames(5, 600))
    noise = frames(6, 600)

    found = [
        frechet_infinity(songs + level * noise, reference, seed=1, min_frames=100)
        for level in (0.0, 0.5, 1.0, 2.0)
    ]

    assert [one.distance for one in found] == sorted(one.distance for one in found)
    assert found[0] == frechet_infinity(songs, reference, seed=1, min_frames=100)
    assert found[0].slope > 0 and 0 < found[0].r2 <= 1


def test_too_few_frames_are_an_error():
    with pytest.raises(ValueError, match="at least 500 frames .* evaluate more songs"):
        frechet_infinity(frames(0, 500), Moments.of(frames(1, 50)), seed=0)
    with pytest.raises(ValueError, match="1 draws"):
        frechet_infinity(frames(0, 50), Moments.of(frames(1, 50)), seed=0, min_frames=9, steps=1)

"""The Frechet distance of features, and the features of the codec."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from songgen_hf.evaluation.metrics.frechet_distance import (
    Moments,
    frechet_audio_distance,
    frechet_distance,
    semantic_moments,
)


def features(seed, *, frames=200, size=5):
    """Frames of correlated features."""
    random = np.random.default_rng(seed)
    return random.normal(size=(frames, size)) @ random.normal(size=(size, size)) + random.normal()


@pytest.fixture
def codec(tiny_model):
    """A tiny codec."""
    return tiny_model("mixed").audio_encoder


@pytest.fixture
def songs():
    """Noises of different lengths."""
    random = np.random.default_rng(0)
    return [(0.1 * random.normal(size=size)).astype(np.float32) for size in (4000, 6400, 5000)]


def test_the_moments_of_songs_add_up():
    parts = features(0)[:70], features(0)[70:]

    pooled = Moments.pooled(map(Moments.of, parts))

    np.testing.assert_allclose(pooled.mean, features(0).mean(axis=0))
    np.testing.assert_allclose(pooled.covariance, np.cov(features(0).T, bias=True), atol=1e-12)


def test_the_frechet_distance_follows_its_formula():
    one, two = Moments.of(features(1)), Moments.of(features(2))

    root = sqrtm(one.covariance @ two.covariance)
    offset = one.mean - two.mean
    expected = offset @ offset + np.trace(one.covariance + two.covariance - 2 * root.real)

    assert frechet_distance(one, two) == pytest.approx(expected)


def test_the_frechet_distance_is_zero_for_equal_sides_and_symmetric():
    one, two = Moments.of(features(1)), Moments.of(features(2))

    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(one, two) == pytest.approx(frechet_distance(two, one))


def test_the_frechet_distance_of_a_shift_is_its_square():
    one = features(3)

    assert frechet_distance(Moments.of(one), Moments.of(one + 2)) == pytest.approx(5 * 2**2)


def test_the_frechet_distance_allows_features_without_variance():
    one = np.zeros((10, 3))

    assert frechet_distance(Moments.of(one), Moments.of(one + 1)) == pytest.approx(3)


def test_semantic_features_have_one_frame_per_codec_frame(codec, songs):
    counts = [moments.count for moments in semantic_moments(codec, songs)]

    assert counts == [codec.get_num_frames(len(song)) for song in songs]


def test_the_frechet_audio_distance_of_equal_songs_is_zero(codec, songs):
    assert frechet_audio_distance(codec, songs, songs)["fad"] == pytest.approx(0, abs=1e-6)
    assert frechet_audio_distance(codec, songs, [9 * song for song in songs])["fad"] > 0


@pytest.mark.parametrize("samples", [0, 1, 100])
def test_an_empty_song_has_semantic_features(codec, samples):
    (moments,) = semantic_moments(codec, [np.zeros(samples, dtype=np.float32)])

    assert moments.count >= 1


def test_moments_that_do_not_fit_are_errors():
    with pytest.raises(ValueError, match="expected at least two frames of 3 features"):
        frechet_distance(Moments.of(np.ones((4, 3))), Moments.of(np.ones((4, 2))))
    with pytest.raises(ValueError, match="got 1 frames"):
        frechet_distance(Moments.of(np.ones((1, 3))), Moments.of(np.ones((4, 3))))
    with pytest.raises(ValueError, match="no songs"):
        Moments.pooled([])
    with pytest.raises(ValueError, match="finite"):
        Moments.of(np.array([[np.nan]]))

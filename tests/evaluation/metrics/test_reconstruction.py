"""Reconstruction by a codec."""

import numpy as np
import pytest
import torch

from songgen_hf.evaluation.codec_round_trip import codec_round_trip
from songgen_hf.evaluation.metrics.reconstruction import reconstruction_scores, si_sdr


def noise(seed, samples=4000):
    """White noise."""
    return (0.1 * np.random.default_rng(seed).normal(size=samples)).astype(np.float32)


def test_gain_and_offset_do_not_change_si_sdr():
    reference, estimate = noise(0), noise(0) + noise(1)

    assert si_sdr(reference, 3 * estimate + 1) == pytest.approx(si_sdr(reference, estimate))


@pytest.mark.parametrize("decibels", [-10, 0, 20])
def test_si_sdr_measures_added_noise_in_decibels(decibels):
    reference, other = noise(0, 200000), noise(1, 200000)

    assert si_sdr(reference, reference + other * 10 ** (-decibels / 20)) == pytest.approx(
        decibels, abs=0.1
    )


def test_si_sdr_is_limited_for_equal_waveforms_and_low_for_silence():
    assert si_sdr(noise(0), noise(0)) == 100
    assert si_sdr(noise(0), np.zeros(4000, dtype=np.float32)) <= 0


def test_reconstruction_scores_are_per_song_and_best_for_equal_songs():
    songs = [noise(0), noise(1, 6000)]

    scores = reconstruction_scores(songs, songs, 16000)

    assert scores["mel_distance"].tolist() == [0, 0]
    assert scores["si_sdr"].tolist() == [100, 100]


def test_a_shorter_estimate_is_compared_as_far_as_it_goes():
    scores = reconstruction_scores([noise(0)], [noise(0)[:3840]], 16000)

    assert scores["mel_distance"][0] == 0


def test_a_codec_round_trip_equals_the_forward_of_the_codec(tiny_model):
    codec = tiny_model("mixed").audio_encoder
    songs = [noise(0), noise(1, 6401)]

    decoded = codec_round_trip(codec, songs)

    for song, found in zip(songs, decoded, strict=True):
        with torch.no_grad():
            expected = codec(torch.from_numpy(song)[None, None]).audio_values[0, 0].numpy()
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_waveforms_that_do_not_fit_are_errors():
    with pytest.raises(ValueError, match="one length"):
        si_sdr(noise(0), noise(1, 10))
    with pytest.raises(ValueError, match="silent"):
        si_sdr(np.zeros(10), np.ones(10))
    with pytest.raises(ValueError, match="1 references and 0 estimates"):
        reconstruction_scores([noise(0)], [], 16000)

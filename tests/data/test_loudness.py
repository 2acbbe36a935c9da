"""Loudness measurement, normalization and limiting."""

import numpy as np
import pytest

from songgen_hf.data.loudness import (
    SILENCE,
    at_loudness,
    integrated_loudness,
    limiting_gain,
)

RATE = 16000


@pytest.fixture(scope="module", autouse=True)
def meter():
    """Skip these tests without the package of the meter, which takes a second to import."""
    pytest.importorskip("pyloudnorm")


def tone(seconds: float = 2.0, amplitude: float = 0.1) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * 997 * np.arange(int(seconds * RATE)) / RATE)


def test_a_full_scale_tone_of_997_hz_is_at_minus_3_lufs():
    assert integrated_loudness(tone(amplitude=1.0), RATE) == pytest.approx(-3.01, abs=0.1)


def test_at_loudness_reaches_the_target_loudness():
    assert integrated_loudness(at_loudness(tone(), RATE, -14.0), RATE) == pytest.approx(-14.0)


def test_silence_has_the_loudness_of_the_gate_and_stays_silent():
    assert integrated_loudness(np.zeros(RATE), RATE) == SILENCE
    assert not at_loudness(np.zeros(RATE), RATE, -14.0).any()


def test_the_limiter_keeps_samples_below_the_ceiling_and_does_not_change_quiet_audio():
    rng = np.random.default_rng(0)
    loud = rng.normal(0, 0.5, RATE)

    assert np.abs(loud * limiting_gain(np.abs(loud), 0.9, 161)).max() <= 0.9 + 1e-12
    assert np.all(limiting_gain(np.abs(tone()), 0.9, 161) == 1.0)


def test_a_waveform_that_is_too_short_and_an_even_window_are_refused():
    with pytest.raises(ValueError, match="at least 0.4 s"):
        integrated_loudness(np.zeros(100), RATE)
    with pytest.raises(ValueError, match="expected an odd number"):
        limiting_gain(np.zeros(100), 0.9, 160)

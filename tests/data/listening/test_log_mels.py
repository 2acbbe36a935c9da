"""The log mels that are the input of the judges."""

import numpy as np
import pytest
import torch

from songgen_hf.data.listening.log_mels import FLOOR, HOP_LENGTH, NUM_MELS, log_mels, mel_power

RATE = 16000


def tone(frequency, seconds=0.5):
    """A sine at half of full scale."""
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * RATE)) / RATE)


@pytest.mark.parametrize("samples", [0, 1, 159, 160, 1601])
def test_log_mels_have_a_frame_every_ten_milliseconds(samples):
    assert log_mels(np.zeros(samples)).shape == (NUM_MELS, 1 + samples // HOP_LENGTH)


def test_gain_changes_no_log_mels():
    noise = np.random.default_rng(0).standard_normal(4000) * 0.1

    torch.testing.assert_close(log_mels(noise), log_mels(0.03 * noise), atol=1e-4, rtol=1e-4)


def test_the_log_mels_of_silence_are_the_floor():
    assert torch.allclose(log_mels(np.zeros(3200)), torch.tensor(FLOOR).log10())


def test_higher_tones_peak_in_higher_mel_bands():
    peaks = [int(mel_power(tone(f)).mean(dim=1).argmax()) for f in (200, 800, 2400, 6000)]

    assert peaks == sorted(set(peaks))


def test_mel_frames_are_centered_on_their_samples():
    waveform = np.zeros(8000)
    waveform[30 * HOP_LENGTH] = 1.0

    assert int(mel_power(waveform).sum(dim=0).argmax()) == 30


def test_waveforms_with_two_channels_or_nan_are_errors():
    with pytest.raises(ValueError, match=r"shape \(2, 100\), expected \[S\]"):
        log_mels(np.zeros((2, 100)))
    with pytest.raises(ValueError, match="NaN or infinity"):
        log_mels(np.array([0.0, np.nan]))

"""Spectral distances against their formulas written out in numpy, and the filter bank by its
properties.
"""

import math

import numpy as np
import pytest
import torch

from songgen_hf.training.codec.stft_losses import (
    FULL_BAND,
    MelDistance,
    MultiResolutionStftLoss,
    PseudoQuadratureMirrorFilters,
    RelativeErrorLoss,
    Resolution,
    SubBandStftLoss,
    mel_filters,
    stft_magnitude,
)

from ...tools.codec_cases import noise

ALL = [
    MultiResolutionStftLoss(),
    SubBandStftLoss(),
    MelDistance(16000),
    MelDistance(16000, windows=(64, 512), num_mels=(8, 40)),
]


def plain_magnitude(waveform, resolution):
    """[bins, frames] of one waveform [S], frame by frame."""
    fft_size, hop, length = resolution
    window = np.zeros(fft_size)
    start = (fft_size - length) // 2
    window[start : start + length] = 0.5 - 0.5 * np.cos(2 * math.pi * np.arange(length) / length)
    padded = np.pad(np.asarray(waveform, dtype=np.float64), fft_size // 2, mode="reflect")
    count = 1 + (len(padded) - fft_size) // hop
    frames = [
        np.abs(np.fft.rfft(padded[t * hop : t * hop + fft_size] * window)) for t in range(count)
    ]
    return np.sqrt(np.maximum(np.stack(frames, axis=1) ** 2, 1e-7))


@pytest.mark.parametrize("resolution", [*FULL_BAND, Resolution(128, 20, 80)])
def test_magnitudes_are_those_of_a_transform_frame_by_frame(resolution):
    waveform = noise(2400)

    got = stft_magnitude(waveform[None], resolution)[0]

    np.testing.assert_allclose(got, plain_magnitude(waveform, resolution), rtol=1e-3, atol=1e-4)


def test_the_stft_loss_is_convergence_plus_log_distance_over_resolutions():
    estimate, target = noise(2, 1, 2400), noise(2, 1, 2400, seed=1)
    expected = []
    for resolution in FULL_BAND:
        found, wanted = (
            np.stack([plain_magnitude(row[0], resolution) for row in waves])
            for waves in (estimate, target)
        )
        convergence = np.sqrt(((wanted - found) ** 2).sum()) / np.sqrt((wanted**2).sum())
        expected.append(convergence + np.abs(np.log(wanted) - np.log(found)).mean())

    got = MultiResolutionStftLoss()(estimate, target)

    assert float(got) == pytest.approx(np.mean(expected), rel=1e-4)


def test_the_mel_distance_is_the_mean_difference_of_log_mels():
    estimate, target = noise(1, 1, 4000), noise(1, 1, 4000, seed=1)
    filters = mel_filters(16000, 256, 20).numpy()
    mels = [filters @ plain_magnitude(wave[0, 0], (256, 64, 256)) for wave in (estimate, target)]
    expected = np.abs(np.diff([np.log10(np.maximum(mel, 1e-5)) for mel in mels], axis=0)).mean()

    got = MelDistance(16000, windows=(256,), num_mels=(20,))(estimate, target)

    assert float(got) == pytest.approx(expected, rel=1e-4)


def test_the_relative_error_is_the_root_of_error_over_energy():
    target = 0.1 * noise(2, 1, 4000)
    estimate = target + 0.05 * noise(2, 1, 4000, seed=1)
    error, energy = ((estimate - target) ** 2).mean(dim=-1), (target**2).mean(dim=-1)

    loss = RelativeErrorLoss(floor=1e-3)

    torch.testing.assert_close(loss(estimate, target), (error / (energy + 1e-3)).sqrt().mean())
    assert float(RelativeErrorLoss()(torch.zeros_like(target), target)) == pytest.approx(
        1, abs=0.01
    )
    assert float(loss(target, target)) < 1e-3


@pytest.mark.parametrize("loss", ALL)
def test_equal_waveforms_have_distance_zero_and_louder_noise_a_larger_one(loss):
    target = 0.1 * noise(2, 1, 6000)
    near, far = (target + level * noise(2, 1, 6000, seed=1) for level in (0.01, 0.05))

    assert float(loss(target, target)) == 0
    assert 0 < float(loss(near, target)) < float(loss(far, target))


@pytest.mark.parametrize("loss", ALL)
def test_a_silent_estimate_has_a_finite_gradient(loss):
    estimate = torch.zeros(1, 1, 6000, requires_grad=True)

    loss(estimate, 0.1 * noise(1, 1, 6000)).backward()

    assert torch.isfinite(estimate.grad).all()


@pytest.mark.parametrize("num_bands", [2, 4, 6])
def test_joined_bands_give_the_waveform_back(num_bands):
    filters = PseudoQuadratureMirrorFilters(num_bands)
    waveform = noise(2, 1, 240 * num_bands)

    bands = filters.analyze(waveform)
    joined = filters.synthesize(bands)

    assert bands.shape == (2, num_bands, 240)
    error = (joined - waveform)[..., 100:-100]
    assert 20 * math.log10(error.norm() / waveform.norm()) < -50


@pytest.mark.parametrize("band", range(6))
def test_a_tone_has_energy_in_its_own_band_only(band):
    frequency = (band + 0.5) / 12  # cycles a sample, in the middle of a band
    tone = torch.sin(2 * math.pi * frequency * torch.arange(6000))[None, None]

    energy = PseudoQuadratureMirrorFilters(6).analyze(tone)[..., 50:-50].square().mean(dim=-1)[0]

    assert energy.argmax() == band
    assert energy[band] / energy.sum() > 0.99


def test_every_mel_filter_has_a_nonzero_weight():
    for fft_size, bands in ((64, 8), (1024, 80), (256, 129)):
        filters = mel_filters(16000, fft_size, bands)
        assert filters.shape == (bands, fft_size // 2 + 1)
        assert (filters.sum(dim=1) > 0).all() and filters.max() <= 1


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match="got 1 bands and 62 taps, expected at least 2 bands"):
        PseudoQuadratureMirrorFilters(1)
    with pytest.raises(ValueError, match="got 6 bands and 61 taps, .* even number of taps"):
        PseudoQuadratureMirrorFilters(6, taps=61)
    with pytest.raises(ValueError, match="got 2 windows and 1 num_mels"):
        MelDistance(16000, windows=(64, 128), num_mels=(8,))

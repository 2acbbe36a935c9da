"""The spectrograms of tempo, key and pictures equal a plain short-time Fourier transform."""

import numpy as np
import pytest

from songgen_hf.data.listening.key import chroma
from songgen_hf.data.listening.mel_picture import mel_decibels
from songgen_hf.data.listening.tempo import spectral_flux

RATE = 16000


def magnitudes(waveform, size, hop):
    """Magnitudes [T, F] of Hann-windowed frames; the first one is centered on the first sample."""
    padded = np.pad(waveform.astype(np.float64), size // 2)
    frames = [padded[start : start + size] for start in range(0, len(padded) - size + 1, hop)]
    return np.abs(np.fft.rfft(np.array(frames) * np.hanning(size), axis=1))


def triangles(bands, size, low, high):
    """Triangles [bands, F] of height 1 on the mel scale, corners interpolated in Hz."""
    mel = np.linspace(2595 * np.log10(1 + low / 700), 2595 * np.log10(1 + high / 700), bands + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)
    bins = np.fft.rfftfreq(size, 1 / RATE)
    return np.array(
        [np.interp(bins, edges[place : place + 3], [0, 1, 0]) for place in range(bands)]
    )


def song(samples):
    """Chords with beats and noise, float32."""
    random = np.random.default_rng(samples)
    times = np.arange(samples) / RATE
    chord = sum(np.sin(2 * np.pi * f * times) for f in (220.0, 277.2, 329.6, 1318.5))
    waveform = 0.1 * chord * np.exp(-6 * (times % 0.5)) + 0.01 * random.normal(size=samples)
    return waveform.astype(np.float32)


@pytest.mark.parametrize("samples", [0, 1, 1000, 16000, 40001])
def test_the_spectral_flux_is_that_of_the_transform(samples):
    waveform = song(samples)

    bands = magnitudes(waveform, 1024, 160) @ triangles(40, 1024, 40, 7800).T
    expected = np.clip(np.diff(np.log1p(50 * bands), axis=0), 0, None).sum(axis=1)

    np.testing.assert_allclose(spectral_flux(waveform), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("samples", [1000, 16000, 40001])
def test_chroma_is_that_of_the_transform(samples):
    waveform = song(samples)

    found = magnitudes(waveform, 8192, 2048)
    is_peak = np.zeros(found.shape, dtype=bool)
    is_peak[:, 1:-1] = (found[:, 1:-1] > found[:, :-2]) & (found[:, 1:-1] >= found[:, 2:])
    expected = np.zeros(12)
    for frequency, column, peaks in zip(
        np.fft.rfftfreq(8192, 1 / RATE), found.T, is_peak.T, strict=True
    ):
        if 60 < frequency < 900:
            pitch = 69 + 12 * np.log2(frequency / 440)
            nearness = np.exp(-0.5 * ((pitch - round(pitch)) / 0.25) ** 2)
            expected[round(pitch) % 12] += nearness * np.sqrt(column[peaks]).sum()

    np.testing.assert_allclose(chroma(waveform), expected, rtol=1e-6)


@pytest.mark.parametrize("samples", [0, 1000, 16000])
def test_a_picture_shows_the_decibels_of_the_transform(samples):
    waveform = song(samples)

    found = mel_decibels(
        waveform, RATE, num_bands=96, hop_length=160, min_frequency=40, max_frequency=7800
    )

    power = magnitudes(waveform, 1024, 160) ** 2 @ triangles(96, 1024, 40, 7800).T
    expected = 10 * np.log10(np.maximum(power, 1e-10)).T
    assert found.shape == (96, 1 + samples // 160)
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_the_range_of_a_picture_begins_below_its_loudest_point():
    found = mel_decibels(
        song(8000), RATE, num_bands=80, hop_length=160, min_frequency=60, max_frequency=7680,
        decibel_range=40.0,
    )  # fmt: skip

    assert found.max() - found.min() == pytest.approx(40, abs=1e-3)

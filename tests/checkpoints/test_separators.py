"""Separators by name, and reference voices without their accompaniment."""

import sys
from pathlib import Path

import numpy as np
import pytest

from songgen_hf.checkpoints import separators
from songgen_hf.checkpoints.embedded import find_checkpoint
from songgen_hf.checkpoints.separators import (
    MINI_RATE,
    demucs_separator,
    extract_vocal,
    separate_voice,
)
from songgen_hf.evaluation.metrics.reconstruction import si_sdr
from songgen_hf.modeling.audio_io import read_audio

from ..tools.separation_cases import noise, tiny_separator

ROOT = Path(__file__).parents[2]


@pytest.fixture
def network(tmp_path):
    """The folder of a tiny separator."""
    tiny_separator().save_pretrained(tmp_path)
    return str(tmp_path)


@pytest.mark.parametrize("rate", [16000, 24000, 44100])
@pytest.mark.parametrize("length", [0, 1, 16013])
def test_a_vocal_has_the_length_and_rate_of_its_mixture(rate, length, network):
    waveform = noise(length)

    vocal = extract_vocal(waveform, rate, separator=network)

    assert vocal.shape == waveform.shape and vocal.dtype == np.float32
    assert length < 2 or 0.01 < np.abs(vocal).max() < 1.5


@pytest.mark.slow
def test_the_embedded_separator_removes_a_chord_from_a_voice():
    voice = read_audio(ROOT / "docs" / "audio" / "voice.flac", MINI_RATE)
    time = np.arange(len(voice)) / MINI_RATE
    chord = sum(
        np.sin(2 * np.pi * pitch * order * time) / order
        for pitch in (196.0, 246.9, 293.7)
        for order in (1, 2, 3, 4, 5, 6)
    ) * np.exp(-3 * (time % 0.5))
    chord *= np.sqrt(np.mean(voice**2) / np.mean(chord**2))
    mixture = (voice + chord).astype(np.float32)

    vocal = extract_vocal(mixture, MINI_RATE)

    assert si_sdr(voice, extract_vocal(voice, MINI_RATE)) > 15
    assert si_sdr(voice, vocal) - si_sdr(voice, mixture) > 2
    assert np.mean(extract_vocal(chord, MINI_RATE) ** 2) < 0.1 * np.mean(chord**2)


def test_the_embedded_separator_is_small():
    files = [*Path(find_checkpoint("separator-mini")).iterdir()]

    assert sum(path.stat().st_size for path in files) < 3_000_000
    assert "rendered" in (Path(find_checkpoint("separator-mini")) / "README.md").read_text()


def test_without_demucs_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "demucs", None)

    with pytest.raises(ImportError, match=r"pip install 'songgen-hf\[separate\]'"):
        demucs_separator("htdemucs")


def test_a_mixed_reference_voice_is_separated_and_a_clean_one_is_not(monkeypatch, network):
    rng = np.random.default_rng(0)
    voice, band = (0.1 * rng.standard_normal(5 * MINI_RATE).astype(np.float32) for _ in range(2))
    monkeypatch.setattr(separators, "extract_vocal", lambda *given, **_: voice[: len(given[0])])

    (alone, rate), start = separate_voice((voice + band, MINI_RATE))
    np.testing.assert_array_equal(alone, voice[: 3 * MINI_RATE])
    assert (rate, start) == (MINI_RATE, 0.0)
    clean = (voice, MINI_RATE)
    assert separate_voice(clean, 0.5) == (clean, 0.5)
    loud_band = (voice + 10 * band, MINI_RATE)  # what is left of a voice there is no voice
    assert separate_voice(loud_band)[0] is loud_band
    mixed = (voice + band, MINI_RATE)
    for always in (True, "always", "mini", network):
        assert separate_voice(loud_band, separate=always)[0] is not loud_band
    for never in (False, "never"):
        assert separate_voice(mixed, separate=never)[0] is mixed


def test_the_named_separator_is_used(network):
    mixed = (noise(5 * MINI_RATE), MINI_RATE)

    named, _ = separate_voice(mixed, separate=network)

    expected = extract_vocal(mixed[0], MINI_RATE, separator=network)
    np.testing.assert_allclose(named[0], expected[: 3 * MINI_RATE], atol=1e-5)


@pytest.mark.parametrize(
    ("separate", "error", "message"),
    [
        ("maybe", ValueError, "unknown separator: got 'maybe', expected a folder or one of auto, "),
        (3, TypeError, "separate_voice must be a bool or a string: got 3"),
    ],
)
def test_other_words_are_refused(separate, error, message):
    with pytest.raises(error, match=message):
        separate_voice((noise(MINI_RATE), MINI_RATE), separate=separate)


@pytest.mark.slow
def test_the_network_of_the_package_finds_the_voice_of_a_mixture():
    folder = ROOT / "docs" / "audio"

    assert separate_voice(folder / "voice.flac", 0.25) == (folder / "voice.flac", 0.25)
    (alone, rate), start = separate_voice(folder / "rendered.flac")
    assert (rate, start) == (MINI_RATE, 0.0)
    assert alone.shape == (3 * MINI_RATE,) and 0.01 < np.abs(alone).max() < 1

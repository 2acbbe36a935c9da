"""The mask network: blocks of any length, loudness, sampling rates and saved folders."""

import numpy as np
import pytest
import torch

from songgen_hf.data.listening.phoneme_recognizer import PhonemeRecognizer
from songgen_hf.modeling.listening.separator import VocalSeparator, map_blocks

from ...tools.separation_cases import noise, tiny_separator

RATE = 16000


def vocal(separator, waveform, *, rate=RATE, seconds=30.0, pieces=(10**9,)):
    """The vocal of a waveform that arrives in pieces."""
    places = np.cumsum(pieces)
    blocks = np.split(waveform[:, None], places[places < len(waveform)])
    return np.concatenate([*separator.vocal_blocks(blocks, rate, seconds=seconds)])


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.02, 0.3, 1.1, 5.0])
def test_the_length_of_blocks_does_not_change_the_vocal(seconds):
    separator, waveform = tiny_separator(), noise(37_123)

    whole = vocal(separator, waveform)
    parts = vocal(separator, waveform, seconds=seconds, pieces=(1, 999, 12_345, 7))

    assert len(parts) == len(whole) == len(waveform)
    assert np.abs(whole).max() > 0.1
    np.testing.assert_allclose(parts, whole, atol=1e-5)


def test_the_vocal_of_a_mask_of_one_is_the_mixture():
    separator, waveform = tiny_separator(), noise(20_001)
    with torch.no_grad():
        separator.head.bias.fill_(100.0)

    np.testing.assert_allclose(vocal(separator, waveform, seconds=0.5), waveform, atol=1e-5)
    high = vocal(separator, waveform, rate=24000)
    np.testing.assert_allclose(high, waveform, atol=1e-5)


def test_the_mask_does_not_depend_on_the_level():
    separator, waveform = tiny_separator(), noise(20_000)

    quiet = vocal(separator, 0.05 * waveform)

    np.testing.assert_allclose(quiet / 0.05, vocal(separator, waveform), atol=1e-3)


def test_a_frame_depends_on_its_context_alone():
    separator = tiny_separator()
    spectrum = separator.spectrum_of(torch.from_numpy(noise(40_000))[None], RATE)
    changed = spectrum.clone()
    changed[:, :, 60] *= 3.0

    with torch.no_grad():
        differs = (separator(changed) - separator(spectrum)).abs().amax(dim=(0, 1)) > 0

    reach = separator.context_frames
    assert differs[60] and differs[60 - reach : 61 + reach].sum() > 10
    assert not differs[: 60 - reach].any() and not differs[61 + reach :].any()


def test_the_mask_of_a_sound_is_the_same_at_a_higher_rate():
    separator = tiny_separator()
    masks = []
    for rate in (16000, 24000):
        time = np.arange(2 * rate) / rate
        wave = sum(np.sin(2 * np.pi * pitch * time) for pitch in (220, 440, 3000)) / 10
        spectrum = separator.spectrum_of(torch.from_numpy(wave.astype(np.float32))[None], rate)
        masks.append(separator(spectrum[:, : separator.config.window_length // 2 + 1]).detach())

    torch.testing.assert_close(*masks, atol=2e-3, rtol=0)


def test_silence_has_a_silent_vocal():
    assert not vocal(tiny_separator(), np.zeros(9000, np.float32)).any()


def test_a_rate_without_whole_frames_is_refused():
    with pytest.raises(ValueError, match="cannot read 22051 Hz: expected 16000 Hz or a higher"):
        tiny_separator().frame_sizes(22051)
    with pytest.raises(ValueError, match="cannot read 8000 Hz"):
        tiny_separator().frame_sizes(8000)


def test_a_saved_separator_is_the_same_in_half_precision(tmp_path):
    separator = tiny_separator()
    separator.save_pretrained(tmp_path)

    loaded = VocalSeparator.from_pretrained(tmp_path)

    assert not loaded.training and loaded.dtype == torch.float32
    waveform = noise(9000)
    np.testing.assert_allclose(vocal(loaded, waveform), vocal(separator, waveform), atol=5e-3)


def test_folders_without_a_separator_name_the_command_that_trains_one(tmp_path):
    with pytest.raises(FileNotFoundError, match="songgen-hf train separator"):
        VocalSeparator.from_pretrained(tmp_path)
    tiny_separator().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="another network than a PhonemeRecognizer"):
        PhonemeRecognizer.from_pretrained(tmp_path)


@pytest.mark.parametrize("length", [0, 1, 9, 10, 11, 25, 40])
@pytest.mark.parametrize("fade", [0, 3])
def test_blocks_are_joined_without_gaps(length, fade):
    samples = np.arange(1, length + 1, dtype=np.float32)
    seen = []

    def process(block):
        seen.append(len(block))
        return block[:, 0]

    pieces = np.array_split(samples[:, None], 4)
    made = [*map_blocks(pieces, process, size=10, margin=4, unit=5, fade=fade)]

    np.testing.assert_allclose(np.concatenate([*made, np.zeros(0)]), samples, rtol=1e-6)
    assert all(size <= 18 and (size - 8) % 5 == 0 for size in seen)


def test_blocks_are_crossfaded():
    values = iter([1.0, 3.0])

    made = [
        *map_blocks(
            [np.zeros((20, 1), np.float32)],
            lambda block: np.full(len(block), next(values), np.float32),
            size=10, margin=4, fade=4,
        )
    ]  # fmt: skip

    joined = np.concatenate(made)
    np.testing.assert_allclose(joined[:10], 1.0)
    np.testing.assert_allclose(joined[10:14], [1.25, 1.75, 2.25, 2.75])
    np.testing.assert_allclose(joined[14:], 3.0)

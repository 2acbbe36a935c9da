"""Tests that the normalized samples of a reference voice equal the recorded ones."""

import pytest
import torch

from songgen_hf.presets.tokenizers import build_mini_processor

from .cases import read_json, read_tensors

RECORDED = "reference_voice/golden"
STRIDE = 101  # every 101st sample is recorded
TOLERANCE = 1e-5  # 0 was measured; other versions of numpy may sum in another order


def clips() -> list[str]:
    suffix = ".input_values_strided"
    names = read_json(f"{RECORDED}.json")["tensors"]
    return sorted(name.removesuffix(suffix) for name in names if name.endswith(suffix))


@pytest.fixture(scope="module")
def recorded() -> dict[str, torch.Tensor]:
    return read_tensors(f"{RECORDED}.safetensors")


@pytest.fixture(scope="module")
def processor():
    rate = read_json(f"{RECORDED}.json")["feature_extractor"]["sampling_rate"]
    return build_mini_processor(voice_sampling_rate=rate)


def waveform(recorded: dict, name: str) -> torch.Tensor:
    """Return a recorded clip, or silence for the one that is not stored."""
    shape = read_json(f"{RECORDED}.json")[name]["input_values_shape"]
    return recorded.get(f"{name}.wav_f16", torch.zeros(shape[-1]))


@pytest.mark.parametrize("name", clips())
def test_voice_values_and_mask_equal_the_reference(processor, recorded, name):
    extractor = processor.voice_feature_extractor
    facts = read_json(f"{RECORDED}.json")[name]

    batch = processor(
        reference_voice=waveform(recorded, name), sampling_rate=extractor.sampling_rate
    )

    assert list(batch["voice_values"].shape) == facts["input_values_shape"]
    assert batch["voice_attention_mask"].sum() == facts["mask_sum"]
    torch.testing.assert_close(
        batch["voice_values"][:, ::STRIDE],
        recorded[f"{name}.input_values_strided"],
        atol=TOLERANCE,
        rtol=0,
    )


def test_a_batch_of_voices_equals_the_recorded_clips(processor, recorded):
    names = clips()
    voices = [waveform(recorded, name) for name in names]

    batch = processor(
        reference_voice=voices, sampling_rate=processor.voice_feature_extractor.sampling_rate
    )

    expected = torch.cat([recorded[f"{name}.input_values_strided"] for name in names])
    torch.testing.assert_close(batch["voice_values"][:, ::STRIDE], expected, atol=TOLERANCE, rtol=0)


def test_the_feature_extractor_has_the_recorded_settings(processor):
    wanted = read_json(f"{RECORDED}.json")["feature_extractor"]

    settings = processor.voice_feature_extractor.to_dict()

    assert {name: settings[name] for name in wanted} == wanted

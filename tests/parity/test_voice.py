"""Tests of the voice encoder: layer states, weighted sum, projection, and the forward call."""

from pathlib import Path

import pytest
import torch
from transformers import Wav2Vec2FeatureExtractor

from .cases import golden_root, read_json, read_tensors
from .loading import REFERENCE_GENERATE_KEYS, load_model

FOLDER = "reference_voice"
LAYER_STRIDE, FRAME_STRIDE = 4, 16  # distances of the recorded layers and frames
VALUE_STRIDE = 101  # distance of the recorded input values
TOLERANCE = 1e-4  # float32 on another machine
RUNS = {
    "full3s": (["full3s"], True),
    "short": (["short"], True),
    "full3s_no_mask": (["full3s"], False),
    "batch_full_short_silent": (["full3s", "short", "silent"], True),
}

each_run = pytest.mark.parametrize("run", RUNS)


def close(ours, expected, tolerance=TOLERANCE):
    torch.testing.assert_close(ours, expected, atol=tolerance, rtol=0)


@pytest.fixture(scope="module")
def recorded() -> dict[str, torch.Tensor]:
    return read_tensors(f"{FOLDER}/golden.safetensors")


@pytest.fixture(scope="module")
def model():
    folder = golden_root() / FOLDER / read_json(f"{FOLDER}/golden.json")["model"]
    if not (folder / "config.json").is_file():
        pytest.skip(f"the golden folder has no {folder.name} for the reference voice")
    return load_model(Path(folder).resolve())


@pytest.fixture(scope="module")
def voices(recorded) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Values and mask, each [1, samples], of each recorded clip."""
    record = read_json(f"{FOLDER}/golden.json")
    settings = record["feature_extractor"]
    extractor = Wav2Vec2FeatureExtractor(**settings)
    samples = record["full3s"]["input_values_shape"][1]
    clips = {n.removesuffix(".wav_f16"): t for n, t in recorded.items() if n.endswith(".wav_f16")}
    clips["silent"] = torch.zeros(samples)
    prepared = {}
    for name, clip in clips.items():
        features = extractor(
            clip.numpy(),
            sampling_rate=settings["sampling_rate"],
            padding="max_length",
            max_length=samples,
            return_tensors="pt",
        )
        prepared[name] = features["input_values"], features["attention_mask"].long()
    return prepared


def batch_of(voices, run: str) -> tuple[torch.Tensor, torch.Tensor | None]:
    names, with_mask = RUNS[run]
    values = torch.cat([voices[name][0] for name in names])
    return values, torch.cat([voices[name][1] for name in names]) if with_mask else None


def test_prepared_voices_are_the_recorded_ones(voices, recorded):
    for name, (values, mask) in voices.items():
        close(values[..., ::VALUE_STRIDE], recorded[f"{name}.input_values_strided"], 1e-5)
        record = read_json(f"{FOLDER}/golden.json")[name]
        assert int(mask.sum()) == record["mask_sum"]
        assert list(values.shape) == record["input_values_shape"]


@pytest.mark.slow
@each_run
def test_layer_states_sum_and_projection_match_the_recorded_ones(model, voices, recorded, run):
    values, mask = batch_of(voices, run)
    encoder = model.conditioner.voice_encoder

    with torch.no_grad():
        layers = encoder.hidden_states(values, mask)
        mixed = encoder(values, mask)
        states, _ = model.conditioner.encode_voice(values, mask)

    recorded_layers = recorded[f"{run}.hidden_states_strided"]
    close(layers[:, ::LAYER_STRIDE, ::FRAME_STRIDE], recorded_layers)
    close(mixed, recorded[f"{run}.layer_agg"])
    close(states, recorded[f"{run}.ref_voice_hidden_states"])


@pytest.mark.slow
def test_a_forward_call_with_voices_matches_the_recorded_one(model, voices, recorded):
    values, mask = batch_of(voices, "batch_full_short_silent")
    inputs = {
        name.removeprefix("model.in."): tensor
        for name, tensor in recorded.items()
        if name.startswith("model.in.")
    }

    with torch.no_grad():
        output = model(
            **{REFERENCE_GENERATE_KEYS.get(name, name): tensor for name, tensor in inputs.items()},
            voice_values=values,
            voice_attention_mask=mask,
        )

    assert torch.equal(output.encoder_attention_mask, recorded["model.encoder_attention_mask"])
    close(output.encoder_last_hidden_state, recorded["model.encoder_last_hidden_state"])
    close(output.logits[..., ::64], recorded["model.logits_strided"])
    close(output.loss.reshape(1), recorded["model.loss"])


def test_a_voice_in_a_batch_has_the_states_of_the_voice_alone(model, voices):
    values, mask = batch_of(voices, "batch_full_short_silent")

    with torch.no_grad():
        batch, batch_mask = model.conditioner.encode_voice(values, mask)
        alone, _ = model.conditioner.encode_voice(values[1:2], mask[1:2])

    close(batch[1:2], alone, 1e-5)
    assert batch_mask.sum(-1).tolist() == [batch.shape[1], batch.shape[1], 0]

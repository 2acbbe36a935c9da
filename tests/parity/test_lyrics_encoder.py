"""Tests of the lyrics encoder at full size, with weights from the recorded recipe."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from songgen_hf.modeling.configuration_songgen import SongGenLyricsEncoderConfig
from songgen_hf.modeling.lyrics_encoder import SongGenLyricsEncoder, relative_position_table

from .cases import read_json, read_tensors

RECORDING = "lyrics/full_size_conformer"
COLUMN_STRIDE = 32  # distance of the recorded columns of the table and the embedding
TOLERANCE = 1e-4  # values reach about 4


@pytest.fixture(scope="module")
def recorded() -> dict[str, torch.Tensor]:
    return read_tensors(f"{RECORDING}.safetensors")


@pytest.fixture(scope="module")
def recipe():
    """Weights and input of the reference: normal numbers, drawn in the order of the sorted keys."""
    record = read_json(f"{RECORDING}.json")
    random = np.random.RandomState(record["seed"])
    weights = {}
    for key in sorted(record["keys_and_shapes"]):
        shape = record["keys_and_shapes"][key]
        noise = random.standard_normal(shape).astype(np.float32)
        if len(shape) == 1 and key.endswith("weight"):
            noise = 1 + np.float32(0.1) * noise
        else:
            noise = np.float32(0.1 if "pos_bias" in key else 0.02) * noise
        weights[key] = torch.from_numpy(noise)
    size = record["batch"], record["time"], record["input_size"]
    return weights, torch.from_numpy(random.standard_normal(size).astype(np.float32))


@pytest.fixture(scope="module")
def encoder(recipe, tmp_path_factory):
    """The encoder with the weights of the recipe, loaded under the names of the reference."""
    weights, values = recipe
    folder = tmp_path_factory.mktemp("lyrics_encoder")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = SongGenLyricsEncoderConfig()
    config.save_pretrained(folder)
    model, report = SongGenLyricsEncoder.from_pretrained(
        folder, input_size=values.shape[-1], dtype=torch.float32, output_loading_info=True
    )
    assert not report["missing_keys"] and not report["unexpected_keys"]
    return model.eval()


def close(ours, expected, tolerance=TOLERANCE):
    torch.testing.assert_close(ours, expected, atol=tolerance, rtol=0)


@pytest.mark.slow
def test_the_full_size_encoder_matches_the_recorded_states(encoder, recipe, recorded):
    _, values = recipe
    mask = recorded["mask"].reshape(len(values), -1)

    with torch.no_grad():
        states = encoder(values, mask)

    close(states, recorded["output"])


@pytest.mark.slow
def test_padding_does_not_change_the_full_size_encoder(encoder, recipe, recorded):
    _, values = recipe
    mask = recorded["mask"].reshape(len(values), -1)
    length = int(mask[1].sum())

    with torch.no_grad():
        alone = encoder(values[1:2, :length], mask[1:2, :length])
        without_mask = encoder(values[1:2, :length])

    close(alone, recorded["row1_unpadded_output"])
    close(alone, recorded["output"][1:2, :length])
    close(without_mask, alone, 1e-5)


@pytest.mark.slow
def test_the_scaled_embedding_matches_the_recorded_one(encoder, recipe, recorded):
    _, values = recipe
    first_layer_input = []
    handle = encoder.layers[0].register_forward_pre_hook(
        lambda _, inputs: first_layer_input.append(inputs[0])
    )

    with torch.no_grad():
        encoder(values, None)
    handle.remove()

    scaled = first_layer_input[0][..., ::COLUMN_STRIDE]
    close(scaled, recorded["embed_scaled_strided"], 1e-3)  # values reach about 100


def test_the_relative_position_table_matches_the_recorded_one(recorded):
    record = read_json(f"{RECORDING}.json")

    table = relative_position_table(record["time"], record["input_size"], None, torch.float32)

    close(table[:, ::COLUMN_STRIDE], recorded["pos_emb"], 1e-5)

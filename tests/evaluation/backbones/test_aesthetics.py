"""Audiobox Aesthetics, with a miniature of its checkpoint in the names of its release."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import WavLMModel

from songgen_hf.evaluation.backbones.aesthetics import Aesthetics
from songgen_hf.evaluation.metrics.aesthetics import AXES

from ...tools.miniature_models import write_aesthetics

NOISE = (0.1 * np.random.default_rng(0).normal(size=22 * 16000)).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_aesthetics(tmp_path_factory.mktemp("aesthetics"))


def test_ratings_are_those_of_the_states_of_wavlm(folder):
    backbone = Aesthetics(folder)
    wavlm = WavLMModel(backbone.model.wavlm.config).eval()
    wavlm.load_state_dict(backbone.model.wavlm.state_dict())
    weights = load_file(f"{folder}/model.safetensors")
    sound = torch.from_numpy(NOISE[: 10 * 16000])[None]

    found = backbone(NOISE[: 10 * 16000])["ratings"][0]

    with torch.inference_mode():
        states = torch.stack(wavlm(sound, output_hidden_states=True).hidden_states)  # [3, 1, T, D]
        for place, axis in enumerate(AXES):
            shares = weights[f"layer_weights.{axis}"].softmax(0)
            mean = (shares[:, None, None] * states[:, 0]).sum(0).mean(0)
            head = {key: weights[f"proj_layer.{axis}.{key}.weight"] for key in (0, 4)}
            hidden = head[0] @ (mean / mean.norm())
            hidden = (hidden - hidden.mean()) / (hidden.var(correction=0) + 1e-5).sqrt()
            rating = float(head[4] @ torch.nn.functional.gelu(hidden)) * (1 + place) + 5 + place
            assert found[place] == pytest.approx(rating, abs=1e-4), axis


def test_windows_do_not_depend_on_the_batch_and_the_last_is_as_long_as_its_sound(folder):
    one, many = (Aesthetics(folder, batch_size=size)(NOISE) for size in (1, 8))

    np.testing.assert_allclose(one["ratings"], many["ratings"], atol=1e-4)
    assert one["seconds"].tolist() == [10, 10, 2]


@pytest.mark.parametrize("samples", [0, 1, 16000])
def test_silence_and_nothing_have_finite_ratings(folder, samples):
    found = Aesthetics(folder)(np.zeros(samples, np.float32))

    assert found["ratings"].shape == (1, 4) and np.isfinite(found["ratings"]).all()
    assert found["seconds"].tolist() == [1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nth_layer": 13}, "got nth_layer 13 and output_dim 1, expected 3"),
        ({"target_transform": {}}, "no Audiobox Aesthetics model: it lacks 'CE'"),
        ({"proj_num_layer": 3}, "the weights are not those of Audiobox Aesthetics"),
    ],
)
def test_another_network_is_one_line(tmp_path, folder, change, message):
    facts = json.loads(Path(folder, "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**facts, **change}))
    save_file(load_file(f"{folder}/model.safetensors"), tmp_path / "model.safetensors")

    with pytest.raises(ValueError, match=message) as refused:
        Aesthetics(str(tmp_path))
    assert "\n" not in str(refused.value)

"""Resemblyzer's voice encoder, with a miniature of its state dict."""

import numpy as np
import pytest
import torch

from songgen_hf.data.preparation.stages import ModelError
from songgen_hf.evaluation.backbones.resemblyzer import (
    Resemblyzer,
    VoiceEncoder,
    mel_windows,
    window_starts,
)

from ...tools.miniature_models import write_resemblyzer

NOISE = (0.1 * np.random.default_rng(0).normal(size=5 * 16000)).astype(np.float32)


@pytest.fixture
def weights(tmp_path):
    return write_resemblyzer(tmp_path / "pretrained.pt")


def test_embeddings_have_length_1_and_do_not_depend_on_the_batch(weights):
    one, many = (Resemblyzer(weights, batch_size=size)(NOISE)["embeddings"] for size in (1, 8))

    np.testing.assert_allclose(one, many, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(one, axis=1), 1, atol=1e-6)
    assert one.shape == (len(window_starts(len(NOISE))), 8)


def test_the_state_of_the_last_layer_is_embedded(weights):
    state = torch.load(weights)["model_state"]
    mels = mel_windows(NOISE)
    lstm = torch.nn.LSTM(40, 12, 3, batch_first=True)
    lstm.load_state_dict({k[5:]: one for k, one in state.items() if k.startswith("lstm.")})

    with torch.inference_mode():
        last = lstm(mels)[0][:, -1]
        raw = (last @ state["linear.weight"].T + state["linear.bias"]).clamp(min=0)

    expected = raw / raw.norm(dim=1, keepdim=True)
    np.testing.assert_allclose(Resemblyzer(weights)(NOISE)["embeddings"], expected, atol=1e-6)


def test_a_quiet_sound_is_heard_at_30_decibels_below_full_scale():
    quiet, quieter = (mel_windows(factor * NOISE) for factor in (1e-2, 1e-4))

    torch.testing.assert_close(quiet, quieter, rtol=1e-4, atol=1e-9)
    assert mel_windows(NOISE).mean() > 2 * quiet.mean()


@pytest.mark.parametrize("samples", [0, 1, 100, 25600])
def test_short_and_silent_sounds_have_one_finite_embedding(weights, samples):
    found = Resemblyzer(weights)(np.zeros(samples, np.float32))["embeddings"]

    assert found.shape == (1, 8) and np.isfinite(found).all()


def test_a_last_window_with_little_sound_is_left_out():
    assert window_starts(25600) == [0]
    assert [len(window_starts(25600 + extra)) for extra in (5000, 6000)] == [1, 2]


def test_the_network_of_full_size_has_the_published_number_of_weights():
    with torch.device("meta"):
        assert sum(one.numel() for one in VoiceEncoder().parameters()) == 1_423_616


def test_other_weights_are_one_line(tmp_path):
    torch.save({"weight": torch.zeros(2)}, tmp_path / "other.pt")

    with pytest.raises((ModelError, ValueError), match="not those of Resemblyzer's voice") as error:
        Resemblyzer(str(tmp_path / "other.pt"))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("gain", "expected"),
    [
        (
            1.0,
            [
                0.0,
                0.0,
                0.055789,
                0.130546,
                0.022602,
                0.001481,
                0.082811,
                0.0,
                0.0,
                0.04292,
                0.010059,
            ],
        ),
        (
            0.01,
            [0.0, 0.0, 0.052079, 0.124861, 0.006408, 0.0, 0.072445, 0.0, 0.0, 0.009193, 0.014627],
        ),
    ],
)
def test_embeddings_equal_those_of_the_package_resemblyzer(gain, expected):
    """The numbers come from Resemblyzer 0.1.4 with the weights and the sound that are made here."""
    network, weights, random = VoiceEncoder().eval(), {}, np.random.RandomState(0)
    for name, one in network.state_dict().items():
        scale = 30.0 if name == "lstm.weight_ih_l0" else 0.2
        values = random.uniform(-scale, scale, tuple(one.shape)).astype(np.float32)
        weights[name] = torch.from_numpy(values)
    network.load_state_dict(weights)
    places = np.arange(32000)
    times = places / 16000
    sound = 0.3 * np.sin(2 * np.pi * (200 + 300 * times) * times) + 0.05 * np.sin(1.3 * places**1.5)

    with torch.inference_mode():
        found = network(mel_windows((gain * sound).astype(np.float32)))

    assert len(found) == 2
    np.testing.assert_allclose(found[-1, ::24], expected, atol=1e-5)

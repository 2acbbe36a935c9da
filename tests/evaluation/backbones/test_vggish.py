"""VGGish: its log mels and its network."""

import math

import numpy as np
import pytest
import torch

from songgen_hf.evaluation.backbones.networks import Vggish
from songgen_hf.evaluation.backbones.vggish import VGGish, log_mels

from ...tools.miniature_models import seeded

NOISE = (0.1 * np.random.default_rng(0).normal(size=40000)).astype(np.float32)


@pytest.fixture
def network():
    """VGGish with a thirty-second of its channels."""
    return seeded(VGGish, 32)


def slow_log_mels(waveform):
    """The published description, one frame and one band at a time."""

    def mel(hertz):
        return 1127 * math.log(1 + hertz / 700)

    edges = np.linspace(mel(125), mel(7500), 66)
    frames = []
    for start in range(0, len(waveform) - 400 + 1, 160):
        window = 0.5 * (1 - np.cos(2 * np.pi * np.arange(400) / 400))
        padded = np.zeros(512)
        padded[:400] = waveform[start : start + 400] * window
        spectrum = np.abs(np.fft.fft(padded))[:257]
        bands = []
        for low, middle, high in zip(edges, edges[1:], edges[2:], strict=False):
            energy = 0.0
            for line in range(1, 257):
                place = mel(line * 16000 / 512)
                rise, fall = (place - low) / (middle - low), (high - place) / (high - middle)
                energy += spectrum[line] * max(0.0, min(rise, fall))
            bands.append(math.log(energy + 0.01))
        frames.append(bands)
    return np.array(frames)


def test_log_mels_are_those_of_the_published_description():
    expected = slow_log_mels(NOISE[: 400 + 9 * 160])

    np.testing.assert_allclose(log_mels(NOISE)[0, :10], expected, atol=1e-5)


@pytest.mark.parametrize(("samples", "examples"), [(0, 1), (100, 1), (15600, 1), (31000, 2)])
def test_a_waveform_has_one_example_for_every_whole_window(samples, examples):
    assert log_mels(NOISE[:samples]).shape == (examples, 96, 64)


def test_the_network_of_full_size_has_the_published_number_of_weights():
    with torch.device("meta"):
        weights = VGGish().state_dict()

    assert sum(one.numel() for one in weights.values()) == 72_141_184
    assert weights["embeddings.0.weight"].shape == (4096, 512 * 4 * 6)
    assert list(weights)[:2] == ["features.0.weight", "features.0.bias"]


def test_features_are_flattened_with_the_channels_last(network):
    mels = torch.from_numpy(log_mels(NOISE))

    with torch.inference_mode():
        states = network.features(mels[:, None]).transpose(1, 3).transpose(1, 2)
        expected = network.embeddings(states.reshape(len(mels), -1))
        found = network(mels)

    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    assert (found < 0).any(), "no ReLU at the end"


def test_mels_and_embeddings_equal_those_of_torchvggish():
    """The numbers come from torchvggish 0.2 with the weights and the sound that are made here."""
    network, start, weights = VGGish(32).eval(), 0, {}
    for name, one in network.state_dict().items():
        places = np.arange(start, start + one.numel())
        fan = one.numel() // len(one)
        values = np.sin(0.7 * places**1.1) * (2 / fan) ** 0.5
        values = values if one.dim() > 1 else 0.1 * np.sin(places)
        weights[name] = torch.from_numpy(values.astype(np.float32)).reshape(one.shape)
        start += one.numel()
    network.load_state_dict(weights)
    places = np.arange(16000)
    times = places / 16000
    sound = 0.3 * np.sin(2 * np.pi * (200 + 600 * times) * times) + 0.05 * np.sin(1.3 * places**1.5)

    mels = log_mels(sound)
    with torch.inference_mode():
        embedding = network(torch.from_numpy(mels))[0, ::16].numpy()

    expected = [1.65739, -0.82959, -0.54545, 0.2437, 0.44264, 0.55408, 0.967, 1.47167]
    np.testing.assert_allclose(mels[0, ::12, ::9].flatten()[:8], expected, atol=1e-5)
    expected = [0.131066, -0.124312, 0.100979, -0.075932, 0.075728, -0.111538, 0.087029, -0.016718]
    np.testing.assert_allclose(embedding, expected, atol=1e-5)


@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
def test_weights_of_a_folder_are_loaded_without_those_of_the_pca(tmp_path, network, ending):
    from safetensors.torch import save_file

    weights = {**network.state_dict(), "pproc.pca_matrix": torch.eye(3)}
    save = save_file if ending == ".safetensors" else torch.save
    save(weights, tmp_path / f"vggish{ending}")
    torch.save({"pca_means": torch.zeros(3)}, tmp_path / "vggish_pca_params.pth")

    backbone = Vggish(str(tmp_path), batch_size=1)

    with torch.inference_mode():
        expected = network(torch.from_numpy(log_mels(NOISE))).numpy()
    np.testing.assert_allclose(backbone(NOISE)["embeddings"], expected, atol=1e-6)
    assert backbone.settings["model"] == f"vggish{ending}"


def test_other_weights_are_an_error(tmp_path):
    torch.save({"weight": torch.zeros(2)}, tmp_path / "other.pth")

    with pytest.raises(ValueError, match="weights are not those of VGGish"):
        Vggish(str(tmp_path / "other.pth"))
    (tmp_path / "other.pth").unlink()
    with pytest.raises(ValueError, match="holds 0 files of weights .* expected one"):
        Vggish(str(tmp_path))

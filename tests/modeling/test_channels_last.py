"""Tests of the layers of the acoustic networks that compute channels last."""

import copy

import pytest
import torch
from torch import nn
from transformers.models.dac.modeling_dac import Snake1d

from songgen_hf.modeling.channels_last import order_channels_last
from songgen_hf.modeling.configuration_xcodec import XCodecConfig
from songgen_hf.modeling.modeling_xcodec import XCodecModel

LAYERS = {
    "plain": nn.Conv1d(6, 10, 7, padding=3),
    "dilated": nn.Conv1d(6, 10, 7, padding=27, dilation=9),
    "pointwise": nn.Conv1d(6, 10, 1),
    "strided": nn.Conv1d(6, 10, 16, stride=8, padding=4),
    "grouped": nn.Conv1d(6, 12, 3, groups=3),
    "without a bias": nn.Conv1d(6, 10, 3, bias=False),
    "to one channel": nn.Conv1d(6, 1, 7, padding=3),
    "of one channel": nn.Conv1d(1, 10, 7, padding=3),
    "of one channel, strided": nn.Conv1d(1, 10, 4, stride=2, bias=False),
    "of one channel, dilated": nn.Conv1d(1, 10, 7, padding=6, dilation=2),
    "transposed": nn.ConvTranspose1d(6, 10, 10, stride=5, padding=3, output_padding=1),
    "transposed and grouped": nn.ConvTranspose1d(6, 12, 4, stride=2, groups=2, dilation=2),
    "snake": Snake1d(6),
}


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(params=LAYERS.values(), ids=LAYERS.keys())
def layers(request):
    """A layer with random weights, and a copy of it that computes channels last."""
    layer = request.param
    with torch.no_grad():
        for seed, weight in enumerate(layer.parameters()):
            weight.copy_(0.5 + 0.2 * noise(*weight.shape, seed=seed))
    ordered = nn.Sequential(copy.deepcopy(layer))
    order_channels_last(ordered)
    return layer, ordered[0]


def channels_of(layer):
    return layer.in_channels if hasattr(layer, "in_channels") else layer.alpha.shape[1]


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_layer_has_the_results_of_the_one_that_it_replaces(layers, batch, dtype):
    layer, ordered = (copy.deepcopy(each).to(dtype) for each in layers)
    states = noise(batch, channels_of(layer), 40).to(dtype)

    with torch.no_grad():
        expected, found = layer(states), ordered(states)

    assert found.shape == expected.shape
    tolerance = 1e-5 if dtype == torch.float32 else 0.05
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def test_a_layer_takes_and_returns_channels_side_by_side(layers):
    layer, ordered = layers
    states = noise(2, channels_of(layer), 40)
    last = states.transpose(1, 2).contiguous().transpose(1, 2)

    with torch.no_grad():
        found, again = ordered(states), ordered(last)

    torch.testing.assert_close(again, found, rtol=1e-5, atol=1e-5)
    assert again.transpose(1, 2).is_contiguous()


def test_a_layer_computes_as_before_with_gradients(layers):
    layer, ordered = layers
    states = noise(2, channels_of(layer), 40)

    expected, found = layer(states), ordered(states)

    assert torch.equal(found, expected)
    found.sum().backward()
    assert all(weight.grad is not None for weight in ordered.parameters())


def test_a_layer_computes_as_before_for_fewer_positions_than_channels():
    layer = nn.Conv1d(16, 4, 3, padding=1)
    ordered = nn.Sequential(copy.deepcopy(layer))
    order_channels_last(ordered)
    states = noise(1, 8, 16).transpose(1, 2)[..., :8]

    with torch.no_grad():
        assert torch.equal(ordered(states), layer(states.contiguous()))


def test_the_layers_of_a_codec_take_the_order_from_one_another():
    codec = XCodecModel(small_config()).eval()
    taken = []

    def record(layer, inputs, output):
        states = inputs[0]
        if 1 < states.shape[1] <= states.shape[-1] and states.shape[1] <= output.shape[-1]:
            taken.append(states.transpose(1, 2).is_contiguous())

    for network in (codec.acoustic_encoder, codec.acoustic_decoder):
        for layer in network.modules():
            if not list(layer.children()):
                layer.register_forward_hook(record)

    with torch.no_grad():
        codec.decode(codec.encode(0.1 * noise(1, 1, 9600)).audio_codes)

    # Only the layers behind one with fewer positions than channels do not.
    assert len(taken) > 80 and sum(taken) >= 100


def test_weight_norm_can_be_applied_and_removed():
    codec = XCodecModel(small_config()).eval()
    waveform = 0.1 * noise(1, 1, 3200)
    features = codec.extract_features(waveform).acoustic.detach()

    codec.apply_weight_norm()
    with torch.no_grad():
        normed = codec.extract_features(waveform).acoustic
    codec.remove_weight_norm()
    with torch.no_grad():
        removed = codec.extract_features(waveform).acoustic

    torch.testing.assert_close(normed, features, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(removed, features, rtol=1e-4, atol=1e-5)


def small_config():
    hubert = {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 20}
    sizes = {"hidden_size": 12, "conv_dim": [6] * 7, "num_conv_pos_embedding_groups": 3}
    return XCodecConfig.from_reference_sizes(
        {
            "D": 8,
            "encoder_d_model": 4,
            "decoder_channels": 32,
            "ratios": [8, 5, 4, 2],
            "bins": 16,
            "target_bandwidths": [0.3],
            "semantic_dim": 12,
            "hubert": {**hubert, **sizes, "num_conv_pos_embeddings": 16},
        }
    )

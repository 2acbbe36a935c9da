"""Quantized linear layers: models sing with them, and can be saved and loaded.

A stand-in that knows the linear layer alone, as most quantized tensors do, is tested everywhere;
torchao where it is installed.
"""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from songgen_hf.modeling.conditioning import SongGenConditioner
from songgen_hf.modeling.decoder import SongGenForCausalLM
from songgen_hf.modeling.modeling_songgen import SongGenForConditionalGeneration
from songgen_hf.modeling.modeling_xcodec import XCodecModel

from .test_spectral_codec import build as spectral_codec

CHECKPOINTS = {  # what transformers saves and loads on its own -> where a song model holds it
    SongGenForConditionalGeneration: "",
    SongGenForCausalLM: "decoder",
    SongGenConditioner: "conditioner",
    XCodecModel: "audio_encoder",
}


class Int8Linear(nn.Module):
    """A quantized linear layer, as libraries put it in the place of another one."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.scale = layer.weight.detach().abs().amax() / 127
        weight = (layer.weight.detach() / self.scale).round().to(torch.int8)
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = layer.bias
        self.in_features, self.out_features = layer.in_features, layer.out_features

    def dequantized(self):
        return self.weight * self.scale

    def forward(self, input):
        return F.linear(input, self.dequantized(), self.bias)


class LinearOnly(torch.Tensor):
    """A weight whose values nobody may read, except ``F.linear``."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func is not F.linear and func.__name__ not in ("__get__", "is_floating_point"):
            raise NotImplementedError(f"{cls.__name__} has no {func.__name__}")
        with torch._C.DisableTorchFunctionSubclass():
            if func is F.linear:
                args = [a.as_subclass(torch.Tensor) if isinstance(a, cls) else a for a in args]
            return func(*args, **kwargs or {})


def quantized(model, how):
    """A copy of a model whose linear layers are quantized, and one of the same values in float."""
    rounded, model = copy.deepcopy(model), copy.deepcopy(model)
    for name, layer in list(rounded.named_modules()):
        if isinstance(layer, nn.Linear):
            replacement = Int8Linear(layer)
            layer.weight = nn.Parameter(replacement.dequantized(), requires_grad=False)
            if how == "module":
                model.set_submodule(name, replacement)
            else:
                weight = layer.weight.detach().as_subclass(LinearOnly)
                model.get_submodule(name)._parameters["weight"] = weight
    return model, rounded


def sung(model, inputs, waveform):
    """Codes of two songs after an audio prompt, their waveforms, and the codes of these."""
    prompt = model.encode_audio(waveform)
    options = {"max_new_frames": 3, "do_sample": False, "guidance_scale": 2.0}
    codes = model.generate(**inputs, audio_prompt_codes=prompt, **options)
    song = model.decode_codes(codes).waveform
    return codes, song, model.audio_encoder.encode(song, return_dict=False)


@pytest.fixture
def waveform():
    """Two tracks of two audio prompts."""
    return torch.randn(2, 1, 1600, generator=torch.Generator().manual_seed(0))


@pytest.mark.slow
@pytest.mark.parametrize("how", ["module", "tensor"])
def test_a_quantized_model_sings_as_its_rounded_weights(tiny_model, tiny_inputs, waveform, how):
    model, rounded = quantized(tiny_model("mixed_pro"), how)

    song, expected = (sung(each, tiny_inputs(), waveform) for each in (model, rounded))

    assert all(torch.equal(a, b) for a, b in zip(song, expected, strict=True))


@pytest.mark.parametrize("how", ["module", "tensor"])
def test_a_quantized_spectral_codec_computes_as_its_rounded_weights(waveform, how):
    codecs = quantized(spectral_codec(), how)

    codes, expected = (codec.encode(waveform, return_dict=False) for codec in codecs)
    decoded = [codec.decode(expected, return_dict=False) for codec in codecs]

    assert torch.equal(codes, expected) and torch.equal(*decoded)


@pytest.mark.parametrize("kind", CHECKPOINTS)
def test_every_model_says_whether_it_has_input_embeddings(tiny_model, kind):
    model = tiny_model("mixed").get_submodule(CHECKPOINTS[kind])

    table = model.get_input_embeddings()

    assert table is None if kind is XCodecModel else isinstance(table, nn.Module)


@pytest.mark.parametrize("kind", CHECKPOINTS)
def test_torchao_weights_are_loaded_saved_and_loaded_again(tiny_model, tmp_path, kind):
    quantization = pytest.importorskip("torchao.quantization")
    from transformers import TorchAoConfig

    tiny_model("mixed").get_submodule(CHECKPOINTS[kind]).save_pretrained(tmp_path / "float")
    config = TorchAoConfig(quantization.Int8WeightOnlyConfig())
    model = kind.from_pretrained(tmp_path / "float", quantization_config=config)
    model.save_pretrained(tmp_path / "int8")
    loaded = kind.from_pretrained(tmp_path / "int8")

    saved, again = model.state_dict(), loaded.state_dict()
    changed = [name for name, value in saved.items() if type(value) is not torch.Tensor]
    linear = [name for name, part in model.named_modules() if isinstance(part, nn.Linear)]
    assert len(changed) >= len(linear) - 1 > 0  # the heads may stay in full precision
    for name, value in saved.items():
        assert type(again[name]) is type(value), name
        restored = [x.dequantize() if name in changed else x for x in (value, again[name])]
        assert torch.equal(*restored), name


def test_a_model_with_torchao_weights_sings(tiny_model, tiny_inputs, tmp_path, waveform):
    quantization = pytest.importorskip("torchao.quantization")
    from transformers import TorchAoConfig

    tiny_model("mixed").save_pretrained(tmp_path / "float")
    model = SongGenForConditionalGeneration.from_pretrained(
        tmp_path / "float", quantization_config=TorchAoConfig(quantization.Int8WeightOnlyConfig())
    )
    model.save_pretrained(tmp_path / "int8")
    loaded = SongGenForConditionalGeneration.from_pretrained(tmp_path / "int8")
    inputs = tiny_inputs()

    song = sung(model, inputs, waveform)

    assert torch.isfinite(song[1]).all()
    assert all(torch.equal(a, b) for a, b in zip(song, sung(loaded, inputs, waveform), strict=True))

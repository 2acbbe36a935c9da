"""Tests of the codec's key names: those of transformers, the original ones, and in song models."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedConfig, PreTrainedModel, XcodecConfig, XcodecModel
from transformers.conversion_mapping import register_checkpoint_conversion_mapping
from transformers.core_model_loading import WeightRenaming, revert_weight_conversion

from songgen_hf.modeling.checkpoint_mapping import FuseWeightNorm, SplitWeightNorm
from songgen_hf.modeling.configuration_xcodec import XCodecConfig
from songgen_hf.modeling.modeling_xcodec import XCodecModel

from .test_xcodec import SIZES, noise, randomize

POSITION = "semantic_model.encoder.pos_conv_embed.conv."
NEW_NAMES = ("parametrizations.weight.original0", "parametrizations.weight.original1")
OLD_NAMES = ("weight_g", "weight_v")


@pytest.fixture(scope="module")
def codec():
    return randomize(XCodecModel(XCodecConfig.from_reference_sizes(SIZES))).eval()


@pytest.fixture(scope="module")
def original(codec):
    """The codec's weights under the original names."""
    return revert_weight_conversion(codec, codec.state_dict())


def respell(weights, prefix, old, new):
    """Spell the weight-normed pairs of the modules under ``prefix`` another way."""
    pairs = dict(zip(old, new, strict=True))
    return {
        next(
            (
                key.removesuffix(source) + target
                for source, target in pairs.items()
                if key.startswith(prefix) and key.endswith(source)
            ),
            key,
        ): tensor
        for key, tensor in weights.items()
    }


def assert_loaded_like(codec, model, info):
    assert not info["missing_keys"] and not info["unexpected_keys"]
    assert not info["mismatched_keys"]
    for name, tensor in codec.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name]), name


def test_the_original_layout_has_the_original_names(original):
    stems = {key.split(".")[0] for key in original}

    assert stems == {
        *("encoder", "encoder_semantic", "decoder_semantic", "decoder_2", "quantizer"),
        *("semantic_model", "fc_prior", "fc_post1", "fc_post2"),
    }
    for key in (
        "encoder.block.0.weight_g",
        "encoder.block.1.block.0.block.1.weight_v",
        "encoder.block.4.block.4.bias",
        "encoder.block.5.alpha",
        "encoder.block.6.weight_g",
        "decoder_2.model.1.block.1.weight_g",
        "decoder_2.model.4.block.4.block.3.weight_v",
        "decoder_2.model.6.bias",
        "encoder_semantic.conv_blocks.1.res_units.0.conv1.conv.weight",
        "encoder_semantic.conv_blocks.1.res_units.0.conv2.weight",
        "decoder_semantic.conv2.conv.weight",
        "quantizer.vq.layers.3._codebook.embed_avg",
        POSITION + NEW_NAMES[0],
    ):
        assert key in original


@pytest.mark.slow
@pytest.mark.parametrize("original_format", [False, True])
def test_both_layouts_reload_bit_by_bit_and_save_as_either(
    codec, original, tmp_path, original_format
):
    codec.save_pretrained(tmp_path / "first", save_original_format=original_format)

    model, info = XCodecModel.from_pretrained(tmp_path / "first", output_loading_info=True)

    assert_loaded_like(codec, model, info)
    for layout, keys in ((False, codec.state_dict()), (True, original)):
        model.save_pretrained(tmp_path / "again", save_original_format=layout)
        assert load_file(tmp_path / "again" / "model.safetensors").keys() == keys.keys()
    again, info = XCodecModel.from_pretrained(tmp_path / "again", output_loading_info=True)
    assert_loaded_like(codec, again, info)


def test_a_codec_is_saved_under_the_names_of_the_package_by_default(codec, tmp_path):
    codec.save_pretrained(tmp_path)

    assert load_file(tmp_path / "model.safetensors").keys() == codec.state_dict().keys()


@pytest.mark.slow
@pytest.mark.parametrize("prefix", [POSITION, "encoder.", "decoder_2.", ""])
@pytest.mark.parametrize("names", [(NEW_NAMES, OLD_NAMES), (OLD_NAMES, NEW_NAMES)])
def test_either_spelling_of_weight_norm_loads(codec, original, tmp_path, prefix, names):
    weights = respell(original, prefix, *names)
    save_file(weights, tmp_path / "codec.safetensors")

    model = XCodecModel.from_original_checkpoint(tmp_path / "codec.safetensors", codec.config)

    for name, tensor in codec.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name]), name


@pytest.mark.slow
def test_a_codec_checkpoint_of_transformers_loads(codec, tmp_path):
    config = {k: v for k, v in codec.config.to_dict().items() if k != "model_type"}
    theirs = XcodecModel(XcodecConfig(**config)).eval()
    theirs.load_state_dict(codec.state_dict())
    theirs.save_pretrained(tmp_path)

    model, info = XCodecModel.from_pretrained(tmp_path, output_loading_info=True)

    assert_loaded_like(codec, model, info)
    assert model.config.model_type == "songgen_xcodec"
    waveform = noise(1, 1, 3200)
    assert torch.equal(model.encode(waveform).audio_codes, theirs.encode(waveform).audio_codes)


@pytest.mark.slow
@pytest.mark.parametrize("nesting", [(), ("codec_model",), ("generator",), ("state_dict",)])
def test_a_pth_file_loads_without_unpickling_code(codec, original, tmp_path, nesting):
    content = dict(original)
    for name in nesting:
        content = {name: content, "step": 3}
    torch.save(content, tmp_path / "codec.pth")

    model = XCodecModel.from_original_checkpoint(tmp_path / "codec.pth", codec.config)

    assert not model.training
    for name, tensor in codec.state_dict().items():
        assert torch.equal(tensor, model.state_dict()[name]), name


class Payload:
    """An object that can only be stored with pickle."""


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"optimizer": Payload()}, "holds more than tensors"),
        ([1, 2], "holds list without tensors"),
        ({"step": 3}, "holds dict without tensors"),
        ({"weight": torch.zeros(1)}, "not an original X-Codec checkpoint .* missing_keys"),
    ],
)
def test_files_without_an_original_codec_are_refused(codec, tmp_path, content, message):
    torch.save(content, tmp_path / "codec.pth")

    with pytest.raises(ValueError, match=message):
        XCodecModel.from_original_checkpoint(tmp_path / "codec.pth", codec.config)


def test_weights_of_other_sizes_are_refused(original, tmp_path):
    save_file(original, tmp_path / "codec.safetensors")
    config = XCodecConfig.from_reference_sizes({**SIZES, "D": 4})

    with pytest.raises(ValueError, match="does not fit the configuration"):
        XCodecModel.from_original_checkpoint(tmp_path / "codec.safetensors", config)


@pytest.mark.slow
def test_a_codec_with_other_stages_can_be_saved_under_the_names_of_the_package_only(tmp_path):
    config = XCodecConfig.from_reference_sizes({**SIZES, "ratios": [8, 8, 5]})
    codec = XCodecModel(config)

    with pytest.raises(ValueError, match="3 stages, expected 4 .*save_original_format=False"):
        codec.save_pretrained(tmp_path, save_original_format=True)

    codec.save_pretrained(tmp_path)
    _, info = XCodecModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"] and not info["unexpected_keys"]


def test_splitting_and_fusing_a_weight_is_exact_even_for_a_row_of_zeros():
    weight = noise(5, 3, 7)
    weight[2] = 0

    pair = SplitWeightNorm().convert(
        {"w": [weight]}, ["w"], [], full_layer_name="a.weight_magnitude"
    )
    fused = FuseWeightNorm().convert(
        {"g": [pair["a.weight_magnitude"]], "v": [pair["a.weight_direction"]]},
        ["g", "v"],
        [],
        full_layer_name="a.weight",
    )

    assert torch.equal(fused["a.weight"], weight)


class WrapperConfig(PreTrainedConfig):
    model_type = "codec_wrapper"
    sub_configs_defaults = {"audio_encoder": XCodecConfig}
    audio_encoder: dict | PreTrainedConfig | None = None


class CodecWrapper(PreTrainedModel):
    """A model that holds the codec, as the song model does."""

    config: WrapperConfig
    config_class = WrapperConfig

    def __init__(self, config):
        super().__init__(config)
        self.audio_encoder = XCodecModel._from_config(config.audio_encoder)
        self.encoder = torch.nn.Linear(2, 3)  # a name that the codec's rules would match
        self.post_init()


register_checkpoint_conversion_mapping(
    "CodecWrapper", [WeightRenaming(r"^audio_encoder\.model\.", "audio_encoder.")]
)


@pytest.mark.slow
@pytest.mark.parametrize("names", [NEW_NAMES, OLD_NAMES])
def test_the_rules_stay_within_the_codec_of_a_larger_model(codec, original, tmp_path, names):
    config = WrapperConfig(audio_encoder=codec.config)
    config.save_pretrained(tmp_path)
    weights = {
        f"audio_encoder.model.{key}": tensor
        for key, tensor in respell(original, POSITION, NEW_NAMES, names).items()
    }
    linear = {"encoder.weight": torch.ones(3, 2), "encoder.bias": torch.zeros(3)}
    save_file(weights | linear, tmp_path / "model.safetensors")

    model, info = CodecWrapper.from_pretrained(tmp_path, output_loading_info=True)

    assert_loaded_like(codec, model.audio_encoder, {**info})
    assert torch.equal(model.encoder.weight, linear["encoder.weight"])
    model.save_pretrained(tmp_path / "theirs")
    assert load_file(tmp_path / "theirs" / "model.safetensors").keys() == (weights | linear).keys()
    model.save_pretrained(tmp_path / "ours", save_original_format=False)
    ours = load_file(tmp_path / "ours" / "model.safetensors")
    assert ours.keys() == model.state_dict().keys()
    again, info = CodecWrapper.from_pretrained(tmp_path / "ours", output_loading_info=True)
    assert_loaded_like(codec, again.audio_encoder, {**info})

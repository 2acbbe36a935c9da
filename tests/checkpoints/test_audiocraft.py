"""audiocraft's AudioGen and MusicGen in the Musicgen classes of transformers."""

import re

import pytest
import torch
import yaml
from tokenizers import Tokenizer, models, pre_tokenizers
from torch.nn import functional
from transformers import (
    EncodecConfig,
    EncodecModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5EncoderModel,
    pipeline,
)

from songgen_hf.checkpoints.audiocraft import load_audiocraft, read_audiocraft
from songgen_hf.cli import main

HIDDEN, CODEBOOKS, SIZE, TEXT = 16, 2, 8, 12
RATIOS = [5, 4]
LM_SETTINGS = {
    "transformer_lm": {"num_heads": 4},
    "codebooks_pattern": {"modeling": "delay", "delay": {"delays": [0, 1]}},
    "conditioners": {"description": {"t5": {"name": "t5-large"}}},
    "classifier_free_guidance": {"inference_coef": 2.5},
}
CODEC_SETTINGS = {
    "sample_rate": 1000,
    "channels": 1,
    "encodec": {"causal": False, "renormalize": False},
    "seanet": {"causal": "${encodec.causal}", "pad_mode": "constant", "n_residual_layers": 1},
}


def language_model_state() -> dict[str, torch.Tensor]:
    """A state dict with audiocraft's names, of one layer."""
    shapes: dict[str, tuple[int, ...]] = {"out_norm.weight": (HIDDEN,), "out_norm.bias": (HIDDEN,)}
    for book in range(CODEBOOKS):
        shapes[f"emb.{book}.weight"] = (SIZE + 1, HIDDEN)
        shapes[f"linears.{book}.weight"] = (SIZE, HIDDEN)
    projection = "condition_provider.conditioners.description.output_proj"
    shapes |= {f"{projection}.weight": (HIDDEN, TEXT), f"{projection}.bias": (HIDDEN,)}
    layer = "transformer.layers.0"
    for attention in ("self_attn", "cross_attention"):
        shapes[f"{layer}.{attention}.in_proj_weight"] = (3 * HIDDEN, HIDDEN)
        shapes[f"{layer}.{attention}.out_proj.weight"] = (HIDDEN, HIDDEN)
    for norm in ("norm1", "norm2", "norm_cross"):
        shapes |= {f"{layer}.{norm}.{part}": (HIDDEN,) for part in ("weight", "bias")}
    shapes[f"{layer}.linear1.weight"] = (4 * HIDDEN, HIDDEN)
    shapes[f"{layer}.linear2.weight"] = (HIDDEN, 4 * HIDDEN)
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=generator) / 4 for name, shape in shapes.items()}


def small_codec() -> EncodecModel:
    torch.manual_seed(0)
    config = EncodecConfig(
        sampling_rate=1000,
        num_filters=4,
        hidden_size=8,
        upsampling_ratios=RATIOS,
        codebook_size=SIZE,
        target_bandwidths=[CODEBOOKS * 50 * 3 / 1000],
        num_lstm_layers=1,
        use_conv_shortcut=False,
        use_causal_conv=False,
        pad_mode="constant",
    )
    return EncodecModel(config).eval()


def codec_state(codec: EncodecModel) -> dict[str, torch.Tensor]:
    """The tensors of a codec under audiocraft's names."""
    state = {}
    transposed = {
        f"decoder.layers.{i}"
        for i, layer in enumerate(codec.decoder.layers)
        if "Transpose" in type(layer).__name__
    }
    for key, tensor in codec.state_dict().items():
        stem = ".".join(key.split(".")[:3])
        conv = "convtr.convtr" if stem in transposed else "conv.conv"
        key = re.sub(r"\.conv\.(?=bias|param)", f".{conv}.", key)
        key = key.replace("parametrizations.weight.original0", "weight_g")
        key = key.replace("parametrizations.weight.original1", "weight_v")
        key = re.sub(r"^(encoder|decoder)\.layers", r"\1.model", key)
        key = re.sub(
            r"^quantizer\.layers\.(\d+)\.codebook", r"quantizer.vq.layers.\1._codebook", key
        )
        state[key] = tensor
    return state


def write(path, state, settings):
    torch.save({"best_state": state, "xp.cfg": yaml.dump(settings), "exported": True}, path)


@pytest.fixture(scope="module")
def codec():
    return small_codec()


@pytest.fixture
def folder(tmp_path, codec):
    write(tmp_path / "state_dict.bin", language_model_state(), LM_SETTINGS)
    write(tmp_path / "compression_state_dict.bin", codec_state(codec), CODEC_SETTINGS)
    return tmp_path


@pytest.fixture(scope="module")
def t5(tmp_path_factory):
    path = tmp_path_factory.mktemp("t5")
    torch.manual_seed(1)
    config = T5Config(vocab_size=5, d_model=TEXT, d_kv=4, d_ff=8, num_layers=1, num_heads=2)
    T5EncoderModel(config).save_pretrained(path)
    words = Tokenizer(models.WordLevel({"<pad>": 0, "</s>": 1, "<unk>": 2, "dog": 3}, "<unk>"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    ).save_pretrained(path)
    return path


def attention(state, name, queries, keys, *, is_causal=False):
    """Attention with stacked projections, as audiocraft computes it."""
    weights = state[f"transformer.layers.0.{name}.in_proj_weight"].chunk(3)
    query, key, value = (
        functional.linear(x, weight).unflatten(-1, (4, -1)).transpose(1, 2)
        for x, weight in zip((queries, keys, keys), weights, strict=True)
    )
    mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=is_causal)
    out = state[f"transformer.layers.0.{name}.out_proj.weight"]
    return functional.linear(mixed.transpose(1, 2).flatten(2), out)


def audiocraft_logits(state, ids, text):
    """The formulas of audiocraft's language model for ids [1, K, L] and text states [1, S, D]."""
    norm = lambda x, name: functional.layer_norm(  # noqa: E731
        x, (HIDDEN,), state[f"{name}.weight"], state[f"{name}.bias"]
    )
    half = HIDDEN // 2
    angles = torch.arange(ids.shape[-1])[:, None] / 10000 ** (torch.arange(half) / (half - 1))
    x = sum(functional.embedding(ids[:, k], state[f"emb.{k}.weight"]) for k in range(CODEBOOKS))
    x = x + torch.cat([angles.cos(), angles.sin()], dim=-1)
    projection = "condition_provider.conditioners.description.output_proj"
    text = functional.linear(text, state[f"{projection}.weight"], state[f"{projection}.bias"])
    layer = "transformer.layers.0"
    normed = norm(x, f"{layer}.norm1")
    x = x + attention(state, "self_attn", normed, normed, is_causal=True)
    x = x + attention(state, "cross_attention", norm(x, f"{layer}.norm_cross"), text)
    inner = functional.linear(norm(x, f"{layer}.norm2"), state[f"{layer}.linear1.weight"])
    x = x + functional.linear(functional.gelu(inner), state[f"{layer}.linear2.weight"])
    x = norm(x, "out_norm")
    return torch.stack(
        [functional.linear(x, state[f"linears.{k}.weight"]) for k in range(CODEBOOKS)]
    )


@torch.no_grad()
def test_converted_model_computes_audiocrafts_formulas(folder, t5):
    model, name = load_audiocraft(folder, text_encoder=t5)
    ids = torch.randint(0, SIZE + 1, (1, CODEBOOKS, 5), generator=torch.Generator().manual_seed(2))
    text = torch.randn(1, 3, TEXT, generator=torch.Generator().manual_seed(3))
    found = model(decoder_input_ids=ids[0], encoder_outputs=(text,)).logits
    torch.testing.assert_close(
        found, audiocraft_logits(language_model_state(), ids, text)[:, 0], rtol=1e-4, atol=1e-4
    )
    assert name == str(t5)
    assert model.generation_config.guidance_scale == 2.5


@torch.no_grad()
def test_converted_codec_has_the_same_codes_and_waveform(folder, t5, codec):
    found = load_audiocraft(folder, text_encoder=t5)[0].audio_encoder
    waveform = torch.randn(1, 1, 400, generator=torch.Generator().manual_seed(4))
    codes = codec.encode(waveform).audio_codes
    assert found.config.frame_rate == 50
    assert found.config.num_quantizers == CODEBOOKS
    torch.testing.assert_close(found.encode(waveform).audio_codes, codes, rtol=0, atol=0)
    torch.testing.assert_close(found.decode(codes, [None]), codec.decode(codes, [None]))


@pytest.mark.slow
def test_the_pipeline_of_transformers_runs_an_exported_checkpoint(folder, t5, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["export", str(folder), str(out), "--text-encoder", str(t5)]) == 0
    assert not list(out.rglob("*.bin"))
    generate = pipeline("text-to-audio", model=str(out))
    audio = generate("dog", generate_kwargs={"max_new_tokens": 12})
    assert audio["sampling_rate"] == 1000
    assert audio["audio"].shape[-1] > 0


class Unsafe:
    pass


def test_pickled_code_is_refused(tmp_path):
    path = tmp_path / "state_dict.bin"
    torch.save({"best_state": {}, "xp.cfg": Unsafe()}, path)
    with pytest.raises(ValueError, match="holds more than tensors and plain containers"):
        read_audiocraft(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"codebooks_pattern": {"modeling": "parallel"}}, "uses the codebook pattern parallel"),
        ({"transformer_lm": {}}, "has no transformer_lm.num_heads"),
    ],
)
def test_settings_that_musicgen_lacks_are_named(folder, t5, change, message):
    write(folder / "state_dict.bin", language_model_state(), LM_SETTINGS | change)
    with pytest.raises(ValueError, match=message):
        load_audiocraft(folder, text_encoder=t5)


def test_a_model_with_other_parts_is_refused(folder, t5):
    state = language_model_state() | {"condition_provider.conditioners.self_wav.x": torch.ones(1)}
    write(folder / "state_dict.bin", state, LM_SETTINGS)
    with pytest.raises(ValueError, match="self_wav.x unknown; expected an AudioGen"):
        load_audiocraft(folder, text_encoder=t5)


def test_a_codec_that_is_only_named_is_refused(folder, t5):
    torch.save({"pretrained": "facebook/encodec_32khz"}, folder / "compression_state_dict.bin")
    with pytest.raises(ValueError, match="only names another codec, facebook/encodec_32khz"):
        load_audiocraft(folder, text_encoder=t5)

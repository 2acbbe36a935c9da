"""The memory that is computed for a model is what a built model takes, to the byte."""

import copy

import pytest
import torch

from songgen_hf.cli.footprint import (
    DTYPES,
    cache_bytes,
    count_parameters,
    empty_model,
    weight_bytes,
)
from songgen_hf.modeling.modeling_songgen import SongGenForConditionalGeneration


def held_bytes(model) -> int:
    """Bytes of all weights and buffers."""
    return sum(tensor.nbytes for tensor in [*model.parameters(), *model.buffers()])


@pytest.mark.slow
@pytest.mark.parametrize("pattern", ["mixed_pro", "parallel_A_V"])
def test_weights_are_counted_to_the_byte(tiny_model, pattern):
    model = tiny_model(pattern)
    empty = empty_model(model.config)
    counted = count_parameters(empty)

    assert counted.pop("total") == sum(weight.numel() for weight in model.parameters())
    assert counted.keys() == dict(model.named_children()).keys()
    for dtype in DTYPES:
        built = SongGenForConditionalGeneration(model.config).to(getattr(torch, dtype))
        assert weight_bytes(empty, dtype) == held_bytes(built)


@pytest.mark.slow
def test_no_memory_is_allocated_to_count_weights(tiny_model):
    config = tiny_model("mixed").config
    config = type(config).from_dict(config.to_dict())
    config.decoder.ffn_dim = 2**33  # half a terabyte a matrix

    assert weight_bytes(empty_model(config)) > 2**40


@pytest.mark.slow
@pytest.mark.parametrize("pattern", ["mixed", "interleaving_A_V", "parallel_std"])
@pytest.mark.parametrize(
    ("songs", "guidance", "heads", "cross_heads", "dtype"),
    [
        (1, 1, None, None, "float32"),
        (3, 1, 2, None, "float32"),
        (2, 3, 2, 1, "float32"),
        (2, 1, 2, None, "bfloat16"),
    ],
)
def test_keys_and_values_are_counted_to_the_byte(
    tiny_model, tiny_inputs, pattern, songs, guidance, heads, cross_heads, dtype
):
    grouped = {"num_key_value_heads": heads, "num_cross_attention_key_value_heads": cross_heads}
    model = copy.deepcopy(tiny_model(pattern, decoder=grouped)).to(getattr(torch, dtype))
    inputs = tiny_inputs(songs, voice=False)

    output = model.generate(
        **inputs,
        guidance_scale=guidance,
        max_new_frames=10,
        min_new_frames=10,
        use_cache=True,
        return_dict_in_generate=True,
    )

    caches = output.past_key_values
    layers = [*caches.self_attention_cache.layers, *caches.cross_attention_cache.layers]
    conditions = inputs["input_ids"].shape[1] + inputs["lyrics_ids"].shape[1]
    seconds = 10 / model.config.frame_rate
    counted = cache_bytes(
        model.config,
        seconds,
        songs=songs,
        guidance=guidance > 1,
        conditions=conditions,
        dtype=dtype,
        on_cpu=True,
    )
    assert counted == sum(layer.keys.nbytes + layer.values.nbytes for layer in layers)


def test_half_the_precision_is_half_the_cache(tiny_model):
    config = tiny_model("mixed").config

    assert cache_bytes(config, 60) == 2 * cache_bytes(config, 60, dtype="bfloat16")


def test_an_unknown_precision_is_refused(tiny_model):
    config = tiny_model("mixed").config
    message = "unknown dtype: got 'int4', expected one of float32"

    with pytest.raises(ValueError, match=message):
        weight_bytes(empty_model(config), "int4")
    with pytest.raises(ValueError, match=message):
        cache_bytes(config, 60, dtype="int4")

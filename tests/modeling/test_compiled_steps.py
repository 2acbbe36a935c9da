"""Compiled steps give the codes of eager ones, and one compilation serves many songs."""

import copy

import pytest
import torch
import torch._dynamo
from transformers import GenerationConfig

from songgen_hf.modeling.compiled_steps import (
    CONDITIONS_BUCKET,
    MOST_SHAPES,
    compiled_generation,
    fit_shapes,
    many_shapes,
    missing_compiler,
    pad_conditions,
    rounded_up,
)
from songgen_hf.modeling.conditioning import SongGenConditionOutput
from songgen_hf.modeling.growing_cache import MIN_ROOM, GrowingStaticLayer
from songgen_hf.modeling.int8_loading import quantize_model

GREEDY = {"do_sample": False, "max_new_frames": 5}
needs_compiler = pytest.mark.skipif(missing_compiler() is not None, reason=str(missing_compiler()))


@pytest.fixture
def recompilations():
    """Count the graphs that are compiled."""
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    yield lambda: torch._dynamo.utils.counters["stats"]["unique_graphs"]
    torch._dynamo.reset()


def eager_compiler(model):
    """Trace as for the compiler but run the traced operations."""
    arguments = compiled_generation(model.device)
    config = arguments["compile_config"]
    config.backend, config.mode, config.options = "aot_eager", None, None
    return arguments


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # raised in modules of the compiler
@needs_compiler
def test_one_compilation_serves_songs_of_other_lyrics_and_lengths(
    tiny_model, tiny_inputs, recompilations
):
    model = copy.deepcopy(tiny_model("interleaving_A_V"))
    inputs = tiny_inputs()
    longer = {**inputs, "lyrics_ids": inputs["lyrics_ids"].repeat(1, 3)}
    longer["lyrics_attention_mask"] = inputs["lyrics_attention_mask"].repeat(1, 3)
    # The last song is longer than the room with which a cache begins.
    last = {"max_new_frames": MIN_ROOM, "min_new_frames": MIN_ROOM}
    calls = [inputs | GREEDY, longer | GREEDY, longer | GREEDY | last]
    expected = [model.generate(**call) for call in calls]

    codes = [model.generate(**call, compile=True) for call in calls]

    assert all(map(torch.equal, codes, expected))
    assert recompilations() == 1
    assert not torch._dynamo.utils.counters["graph_break"]


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize(
    "variant",
    [
        {},
        {"decoder": {"rope_embeddings": True, "num_key_value_heads": 1}},
        {"lyrics_cross_attention": False},
    ],
)
def test_traced_steps_with_guidance_and_a_prompt_give_the_same_codes(
    tiny_model, tiny_inputs, variant, recompilations
):
    model = copy.deepcopy(tiny_model("mixed", **variant))
    decoder = model.config.decoder
    shape = (2, decoder.num_tracks, decoder.num_codebooks, 3)
    call = tiny_inputs() | GREEDY | {"guidance_scale": 2.0}
    call["audio_prompt_codes"] = torch.randint(0, 1024, shape)

    codes = model.generate(**call, **eager_compiler(model))

    assert torch.equal(codes, model.generate(**call))
    assert recompilations() == 1


@pytest.mark.slow
@needs_compiler
def test_traced_steps_of_a_model_of_integers_follow_eager_ones(
    tiny_model, tiny_inputs, recompilations
):
    model = copy.deepcopy(tiny_model("mixed"))
    quantize_model(model)
    call = tiny_inputs(batch_size=2) | GREEDY
    expected = model.generate(**call)  # packs the weights, of which compiled steps have their own

    codes = model.generate(**call, **eager_compiler(model))

    # Eager steps round their states, and compiled ones their keys and values, so that some codes of
    # random weights differ.
    assert (codes == expected).float().mean() > 0.5
    assert recompilations() == 1
    assert torch.equal(model.generate(**call), expected)


def test_a_process_compiles_many_shapes(tiny_model):
    config = torch._dynamo.config
    before = config.recompile_limit

    with many_shapes(GenerationConfig(**compiled_generation())):
        assert config.recompile_limit == MOST_SHAPES > before
    with many_shapes(GenerationConfig()):
        assert config.recompile_limit == before
    assert config.recompile_limit == before


@pytest.mark.parametrize("bucket", [1, 2, CONDITIONS_BUCKET])
def test_padded_conditions_are_hidden_and_fill_a_bucket(tiny_model, tiny_inputs, bucket):
    model, inputs = tiny_model("mixed"), tiny_inputs()
    encoded = model.conditioner(**inputs)

    padded = pad_conditions(encoded, bucket)

    length = encoded.last_hidden_state.shape[1]
    assert padded.last_hidden_state.shape[1] == rounded_up(length, bucket)
    assert padded.last_hidden_state.data_ptr() != encoded.last_hidden_state.data_ptr()
    assert torch.equal(padded.attention_mask[:, :length], encoded.attention_mask)
    assert not padded.attention_mask[:, length:].any()
    ids = torch.randint(0, 1024, (len(padded.attention_mask), decoder_rows(model), 4))
    before, after = (
        model(encoder_outputs=one, decoder_input_ids=ids).logits for one in (encoded, padded)
    )
    torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-5)


def decoder_rows(model) -> int:
    return model.config.decoder.num_rows


@pytest.mark.parametrize(("length", "expected"), [(1, 512), (512, 512), (513, 1024)])
def test_a_cache_for_cuda_graphs_has_the_next_multiple(tiny_model, tiny_inputs, length, expected):
    conditions = tiny_model("mixed").conditioner(**tiny_inputs())
    arguments = {"encoder_outputs": conditions}

    assert fit_shapes(arguments, length, any_length=False) == expected
    assert arguments["encoder_outputs"].last_hidden_state.shape[1] == CONDITIONS_BUCKET


@pytest.mark.parametrize("length", [7, 8])
def test_a_step_of_any_length_has_an_even_number_of_conditions_and_an_odd_one_of_keys(length):
    states = torch.zeros(1, length, 4)
    conditions = SongGenConditionOutput(states, torch.ones(1, length, dtype=torch.int64))
    arguments = {"encoder_outputs": conditions}
    layer = GrowingStaticLayer(1000, is_own=True)

    assert fit_shapes(arguments, 1000, any_length=True) == 1000
    assert arguments["encoder_outputs"].last_hidden_state.shape[1] == 8
    layer.update(*torch.zeros(2, 1, 1, length, 4))
    assert layer.keys.shape[2] % 2
    layer.make_room(150 + length)
    assert layer.keys.shape[2] % 2


def test_without_a_compiler_the_error_says_what_to_do(tiny_model, tiny_inputs):
    missing_compiler.cache_clear()

    try:
        # Not by monkeypatch, which would delete the setting at the end.
        with (
            torch._inductor.config.patch({"cpp.cxx": ("/no/such/compiler",)}),
            pytest.raises(RuntimeError, match="needs a C\\+\\+ compiler.*or leave compile out"),
        ):
            tiny_model("mixed").generate(**tiny_inputs(), **GREEDY, compile=True)
    finally:
        missing_compiler.cache_clear()

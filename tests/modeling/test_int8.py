"""Weights of 8 bits: rounding, layers that multiply integers, loading and saving."""

import copy

import pytest
import torch
from torch import nn

from songgen_hf.modeling import int8_layers
from songgen_hf.modeling.few_rows import FewRowsLinear
from songgen_hf.modeling.int8_layers import (
    SCALE,
    Int8Linear,
    compile_layers,
    dequantize_rows,
    dequantize_state_dict,
    quantize_rows,
    quantized_state_dict,
)
from songgen_hf.modeling.int8_loading import Int8Config, quantize_model
from songgen_hf.modeling.modeling_songgen import SongGenForConditionalGeneration

needs_integers = pytest.mark.skipif(
    not int8_layers.multiplies_integers(), reason="this torch has no FBGEMM"
)


def matrix(rows: int = 24, columns: int = 40, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    scales = torch.logspace(-4, 3, rows)[:, None]
    return torch.randn(rows, columns, generator=generator) * scales


def layer(bias: bool = False) -> nn.Linear:
    linear = nn.Linear(40, 24, bias=bias)
    linear.weight.data = matrix() / torch.logspace(-4, 3, 24)[:, None]
    if bias:
        linear.bias.data = torch.linspace(-3, 3, 24)
    return linear


@pytest.fixture
def small_matrices(monkeypatch):
    """Files store the matrices of tiny models as integers, too."""
    monkeypatch.setattr(int8_layers, "SMALLEST_MATRIX", 16)


def test_each_weight_is_off_by_half_a_step_of_its_row_at_most():
    weight = matrix()
    integers, scale = quantize_rows(weight)
    assert integers.dtype == torch.int8 and integers.abs().amax(dim=1).eq(127).all()
    error = (dequantize_rows(integers, scale) - weight).abs()
    assert (error <= scale[:, None] * 0.502).all()


def test_rounding_again_changes_nothing():
    integers, scale = quantize_rows(matrix())
    again, scale_again = quantize_rows(dequantize_rows(integers, scale))
    assert torch.equal(again, integers) and torch.equal(scale_again, scale)


def test_a_row_of_zeros_stays():
    weight = matrix()
    weight[3] = 0
    integers, scale = quantize_rows(weight)
    assert integers[3].eq(0).all() and torch.isfinite(scale).all()


def test_state_dicts_make_a_round_trip_and_leave_the_codec_and_tied_weights(small_matrices):
    tied = matrix(seed=4)
    weights = {
        "decoder.fc.weight": matrix(seed=1),
        "decoder.norm.weight": torch.ones(40),
        "audio_encoder.fc.weight": matrix(seed=2),
        "a.weight": tied,
        "b.weight": tied,
    }
    stored = quantized_state_dict(weights)
    assert {name for name in stored if name.endswith(SCALE)} == {f"decoder.fc{SCALE}"}
    loaded = dict(stored)
    dequantize_state_dict(loaded)
    assert loaded.keys() == weights.keys()
    expected = dequantize_rows(*quantize_rows(weights["decoder.fc.weight"]))
    assert torch.equal(loaded["decoder.fc.weight"], expected)
    assert all(loaded[name] is weights[name] for name in loaded if name != "decoder.fc.weight")


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_products_are_close_to_those_of_floats(bias, dtype):
    linear = layer(bias)
    states = matrix(7, 40, seed=3).to(dtype)  # rows of very different magnitudes
    with torch.no_grad():
        expected = linear(states.float())
        found = Int8Linear.from_linear(linear)(states[None])[0]
    assert found.dtype == dtype
    lengths = states.float().norm(dim=1, keepdim=True)
    allowed = 0.1 * lengths + expected.abs() * torch.finfo(dtype).eps
    assert ((found.float() - expected).abs() < allowed).all()


@needs_integers
def test_a_row_does_not_depend_on_the_others():
    rounded = Int8Linear.from_linear(layer())
    states = matrix(7, 40, seed=3)
    alone = torch.cat([rounded(row[None]) for row in states])
    assert torch.equal(rounded(states), alone)


def small_layer(bias: bool = False) -> Int8Linear:
    """A layer of a size for which few rows are multiplied in bfloat16."""
    linear = nn.Linear(64, 24, bias=bias)
    generator = torch.Generator().manual_seed(1)
    linear.weight.data = torch.randn(24, 64, generator=generator)
    if bias:
        linear.bias.data = torch.linspace(-3, 3, 24)
    return Int8Linear.from_linear(linear)


needs_few_rows = pytest.mark.skipif(
    not (int8_layers.multiplies_integers() and int8_layers.multiplies_few_rows()),
    reason="this CPU has no fast product of bfloat16 and integers",
)


@needs_few_rows
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_few_rows_of_a_small_layer_keep_the_precision_of_bfloat16(dtype):
    rounded = small_layer(bias=True)
    states = matrix(7, 64, seed=3).to(dtype)  # rows of very different magnitudes

    found = rounded(states[None])[0]

    expected = nn.functional.linear(states.float(), rounded.dequantized(), rounded.bias)
    lengths = states.float().norm(dim=1, keepdim=True)
    assert rounded.is_small and found.dtype == dtype
    assert ((found.float() - expected).abs() < 0.01 * (lengths + expected.abs())).all()
    alone = torch.cat([rounded(row[None]) for row in states])
    assert torch.equal(found, alone)


@needs_few_rows
def test_many_rows_of_a_small_layer_are_multiplied_as_integers_and_few_ones_afterwards_too():
    rounded = small_layer()
    states = matrix(int8_layers.MOST_ROWS + 1, 64, seed=3)
    few = rounded(states[:3])
    before = rounded.state_dict()["weight"].clone()

    many = rounded(states)

    lengths = states.norm(dim=1, keepdim=True)
    expected = nn.functional.linear(states, rounded.dequantized())
    assert ((many - expected).abs() < 0.1 * lengths).all()
    assert torch.equal(rounded(states[:3]), few)
    assert torch.equal(rounded.state_dict()["weight"], before)
    assert torch.equal(copy.deepcopy(rounded)(states), many)


@needs_few_rows
def test_weights_and_states_at_odd_addresses_are_read():
    rounded = small_layer()
    states = matrix(3, 64, seed=3).bfloat16()
    expected = rounded(states)
    shifted = torch.empty(24 * 64 + 1, dtype=torch.int8)[1:].view(24, 64)
    shifted.copy_(rounded.weight.data)
    rounded.weight.data = shifted
    odd_states = torch.empty(3 * 64 + 1, dtype=torch.bfloat16)[1:].view(3, 64)
    odd_states.copy_(states)

    assert shifted.data_ptr() % int8_layers.ALIGNMENT
    assert odd_states.data_ptr() % int8_layers.ALIGNMENT
    assert torch.equal(rounded(odd_states), expected)


@needs_integers
def test_large_layers_and_odd_widths_are_not_small():
    assert not Int8Linear(40, 24).is_small
    assert not Int8Linear(1024, 1024, device="meta").is_small


@pytest.mark.parametrize("rows", [1, 7])
def test_a_compiled_layer_multiplies_states_that_are_not_rounded(rows):
    rounded = Int8Linear.from_linear(layer(bias=True)).eval()
    states = matrix(rows, 40, seed=3)
    expected = rounded(states)  # packs the weight
    compile_layers(rounded)

    with torch.no_grad():
        compiled = torch.compile(rounded, backend="aot_eager", fullgraph=True, dynamic=False)
        found = compiled(states)

    floats = nn.functional.linear(states, rounded.dequantized(), rounded.bias)
    torch.testing.assert_close(found, floats, rtol=1e-4, atol=1e-4)
    assert torch.equal(rounded(states), expected)
    assert torch.equal(copy.deepcopy(rounded)(states), expected)


def test_without_integer_products_the_rounded_weight_is_used(monkeypatch):
    rounded = Int8Linear.from_linear(layer(bias=True))
    monkeypatch.setattr(int8_layers, "multiplies_integers", lambda: False)
    states = matrix(3, 40, seed=3)
    expected = nn.functional.linear(states, rounded.dequantized(), rounded.bias)
    assert torch.equal(rounded(states), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_inputs_with_outliers_keep_their_precision(dtype):
    linear = layer(bias=True)
    kept = Int8Linear.from_linear(linear, multiplies_floats=True)
    states = matrix(5, 40, seed=3).to(dtype)
    states[:, 7] *= 1e4
    linear.weight.data = kept.dequantized()
    expected = linear.to(dtype)(states)
    for found in (kept, copy.deepcopy(kept)):
        torch.testing.assert_close(found(states), expected)


def test_zeros_give_zeros():
    assert Int8Linear.from_linear(layer())(torch.zeros(2, 40)).eq(0).all()


def test_a_layer_has_the_same_weights_before_and_after_its_first_call():
    rounded = Int8Linear.from_linear(layer(bias=True))
    before = {name: value.clone() for name, value in rounded.state_dict().items()}
    states = matrix(2, 40, seed=5)
    expected = rounded(states)
    if int8_layers.multiplies_integers():
        assert rounded.weight.numel() == 0  # held once, in the packed order
    after = rounded.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)
    twin = Int8Linear(40, 24, bias=True)
    twin.load_state_dict(after)
    for other in (twin, copy.deepcopy(rounded), rounded.to("cpu")):
        assert torch.equal(other(states), expected)
    assert rounded.to(torch.bfloat16).weight_scale.dtype == torch.float32


def conditions(tiny_inputs, batch=2):
    return tiny_inputs(batch_size=batch)


def logits_of(model, inputs):
    shape = (2, model.config.decoder.num_rows, 5)
    ids = torch.randint(0, 1000, shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return model(**inputs, decoder_input_ids=ids).logits


@pytest.fixture
def float_folder(tiny_model, tmp_path):
    tiny_model("mixed").save_pretrained(tmp_path / "floats", save_original_format=False)
    return tmp_path / "floats"


@pytest.mark.slow
def test_floats_are_rounded_while_they_are_loaded(float_folder, tiny_model, tiny_inputs):
    inputs = conditions(tiny_inputs)
    loaded = SongGenForConditionalGeneration.from_pretrained(
        float_folder, quantization_config=Int8Config(), attn_implementation="eager"
    )
    changed = copy.deepcopy(tiny_model("mixed"))
    quantize_model(changed)
    found = logits_of(loaded, inputs)
    assert torch.equal(found, logits_of(changed, inputs))
    exact = logits_of(tiny_model("mixed"), inputs)
    assert 0 < (found - exact).abs().mean() < 0.1 * exact.std()
    for part, multiplies_floats in ((loaded.decoder, False), (loaded.conditioner, True)):
        kinds = {type(module) for module in part.modules()}
        assert Int8Linear in kinds and not kinds & {nn.Linear, FewRowsLinear}
        layers = [module for module in part.modules() if isinstance(module, Int8Linear)]
        assert {layer.multiplies_floats for layer in layers} == {multiplies_floats}


@pytest.mark.slow
def test_a_quantized_model_is_saved_and_loaded_as_it_is(float_folder, tmp_path, tiny_inputs):
    inputs = conditions(tiny_inputs)
    model = SongGenForConditionalGeneration.from_pretrained(
        float_folder, quantization_config=Int8Config(), attn_implementation="eager"
    )
    expected = logits_of(model, inputs)
    model.save_pretrained(tmp_path / "integers", save_original_format=False)
    again = SongGenForConditionalGeneration.from_pretrained(
        tmp_path / "integers", attn_implementation="eager"
    )
    assert torch.equal(logits_of(again, inputs), expected)
    sizes = [
        sum(path.stat().st_size for path in (tmp_path / name).glob("*.safetensors"))
        for name in ("integers", "floats")
    ]
    assert sizes[0] < sizes[1]


@pytest.mark.slow
def test_what_was_asked_for_precedes_what_the_file_says(float_folder, tmp_path, tiny_inputs):
    load = SongGenForConditionalGeneration.from_pretrained
    load(float_folder, quantization_config=Int8Config()).save_pretrained(
        tmp_path / "integers", save_original_format=False
    )
    floats = load(tmp_path / "integers", quantization_config=Int8Config(dequantize=True))
    assert not isinstance(floats.decoder.lm_heads, Int8Linear)
    assert not hasattr(floats.config, "quantization_config")
    floats.train()(
        **conditions(tiny_inputs), labels=torch.zeros(2, 5, 4, dtype=torch.long)
    ).loss.backward()
    assert floats.decoder.lm_heads.weight.grad.abs().sum() > 0


@pytest.mark.slow
@needs_integers
def test_songs_of_a_batch_equal_those_alone(tiny_model, tiny_inputs):
    model = copy.deepcopy(tiny_model("mixed"))
    quantize_model(model)
    inputs = tiny_inputs(batch_size=2)
    settings = {"max_new_frames": 12, "do_sample": True}
    together = model.generate(**inputs, seed=[3, 4], **settings)
    for row in range(2):
        own = {name: values[row, None] for name, values in inputs.items()}
        alone = model.generate(**own, seed=[3 + row], **settings)
        frames = min(alone.shape[-1], together.shape[-1])
        assert torch.equal(alone[0, ..., :frames], together[row, ..., :frames])

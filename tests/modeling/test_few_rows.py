"""Linear layers for few rows equal ``nn.Linear`` and are one to the libraries."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from songgen_hf.modeling import few_rows
from songgen_hf.modeling.few_rows import (
    FEW_ROWS,
    FewRowsLinear,
    attend_one_step,
    attends_one_step,
    row_sums,
)


def pair(bias: bool = False) -> tuple[FewRowsLinear, nn.Linear]:
    torch.manual_seed(0)
    few, plain = FewRowsLinear(24, 40, bias=bias), nn.Linear(24, 40, bias=bias)
    plain.load_state_dict(few.state_dict())
    return few.eval(), plain.eval()


@pytest.mark.parametrize("shape", [(0,), (1,), (2,), (3, 1), (2, 2), (5,), (7,), (8,), (2, 9), ()])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("threads", [1, 2])
def test_the_result_is_that_of_a_linear_layer(monkeypatch, shape, bias, threads):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    few, plain = pair(bias)
    x = torch.randn(*shape, 24, generator=torch.Generator().manual_seed(1))

    with torch.no_grad():
        output = few(x)
        torch.testing.assert_close(output, plain(x), rtol=1e-5, atol=1e-6)

    assert output.shape == (*shape, 40) and output.is_contiguous()


def products(call) -> list[tuple[int, ...]]:
    """The shapes of the left factor of each matrix product."""
    with torch.profiler.profile(record_shapes=True) as profile:
        call()
    return [tuple(event.input_shapes[0]) for event in profile.events() if event.name == "aten::mm"]


@pytest.mark.parametrize(("threads", "cached", "fewest"), [(2, 2**19, 1), (1, 0, 2), (1, 960, 8)])
def test_the_weight_is_the_left_factor_for_few_rows_only(monkeypatch, threads, cached, fewest):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    monkeypatch.setattr(few_rows, "CACHED_WEIGHTS", cached)
    few, _ = pair()
    with torch.no_grad():
        for rows in (1, *FEW_ROWS, 8, 30):
            x = torch.randn(rows, 24)
            left = products(lambda x=x: few(x)) == [(40, 24)]
            assert left == (rows in FEW_ROWS and rows >= fewest)
        assert products(lambda: few.train()(torch.randn(2, 24))) == [(2, 24)]
    assert products(lambda: few.eval()(torch.randn(2, 24))) == [(2, 24)]  # gradients are recorded


def test_training_computes_the_gradients_of_a_linear_layer():
    few, plain = pair()
    x = torch.randn(3, 24)

    for layer in (few, plain):
        layer(x).square().sum().backward()

    assert torch.equal(few.weight.grad, plain.weight.grad)


def test_hooks_and_half_precision_are_those_of_a_linear_layer():
    few, plain = copy.deepcopy(pair())
    seen = []
    few.register_forward_hook(lambda module, args, output: seen.append(output.shape))
    x = torch.randn(2, 24, dtype=torch.bfloat16)

    with torch.no_grad():
        assert torch.equal(few.bfloat16()(x), plain.bfloat16()(x))

    assert seen == [(2, 40)]


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
def test_an_adapter_wraps_the_layers_of_the_decoder(tiny_model):
    peft = pytest.importorskip("peft")
    model = copy.deepcopy(tiny_model("mixed"))
    names = {name for name, module in model.decoder.named_modules() if type(module) is nn.Linear}
    assert not names  # each product of a step has the orientation of its rows

    adapted = peft.get_peft_model(model, peft.LoraConfig(r=2, target_modules=["fc1", "q_proj"]))

    layer = adapted.base_model.model.decoder.model.layers[0].fc1
    assert isinstance(layer.base_layer, FewRowsLinear)
    assert set(layer.lora_A["default"].state_dict()) == {"weight"}


@pytest.mark.parametrize("count", [1, 3, 6])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int8])
def test_sums_are_the_product(dtype, count):
    generator = torch.Generator().manual_seed(2)
    weight = (torch.randn(40, 24, generator=generator) * 9).to(dtype)
    rows = torch.randn(count, 24, generator=generator)

    expected = rows.double() @ weight.double().T
    torch.testing.assert_close(row_sums(weight, rows).double(), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("way", ["sums", "products", "torch"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("masked", [None, "hidden", "added"])
def test_the_attention_of_one_step_is_that_of_torch(monkeypatch, way, dtype, masked):
    monkeypatch.setattr(few_rows, "computes_sums", lambda states: way == "sums")
    monkeypatch.setattr(few_rows, "CACHED_WEIGHTS", 0 if way == "products" else 2**19)
    generator = torch.Generator().manual_seed(3)
    query, key, value = (
        torch.randn(2, heads, length, 8, generator=generator).to(dtype)
        for heads, length in ((4, 1), (2, 11), (2, 11))
    )
    seen = torch.arange(11) < torch.tensor([[5], [11]])
    mask = seen[:, None, None] if masked else None
    if masked == "added":
        mask = torch.zeros(2, 1, 1, 11).masked_fill(~mask, torch.finfo(torch.float32).min)

    output = attend_one_step(query, key, value, mask, 0.3)

    repeated = (states.float().repeat_interleave(2, dim=1) for states in (key, value))
    expected = F.scaled_dot_product_attention(query.float(), *repeated, attn_mask=mask, scale=0.3)
    assert output.dtype == dtype
    tolerance = {"rtol": 1e-5, "atol": 1e-5} if dtype == torch.float32 else {}
    torch.testing.assert_close(output, expected.transpose(1, 2).to(dtype), **tolerance)


def test_one_step_attends_by_itself_without_gradients_only():
    query = torch.zeros(1, 2, 1, 4)
    with torch.no_grad():
        assert attends_one_step(query) and attends_one_step(query.bfloat16())
        assert not attends_one_step(query.double())
        assert not attends_one_step(query.expand(1, 2, 3, 4))
    assert not attends_one_step(query)

"""Weights that are mapped from files leave memory, and are the same when they are read again."""

import mmap
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from songgen_hf.modeling import conditioning, idle_weights
from songgen_hf.modeling.idle_weights import PAGEMAP, give_back

needs_linux = pytest.mark.skipif(not Path(PAGEMAP).exists(), reason="only Linux tells of pages")


def mapped(path, seed=0):
    """A tensor of 4 MiB that is mapped from a file."""
    generator = torch.Generator().manual_seed(seed)
    save_file({"a": torch.randn(64, generator=generator), "b": random(generator)}, path)
    with safe_open(path, framework="pt") as file:
        return file.get_slice("b")[...]


def random(generator):
    return torch.randn(1024, 1024, generator=generator)


def in_memory(tensor):
    """The number of bytes of a tensor in memory, from the looks at its pages."""
    ((start, stop),) = idle_weights._spans([tensor])
    with open(PAGEMAP, "rb", buffering=0) as pagemap:
        pages = idle_weights._unchanged_pages(pagemap.fileno(), start, stop)
    return pages * mmap.PAGESIZE


@needs_linux
def test_pages_of_a_file_are_given_back_and_read_again(tmp_path):
    weight = mapped(tmp_path / "one.safetensors")
    before = weight.clone()
    assert in_memory(weight) > 0.99 * weight.nbytes

    freed = give_back(nn.ParameterList([nn.Parameter(weight, requires_grad=False)]))

    assert freed > 0.99 * weight.nbytes and in_memory(weight) == 0
    assert torch.equal(weight, before)


@needs_linux
@pytest.mark.parametrize("place", [0, 512, 1023])
def test_changed_weights_stay(tmp_path, place):
    weight = mapped(tmp_path / "one.safetensors")
    weight[place, 600:] += 1
    expected = weight.clone()

    assert give_back([weight]) == 0
    assert torch.equal(weight, expected)


def test_weights_of_no_file_stay():
    weight = random(torch.Generator().manual_seed(0))
    expected = weight.clone()

    assert give_back([weight, weight.t(), torch.empty(2**20, device="meta")]) == 0
    assert torch.equal(weight, expected)


@needs_linux
def test_other_weights_are_given_back_beside_changed_ones(tmp_path):
    weights = [mapped(tmp_path / f"{seed}.safetensors", seed) for seed in range(2)]
    weights[0][3] = 1.0
    copies = [weight.clone() for weight in weights]

    assert 0 < give_back(weights) <= weights[1].nbytes
    assert all(map(torch.equal, weights, copies))


def test_the_encoders_are_given_back_after_each_has_run(tiny_model, tiny_inputs, monkeypatch):
    model, given = tiny_model("mixed"), []
    monkeypatch.setattr(conditioning, "give_back", lambda weights: given.append(weights))
    encoders = [model.conditioner.text_encoder, model.conditioner.voice_encoder]

    model.generate(**tiny_inputs(), max_new_frames=2, seed=0)
    assert given == encoders

    model(**tiny_inputs(), decoder_input_ids=torch.zeros(2, model.pattern.num_rows, 2).long())
    assert given == encoders  # not in training

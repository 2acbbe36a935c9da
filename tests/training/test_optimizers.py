"""Muon and AdamW as one optimizer."""

import copy

import pytest
import torch
from torch import nn

from songgen_hf.training import optimizers
from songgen_hf.training.optimizers import (
    Float32Muon,
    MuonWithAdamW,
    is_layer_matrix,
    orthogonalized,
)


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embed_tokens = nn.Embedding(10, 8)
        self.layer = nn.Linear(8, 8)
        self.norm = nn.LayerNorm(8)
        self.lm_heads = nn.Linear(8, 10, bias=False)

    def forward(self, ids):
        return self.lm_heads(self.norm(self.layer(self.embed_tokens(ids))))


def take_steps(network, optimizer, count, scheduler=None):
    losses = []
    for _ in range(count):
        ids = torch.arange(10)
        loss = nn.functional.cross_entropy(network(ids), (ids + 1) % 10)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        losses.append(float(loss.detach()))
    return losses


def test_matrices_of_layers_go_to_muon_and_everything_else_to_adamw():
    network = Network()

    optimizer = MuonWithAdamW(network.named_parameters(), 1e-2)

    assert optimizer.parts[0].param_groups[0]["params"] == [network.layer.weight]
    names = {name for name, weight in network.named_parameters() if is_layer_matrix(name, weight)}
    assert names == {"layer.weight"}
    counted = sum(len(group["params"]) for group in optimizer.param_groups)
    assert counted == len(list(network.parameters()))


def test_both_parts_train_and_follow_a_schedule():
    network = Network()
    optimizer = MuonWithAdamW(network.named_parameters(), 5e-2)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / 40)

    losses = take_steps(network, optimizer, 30, schedule)

    assert losses[-1] < 0.5 * losses[0]
    rates = {group["lr"] for part in optimizer.parts for group in part.param_groups}
    assert rates == {5e-2 * (1 - 30 / 40)}


def test_a_resumed_run_equals_one_never_stopped():
    whole = Network()
    optimizer = MuonWithAdamW(whole.named_parameters(), 1e-2)
    take_steps(whole, optimizer, 3)
    resumed = copy.deepcopy(whole)
    saved = copy.deepcopy(optimizer.state_dict())
    expected = take_steps(whole, optimizer, 3)

    other = MuonWithAdamW(resumed.named_parameters(), 0.5)
    other.load_state_dict(saved)

    assert take_steps(resumed, other, 3) == expected


def test_a_model_without_layers_is_refused():
    with pytest.raises(ValueError, match="train with --optimizer adamw"):
        MuonWithAdamW(nn.Embedding(3, 2).named_parameters(prefix="embed"), 1e-2)


@pytest.mark.parametrize("shape", [(8, 8), (6, 16), (16, 6)])
def test_muon_in_float32_takes_the_steps_of_torch(shape):
    torch.manual_seed(0)
    start = torch.randn(2, *shape)
    options = {"lr": 0.1, "weight_decay": 0.1, "momentum": 0.9, "adjust_lr_fn": "match_rms_adamw"}
    moved = []
    for kind in (torch.optim.Muon, Float32Muon):
        weights = [nn.Parameter(matrix.clone()) for matrix in start]
        optimizer = kind(weights, **options)
        for step in range(3):
            for index, weight in enumerate(weights):
                seed = torch.Generator().manual_seed(10 * step + index)
                weight.grad = torch.randn(shape, generator=seed)
            optimizer.step()
        moved.append(torch.stack([weight.detach() for weight in weights]) - start)

    torch.testing.assert_close(moved[1], moved[0], rtol=0, atol=0.03 * float(moved[0].abs().max()))


def test_orthogonalized_matrices_keep_their_singular_vectors():
    torch.manual_seed(0)
    matrices = torch.randn(3, 5, 9)

    found = orthogonalized(matrices)

    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    values = left.mT @ found @ right.mT
    diagonal = values.diagonal(dim1=-2, dim2=-1)
    assert 0.6 < diagonal.min() and diagonal.max() < 1.25
    torch.testing.assert_close(values, torch.diag_embed(diagonal), rtol=0, atol=1e-4)


@pytest.mark.parametrize("fast", [True, False])
def test_cpus_without_bfloat16_orthogonalize_in_float32(fast, monkeypatch):
    monkeypatch.setattr(optimizers, "fast_bfloat16", lambda: fast)

    optimizer = MuonWithAdamW(Network().named_parameters(), 1e-2)

    assert isinstance(optimizer.parts[0], Float32Muon) is not fast

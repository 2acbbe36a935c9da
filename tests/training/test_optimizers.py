"""Muon and AdamW as one optimizer."""

import copy

import pytest
import torch
from torch import nn

from songgen_hf.training.optimizers import MuonWithAdamW, is_layer_matrix


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

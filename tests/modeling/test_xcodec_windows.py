"""The front end of the semantic model in windows equals the layers themselves."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from songgen_hf.modeling.xcodec_windows import WindowedConvolutions, valid_window


class NormedLayer(nn.Module):
    """A layer like the first one of HuBERT, of any groups and with a bias or without one."""

    def __init__(self, groups: int, bias: bool):
        super().__init__()
        self.conv = nn.Conv1d(1, 6, 10, stride=5, bias=bias)
        self.layer_norm = nn.GroupNorm(groups, 6)
        self.activation = nn.GELU()

    def forward(self, samples):
        return self.activation(self.layer_norm(self.conv(samples)))


class PlainLayer(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(6, 6, 3, stride=2, bias=False)

    def forward(self, states):
        return torch.relu(self.conv(states))


@pytest.mark.parametrize("chunk_frames", [1, 7, 200])
@pytest.mark.parametrize("groups", [6, 3, 1])
@pytest.mark.parametrize("bias", [False, True])
@torch.no_grad()
def test_windows_have_the_norm_of_the_whole_clips(groups, bias, chunk_frames):
    torch.manual_seed(0)
    layers = nn.ModuleList([NormedLayer(groups, bias), PlainLayer()])
    for weight in layers[0].layer_norm.parameters():
        nn.init.normal_(weight)
    # A loud low tone, which the first kernel cancels almost, below a quiet noise.
    layers[0].conv.weight -= layers[0].conv.weight.mean(dim=-1, keepdim=True)
    times = torch.arange(1200) / 1000
    clips = torch.sin(torch.tensor([[3.0], [5.0]]) * times) + 0.01 * torch.randn(2, 1200)
    padding = 4

    found = WindowedConvolutions(SimpleNamespace(conv_layers=layers), chunk_frames, padding)(clips)

    expected = nn.Sequential(*layers).double()(
        nn.functional.pad(clips, (padding,) * 2)[:, None].double()
    )
    kernel, hop = valid_window(layers)
    assert found.shape[-1] == (1200 + 2 * padding - kernel) // hop + 1
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-4)

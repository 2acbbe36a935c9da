"""Layers of the codec's networks that compute with the channels of a position side by side.

On a CPU the convolutions of oneDNN over [B, C, T] take up to four times as long as over the same
numbers in the order [B, T, C]. The layers here have the parameters, shapes and results of those
that they replace, the latter within rounding, and pass that order on from one to the next. They
compute as before with gradients, on other devices, and for inputs with fewer positions than
channels, for which the time of a convolution is that of reordering its weights.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.models.dac.modeling_dac import Snake1d


def order_channels_last(network: nn.Module) -> None:
    """Let the convolutions and snakes of a network compute in this order, in place."""
    for layer in network.modules():
        if type(layer) in _LAYERS:
            # Only what the layer computes changes; parameters and hooks stay.
            layer.__class__ = _LAYERS[type(layer)]


class ChannelsLastConv1d(nn.Conv1d):
    """``nn.Conv1d``, from [B, C, T] to [B, C', T']."""

    def forward(self, input: Tensor) -> Tensor:
        if not _is_reordered(input):
            return super().forward(input.contiguous())
        if self.in_channels == 1:
            # There is one order of a single channel, so the product itself has to set it.
            padded = F.pad(input[:, 0], (int(self.padding[0]),) * 2)
            width = self.dilation[0] * (self.kernel_size[0] - 1) + 1
            frames = padded.unfold(-1, width, *self.stride)[..., :: self.dilation[0]]
            return F.linear(frames, self.weight[:, 0], self.bias).transpose(1, 2)
        output = F.conv2d(
            _as_image(input),
            self.weight[:, :, None],
            self.bias,
            stride=(1, *self.stride),
            padding=(0, *self.padding),
            dilation=(1, *self.dilation),
            groups=self.groups,
        )
        return output[:, :, 0]


class ChannelsLastConvTranspose1d(nn.ConvTranspose1d):
    """``nn.ConvTranspose1d`` without ``output_size``, from [B, C, T] to [B, C', T']."""

    def forward(self, input: Tensor) -> Tensor:  # type: ignore[override]
        if not _is_reordered(input):
            return super().forward(input.contiguous())
        output = F.conv_transpose2d(
            _as_image(input),
            self.weight[:, :, None],
            self.bias,
            stride=(1, *self.stride),
            padding=(0, *self.padding),
            output_padding=(0, *self.output_padding),
            groups=self.groups,
            dilation=(1, *self.dilation),
        )
        return output[:, :, 0]


class ChannelsLastSnake1d(Snake1d):
    """The activation ``x + sin(alpha x)^2 / alpha`` (arXiv 2006.08195) of [B, C, T]."""

    def forward(self, hidden_states: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            return super().forward(hidden_states)
        # As few passes over memory and as few new tensors as possible, and the order of the input.
        sine = (self.alpha * hidden_states).sin_()
        scale = (self.alpha + 1e-9).reciprocal()
        output = None if torch.compiler.is_compiling() else sine  # the compiler plans memory itself
        return torch.addcmul(hidden_states, sine.mul_(sine), scale, out=output)


_LAYERS: dict[type[nn.Module], Any] = {
    nn.Conv1d: ChannelsLastConv1d,
    nn.ConvTranspose1d: ChannelsLastConvTranspose1d,
    Snake1d: ChannelsLastSnake1d,
}


def _is_reordered(input: Tensor) -> bool:
    """Whether a layer computes [B, C, T] in the order [B, T, C]."""
    return (
        input.device.type == "cpu"
        and input.shape[-1] >= input.shape[1]
        and not torch.is_grad_enabled()
        and not torch.compiler.is_exporting()
    )


def _as_image(input: Tensor) -> Tensor:
    """A view [B, C, 1, T] of [B, C, T], channels last, which may be a copy."""
    batch, channels, length = input.shape
    rows = input.transpose(1, 2).contiguous()
    return rows.view(batch, 1, length, channels).permute(0, 3, 1, 2)


__all__ = [
    "ChannelsLastConv1d",
    "ChannelsLastConvTranspose1d",
    "ChannelsLastSnake1d",
    "order_channels_last",
]

"""A bank of band-pass filters as the first convolution of a HuBERT that learns from waveforms."""

import math

import torch
from torch import Tensor
from transformers import HubertModel

PHASES = 4
"""Filters of each band, a quarter of a period apart: rectified, they add up to its level."""
LOWEST_HERTZ = 60.0


@torch.no_grad()
def set_filter_bank(model: HubertModel, sampling_rate: int) -> bool:
    """Replace the kernels of a HuBERT's first convolution by Gabor filters on the mel scale.

    A network of a few layers learns the frequencies of speech slowly from random kernels (LEAF,
    arXiv 2101.08596, section 3, begins with the same filters). They are trained further.

    Args:
        model: the network, changed in place.
        sampling_rate: sampling rate in Hz.
    Returns:
        Whether there was room: kernels shorter than 10 ms stay random.
    """
    conv = model.feature_extractor.conv_layers[0].conv
    channels, _, length = conv.weight.shape
    if length < sampling_rate / 100 or channels % PHASES:
        return False
    conv.weight.copy_(gabor_filters(channels // PHASES, length, sampling_rate)[:, None])
    if conv.bias is not None:
        conv.bias.zero_()
    return True


def gabor_filters(num_bands: int, length: int, sampling_rate: int) -> Tensor:
    """Gabor filters [PHASES * bands, length] of unit energy.

    The bands have equal distances on the mel scale, from 60 Hz to the Nyquist frequency, and the
    widths of these distances, but at least the width that a window of this length allows.
    """
    mels = torch.linspace(_mel(LOWEST_HERTZ), _mel(sampling_rate / 2), num_bands + 2)
    hertz = 700 * (10 ** (mels / 2595) - 1)
    centers = hertz[1:-1, None]
    widths = (hertz[2:] - hertz[:-2])[:, None] / 2
    time = (torch.arange(length) - (length - 1) / 2) / sampling_rate
    # The deviation of a Gaussian window in time follows from that in frequency.
    deviations = (1 / (2 * math.pi * widths / 2)).clamp(max=length / sampling_rate / 5)
    windows = torch.exp(-0.5 * (time / deviations) ** 2)  # [bands, length]
    phases = torch.arange(PHASES) * (2 * math.pi / PHASES)
    angles = 2 * math.pi * centers * time  # [bands, length]
    filters = windows[:, None] * torch.cos(angles[:, None] + phases[:, None])
    filters = filters.flatten(0, 1)
    return filters / filters.norm(dim=1, keepdim=True)


def _mel(hertz: float) -> float:
    return 2595 * math.log10(1 + hertz / 700)


__all__ = ["PHASES", "gabor_filters", "set_filter_bank"]

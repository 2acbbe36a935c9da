"""Discriminators of real and decoded waveforms on spectrograms of several resolutions.

Each discriminator works on an STFT with a hop of 32 to 1024 samples. The objectives are least
squares (real is 1, decoded is 0) and feature matching, which compares the outputs of the layers.
Nothing here depends on a codec.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .stft_losses import Resolution, mel_filters, stft_magnitude

HOP_LENGTHS = (32, 64, 128, 256, 512, 1024)
CHANNELS = (64, 128, 256, 512, 512, 512)
WINDOW_HOPS = 4  # FFT and window length, in hops
LEAK = 0.2


@dataclass
class Judgment:
    """The outputs of the discriminator of one resolution.

    Args:
        score: [B, 1, frames', bands'], near 1 for real waveforms.
        features: outputs of the layers before the score, each [B, channels, frames', bands'].
    """

    score: Tensor
    features: list[Tensor]


class SpectrogramDiscriminator(nn.Module):
    """Two-dimensional convolutions over one mel spectrogram; every second one halves both axes.

    Args:
        sampling_rate: sampling rate in Hz.
        hop_length: samples between frames; the window has four hops.
        channels: channels of the last layer, a multiple of 32; each layer has twice the channels of
            the one before it.
        num_mels: number of mel bands; None for the number of STFT bins.
    Raises:
        ValueError: if ``channels`` is not a multiple of 32.
    """

    filters: Tensor

    def __init__(
        self, sampling_rate: int, hop_length: int, channels: int, *, num_mels: int | None = None
    ) -> None:
        super().__init__()
        if channels < 32 or channels % 32:
            raise ValueError(f"channels is {channels}, expected a multiple of 32.")
        fft_size = WINDOW_HOPS * hop_length
        self.resolution = Resolution(fft_size, hop_length, fft_size)
        bins = fft_size // 2 + 1
        bands = bins if num_mels is None else min(num_mels, bins)
        self.register_buffer(
            "filters", mel_filters(sampling_rate, fft_size, bands), persistent=False
        )

        widths = [2, *(channels // 2**shift for shift in range(5, -1, -1))]
        self.layers = nn.ModuleList(
            nn.utils.parametrizations.weight_norm(
                nn.Conv2d(narrow, wide, 3, stride=1 + index % 2, padding=1, padding_mode="reflect")
            )
            for index, (narrow, wide) in enumerate(zip(widths, widths[1:], strict=False))
        )
        self.score = nn.utils.parametrizations.weight_norm(nn.Conv2d(channels, 1, 3, padding=1))

    def forward(self, waveform: Tensor) -> Judgment:
        """Score waveforms [B, 1, S]."""
        hidden, features = self.planes(waveform), []
        for layer in self.layers:
            hidden = F.leaky_relu(layer(hidden), LEAK)
            features.append(hidden)
        return Judgment(self.score(hidden), features)

    def planes(self, waveform: Tensor) -> Tensor:
        """Mel magnitudes and their standardized logarithm, [B, 2, frames, bands]."""
        mel = self.filters.to(waveform.device) @ stft_magnitude(waveform, self.resolution)
        mel = mel.transpose(1, 2)  # [B, frames, bands]
        log = mel.clamp(min=1e-5).log()
        deviation, mean = torch.std_mean(log, dim=(1, 2), keepdim=True)
        return torch.stack([mel, (log - mean) / (deviation + 1e-5)], dim=1)


class MultiFrequencyDiscriminator(nn.Module):
    """One :class:`SpectrogramDiscriminator` for each hop.

    Args:
        sampling_rate: sampling rate in Hz.
        hop_lengths: samples between frames, one number for each resolution.
        channels: channels of the last layer, one number for each resolution.
        num_mels: largest number of mel bands; None for the number of STFT bins.
    Raises:
        ValueError: unless there are as many ``channels`` as ``hop_lengths``.
    """

    def __init__(
        self,
        sampling_rate: int,
        *,
        hop_lengths: Sequence[int] = HOP_LENGTHS,
        channels: Sequence[int] = CHANNELS,
        num_mels: int | None = None,
    ) -> None:
        super().__init__()
        if len(hop_lengths) != len(channels) or not hop_lengths:
            raise ValueError(
                f"got {len(hop_lengths)} hop lengths and {len(channels)} channels, expected one "
                "for each."
            )
        self.discriminators = nn.ModuleList(
            SpectrogramDiscriminator(sampling_rate, hop, width, num_mels=num_mels)
            for hop, width in zip(hop_lengths, channels, strict=True)
        )

    def forward(self, waveform: Tensor) -> list[Judgment]:
        """Score waveforms [B, 1, S] at every resolution; S is more than half the longest window."""
        return [discriminator(waveform) for discriminator in self.discriminators]


def discriminator_loss(real: Sequence[Judgment], fake: Sequence[Judgment]) -> Tensor:
    """Mean over resolutions of ``mean (real - 1)^2 + mean fake^2``."""
    losses = [
        (true.score - 1).square().mean() + false.score.square().mean()
        for true, false in zip(real, fake, strict=True)
    ]
    return torch.stack(losses).mean()


def adversarial_loss(fake: Sequence[Judgment]) -> Tensor:
    """Mean over resolutions of ``mean (fake - 1)^2``, which the codec minimizes."""
    return torch.stack([(judgment.score - 1).square().mean() for judgment in fake]).mean()


def feature_matching_loss(real: Sequence[Judgment], fake: Sequence[Judgment]) -> Tensor:
    """Mean L1 distance of the layers' outputs over all resolutions, without gradient for real."""
    losses = [
        F.l1_loss(false, true.detach())
        for ours, theirs in zip(real, fake, strict=True)
        for true, false in zip(ours.features, theirs.features, strict=True)
    ]
    return torch.stack(losses).mean()


__all__ = [
    "CHANNELS",
    "HOP_LENGTHS",
    "Judgment",
    "MultiFrequencyDiscriminator",
    "SpectrogramDiscriminator",
    "adversarial_loss",
    "discriminator_loss",
    "feature_matching_loss",
]

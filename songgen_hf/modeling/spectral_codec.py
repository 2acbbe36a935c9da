"""Acoustic half of a codec that works on spectra: few frames of wide layers in place of samples.

The encoder reads log magnitudes, the decoder writes magnitudes and phases of overlapping frames
that an inverse Fourier transform joins (Vocos, arXiv 2306.00814, section 3; X-Codec 2, arXiv
2502.04128, decodes 50 frames a second of 320 samples in this way). For codecs trained on little: it
starts where a stack of transposed convolutions has to arrive first. Knows nothing of codes.

A held note gives the decoder the same frame again and again, and a convolution then writes the
same samples again and again: whatever the pitch, a comb of harmonics of 50 Hz. So a frame here is a
table of eight frames' samples that stands still in time and that its window looks at in passing:
held frames sound at multiples of 6.25 Hz.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

KERNEL = 7  # frames that a block sees
LOUDEST = 100.0  # of a decoded magnitude
QUIETEST = 1e-3  # of an encoded magnitude


class ConvNeXtBlock(nn.Module):
    """Depthwise convolution over time, then two linear layers; residual (arXiv 2201.03545)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(channels, channels, KERNEL, padding=KERNEL // 2, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.fc1 = nn.Linear(channels, 3 * channels)
        self.fc2 = nn.Linear(3 * channels, channels)
        self.scale = nn.Parameter(torch.full((channels,), 0.3))

    def forward(self, states: Tensor) -> Tensor:
        """[B, C, T] -> [B, C, T]."""
        inner = self.norm(self.depthwise(states).transpose(1, 2))
        inner = self.scale * self.fc2(F.gelu(self.fc1(inner)))
        return states + inner.transpose(1, 2)


class SpectralEncoder(nn.Module):
    """Waveform [B, 1, S] -> [B, hidden_size, ceil(S / hop)].

    Args:
        hop_length: samples of a frame, even.
        hidden_size: width of the result.
        channels: width inside.
        num_layers: blocks.
    """

    def __init__(self, hop_length: int, hidden_size: int, *, channels: int, num_layers: int):
        super().__init__()
        self.step = hop_length // 2  # two spectra a frame
        self.window_length = 4 * self.step
        self.input = nn.Conv1d(self.window_length // 2 + 1, channels, 4, stride=2, padding=1)
        self.blocks = nn.ModuleList(ConvNeXtBlock(channels) for _ in range(num_layers))
        self.norm = nn.LayerNorm(channels)
        self.output = nn.Linear(channels, hidden_size)
        # One frame for the window, one for the strided convolution.
        self.context_frames = num_layers * (KERNEL // 2) + 2

    def forward(self, waveform: Tensor) -> Tensor:
        dtype = self.output.weight.dtype
        spectra = self._log_magnitudes(waveform[:, 0].float())
        states = self.input(spectra.to(dtype))
        for block in self.blocks:
            states = block(states)
        return self.output(self.norm(states.transpose(1, 2))).transpose(1, 2)

    def _log_magnitudes(self, waveform: Tensor) -> Tensor:
        """[B, S] -> [B, F, 2 T] float32, about -1 to 1."""
        missing = -waveform.shape[-1] % (2 * self.step)
        side = (self.window_length - self.step) // 2
        padded = F.pad(waveform, (side, side + missing))
        window = torch.hann_window(self.window_length, device=waveform.device)
        spectrum = torch.stft(
            padded,
            self.window_length,
            self.step,
            window=window,
            center=False,
            return_complex=True,
        )
        power = spectrum.real.square() + spectrum.imag.square()
        return power.clamp(min=QUIETEST**2).log() / 14 + 0.5


class SpectralDecoder(nn.Module):
    """Latent [B, hidden_size, T] -> waveform [B, 1, hop * T].

    Args:
        hop_length: samples of a frame.
        hidden_size: width of the latent.
        channels: width inside.
        num_layers: blocks.
    """

    OVERLAP = 4  # frames under one window
    PERIOD = 8  # frames after which a table comes round; what is decoded starts at a multiple

    def __init__(self, hop_length: int, hidden_size: int, *, channels: int, num_layers: int):
        super().__init__()
        self.hop_length = hop_length
        self.window_length = self.OVERLAP * hop_length
        self.input = nn.Conv1d(hidden_size, channels, KERNEL, padding=KERNEL // 2)
        self.input_norm = nn.LayerNorm(channels)
        self.blocks = nn.ModuleList(ConvNeXtBlock(channels) for _ in range(num_layers))
        self.norm = nn.LayerNorm(channels)
        self.table_length = self.PERIOD * hop_length
        self.output = nn.Linear(channels, self.table_length + 2)
        self.context_frames = (num_layers + 1) * (KERNEL // 2) + self.OVERLAP // 2

    @torch.no_grad()
    def start_quietly(self) -> None:
        """Set the untrained output to a low noise: loud noise takes long to become quiet."""
        self.output.weight.mul_(0.3)
        self.output.bias[: self.table_length // 2 + 1].fill_(math.log(0.02))

    def forward(self, latent: Tensor) -> Tensor:
        states = self.input_norm(self.input(latent).transpose(1, 2)).transpose(1, 2)
        for block in self.blocks:
            states = block(states)
        predicted = self.output(self.norm(states.transpose(1, 2)))  # [B, T, 2 F]
        magnitude, phase = predicted.float().chunk(2, dim=-1)
        spectrum = torch.polar(magnitude.exp().clamp(max=LOUDEST), phase)
        tables = torch.fft.irfft(spectrum, n=self.table_length)  # [B, T, period * hop]
        return self._overlap_add(tables)[:, None].to(latent.dtype)

    def _overlap_add(self, tables: Tensor) -> Tensor:
        """Tables [B, T, period * hop] -> waveform [B, hop * T]: of each, what lies under its
        frame's Hann window, divided by the sum of the windows."""
        length, hop, num_frames = self.window_length, self.hop_length, tables.shape[1]
        # Piece p of frame t lies hop samples from frame t + p - 1.5 on; tables count from frame 0.
        pieces = tables.unflatten(2, (self.PERIOD, hop))
        frame = torch.arange(num_frames, device=tables.device)[:, None]
        piece = torch.arange(self.OVERLAP, device=tables.device)[None]
        chosen = ((frame + piece) % self.PERIOD)[None, :, :, None].expand(len(tables), -1, -1, hop)
        window = torch.hann_window(length, device=tables.device)
        frames = pieces.gather(2, chosen).flatten(2) * window
        envelope = window.expand(1, num_frames, length)
        wave, weight = (self._join(part) for part in (frames, envelope))
        side = (length - hop) // 2
        inside = slice(side, side + hop * num_frames)
        return wave[:, inside] / weight[:, inside].clamp(min=1e-6)

    def _join(self, frames: Tensor) -> Tensor:
        """Add frames [B, T, n * hop], each a hop after the one before: [B, (T + n - 1) * hop]."""
        pieces = frames.unflatten(2, (self.OVERLAP, self.hop_length))  # [B, T, n, hop]
        total: Any = 0.0
        for place in range(self.OVERLAP):
            total = total + F.pad(pieces[:, :, place], (0, 0, place, self.OVERLAP - 1 - place))
        return total.flatten(1)


__all__ = ["ConvNeXtBlock", "SpectralDecoder", "SpectralEncoder"]

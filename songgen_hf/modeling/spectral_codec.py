"""Acoustic encoder and decoder of a codec that work on spectra instead of samples.

The encoder reads log magnitudes. The decoder predicts magnitudes and phases of overlapping frames,
which an inverse Fourier transform turns into samples (Vocos, arXiv 2306.00814, section 3; X-Codec
2, arXiv 2502.04128, decodes 50 frames of 320 samples per second in this way). Such networks can be
trained on little data, because they do not have to learn the transform that a stack of transposed
convolutions has to learn first.

During a held note all frames of the latent are equal, and a convolution then decodes each of them
to the same samples: at any pitch the result is a sum of harmonics of 50 Hz. Here a frame is decoded
to a table of samples that is eight frames long and has a fixed position in time, of which the
window of the frame selects a part. Held frames can therefore have any multiple of 6.25 Hz.
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

KERNEL = 7  # frames that one convolution covers
LOUDEST = 100.0  # largest decoded magnitude
QUIETEST = 1e-3  # smallest encoded magnitude


class ConvNeXtBlock(nn.Module):
    """Residual block of a depthwise convolution over time and two linear layers.

    See ConvNeXt (arXiv 2201.03545).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(channels, channels, KERNEL, padding=KERNEL // 2, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.fc1 = nn.Linear(channels, 3 * channels)
        self.fc2 = nn.Linear(3 * channels, channels)
        self.scale = nn.Parameter(torch.full((channels,), 0.3))

    def forward(self, states: Tensor) -> Tensor:
        """Transform states [B, C, T] to states of the same shape."""
        inner = self.norm(self.depthwise(states).transpose(1, 2))
        inner = self.scale * self.fc2(F.gelu(self.fc1(inner)))
        return states + inner.transpose(1, 2)


class SpectralEncoder(nn.Module):
    """Encoder of a waveform [B, 1, S] to features [B, hidden_size, ceil(S / hop_length)].

    Args:
        hop_length: number of samples of a frame, which must be even.
        hidden_size: width of the features.
        channels: width of the blocks.
        num_layers: number of blocks.
    """

    def __init__(self, hop_length: int, hidden_size: int, *, channels: int, num_layers: int):
        super().__init__()
        self.step = hop_length // 2  # two spectra per frame
        self.window_length = 4 * self.step
        self.input = nn.Conv1d(self.window_length // 2 + 1, channels, 4, stride=2, padding=1)
        self.blocks = nn.ModuleList(ConvNeXtBlock(channels) for _ in range(num_layers))
        self.norm = nn.LayerNorm(channels)
        self.output = nn.Linear(channels, hidden_size)
        # One frame more for the window and one for the strided convolution.
        self.context_frames = num_layers * (KERNEL // 2) + 2

    def forward(self, waveform: Tensor) -> Tensor:
        dtype = self.input.weight.dtype  # that of linear layers may be quantized
        spectra = self._log_magnitudes(waveform[:, 0].float())
        states = self.input(spectra.to(dtype))
        for block in self.blocks:
            states = block(states)
        return self.output(self.norm(states.transpose(1, 2))).transpose(1, 2)

    def _log_magnitudes(self, waveform: Tensor) -> Tensor:
        """Compute scaled log magnitudes of waveforms [B, S]: [B, F, 2 T] float32, about -1 to 1."""
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
    """Decoder of a latent [B, hidden_size, T] to a waveform [B, 1, hop_length * T].

    Args:
        hop_length: number of samples of a frame.
        hidden_size: width of the latent.
        channels: width of the blocks.
        num_layers: number of blocks.
    """

    OVERLAP = 4  # length of a window in frames
    PERIOD = 8  # length of a table in frames; a decoded window of codes starts at a multiple of it

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
        """Scale the untrained output layer to quiet noise, because loud noise slows training."""
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
        """Join tables [B, T, PERIOD * hop_length] to a waveform [B, hop_length * T].

        Each frame contributes the part of its table that lies within the frame's Hann window. The
        sum is divided by the sum of the windows.
        """
        length, hop, num_frames = self.window_length, self.hop_length, tables.shape[1]
        # Piece p of frame t has hop samples and begins at frame t + p - 1.5; positions in tables
        # count from frame 0.
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
        """Add frames [B, T, n * hop] at distances of one hop: [B, (T + n - 1) * hop]."""
        pieces = frames.unflatten(2, (self.OVERLAP, self.hop_length))  # [B, T, n, hop]
        total: Any = 0.0
        for place in range(self.OVERLAP):
            total = total + F.pad(pieces[:, :, place], (0, 0, place, self.OVERLAP - 1 - place))
        return total.flatten(1)


__all__ = ["ConvNeXtBlock", "SpectralDecoder", "SpectralEncoder"]

"""The separator: a small network that extracts the vocal from a mixture by masking its spectrum.

The network predicts a factor from 0 to 1 for each cell of the spectrum. Frames depend on a few
seconds around them alone, and on loudness relative to these seconds, so recordings of hours can be
separated in blocks: the result does not depend on the length of the blocks, and a louder recording
has the same mask. The network reads frequencies below half of its own sampling rate; above them,
the mask is that of the highest frequencies that it reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedConfig

from ..config_checks import CheckedConfigMixin
from .network import AudioNetwork

QUIETEST_POWER = 1e-11  # mean power of cells below which a passage counts as silence
LOG_FLOOR = 1e-4  # smallest power of a cell, relative to the passage
LOG_SCALE = 1 / 3  # of log power, so that the input of the network has a deviation of about one
TOP_SHARE = 0.25  # share of the network's frequencies whose mask is used above them
BLOCK_SECONDS = 30.0
KeepBlock = Callable[[int, Callable[[], np.ndarray]], np.ndarray]
"""Keeps results of blocks, see :func:`map_blocks`."""


class SeparatorConfig(CheckedConfigMixin, PreTrainedConfig):
    """Configuration of :class:`VocalSeparator`.

    Args:
        sampling_rate: rate in Hz at which window and hop are counted; the network reads the
            frequencies below its half.
        window_length: samples of a frame, a multiple of ``hop_length``.
        hop_length: samples between frames.
        level_frames: frames to either side over which loudness is averaged.
        hidden_size: channels of every layer.
        dilations: dilation of each residual convolution over time, with a kernel of 3.
    """

    model_type = "songgen_separator"

    sampling_rate: int = 16000
    window_length: int = 1280
    hop_length: int = 320
    level_frames: int = 50
    hidden_size: int = 240
    dilations: list[int] | tuple[int, ...] = (1, 2, 4, 8, 16, 2)

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        self.dilations = tuple(self.dilations)


class VocalSeparator(AudioNetwork):
    """Predicts which part of each cell of a mixture's spectrum belongs to the vocal.

    Args:
        config: sizes.
    """

    config_class = SeparatorConfig
    main_input_name = "spectrum"
    training_command = "songgen-hf train separator"

    def __init__(self, config: SeparatorConfig) -> None:
        super().__init__(config)
        size, bins = config.hidden_size, config.window_length // 2 + 1
        self.entry, self.entry_norm = nn.Linear(bins, size), nn.LayerNorm(size)
        self.norms = nn.ModuleList(nn.LayerNorm(size) for _ in config.dilations)
        # Convolutions over three frames, as matrices over their concatenation.
        self.convolutions = nn.ModuleList(nn.Linear(3 * size, size) for _ in config.dilations)
        self.head_norm, self.head = nn.LayerNorm(size), nn.Linear(size, bins)
        self.direct = nn.Parameter(torch.zeros(bins))
        self.post_init()

    @property
    def context_frames(self) -> int:
        """Number of frames to either side on which the mask of a frame depends."""
        return self.config.level_frames + sum(self.config.dilations)

    def forward(self, spectrum: Tensor) -> Tensor:
        """Predict the mask of the vocal.

        Args:
            spectrum: complex [B, F, T] of the mixture, see :meth:`spectrum_of`.
        Returns:
            float32 [B, F, T], 0 where nothing and 1 where everything belongs to the vocal.
        """
        levels = self._relative_log(spectrum).transpose(1, 2)  # [B, T, F]
        hidden = self.entry_norm(self.entry(levels))
        frames = hidden.shape[1]
        layers = zip(self.config.dilations, self.norms, self.convolutions, strict=True)
        for dilation, norm, convolution in layers:
            padded = F.pad(F.silu(norm(hidden)), (0, 0, dilation, dilation))
            shifted = [padded[:, place * dilation :][:, :frames] for place in range(3)]
            hidden = hidden + convolution(torch.cat(shifted, dim=2))
        logits = self.head(self.head_norm(hidden)).float() + self.direct * levels
        return logits.transpose(1, 2).sigmoid()

    def _relative_log(self, spectrum: Tensor) -> Tensor:
        """Log power of each cell relative to the mean power of the frames around it."""
        power = spectrum.real.square() + spectrum.imag.square()
        width = self.config.level_frames
        level = F.avg_pool1d(
            power.mean(dim=1, keepdim=True), 2 * width + 1, 1, width, count_include_pad=False
        )
        return LOG_SCALE * (power / (level + QUIETEST_POWER) + LOG_FLOOR).log()

    def frame_sizes(self, rate: int) -> tuple[int, int]:
        """Window and hop in samples at a sampling rate.

        Raises:
            ValueError: if they are no whole numbers, or the rate is lower than the network's.
        """
        config = self.config
        sizes = [n * rate / config.sampling_rate for n in (config.window_length, config.hop_length)]
        if rate < config.sampling_rate or any(size != int(size) for size in sizes):
            raise ValueError(
                f"the separator cannot read {rate} Hz: expected {config.sampling_rate} Hz or a "
                "higher rate with whole frames, such as 24000; resample the sound"
            )
        return int(sizes[0]), int(sizes[1])

    def spectrum_of(self, waveforms: Tensor, rate: int) -> Tensor:
        """Compute the spectrum of whole frames, the first of which begins at the first sample.

        Args:
            waveforms: [B, S].
            rate: sampling rate in Hz.
        Returns:
            complex64 [B, F, T]; a full-scale sine has the same magnitude at every rate.
        """
        window, hop = self.frame_sizes(rate)
        shape = torch.hann_window(window, device=waveforms.device)
        return torch.stft(
            waveforms, window, hop, window=shape / shape.sum(), center=False, return_complex=True
        )

    @torch.no_grad()
    def vocal_of(self, waveform: Tensor, rate: int) -> Tensor:
        """Extract the vocal of one waveform [S] whose length is a whole number of hops.

        The first and last ``context_frames`` and two windows depend on what is missing there.
        """
        window, hop = self.frame_sizes(rate)
        spectrum = self.spectrum_of(waveform[None], rate)
        bins = self.config.window_length // 2 + 1
        mask = self(spectrum[:, :bins])
        above = mask[:, -int(bins * TOP_SHARE) :].mean(dim=1, keepdim=True)
        above = above.expand(-1, spectrum.shape[1] - bins, -1)
        frames = torch.fft.irfft(spectrum * torch.cat([mask, above], dim=1), n=window, dim=1)
        shape = torch.hann_window(window, device=waveform.device)
        # The weights of all frames at a sample, which repeat with every hop.
        weights = (shape.square() / shape.sum()).view(-1, hop).sum(dim=0)
        overlapped = F.fold(
            frames * shape[:, None], (1, len(waveform)), (1, window), stride=(1, hop)
        )
        return overlapped.view(-1) / weights.repeat(len(waveform) // hop)

    def vocal_blocks(
        self,
        blocks: Iterable[np.ndarray],
        rate: int,
        *,
        seconds: float = BLOCK_SECONDS,
        keep: KeepBlock | None = None,
    ) -> Iterator[np.ndarray]:
        """Extract the vocal of a recording block by block.

        Args:
            blocks: the samples of the recording in order, float32 [S_i, 1] of any lengths.
            rate: sampling rate in Hz.
            seconds: length of the blocks that are computed at once; the result depends on it by
                rounding alone.
            keep: see :func:`map_blocks`.
        Yields:
            float32 [S_j], together as long as the recording.
        """
        window, hop = self.frame_sizes(rate)

        def extract(block: np.ndarray) -> np.ndarray:
            waveform = torch.from_numpy(block[:, 0]).to(self.device)
            return self.vocal_of(waveform, rate).cpu().numpy()

        margin = self.context_frames * hop + 2 * window
        size = max(1, round(seconds * rate / hop)) * hop
        yield from map_blocks(blocks, extract, size=size, margin=margin, unit=hop, keep=keep)


def map_blocks(
    blocks: Iterable[np.ndarray],
    process: Callable[[np.ndarray], np.ndarray],
    *,
    size: int,
    margin: int,
    unit: int = 1,
    fade: int = 0,
    keep: KeepBlock | None = None,
) -> Iterator[np.ndarray]:
    """Process a recording in blocks of one length that see what is around them.

    Args:
        blocks: the samples of the recording in order, float32 [S_i, C] of any lengths.
        process: called with ``margin`` samples before a block, the block and ``margin`` samples
            after it, [margin + n + margin, C] with zeros outside of the recording; returns as many
            samples of one channel.
        size: samples of a block, a multiple of ``unit``; the last one may be shorter.
        margin: samples to either side, a multiple of ``unit``.
        unit: the number of samples of every block is a multiple of it.
        fade: samples over which the results of consecutive blocks are crossfaded, at most
            ``margin`` and ``size``; 0 for processes that do not depend on the place of the blocks.
        keep: called with the number of a block and a function that processes it; returns what that
            returns, or what it has returned in an earlier run.
    Yields:
        float32 [S_j], together as long as the recording.
    """
    ramp = ((np.arange(fade) + 0.5) / max(1, fade)).astype(np.float32)
    tail: np.ndarray | None = None  # how the block before goes on
    buffer: np.ndarray | None = None  # margin, then samples that are not processed yet
    number = 0

    def finished(count: int) -> np.ndarray:
        nonlocal tail, number
        assert buffer is not None  # the caller filled it
        length = margin + -(-count // unit) * unit + margin
        missing = max(0, length - len(buffer))
        padded = np.pad(buffer, ((0, missing), (0, 0)))[:length]

        def compute() -> np.ndarray:
            return process(np.ascontiguousarray(padded))[margin : margin + count + fade]

        result = compute() if keep is None else keep(number, compute)
        number += 1
        block = result[:count].copy()
        if tail is not None:
            length = min(fade, count)
            block[:length] = (1 - ramp[:length]) * tail[:length] + ramp[:length] * block[:length]
        tail = result[count : count + fade].copy() if fade else None
        return block

    for one in blocks:
        if buffer is None:
            buffer = np.zeros((margin, one.shape[1]), np.float32)
        buffer = np.concatenate([buffer, one])
        while len(buffer) >= size + 2 * margin:
            yield finished(size)
            buffer = buffer[size:]
    while buffer is not None and len(buffer) > margin:
        yield finished(min(size, len(buffer) - margin))
        buffer = buffer[size:]


__all__ = ["BLOCK_SECONDS", "KeepBlock", "SeparatorConfig", "VocalSeparator", "map_blocks"]

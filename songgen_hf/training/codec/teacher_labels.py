"""Labels and masks of frames for the training of a semantic teacher.

The label of a frame is its cluster by k-means of log mels, or its code in the first codebook of an
acoustic codec.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...modeling.modeling_xcodec import XCodecModel
from .residual_vector_quantizer import kmeans
from .stft_losses import Resolution, mel_filters, stft_magnitude

WINDOW_FRAMES = 4  # length of the window of the log mels, in frames of the network


class LogMelClusters(nn.Module):
    """The k-means cluster of each frame's log mels and their slope.

    Args:
        sampling_rate: sampling rate in Hz.
        hop_length: samples per frame.
        num_mels: number of mel bands.
        num_clusters: number of clusters.
    """

    centers: Tensor
    filters: Tensor

    def __init__(
        self, sampling_rate: int, hop_length: int, *, num_mels: int, num_clusters: int
    ) -> None:
        super().__init__()
        length = WINDOW_FRAMES * hop_length
        fft_size = 1 << (length - 1).bit_length()
        self.resolution = Resolution(fft_size, hop_length, length)
        self.register_buffer(
            "filters", mel_filters(sampling_rate, fft_size, num_mels), persistent=False
        )
        self.register_buffer("centers", torch.zeros(num_clusters, 2 * num_mels))

    @property
    def num_clusters(self) -> int:
        """Number of clusters."""
        return len(self.centers)

    def fit(self, waveforms: Tensor, *, seed: int, iterations: int = 50) -> None:
        """Set the centers from waveforms [B, 1, S]."""
        centers, _ = kmeans(
            self.features(waveforms).flatten(0, 1),
            self.num_clusters,
            iterations=iterations,
            seed=seed,
        )
        self.centers.copy_(centers)

    def features(self, waveforms: Tensor) -> Tensor:
        """[B, 1, S] -> [B, S / hop, 2 * mels], frame t centered on sample (t + 1/2) * hop.

        The log mels of each clip have mean 0.
        """
        hop = self.resolution.hop_length
        # The STFT centers frames on multiples of the hop, so the waveform is shifted by half a hop.
        shifted = F.pad(waveforms, (0, hop))[..., hop // 2 :]
        mel = self.filters @ stft_magnitude(shifted, self.resolution)
        mel = mel[..., : waveforms.shape[-1] // hop].clamp(min=1e-4).log10()  # [B, mels, T]
        slope = F.pad(mel, (1, 1), mode="replicate")
        slope = slope[..., 2:] - slope[..., :-2]
        return torch.cat([mel - mel.mean(dim=(1, 2), keepdim=True), slope], dim=1).transpose(1, 2)

    @torch.no_grad()
    def forward(self, waveforms: Tensor) -> Tensor:
        """The clusters [B, T] int64 of waveforms [B, 1, S]."""
        features = self.features(waveforms)
        return torch.cdist(features, self.centers[None]).argmin(dim=-1)


class FirstCodebook(nn.Module):
    """The codes of a codec's first codebook as clusters, as in the paper.

    Args:
        codec: a trained codec with the sampling rate of the teacher.
    """

    def __init__(self, codec: XCodecModel) -> None:
        super().__init__()
        # Not a submodule, so that it does not belong to the teacher's state.
        self.__dict__["codec"] = codec.eval()

    codec: XCodecModel

    @property
    def num_clusters(self) -> int:
        """Number of codes."""
        return self.codec.config.codebook_size

    @torch.no_grad()
    def forward(self, waveforms: Tensor) -> Tensor:
        """The codes [B, T] int64 of waveforms [B, 1, S]."""
        codec = self.codec.to(waveforms.device)
        codes = codec.encode(
            waveforms, bandwidth=codec.config.target_bandwidths[0], return_dict=False
        )
        return codes[:, 0]


def span_mask(
    batch_size: int,
    num_frames: int,
    *,
    chance: float,
    span: int,
    seed: int,
    step: int,
    first: int = 0,
) -> Tensor:
    """Draw spans of frames to mask, at least one in each clip.

    Args:
        batch_size: B.
        num_frames: T.
        chance: probability that a span begins at a frame.
        span: frames of a span; the last one may be cut.
        seed, step, first: as for ``WaveformCrops.batch``.
    Returns:
        [B, T] bool, True where a frame is masked.
    """
    mask = np.zeros((batch_size, num_frames), dtype=bool)
    for place, row in enumerate(mask):
        rng = np.random.default_rng([seed, step, first + place, 1])
        begins = np.flatnonzero(rng.random(num_frames) < chance)
        if not len(begins):
            begins = rng.integers(num_frames, size=1)
        for begin in begins:
            row[begin : begin + span] = True
    return torch.from_numpy(mask)


__all__ = ["FirstCodebook", "LogMelClusters", "span_mask"]

"""Evaluation of a codec: distances of decoded waveforms, and the usage of its codebooks."""

from __future__ import annotations

import torch
from torch import Tensor

from ...modeling.modeling_xcodec import XCodecModel
from .stft_losses import MelDistance, MultiResolutionStftLoss


@torch.no_grad()
def evaluate_codec(
    codec: XCodecModel, waveforms: Tensor, *, batch_size: int = 8
) -> dict[str, float]:
    """Encode and decode held-out waveforms.

    Args:
        codec: the codec; its training mode is restored afterwards.
        waveforms: [N, 1, S] at the sampling rate of the codec.
        batch_size: number of waveforms that are encoded together.
    Returns:
        For each bandwidth in kbps ``stft_distance/<kbps>`` (spectral convergence plus log magnitude
        L1) and ``mel_distance/<kbps>`` (L1 of log10 mel magnitudes, 80 bands), means over batches;
        for each codebook ``usage/<k>``, the share of its codes that occur at the highest bandwidth.
    """
    config, training = codec.config, codec.training
    codec.eval()
    stft = MultiResolutionStftLoss().to(codec.device)
    mel = MelDistance(config.sampling_rate).to(codec.device)
    sums: dict[str, float] = {}
    used = torch.zeros(config.num_quantizers, config.codebook_size, dtype=torch.bool)
    for batch in waveforms.split(batch_size):
        batch = batch.to(codec.device)
        codes = codec.encode(batch, return_dict=False)  # [B, K, T]
        for level, row in enumerate(codes.transpose(0, 1).flatten(1).cpu()):
            used[level, row] = True
        for bandwidth in config.target_bandwidths:
            count = codec.quantizer.get_num_quantizers_for_bandwidth(bandwidth)
            # Fewer codebooks give the first rows of the same codes.
            decoded = codec.decode(codes[:, :count], return_dict=False)[..., : batch.shape[-1]]
            target = batch[..., : decoded.shape[-1]]
            for name, distance in (("stft_distance", stft), ("mel_distance", mel)):
                key = f"{name}/{bandwidth:g}"
                weight = len(batch) / len(waveforms)
                sums[key] = sums.get(key, 0.0) + weight * float(distance(decoded, target))
    codec.train(training)
    return sums | {f"usage/{level}": float(row.float().mean()) for level, row in enumerate(used)}


__all__ = ["evaluate_codec"]

"""Sums of code vectors, and the residual search for the codes of such a sum.

``visible`` [B, N, T] is the number of codebooks of each frame that are known, counted from the
coarsest one. The values of ``codes`` [B, N, K, T] in the other, hidden codebooks have no effect.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass
class Proposal:
    """Candidates for all hidden codes of a batch of songs.

    Args:
        codes: [B, N, K, T] int64; visible codes are unchanged.
        scores: [B, N, K, T] float32, log-probability of each candidate among the V codes of its
            codebook; 0 for visible codes.
    """

    codes: Tensor
    scores: Tensor


def hidden_codes(visible: Tensor, num_codebooks: int) -> Tensor:
    """Return which codes are hidden, bool [B, N, K, T], from ``visible`` [B, N, T]."""
    depth = torch.arange(num_codebooks, device=visible.device)
    return depth[:, None] >= visible[:, :, None]


def sum_code_vectors(codes: Tensor, chosen: Tensor, codebooks: Tensor) -> Tensor:
    """Sum the vectors of the chosen codes over the codebooks.

    Args:
        codes: [B, N, K, T] int64; any value where ``chosen`` is False.
        chosen: [B, N, K, T] bool.
        codebooks: [K, V, D] code vectors.
    Returns:
        [B, N, T, D] float32.
    """
    batch, tracks, depths, frames = codes.shape
    first = torch.arange(depths, device=codes.device)[:, None] * codebooks.shape[1]
    entries = codes.masked_fill(~chosen, 0) + first
    bags, weights = (each.transpose(2, 3).reshape(-1, depths) for each in (entries, chosen))
    table = codebooks.flatten(0, 1).float()
    summed = F.embedding_bag(bags, table, mode="sum", per_sample_weights=weights.float())
    return summed.view(batch, tracks, frames, -1)


def requantize(
    vectors: Tensor, codes: Tensor, visible: Tensor, codebooks: Tensor, deviations: Tensor
) -> Proposal:
    """Search the codes of a sum of hidden code vectors, residual by residual.

    The search begins at the first hidden codebook of each frame.

    Args:
        vectors: [B, N, T, D] sums of the vectors of the hidden codes.
        codes: [B, N, K, T] int64.
        visible: [B, N, T] int64.
        codebooks: [K, V, D] code vectors.
        deviations: [K]; the score of a code is its log-probability under Gaussians of this
            deviation around all vectors of the codebook, normalized over the codes (ResGen,
            appendix B.1).
    """
    with torch.autocast(vectors.device.type, enabled=False):
        residual, found, scores = vectors.float(), [], []
        for depth, table in enumerate(codebooks.float()):
            hidden = visible <= depth  # [B, N, T]
            # -|residual - e|^2 / 2 without |residual|^2, which is the same for all codes.
            closeness = residual @ table.T - 0.5 * table.square().sum(dim=-1)
            code = closeness.argmax(dim=-1)
            score = F.log_softmax(closeness / deviations[depth] ** 2, dim=-1)
            score = score.gather(-1, code[..., None])[..., 0]
            found.append(torch.where(hidden, code, codes[:, :, depth]))
            scores.append(score.masked_fill(~hidden, 0.0))
            residual = residual - F.embedding(code, table) * hidden[..., None]
    return Proposal(torch.stack(found, dim=2), torch.stack(scores, dim=2))


def codebooks_of(codec: Any, num_codebooks: int) -> Tensor:
    """Return the code vectors [K, V, D] of the first codebooks of a codec.

    Raises:
        ValueError: if the codec has fewer codebooks.
    """
    quantizers = codec.quantizer.quantizers
    if len(quantizers) < num_codebooks:
        raise ValueError(
            f"the codec has {len(quantizers)} codebooks, expected at least {num_codebooks}; use "
            "the codec that the codes were made with"
        )
    return torch.stack([each.codebook.embed for each in quantizers[:num_codebooks]])


def residual_rms_of(codebooks: Tensor) -> list[float]:
    """Estimate ``XCodecConfig.residual_rms`` of a codec for which it was not measured.

    The estimate assumes that all codes of a codebook are used equally often, and that the residual
    of the last codebook is as large as the vectors of that codebook.

    Args:
        codebooks: [K, V, D] code vectors.
    Returns:
        K + 1 numbers: root mean square of the residual of a latent after 0 to K codebooks.
    """
    power = codebooks.float().square().mean(dim=(1, 2))  # [K]
    left = torch.cat([power, power[-1:]]).flip(0).cumsum(0).flip(0)
    return left.sqrt().tolist()


__all__ = [
    "Proposal",
    "codebooks_of",
    "hidden_codes",
    "requantize",
    "residual_rms_of",
    "sum_code_vectors",
]

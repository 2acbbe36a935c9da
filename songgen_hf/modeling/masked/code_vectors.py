"""Visible and hidden codes as vectors: their sums, and the search for the codes of a sum.

``visible`` [B, N, T] counts, from the coarsest on, the codebooks of a frame that are known; what
``codes`` [B, N, K, T] hold beyond them never matters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass
class Proposal:
    """Candidates for all hidden codes.

    Args:
        codes: [B, N, K, T] int64; visible codes as they were.
        scores: [B, N, K, T] float32, log-probability of each candidate among the V codes of its
            codebook, at most 0; 0 where visible.
    """

    codes: Tensor
    scores: Tensor


def hidden_codes(visible: Tensor, num_codebooks: int) -> Tensor:
    """Where a code is hidden: [B, N, T] counts -> [B, N, K, T] bool."""
    depth = torch.arange(num_codebooks, device=visible.device)
    return depth[:, None] >= visible[:, :, None]


def sum_code_vectors(codes: Tensor, chosen: Tensor, codebooks: Tensor) -> Tensor:
    """Sums of the chosen codes' vectors over the codebooks.

    Args:
        codes: [B, N, K, T] int64; any value where not chosen.
        chosen: [B, N, K, T] bool.
        codebooks: [K, V, D].
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
    """Residual search for the codes of a sum of hidden vectors, from the first hidden codebook on.

    Args:
        vectors: [B, N, T, D], only what the hidden codes sum to.
        codes: [B, N, K, T] int64.
        visible: [B, N, T] int64.
        codebooks: [K, V, D].
        deviations: [K]; the score of a code is its log-probability under Gaussians of this
            deviation around all vectors of the codebook (appendix B.1, normalized over the codes).
    """
    with torch.autocast(vectors.device.type, enabled=False):
        residual, found, scores = vectors.float(), [], []
        for depth, table in enumerate(codebooks.float()):
            hidden = visible <= depth  # [B, N, T]
            # -|residual - e|^2 / 2 but for |residual|^2, which all codes share
            closeness = residual @ table.T - 0.5 * table.square().sum(dim=-1)
            code = closeness.argmax(dim=-1)
            score = F.log_softmax(closeness / deviations[depth] ** 2, dim=-1)
            score = score.gather(-1, code[..., None])[..., 0]
            found.append(torch.where(hidden, code, codes[:, :, depth]))
            scores.append(score.masked_fill(~hidden, 0.0))
            residual = residual - F.embedding(code, table) * hidden[..., None]
    return Proposal(torch.stack(found, dim=2), torch.stack(scores, dim=2))


def codebooks_of(codec: Any, num_codebooks: int) -> Tensor:
    """Code vectors [K, V, D] of a codec's first codebooks.

    Raises:
        ValueError: if it has fewer.
    """
    quantizers = codec.quantizer.quantizers
    if len(quantizers) < num_codebooks:
        raise ValueError(
            f"the codec has {len(quantizers)} codebooks, expected at least {num_codebooks}; take "
            "the codec that the codes were made with"
        )
    return torch.stack([each.codebook.embed for each in quantizers[:num_codebooks]])


def residual_rms_of(codebooks: Tensor) -> list[float]:
    """What a codec without measured deviations would leave of a latent after 0 to K codebooks, if
    it used all codes alike: [K, V, D] -> K + 1 numbers, as ``XCodecConfig.residual_rms``.

    The last codebook is taken to leave as much as it explains.
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

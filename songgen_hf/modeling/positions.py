"""Position vectors: sinusoids that are added to embeddings, and rotations of queries and keys."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

RotaryTable = tuple[Tensor, Tensor]


def sinusoidal_positions(positions: Tensor, width: int) -> Tensor:
    """Compute sinusoidal position vectors, float32 [..., width].

    The first half holds cosines and the second half sines. Frequency i is
    ``10000 ** (-i / (width // 2 - 1))``; with an odd width the last entry is zero.
    """
    half = width // 2
    step = math.log(10000.0) / (half - 1) if half > 1 else 0.0
    frequency = torch.exp(torch.arange(half, device=positions.device, dtype=torch.float32) * -step)
    angle = positions[..., None].float() * frequency
    table = torch.cat([angle.cos(), angle.sin()], dim=-1)
    return F.pad(table, (0, 1)) if width % 2 else table


def rotary_table(positions: Tensor, head_dim: int, theta: float) -> RotaryTable:
    """Compute cosines and sines of the rotary angles, float32 [1, 1, L, head_dim] each.

    The halves of a vector are rotated against each other, as in Llama.
    """
    exponent = torch.arange(0, head_dim, 2, device=positions.device, dtype=torch.float32) / head_dim
    angle = positions.float()[:, None] * theta**-exponent
    angle = torch.cat([angle, angle], dim=-1)[None, None]
    return angle.cos(), angle.sin()


def rotate(states: Tensor, table: RotaryTable) -> Tensor:
    """Apply rotary positions to queries or keys [B, heads, L, head_dim]."""
    cos, sin = (part.to(states.dtype) for part in table)
    first, second = states.chunk(2, dim=-1)
    return states * cos + torch.cat([-second, first], dim=-1) * sin


__all__ = ["RotaryTable", "rotary_table", "rotate", "sinusoidal_positions"]

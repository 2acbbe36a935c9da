"""The heads of the masked model: states in, distributions of codes or the length of a song out."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .distributions import CodebookDistribution, CumulativeMixture, level_products

STATE_FRAMES = 5.0  # frames that one state of the conditions lasts, before training
SMALLEST_SCALE = 0.05  # of the mixture before training, against what is hidden


class SoftmaxHead(nn.Module):
    """States [B, T, H] -> :class:`CodebookDistribution`."""

    def __init__(self, hidden_size: int, num_tracks: int, num_codebooks: int, codebook_size: int):
        super().__init__()
        self.shape = (num_tracks, num_codebooks, codebook_size)
        self.projection = nn.Linear(hidden_size, math.prod(self.shape))

    def forward(
        self,
        states: Tensor,
        visible: Tensor,
        codebooks: Tensor,
        level_scale: Tensor,
        deviations: Tensor,
    ) -> CodebookDistribution:
        """Only the states matter; the rest is what :class:`MixtureHead` takes."""
        logits = self.projection(states).unflatten(-1, self.shape)
        return CodebookDistribution(logits.transpose(1, 2))


class MixtureHead(nn.Module):
    """States [B, T, H] -> :class:`CumulativeMixture` (ResGen, appendix A.2).

    A component weighs what the states say of it, and more the better its offset agrees with a
    direction in the space of code vectors that they also say: what they learn of one number of
    visible codebooks so serves the others, whose components lie elsewhere.
    """

    def __init__(
        self,
        hidden_size: int,
        num_tracks: int,
        codebook_dim: int,
        num_components: int,
        mean_rank: int,
        *,
        levels: int,
        num_codebooks: int,
        scale_floor: float,
    ):
        super().__init__()
        self.num_tracks, self.scale_floor = num_tracks, scale_floor
        self.sizes = (num_components, 1, codebook_dim)  # log weights, scale, shift
        self.mean_shape = (num_tracks, num_components, mean_rank)
        self.projection = nn.Linear(hidden_size, num_tracks * sum(self.sizes))
        self.mean_projection = nn.Linear(hidden_size, math.prod(self.mean_shape))
        self.direction = nn.Linear(hidden_size, num_tracks * codebook_dim)
        self.basis = nn.Parameter(torch.randn(codebook_dim, mean_rank) * codebook_dim**-0.5)
        self.offsets = nn.Parameter(torch.zeros(levels, num_components, codebook_dim))
        self.scale_bias = nn.Parameter(torch.zeros(num_codebooks))

    @torch.no_grad()
    def start_from(self, codebooks: Tensor, level_scale: Tensor) -> None:
        """Place the components at the vectors of the first hidden codebook, and expect the
        deviation that the codebooks after it have."""
        levels, components, _ = self.offsets.shape
        entries = torch.arange(components, device=codebooks.device) % codebooks.shape[1]
        vectors = codebooks[:levels, entries] / level_scale[:levels, None, None]
        self.offsets.copy_(vectors)
        after = torch.cat([level_scale[1:], torch.zeros_like(level_scale[:1])])
        above_floor = (after - self.scale_floor * level_scale[-1]) / level_scale
        self.scale_bias.copy_(above_floor.clamp(min=SMALLEST_SCALE).expm1().log())

    def forward(
        self,
        states: Tensor,
        visible: Tensor,
        codebooks: Tensor,
        level_scale: Tensor,
        deviations: Tensor,
    ) -> CumulativeMixture:
        """The mixture for frames with ``visible`` [B, N, T] codebooks known."""
        output = self.projection(states).unflatten(-1, (self.num_tracks, -1)).transpose(1, 2)
        log_weights, scale, shift = output.float().split(self.sizes, dim=-1)
        means = self.mean_projection(states).unflatten(-1, self.mean_shape).transpose(1, 2)
        level = visible.clamp(max=len(level_scale) - 1)
        unit = level_scale[level]  # [B, N, T]
        log_weights = log_weights + self._agreement(states, level)
        scale = unit * F.softplus(scale[..., 0] + self.scale_bias[level])
        return CumulativeMixture(
            log_weights=log_weights,
            means=means,
            log_scale=(scale + self.scale_floor * level_scale[-1]).log(),
            shift=shift * unit[..., None],
            basis=self.basis,
            offsets=self.offsets,
            codebooks=codebooks,
            level_scale=level_scale,
            deviations=deviations,
        )

    def _agreement(self, states: Tensor, level: Tensor) -> Tensor:
        """Of each component's offset with the direction of a frame, [B, N, T, C]; places learn from
        the regression alone."""
        direction = self.direction(states).unflatten(-1, (self.num_tracks, -1)).transpose(1, 2)
        own = level.flatten() if len(self.offsets) > 1 else torch.zeros_like(level).flatten()
        offsets = self.offsets.detach().to(direction.dtype)
        products = level_products(direction.flatten(0, 2), offsets, own)
        return products.float().view(*level.shape, -1) * direction.shape[-1] ** -0.25


class LengthHead(nn.Module):
    """Conditions [B, E, C] -> log of the song's frames [B]: every state lasts some frames, and the
    song as a whole stretches or shortens them."""

    def __init__(self, condition_size: int, width: int = 64):
        super().__init__()
        self.norm = nn.LayerNorm(condition_size)
        last = nn.Linear(width, 1)
        self.state = nn.Sequential(nn.Linear(condition_size, width), nn.GELU(), last)
        self.song = nn.Linear(condition_size, 1)
        if not self.song.weight.is_meta:
            nn.init.constant_(last.bias, math.log(STATE_FRAMES))
            nn.init.zeros_(self.song.weight)
            nn.init.zeros_(self.song.bias)

    def forward(self, conditions: Tensor, condition_mask: Tensor) -> Tensor:
        """Log frames, float32."""
        shown = (condition_mask != 0)[..., None]
        states = self.norm(conditions.to(self.norm.weight.dtype))
        mean = (states * shown).sum(dim=1) / shown.sum(dim=1)
        each = self.state(states).float().masked_fill(~shown, -math.inf)
        return (torch.logsumexp(each, dim=1) + self.song(mean).float())[..., 0]


__all__ = ["LengthHead", "MixtureHead", "SoftmaxHead"]

"""Heads of the masked model, which predict distributions of codes and the length of a song."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .distributions import CodebookDistribution, CumulativeMixture, level_products

STATE_FRAMES = 5.0  # initial number of frames for each state of the conditions
SMALLEST_SCALE = 0.05  # smallest initial scale of the mixture, relative to the deviation of z


class SoftmaxHead(nn.Module):
    """Head that predicts a :class:`CodebookDistribution` from states [B, T, H]."""

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
        """Predict the distributions; only ``states`` are used.

        The other arguments are those of :class:`MixtureHead`.
        """
        logits = self.projection(states).unflatten(-1, self.shape)
        return CodebookDistribution(logits.transpose(1, 2))


class MixtureHead(nn.Module):
    """Head that predicts a :class:`CumulativeMixture` from states [B, T, H] (ResGen, appendix A.2).

    The logit of a component is predicted from the state, plus the product of its offset with a
    direction in the space of code vectors, which is predicted from the state too. What is learned
    for one number of visible codebooks thereby applies to the others, whose components have other
    offsets.
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
    def init_components(self, codebooks: Tensor, level_scale: Tensor) -> None:
        """Initialize the offsets with the vectors of the first hidden codebook.

        The scales are initialized with the deviation of the codebooks after it.
        """
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
        """Predict the mixture of frames with ``visible`` [B, N, T] known codebooks."""
        output = self.projection(states).unflatten(-1, (self.num_tracks, -1)).transpose(1, 2)
        log_weights, scale, shift = output.float().split(self.sizes, dim=-1)
        means = self.mean_projection(states).unflatten(-1, self.mean_shape).transpose(1, 2)
        level = visible.clamp(max=len(level_scale) - 1)
        unit = level_scale[level]  # [B, N, T]
        log_weights = log_weights + self._direction_logits(states, level)
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

    def _direction_logits(self, states: Tensor, level: Tensor) -> Tensor:
        """Return the products of the offsets with the direction of each frame, [B, N, T, C].

        No gradient reaches the offsets, which are trained by the regression loss only.
        """
        direction = self.direction(states).unflatten(-1, (self.num_tracks, -1)).transpose(1, 2)
        own = level.flatten() if len(self.offsets) > 1 else torch.zeros_like(level).flatten()
        offsets = self.offsets.detach().to(direction.dtype)
        products = level_products(direction.flatten(0, 2), offsets, own)
        return products.float().view(*level.shape, -1) * direction.shape[-1] ** -0.25


class LengthHead(nn.Module):
    """Head that predicts the logarithm of a song's number of frames from conditions [B, E, C].

    The prediction is a sum of durations of all states, times a factor for the whole song.
    """

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
        """Predict the logarithm of the number of frames, [B] float32."""
        shown = (condition_mask != 0)[..., None]
        states = self.norm(conditions.to(self.norm.weight.dtype))
        mean = (states * shown).sum(dim=1) / shown.sum(dim=1)
        each = self.state(states).float().masked_fill(~shown, -math.inf)
        return (torch.logsumexp(each, dim=1) + self.song(mean).float())[..., 0]


__all__ = ["LengthHead", "MixtureHead", "SoftmaxHead"]

"""Distributions of hidden codes, which the masked model predicts, with their losses and sampling.

Two classes have one interface. :class:`CodebookDistribution` is a softmax over the codes of every
codebook. :class:`CumulativeMixture` is the mixture of Gaussians of ResGen on the sum of all hidden
code vectors of a frame (arXiv 2412.10208, section 3 and appendix A.2), which a residual search
turns into codes, so that the output of the network does not grow with the number of codebooks.

Shapes: B songs, N tracks, K codebooks, T frames, V codes of a codebook, D width of a code vector,
C components, R rank of their means. ``visible`` [B, N, T] is the number of codebooks of each frame
that are known, counted from the coarsest one; the values of hidden ``codes`` have no effect.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from .code_vectors import Proposal, hidden_codes, requantize, sum_code_vectors
from .noise import Generators, song_noise


@dataclass
class MaskedDistribution:
    """Base class of the distributions of hidden codes, with slicing, chunking and guidance.

    ``batched`` names the fields whose first dimension is the batch, ``guidable`` the field that
    classifier-free guidance changes.
    """

    batched: ClassVar[tuple[str, ...]] = ()
    guidable: ClassVar[str] = ""

    def __post_init__(self) -> None:
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name).float())

    def __len__(self) -> int:
        return len(getattr(self, self.guidable))

    def rows(self, index: slice) -> Self:
        """Return the distributions of some songs of the batch."""
        return replace(self, **{name: getattr(self, name)[index] for name in self.batched})

    def chunk(self, chunks: int) -> tuple[Self, ...]:
        """Split the batch into equal parts.

        A batch with guidance has one part for the songs with all conditions and one for each
        branch.

        Raises:
            ValueError: if the size of the batch is not a multiple of ``chunks``.
        """
        if len(self) % chunks:
            raise ValueError(
                f"the batch has {len(self)} rows, expected a multiple of {chunks}: with guidance, "
                "encode the conditions with guidance_branches and repeat the codes"
            )
        size = len(self) // chunks
        return tuple(self.rows(slice(k * size, (k + 1) * size)) for k in range(chunks))

    def guided(self, branches: Sequence[Self], weights: Sequence[float]) -> Self:
        """Apply classifier-free guidance: the weighted sum of logits.

        Of a mixture the logits of the components are changed; their centers stay conditional.

        Args:
            branches: distributions with fewer conditions.
            weights: weight of this distribution, then of the branches; their sum is 1.
        """
        logits = [getattr(each, self.guidable) for each in (self, *branches)]
        # Normalization is not needed: it would add one number to all logits of a choice.
        mixed = sum(weight * each for weight, each in zip(weights, logits, strict=True))
        return replace(self, **{self.guidable: mixed})


@dataclass
class CodebookDistribution(MaskedDistribution):
    """Independent softmax distributions over the codes of all codebooks of a frame.

    Args:
        logits: [B, N, T, K, V].
    """

    batched = ("logits",)
    guidable = "logits"

    logits: Tensor

    def losses(self, codes: Tensor, visible: Tensor, frame_mask: Tensor) -> dict[str, Tensor]:
        """Compute the negative log-likelihood of the hidden codes, in nats.

        Args:
            codes: [B, N, K, T] int64.
            visible: [B, N, T] int64.
            frame_mask: [B, T] bool, False where a song has ended.
        Returns:
            ``loss``, the sum over the hidden codes of a position, averaged over the positions with
            hidden codes, and ``codebook_0``, ``codebook_1`` and so on, the loss of one code,
            averaged over the positions where it is hidden.
        """
        hidden = hidden_codes(visible, codes.shape[2]) & frame_mask[:, None, None]  # [B, N, K, T]
        logits = self.logits.permute(3, 0, 1, 2, 4)  # [K, B, N, T, V]
        parts, total = {}, self.logits.sum() * 0.0
        for depth in range(codes.shape[2]):
            chosen = hidden[:, :, depth]
            loss = F.cross_entropy(
                logits[depth][chosen], codes[:, :, depth][chosen], reduction="sum"
            )
            total = total + loss
            parts[f"codebook_{depth}"] = loss / chosen.sum().clamp(min=1)
        return {"loss": total / hidden.any(dim=2).sum().clamp(min=1), **parts}

    @torch.no_grad()
    def propose(
        self,
        visible: Tensor,
        codes: Tensor,
        *,
        top_p: float = 1.0,
        temperature: float = 1.0,
        generator: Generators = None,
        frame_mask: Tensor | None = None,
    ) -> Proposal:
        """Draw a code for each hidden code.

        The arguments are those of :meth:`CumulativeMixture.propose`.
        """
        _check_sampling(top_p, temperature)
        batch, tracks, frames, depths, _ = self.logits.shape
        shape = (batch, tracks, frames, depths)
        uniform = song_noise(
            shape, "uniform", generator=generator, frame_mask=frame_mask, device=self.logits.device
        )
        drawn = sample_categorical(self.logits, uniform, top_p, temperature)  # [B, N, T, K]
        chosen = self.logits.gather(-1, drawn[..., None])[..., 0]
        scores = (chosen - self.logits.logsumexp(dim=-1)).clamp(max=0)
        hidden = hidden_codes(visible, depths)
        return Proposal(
            torch.where(hidden, drawn.transpose(2, 3), codes),
            scores.transpose(2, 3).masked_fill(~hidden, 0.0),
        )


@dataclass
class CumulativeMixture(MaskedDistribution):
    """A mixture of Gaussians on z, the sum of the hidden code vectors of a frame.

    In a frame with v visible codebooks, component c has the center
    ``shift + level_scale[v] * (offsets[v, c] + basis @ means[c])`` and the covariance
    ``exp(2 log_scale) I``. This is the family of the paper, except that centers are scaled by the
    deviation of z given v visible codebooks instead of by the predicted scale, so that the scale
    can shrink without moving the centers. Squared distances are expanded, so that the D-wide
    centers of all components are never computed, and a frame is multiplied with the offsets of its
    own v only.

    Args:
        log_weights: [B, N, T, C], not normalized.
        means: [B, N, T, C, R].
        log_scale: [B, N, T], logarithm of the deviation in each of the D dimensions.
        shift: [B, N, T, D].
        basis: [D, R].
        offsets: [K, C, D], or [1, C, D] if shared by all numbers of visible codebooks.
        codebooks: [K, V, D] code vectors.
        level_scale: [K], deviation of z with 0, 1, ... visible codebooks.
        deviations: [K], deviation of the residual after each codebook, for the scores of codes.
    """

    batched = ("log_weights", "means", "log_scale", "shift")
    guidable = "log_weights"

    log_weights: Tensor
    means: Tensor
    log_scale: Tensor
    shift: Tensor
    basis: Tensor
    offsets: Tensor
    codebooks: Tensor
    level_scale: Tensor
    deviations: Tensor

    def losses(self, codes: Tensor, visible: Tensor, frame_mask: Tensor) -> dict[str, Tensor]:
        """Compute Jensen's bound on the negative log-likelihood of z, in nats (appendix A.2).

        Let q be the responsibilities of the components under equal weights, without gradient. Then
        ``regression`` is ``-sum_c q_c log N_c(z)`` with the determinant ``D log a``, and
        ``classification`` is ``KL(q || weights)``.

        Args:
            codes: [B, N, K, T] int64.
            visible: [B, N, T] int64.
            frame_mask: [B, T] bool, False where a song has ended.
        Returns:
            ``regression``, ``classification`` and their sum ``loss``, each averaged over the
            positions with hidden codes.
        """
        depths = codes.shape[2]
        with torch.autocast(codes.device.type, enabled=False):
            chosen = (visible < depths) & frame_mask[:, None]
            hidden = hidden_codes(visible, depths) & frame_mask[:, None, None]
            target = sum_code_vectors(codes, hidden, self.codebooks)
            log_density = self._component_log_density(target, visible, chosen)  # [P, C]
            share = log_density.detach().softmax(dim=-1)
            count = chosen.sum().clamp(min=1)
            regression = -(share * log_density).sum() / count
            log_weights = F.log_softmax(self.log_weights[chosen], dim=-1)
            classification = (torch.xlogy(share, share) - share * log_weights).sum() / count
        return {
            "loss": regression + classification,
            "regression": regression,
            "classification": classification,
        }

    def log_prob(self, vectors: Tensor, visible: Tensor) -> Tensor:
        """Compute the log-density [B, N, T] of sums of hidden code vectors [B, N, T, D].

        At least one codebook of each frame must be hidden: ``visible`` < K.
        """
        everywhere = torch.ones_like(visible, dtype=torch.bool)
        log_density = self._component_log_density(vectors, visible, everywhere)
        log_weights = F.log_softmax(self.log_weights, dim=-1).flatten(0, 2)
        return torch.logsumexp(log_weights + log_density, dim=-1).view(visible.shape)

    def _component_log_density(self, vectors: Tensor, visible: Tensor, chosen: Tensor) -> Tensor:
        """Compute log N_c, [P, C], of the vectors [B, N, T, D] at the P chosen positions."""
        level, log_scale, means = visible[chosen], self.log_scale[chosen], self.means[chosen]
        unit = self.level_scale[level][:, None]  # [P, 1]
        points = (vectors[chosen] - self.shift[chosen]) / unit
        own = level if len(self.offsets) > 1 else torch.zeros_like(level)
        projected = (self.offsets @ self.basis)[own]  # [P, C, R]
        across = 2 * (projected - (points @ self.basis)[:, None])
        squared = (
            points.square().sum(dim=-1, keepdim=True)
            - 2 * level_products(points, self.offsets, own)
            + self.offsets.square().sum(dim=-1)[own]
            + ((means @ (self.basis.T @ self.basis) + across) * means).sum(dim=-1)
        )
        width = points.shape[-1]
        precision = (unit / log_scale.exp()[:, None]).square()
        constant = width * (log_scale[:, None] + 0.5 * math.log(2 * math.pi))
        return -0.5 * squared.clamp(min=0) * precision - constant

    @torch.no_grad()
    def propose(
        self,
        visible: Tensor,
        codes: Tensor,
        *,
        top_p: float = 1.0,
        temperature: float = 1.0,
        generator: Generators = None,
        frame_mask: Tensor | None = None,
    ) -> Proposal:
        """Draw z and search its codes, from the first hidden codebook on.

        Args:
            visible: [B, N, T] int64.
            codes: [B, N, K, T] int64.
            top_p: total probability of the most probable components (or codes) to draw from.
            temperature: weights and Gaussians are drawn to the power 1 / temperature; with 0, z is
                the center of the component with the largest weight.
            generator: random generator, or a list with one for each song.
            frame_mask: [B, T] bool, False where a song has ended. With it and a list of generators,
                the codes of a song do not depend on the batch.
        Raises:
            ValueError: for a ``top_p`` outside (0, 1] or a negative temperature.
        """
        vectors = self.sample(
            visible,
            top_p=top_p,
            temperature=temperature,
            generator=generator,
            frame_mask=frame_mask,
        )
        return requantize(vectors, codes, visible, self.codebooks, self.deviations)

    def sample(
        self,
        visible: Tensor,
        *,
        top_p: float = 1.0,
        temperature: float = 1.0,
        generator: Generators = None,
        frame_mask: Tensor | None = None,
    ) -> Tensor:
        """Draw a component and from it z, [B, N, T, D].

        The arguments are those of :meth:`propose`.
        """
        _check_sampling(top_p, temperature)
        shape = self.shift.shape
        noise_of = partial(
            song_noise, generator=generator, frame_mask=frame_mask, device=self.shift.device
        )
        uniform = noise_of(shape[:3], "uniform")
        component = sample_categorical(self.log_weights, uniform, top_p, temperature)  # [B, N, T]
        index = component[..., None, None].expand(*component.shape, 1, self.means.shape[-1])
        means = self.means.gather(-2, index).squeeze(-2)
        level = visible.clamp(max=len(self.level_scale) - 1)
        own = level if len(self.offsets) > 1 else torch.zeros_like(level)
        center = self.offsets[own, component] + means @ self.basis.T
        deviation = self.log_scale.exp() * math.sqrt(temperature)
        noise = noise_of(shape, "normal") * deviation[..., None]
        return self.shift + self.level_scale[level][..., None] * center + noise


def level_products(points: Tensor, tables: Tensor, own: Tensor) -> Tensor:
    """Multiply each point with the rows of its own table.

    The products are computed table by table, so that a point is multiplied with one table only.

    Args:
        points: [P, D].
        tables: [L, C, D].
        own: [P] int64, index of the table of each point; without effect if there is one table.
    Returns:
        [P, C].
    """
    if len(tables) == 1:
        return points @ tables[0].T
    if torch.compiler.is_compiling():  # the sizes of the groups are unknown within a graph
        products = points @ tables[0].T
        for level, table in enumerate(tables[1:], start=1):
            products = torch.where((own == level)[:, None], points @ table.T, products)
        return products
    order = own.argsort()
    counts = torch.bincount(own, minlength=len(tables)).tolist()
    parts = zip(points[order].split(counts), tables, strict=True)
    return torch.cat([part @ table.T for part, table in parts])[order.argsort()]


def sample_categorical(
    logits: Tensor, uniform: Tensor, top_p: float = 1.0, temperature: float = 1.0
) -> Tensor:
    """Draw indices by inverting the cumulative distribution.

    Args:
        logits: [..., V].
        uniform: [...] random numbers in [0, 1).
        top_p: total probability of the most probable indices to draw from.
        temperature: divisor of the logits; 0 takes the largest logit.
    Returns:
        [...] int64.
    """
    if temperature == 0:
        return logits.argmax(dim=-1)
    weights = (logits if temperature == 1 else logits / temperature).softmax(dim=-1)
    order = None
    if top_p < 1:
        weights, order = weights.sort(dim=-1, descending=True)
        weights = weights.masked_fill(weights.cumsum(dim=-1) - weights >= top_p, 0.0)
    cumulative = weights.cumsum(dim=-1)
    total = cumulative[..., -1:]
    # By rounding a number may reach the total; the last index with a weight is drawn then.
    below = torch.minimum(uniform[..., None] * total, total.nextafter(torch.zeros_like(total)))
    index = torch.searchsorted(cumulative, below, right=True)
    return (index if order is None else order.gather(-1, index))[..., 0]


def _check_sampling(top_p: float, temperature: float) -> None:
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p is {top_p}, expected more than 0 and at most 1; 1 keeps all")
    if temperature < 0:
        raise ValueError(
            f"temperature is {temperature}, expected 0 or more; "
            "0 takes the most probable, 1 draws as trained"
        )


__all__ = [
    "CodebookDistribution",
    "CumulativeMixture",
    "MaskedDistribution",
    "level_products",
    "sample_categorical",
]

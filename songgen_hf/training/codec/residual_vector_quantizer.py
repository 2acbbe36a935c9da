"""Training of a codec's codebooks by moving averages, with a straight-through gradient.

The buffers of the codec (``embed``, ``embed_avg``, ``cluster_size`` and ``inited`` of each level)
are updated in place, so the trained codec is saved and used by the code for inference. Under
``torch.distributed`` all processes have the same codebooks after each step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass
class QuantizedLatent:
    """The result of one pass through the codebooks.

    Args:
        quantized: [B, D, T], sum of the code vectors; its gradient is passed on to the latent.
        first: [B, D, T], vector of the first code alone; its gradient is passed on likewise.
        codes: [B, K, T] int64 of the K codebooks in use, chosen before the update of the step.
        commitment_loss: scalar, mean over codebooks of the squared distance between the residual
            and its code vector.
    """

    quantized: Tensor
    first: Tensor
    codes: Tensor
    commitment_loss: Tensor


class ResidualVectorQuantizerTrainer(nn.Module):
    """Residual vector quantization that trains the codebooks of a codec.

    Args:
        quantizer: the codec's ``quantizer``, whose buffers are changed in place.
        decay: decay of the moving averages, in [0, 1).
        epsilon: Laplace smoothing of the cluster sizes.
        dead_count: a code is dead, and is revived, if its moving count is below this number and
            below ``dead_fraction`` of the mean count.
        dead_fraction: limits the number of revived codes of a batch with few vectors.
        kmeans_iterations: Lloyd iterations of the k-means start.
        move_all: in training, update codebooks that a step does not use, too. Otherwise late
            codebooks do not follow the encoder, and most of their codes become unused.
        revival_reach: place of a revived code between the code of a random vector of the batch (0)
            and that vector (1). In many dimensions a vector is farther from all others than their
            mean is, so its code would be dead again at once; a code near the vector's code takes
            over half of its vectors (share of codes in use after 120 steps in 160 dimensions: 0.16
            to 0.54 with 1, 0.9 with 0.1).
    Raises:
        ValueError: if ``decay`` is outside [0, 1).
    """

    residual_power: Tensor

    def __init__(
        self,
        quantizer: Any,
        *,
        decay: float = 0.99,
        epsilon: float = 1e-5,
        dead_count: float = 2.0,
        dead_fraction: float = 0.1,
        kmeans_iterations: int = 50,
        move_all: bool = True,
        revival_reach: float = 0.1,
    ) -> None:
        super().__init__()
        if not 0 <= decay < 1:
            raise ValueError(f"decay is {decay}, expected 0 <= decay < 1, such as 0.99.")
        # Not a submodule, as the buffers belong to the codec.
        self.__dict__["codebooks"] = [level.codebook for level in quantizer.quantizers]
        self.decay, self.epsilon = decay, epsilon
        self.dead_count, self.dead_fraction = dead_count, dead_fraction
        self.kmeans_iterations, self.move_all = kmeans_iterations, move_all
        self.revival_reach = revival_reach
        self.register_buffer("residual_power", torch.full((len(self.codebooks) + 1,), -1.0))

    codebooks: list[Any]

    @property
    def num_codebooks(self) -> int:
        """Number of levels of the quantizer."""
        return len(self.codebooks)

    @property
    def started(self) -> bool:
        """Whether every codebook has been initialized by k-means."""
        return all(bool(codebook.inited.item()) for codebook in self.codebooks)

    def reset(self) -> None:
        """Mark the codebooks as uninitialized; the next training pass starts with k-means."""
        for codebook in self.codebooks:
            codebook.inited.zero_()
        self.residual_power.fill_(-1.0)

    @torch.no_grad()
    def start(self, latents: Tensor, *, seed: int, vectors_per_step: int | None = None) -> None:
        """Initialize all codebooks by k-means, level by level.

        Args:
            latents: [B, D, T] of this process.
            seed: seed of the k-means.
            vectors_per_step: number of vectors (B * T of all processes) of a training step, to
                which the counts are scaled; None for the number of these latents.
        """
        residual = _gathered(_as_vectors(latents.float()))
        scale = 1.0 if vectors_per_step is None else vectors_per_step / len(residual)
        for level, codebook in enumerate(self.codebooks):
            self._start_level(codebook, residual, seed + level, scale)
            residual = residual - codebook.embed[_nearest(codebook, residual)]

    def forward(
        self,
        latents: Tensor,
        *,
        num_codebooks: int | None = None,
        seed: int = 0,
        update: bool = True,
    ) -> QuantizedLatent:
        """Quantize, and update the codebooks in training mode.

        Args:
            latents: [B, D, T].
            num_codebooks: number of codebooks to use, from the first; None for all.
            seed: seed of the vectors that replace dead codes, the same in every process.
            update: False leaves the codebooks unchanged.
        Raises:
            ValueError: if ``num_codebooks`` is out of range.
        """
        num_codebooks = self.num_codebooks if num_codebooks is None else num_codebooks
        if not 1 <= num_codebooks <= self.num_codebooks:
            raise ValueError(
                f"num_codebooks is {num_codebooks}, expected 1 to {self.num_codebooks}, the number "
                "of levels of the quantizer."
            )
        update = update and self.training
        residual = _as_vectors(latents.float())  # [N, D]
        total = torch.zeros_like(residual)
        first = total
        codes, distances = [], []
        moved = self.num_codebooks if update and self.move_all else num_codebooks
        for level, codebook in enumerate(self.codebooks[:moved]):
            vectors = residual.detach()
            if update and not bool(codebook.inited.item()):
                self._start_level(codebook, _gathered(vectors), seed + level)
            indices = _nearest(codebook, vectors)
            chosen = F.embedding(indices, codebook.embed.float()).detach()
            if update:
                self._track_power(level, F.mse_loss(vectors, chosen), vectors)
                self._update_level(codebook, vectors, indices, seed + level)
            if level < num_codebooks:
                distances.append(F.mse_loss(residual, chosen))
                total = total + chosen
                first = total if level == 0 else first
                codes.append(indices.view(latents.shape[0], -1))
            # Only the code vector is detached: commitment of every level reaches the encoder.
            residual = residual - chosen

        return QuantizedLatent(
            # Straight-through once for the sum; for each level, the gradient would count K times.
            quantized=_straight_through(latents, total),
            first=_straight_through(latents, first),
            codes=torch.stack(codes, dim=1),
            commitment_loss=torch.stack(distances).mean(),
        )

    def residual_rms(self) -> list[float]:
        """Root mean square per dimension of the residuals after 0, 1, ... K codebooks.

        Entry 0 belongs to the latent itself. Entry j + 1 is the maximum likelihood deviation of a
        Gaussian around the vectors of codebook j. These are moving averages over training passes;
        levels without any are 0.
        """
        return [float(power) ** 0.5 if power >= 0 else 0.0 for power in self.residual_power]

    def _track_power(self, level: int, error: Tensor, vectors: Tensor) -> None:
        entries = [(level + 1, error)] + ([(0, vectors.square().mean())] if level == 0 else [])
        for entry, value in entries:
            value = _reduced(value) / _num_processes()
            old = self.residual_power[entry]
            moved = self.decay * old + (1 - self.decay) * value
            self.residual_power[entry] = torch.where(old < 0, value, moved)

    @torch.no_grad()
    def _start_level(self, codebook: Any, vectors: Tensor, seed: int, scale: float = 1.0) -> None:
        centers, counts = kmeans(
            vectors, len(codebook.embed), iterations=self.kmeans_iterations, seed=seed
        )
        counts = (scale * counts).clamp(min=self.epsilon)
        codebook.embed.copy_(centers)
        codebook.cluster_size.copy_(counts)
        codebook.embed_avg.copy_(centers * counts[:, None])
        codebook.inited.fill_(1)

    @torch.no_grad()
    def _update_level(self, codebook: Any, vectors: Tensor, indices: Tensor, seed: int) -> None:
        size = len(codebook.embed)
        counts = _reduced(torch.bincount(indices, minlength=size).to(vectors.dtype))
        sums = _reduced(torch.zeros_like(codebook.embed_avg).index_add_(0, indices, vectors))
        codebook.cluster_size.lerp_(counts, 1 - self.decay)
        codebook.embed_avg.lerp_(sums, 1 - self.decay)

        mean_count = counts.sum() / size
        dead = codebook.cluster_size < torch.clamp(
            self.dead_fraction * mean_count, max=self.dead_count
        )
        if dead.any():
            pool = _gathered(vectors)
            generator = torch.Generator().manual_seed(seed)
            chosen = torch.randint(len(pool), (int(dead.sum()),), generator=generator)
            chosen_vectors = pool[chosen.to(pool.device)]
            near = codebook.embed[_nearest(codebook, chosen_vectors)]
            revived = near + self.revival_reach * (chosen_vectors - near)
            # Sum and count, too, or the next average would restore the dead vector.
            codebook.cluster_size[dead] = mean_count
            codebook.embed_avg[dead] = revived * mean_count
        smoothed = smoothed_counts(codebook.cluster_size, self.epsilon)
        smoothed = torch.where(dead, mean_count, smoothed)
        codebook.embed.copy_(codebook.embed_avg / smoothed[:, None])


def smoothed_counts(counts: Tensor, epsilon: float) -> Tensor:
    """Laplace smoothing of counts [V]: ``(counts + epsilon) / (sum + V * epsilon) * sum``."""
    total = counts.sum()
    return (counts + epsilon) / (total + len(counts) * epsilon) * total


@torch.no_grad()
def kmeans(
    vectors: Tensor, num_clusters: int, *, iterations: int, seed: int
) -> tuple[Tensor, Tensor]:
    """Lloyd's algorithm, started from random vectors.

    An empty cluster gets the vector that is farthest from its center. With fewer vectors than
    clusters, the centers are the vectors and copies of them with a noise of 1 % of their deviation.

    Args:
        vectors: [N, D], N at least 1.
        num_clusters: V.
        iterations: number of iterations, 0 or more.
        seed: seed of the initial centers.
    Returns:
        Centers [V, D] and their numbers of vectors [V], in the dtype of the vectors.
    Raises:
        ValueError: if there are no vectors.
    """
    if len(vectors) < 1:
        raise ValueError("kmeans got no vector, expected at least one.")
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(vectors), generator=generator)
    if len(vectors) < num_clusters:
        extra = torch.randint(len(vectors), (num_clusters - len(vectors),), generator=generator)
        noise = torch.randn(len(extra), vectors.shape[1], generator=generator).to(vectors)
        spread = vectors.std(dim=0, correction=0).clamp(min=1e-6) * 1e-2
        copies = vectors[extra.to(vectors.device)] + noise * spread
        centers = torch.cat([vectors[order.to(vectors.device)], copies])
        return centers, torch.full((num_clusters,), len(vectors) / num_clusters).to(vectors)

    centers = vectors[order[:num_clusters].to(vectors.device)].clone()
    for _ in range(iterations):
        distances, nearest = torch.cdist(vectors, centers).min(dim=1)
        counts = torch.bincount(nearest, minlength=num_clusters)
        sums = torch.zeros_like(centers).index_add_(0, nearest, vectors)
        centers = torch.where(counts[:, None] > 0, sums / counts.clamp(min=1)[:, None], centers)
        empty = (counts == 0).nonzero()[:, 0]
        if len(empty):
            centers[empty] = vectors[distances.topk(len(empty)).indices]
    nearest = torch.cdist(vectors, centers).argmin(dim=1)
    return centers, torch.bincount(nearest, minlength=num_clusters).to(vectors)


def _straight_through(latents: Tensor, vectors: Tensor) -> Tensor:
    """Vectors [B * T, D] in the shape of latents [B, D, T], which get their gradient."""
    shaped = vectors.view(latents.shape[0], -1, latents.shape[1]).transpose(1, 2)
    return latents + (shaped.to(latents.dtype) - latents).detach()


def _as_vectors(latents: Tensor) -> Tensor:
    return latents.transpose(1, 2).reshape(-1, latents.shape[1])  # [B * T, D]


@torch.no_grad()
def _nearest(codebook: Any, vectors: Tensor) -> Tensor:
    """The nearest codes, by the call of inference, so that both choose the same codes."""
    with torch.autocast(vectors.device.type, enabled=False):
        return codebook.quantize(vectors.to(codebook.embed.dtype))


def _num_processes() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def _reduced(tensor: Tensor) -> Tensor:
    """The sum over processes."""
    if _num_processes() > 1:
        dist.all_reduce(tensor)
    return tensor


def _gathered(vectors: Tensor) -> Tensor:
    """The vectors [N, D] of all processes; N must be the same in each."""
    if _num_processes() == 1:
        return vectors
    parts = [torch.empty_like(vectors) for _ in range(_num_processes())]
    dist.all_gather(parts, vectors.contiguous())
    return torch.cat(parts)


__all__ = ["QuantizedLatent", "ResidualVectorQuantizerTrainer", "kmeans", "smoothed_counts"]

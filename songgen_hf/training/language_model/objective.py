"""What training minimizes: the losses of a forward call, weighted over codebooks and tracks.

The weights follow a curriculum: early codebooks first, then ever flatter (SongGen, arXiv
2502.13128, section 3.4). This module knows nothing of data, optimizers or models: it takes
codebook losses and a step.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

EARLY_CODEBOOKS = 3
EARLY_WEIGHT, LATE_WEIGHT = 0.25, 0.05
BOUNDARIES = (0.3, 0.6, 0.8)
FLATNESS = (0.0, 0.3, 0.6, 0.8)
VOCAL_LOSS_WEIGHT = 0.1


def initial_codebook_weights(num_codebooks: int) -> Tensor:
    """The weights a stage starts with, [K] float32: 0.25 three times, then 0.05."""
    weights = torch.full((num_codebooks,), LATE_WEIGHT)
    weights[:EARLY_CODEBOOKS] = EARLY_WEIGHT
    return weights


def codebook_weights(
    step: int, total_steps: int, num_codebooks: int, *, initial: Tensor | None = None
) -> Tensor:
    """Weights of the codebook losses at one optimizer step.

    They move in four jumps from ``initial`` toward 1 / K, and end at four fifths of the way.

    Args:
        step: optimizer steps done, 0 <= step.
        total_steps: optimizer steps of the whole run (each stage is a run and starts anew).
        num_codebooks: K.
        initial: [K], weights of the first 30 % of the run; default 0.25 three times, then 0.05.
    Returns:
        [K] float32; the sum is 1 for K = 8.
    Raises:
        ValueError: if the step or the total is out of range, or ``initial`` has another length.
    """
    if total_steps < 1 or step < 0:
        raise ValueError(
            f"codebook weights need step >= 0 and total_steps >= 1: got {step} and {total_steps}"
        )
    if initial is None:
        initial = initial_codebook_weights(num_codebooks)
    if initial.shape != (num_codebooks,):
        raise ValueError(
            f"initial codebook weights must be [{num_codebooks}]: got {list(initial.shape)}"
        )
    # Matches upstream: float32 throughout, and a boundary belongs to the phase before it.
    progress = torch.tensor(step) / total_steps
    flatness = FLATNESS[int(torch.bucketize(progress, torch.tensor(BOUNDARIES)))]
    return (1 - flatness) * initial + flatness / num_codebooks


@dataclass
class Objective:
    """The number to minimize and what it is made of, each a scalar unless said.

    Args:
        value: with gradient.
        weights: [K].
        codebook_losses: [rows].
        loss: plain mean of ``codebook_losses``.
        weighted_loss: the weighted part of the song's rows.
        track_losses: each track's loss where the tracks have rows of their own, else empty.
        vocal_codebook_losses, vocal_loss, vocal_weighted_loss: of the vocal heads, [K] the first.
        alignment_loss, alignment_accuracy: of the attention that is told what is sung.
        sounds: metrics of the heads that tell what sounds.
    """

    value: Tensor
    weights: Tensor
    codebook_losses: Tensor
    loss: Tensor
    weighted_loss: Tensor
    track_losses: list[Tensor] = field(default_factory=list)
    vocal_codebook_losses: Tensor | None = None
    vocal_loss: Tensor | None = None
    vocal_weighted_loss: Tensor | None = None
    alignment_loss: Tensor | None = None
    alignment_accuracy: Tensor | None = None
    sounds: dict[str, Tensor] = field(default_factory=dict)

    def add_alignment(self, loss: Tensor, accuracy: Tensor, *, weight: float) -> None:
        """Add the loss of ``lyrics_alignment.py`` to the number that is minimized."""
        self.alignment_loss, self.alignment_accuracy = loss, accuracy
        self.value = self.value + weight * loss

    def add_sounds(self, loss: Tensor, metrics: dict[str, Tensor], *, weight: float) -> None:
        """Add the loss of ``sound_targets.py`` to the number that is minimized."""
        self.sounds = metrics
        self.value = self.value + weight * loss

    def metrics(self) -> dict[str, Tensor]:
        """Detached scalars by the name they are logged under."""
        metrics = {
            "objective": self.value,
            "plain_loss": self.loss,
            "weighted_loss": self.weighted_loss,
        }
        metrics |= {f"codebook_loss/{row}": loss for row, loss in enumerate(self.codebook_losses)}
        metrics |= {f"codebook_weight/{k}": weight for k, weight in enumerate(self.weights)}
        if self.track_losses:
            metrics |= dict(
                zip(("accompaniment_loss", "vocal_track_loss"), self.track_losses, strict=True)
            )
        if self.vocal_loss is not None and self.vocal_weighted_loss is not None:
            metrics["vocal_loss"] = self.vocal_loss
            metrics["vocal_weighted_loss"] = self.vocal_weighted_loss
        if self.alignment_loss is not None and self.alignment_accuracy is not None:
            metrics["alignment_loss"] = self.alignment_loss
            metrics["alignment_accuracy"] = self.alignment_accuracy
        metrics |= self.sounds
        if self.vocal_codebook_losses is not None:
            metrics |= {
                f"vocal_codebook_loss/{k}": loss
                for k, loss in enumerate(self.vocal_codebook_losses)
            }
        return {name: value.detach() for name, value in metrics.items()}


def song_objective(
    codebook_losses: Tensor,
    weights: Tensor,
    *,
    vocal_codebook_losses: Tensor | None = None,
    codebook_weighting: bool = True,
    vocal_loss_weight: float = VOCAL_LOSS_WEIGHT,
) -> Objective:
    """Join the losses of one forward call.

    Rows of two tracks (accompaniment, then vocal) count half each. The vocal heads' part is
    weighted by the curriculum also when ``codebook_weighting`` is off.

    Args:
        codebook_losses: [K] or [2 K], one loss a row.
        weights: [K], see :func:`codebook_weights`.
        vocal_codebook_losses: [K], of the vocal heads (mixed_pro).
        codebook_weighting: weigh the rows; else their plain mean.
        vocal_loss_weight: factor of the vocal heads' part.
    Raises:
        ValueError: if the number of rows is not K or 2 K.
    """
    num_rows, num_codebooks = len(codebook_losses), len(weights)
    if num_rows not in (num_codebooks, 2 * num_codebooks):
        raise ValueError(
            f"codebook_losses must be [{num_codebooks}] or [{2 * num_codebooks}] for "
            f"{num_codebooks} weights: got [{num_rows}]"
        )
    weights = weights.to(codebook_losses)
    tracks = codebook_losses.view(-1, num_codebooks)  # [1 or 2, K]
    weighted_loss = (tracks @ weights).mean()
    plain_loss = codebook_losses.mean()
    by_track = tracks @ weights if codebook_weighting else tracks.mean(dim=1)
    objective = Objective(
        value=weighted_loss if codebook_weighting else plain_loss,
        weights=weights,
        codebook_losses=codebook_losses,
        loss=plain_loss,
        weighted_loss=weighted_loss,
        track_losses=list(by_track) if len(by_track) > 1 else [],
    )
    if vocal_codebook_losses is not None:
        objective.vocal_codebook_losses = vocal_codebook_losses
        objective.vocal_loss = vocal_codebook_losses.mean()
        objective.vocal_weighted_loss = vocal_codebook_losses @ weights
        objective.value = objective.value + vocal_loss_weight * objective.vocal_weighted_loss
    return objective


__all__ = [
    "VOCAL_LOSS_WEIGHT",
    "Objective",
    "codebook_weights",
    "initial_codebook_weights",
    "song_objective",
]

"""The training objective: losses of codebooks, tracks and vocal heads, weighted by a curriculum.

The weights of early codebooks are high at first, and become more equal later (SongGen, arXiv
2502.13128, section 3.4). Labels of one row can have different weights, too: those of the vocal, of
sung frames, of fine codebooks. Nothing here depends on data, optimizers or models.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...modeling.patterns import ACCOMPANIMENT, VOCAL, CodebookPattern

EARLY_CODEBOOKS = 3
EARLY_WEIGHT, LATE_WEIGHT = 0.25, 0.05
BOUNDARIES = (0.3, 0.6, 0.8)
FLATNESS = (0.0, 0.3, 0.6, 0.8)
VOCAL_LOSS_WEIGHT = 0.1


def codebook_weights(
    step: int, total_steps: int, num_codebooks: int, *, initial: Tensor | None = None
) -> Tensor:
    """Weights of the codebook losses at one optimizer step.

    They change three times, from ``initial`` toward 1 / K, the last time at 80 % of the run.

    Args:
        step: number of completed optimizer steps.
        total_steps: number of optimizer steps of the run; each stage is a run.
        num_codebooks: K.
        initial: [K], weights of the first 30 % of the run; default 0.25 three times, then 0.05.
    Returns:
        [K] float32; the sum is 1 for K = 8.
    Raises:
        ValueError: if a number of steps is out of range, or ``initial`` has another length.
    """
    if total_steps < 1 or step < 0:
        raise ValueError(
            f"codebook weights need step >= 0 and total_steps >= 1: got {step} and {total_steps}"
        )
    if initial is None:
        initial = torch.full((num_codebooks,), LATE_WEIGHT)
        initial[:EARLY_CODEBOOKS] = EARLY_WEIGHT
    if initial.shape != (num_codebooks,):
        raise ValueError(
            f"initial codebook weights must be [{num_codebooks}]: got {list(initial.shape)}"
        )
    flatness = FLATNESS[curriculum_phase(step, total_steps)]
    return (1 - flatness) * initial + flatness / num_codebooks


def label_weights(
    pattern: CodebookPattern,
    num_steps: int,
    *,
    vocal_track: float = 1.0,
    fine_accompaniment: float = 1.0,
    sung_frame: float = 1.0,
    sung: Tensor | None = None,
    device: torch.device | None = None,
) -> Tensor:
    """Weights of the labels of a batch in the mean of their row.

    Args:
        pattern: the token pattern.
        num_steps: L of the labels.
        vocal_track: weight of the vocal's labels; those of the accompaniment have 1.
        fine_accompaniment: factor of the second half of the accompaniment's codebooks.
        sung_frame: factor of the vocal's labels (of a single track: of its labels) in sung frames.
        sung: [B, L] bool, whether the frame is sung whose first code a step predicts.
        device: device of the result, that of ``sung`` if it is given.
    Returns:
        [B or 1, L, rows] float32.
    Raises:
        ValueError: if tracks are to differ that have rows of their own, or are one.
    """
    if (vocal_track, fine_accompaniment) != (1.0, 1.0) and not pattern.is_interleaved:
        raise ValueError(
            "vocal_track_weight and fine_accompaniment_weight need an interleaved token pattern, "
            f"whose rows hold both tracks: got {pattern.name}; leave them at 1"
        )
    num_frames = pattern.num_frames(num_steps + 1)
    batch = 1 if sung is None else len(sung)
    device = device if sung is None else sung.device
    shape = (batch, pattern.num_tracks, pattern.num_codebooks, num_frames)
    frames = torch.ones(shape, device=device)
    rows, steps = pattern.index(num_frames, device)
    singer = VOCAL if pattern.num_tracks > 1 else 0
    if pattern.num_tracks > 1:
        frames[:, VOCAL] *= vocal_track
        frames[:, ACCOMPANIMENT, pattern.num_codebooks // 2 :] *= fine_accompaniment
    if sung is not None:
        inside = sung[:, steps[singer, 0] - 1].to(frames)  # [B, T]
        frames[:, singer] *= (1 + (sung_frame - 1) * inside)[:, None]
    weights = torch.ones(batch, num_steps, pattern.num_rows, device=device)
    weights[:, steps - 1, rows] = frames
    return weights


def curriculum_phase(step: int, total_steps: int) -> int:
    """Index of the phase of the run, 0 to 3, within which the codebook weights stay the same."""
    # Matches upstream: float32 throughout, and a boundary belongs to the phase before it.
    progress = np.float32(step) / np.float32(total_steps)
    return int(np.searchsorted(np.asarray(BOUNDARIES, dtype=np.float32), progress))


@dataclass
class Objective:
    """The scalar that is minimized, and what it consists of.

    Args:
        value: the scalar, with gradient.
        loss: mean of the codebook losses without weights.
        metrics: scalars by the names under which they are logged.
    """

    value: Tensor
    loss: Tensor
    metrics: dict[str, Tensor]


def song_objective(
    codebook_losses: Tensor,
    weights: Tensor,
    *,
    vocal_codebook_losses: Tensor | None = None,
    codebook_weighting: bool = True,
    vocal_loss_weight: float = VOCAL_LOSS_WEIGHT,
) -> Objective:
    """Combine the losses of one forward pass.

    Rows of two tracks (accompaniment, then vocal) count half each. The loss of the vocal heads is
    weighted by the curriculum even if ``codebook_weighting`` is off.

    Args:
        codebook_losses: [K] or [2 K], one loss for each row.
        weights: [K], see :func:`codebook_weights`.
        vocal_codebook_losses: [K], of the vocal heads (mixed_pro).
        codebook_weighting: weigh the rows instead of taking their mean.
        vocal_loss_weight: weight of the loss of the vocal heads.
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
    metrics = {"plain_loss": plain_loss, "weighted_loss": weighted_loss}
    metrics |= {f"codebook_loss/{row}": loss for row, loss in enumerate(codebook_losses)}
    metrics |= {f"codebook_weight/{k}": weight for k, weight in enumerate(weights)}
    if len(tracks) > 1:
        by_track = tracks @ weights if codebook_weighting else tracks.mean(dim=1)
        metrics["accompaniment_loss"], metrics["vocal_track_loss"] = by_track
    value = weighted_loss if codebook_weighting else plain_loss
    if vocal_codebook_losses is not None:
        vocal_weighted_loss = vocal_codebook_losses @ weights
        value = value + vocal_loss_weight * vocal_weighted_loss
        metrics["vocal_loss"] = vocal_codebook_losses.mean()
        metrics["vocal_weighted_loss"] = vocal_weighted_loss
        metrics |= {
            f"vocal_codebook_loss/{k}": loss for k, loss in enumerate(vocal_codebook_losses)
        }
    return Objective(value, plain_loss, metrics)


__all__ = [
    "VOCAL_LOSS_WEIGHT",
    "Objective",
    "codebook_weights",
    "curriculum_phase",
    "label_weights",
    "song_objective",
]

"""Let a model hear what it would have sung: part of the past is drawn from the model itself.

A model that has only heard true pasts does not know what to do after its own mistakes (exposure
bias). Drawing the whole past step by step would cost as many passes as there are steps. Here one
pass over the true past gives a draw for every step at once, and a second one, which is trained,
hears some of them (parallel scheduled sampling, arXiv 1906.04331, section 3, with one round).
"""

import torch
from torch import Tensor


def with_own_history(
    input_ids: Tensor,
    logits: Tensor,
    share: float,
    *,
    codebook_size: int,
    generator: torch.Generator,
) -> Tensor:
    """Replace some of what the decoder hears by what it would have drawn there.

    Each song has its own rate, uniform from 0 to twice ``share`` (at most 1), so that some songs
    stay nearly true and some are the model's own.

    Args:
        input_ids: [B, rows, L], the decoder's input.
        logits: [B, rows, L, V] that follow from it: those of step t predict the input of step
            t + 1.
        share: of the steps, about; all rows of a step are replaced together.
        codebook_size: ids from here on are special and stay.
        generator: of all draws.
    Returns:
        [B, rows, L].
    """
    batch, _, length = input_ids.shape
    device = input_ids.device
    rates = torch.rand(batch, 1, 1, generator=generator, device=device) * 2 * share
    chosen = torch.rand(batch, 1, length - 1, generator=generator, device=device) < rates
    scores = logits[:, :, :-1, :codebook_size].float()
    noise = torch.empty_like(scores).exponential_(generator=generator)
    drawn = (scores - noise.log()).argmax(dim=-1)  # Gumbel-max
    past = input_ids[:, :, 1:]
    own = torch.where(chosen & (past < codebook_size), drawn, past)
    return torch.cat([input_ids[:, :, :1], own], dim=-1)


__all__ = ["with_own_history"]

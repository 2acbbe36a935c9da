"""Let a model hear what it would have sung: part of the past is drawn from the model itself.

A model that has only heard true pasts does not know what to do after its own mistakes (exposure
bias). Drawing the whole past step by step would cost as many passes as there are steps. Here one
pass over the true past gives a draw for every step at once, and a second one, which is trained,
hears some of them (parallel scheduled sampling, arXiv 1906.04331, section 3, with one round).

A masked model's past are the codes it has revealed. Its first pass hides some of the visible ones
too, as an earlier step of its sampling would, and the second one sees what it draws for them.
"""

import torch
from torch import Tensor

from ...modeling.masked.code_vectors import hidden_codes
from ...modeling.masked.distributions import CodebookDistribution, CumulativeMixture


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


def hide_more(
    visible: Tensor, share: float, num_codebooks: int, generator: torch.Generator
) -> Tensor:
    """What was visible some steps earlier: each visible code is hidden at a rate of its song.

    The rate is uniform from 0 to twice ``share`` (at most 1). Of a frame the finest codes go first.
    Whole frames stay: they are what a song is given, or padding.

    Args:
        visible: [B, N, T], how many codebooks of a frame are visible.
        share: of the visible codes, about.
        num_codebooks: K.
        generator: of all draws.
    Returns:
        [B, N, T].
    """
    device = visible.device
    rates = torch.rand(len(visible), 1, 1, 1, generator=generator, device=device) * 2 * share
    drawn = torch.rand(*visible.shape, num_codebooks, generator=generator, device=device)
    gone = drawn < rates
    gone &= torch.arange(num_codebooks, device=device) < visible[..., None]
    return torch.where(visible < num_codebooks, visible - gone.sum(dim=-1), visible)


def with_own_codes(
    codes: Tensor,
    visible: Tensor,
    earlier: Tensor,
    distribution: CodebookDistribution | CumulativeMixture,
    *,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Replace what has become visible since an earlier step by what the model draws for it.

    Args:
        codes: [B, N, K, T], the true ones.
        visible: [B, N, T].
        earlier: [B, N, T], at most ``visible``; see :func:`hide_more`.
        distribution: what the model says of the codes when it sees ``earlier``.
        generator: of all draws.
    Returns:
        The codes [B, N, K, T], whose hidden ones are the true ones, and where a visible one is not
        [B, N, T]. The hidden codes of such a frame belong to another beginning than the one it
        shows, so they teach nothing.
    """
    drawn = distribution.propose(earlier, codes, generator=generator).codes
    own = torch.where(hidden_codes(visible, codes.shape[2]), codes, drawn)
    return own, (own != codes).any(dim=2)


__all__ = ["hide_more", "with_own_codes", "with_own_history"]

"""Parallel scheduled sampling: replace part of the input codes with samples from the model.

A model that is trained on true codes only does not learn to continue after its own mistakes
(exposure bias). Sampling a whole song step by step would take as many forward passes as there are
steps. Instead, one pass over the true codes gives a sample for every step at once, and the pass
that is trained takes some of them as its input (arXiv 1906.04331, section 3, with one round).

A masked model's input are the visible codes. Its first pass hides some of them, as an earlier step
of generation would, and the pass that is trained takes the codes that the model samples for them.
"""

import torch
from torch import Tensor

from ...modeling.masked.code_vectors import hidden_codes
from ...modeling.masked.distributions import CodebookDistribution, CumulativeMixture
from ...modeling.patterns import CodebookPattern


def sample_history(
    input_ids: Tensor,
    logits: Tensor,
    share: float,
    *,
    pattern: CodebookPattern,
    codebook_size: int,
    generator: torch.Generator,
) -> Tensor:
    """Replace the codes of some frames in the decoder's input with samples from the model.

    The rate of each song is uniform from 0 to twice ``share`` (at most 1), so that some songs keep
    nearly all true codes and others nearly none.

    Args:
        input_ids: [B, rows, L], the decoder's input.
        logits: [B, rows, L, V] for this input: those of step t predict the input of step t + 1.
        share: mean share of the frames to replace, all codebooks of a frame of a track together.
        pattern: the token pattern of the ids.
        codebook_size: ids from here on are special and are not replaced.
        generator: source of all random numbers.
    Returns:
        The input [B, rows, L].
    """
    batch, device = len(input_ids), input_ids.device
    num_frames = pattern.num_frames(input_ids.shape[-1])
    rows, steps = pattern.index(num_frames, device)  # [tracks, K, T]
    true = input_ids[:, rows, steps]
    shape = (batch, pattern.num_tracks, 1, num_frames)
    rates = torch.rand(batch, 1, 1, 1, generator=generator, device=device) * 2 * share
    chosen = torch.rand(shape, generator=generator, device=device) < rates
    sampled = _sample(logits[:, rows, steps - 1, :codebook_size], generator)
    ids = input_ids.clone()
    ids[:, rows, steps] = torch.where(chosen & (true < codebook_size), sampled, true)
    return ids


def after_errors(input_ids: Tensor, true_ids: Tensor, pattern: CodebookPattern) -> Tensor:
    """Find the labels of codes in whose frame the decoder's input has a wrong coarser code.

    These labels do not follow from the input: a model that is trained on them learns to ignore the
    coarser codes that it has drawn itself.

    Args:
        input_ids: [B, rows, L], the decoder's input.
        true_ids: [B, rows, L], the same of the true codes.
        pattern: the token pattern of the ids.
    Returns:
        [B, L - 1, rows] bool.
    """
    rows, steps = pattern.index(pattern.num_frames(input_ids.shape[-1]), input_ids.device)
    wrong = (input_ids != true_ids)[:, rows, steps].cumsum(dim=2) > 0  # [B, tracks, K, T]
    mask = torch.zeros_like(input_ids[..., 1:].transpose(1, 2), dtype=torch.bool)
    mask[:, steps - 1, rows] = wrong.roll(1, dims=2).index_fill(2, steps.new_zeros(1), False)
    return mask


def _sample(logits: Tensor, generator: torch.Generator) -> Tensor:
    """Draw one code for each [..., V] by the inverse of the distribution function.

    One random number a code instead of one for each of its values takes a quarter of the time.
    """
    cumulative = logits.float().softmax(dim=-1).cumsum(dim=-1)
    shape = (*cumulative.shape[:-1], 1)
    drawn = torch.rand(shape, generator=generator, device=logits.device) * cumulative[..., -1:]
    codes = torch.searchsorted(cumulative, drawn, right=True)[..., 0]
    return codes.clamp(max=logits.shape[-1] - 1)


def hide_codes(
    visible: Tensor, share: float, num_codebooks: int, generator: torch.Generator
) -> Tensor:
    """Hide some of the visible codes, as they are some generation steps earlier.

    The rate of each song is uniform from 0 to twice ``share`` (at most 1). The finest codes of a
    frame are hidden first. Frames with all codes visible stay so: they are given, or padding.

    Args:
        visible: [B, N, T], number of visible codebooks of each frame.
        share: mean share of the visible codes to hide.
        num_codebooks: K.
        generator: source of all random numbers.
    Returns:
        [B, N, T].
    """
    device = visible.device
    rates = torch.rand(len(visible), 1, 1, 1, generator=generator, device=device) * 2 * share
    drawn = torch.rand(*visible.shape, num_codebooks, generator=generator, device=device)
    gone = drawn < rates
    gone &= torch.arange(num_codebooks, device=device) < visible[..., None]
    return torch.where(visible < num_codebooks, visible - gone.sum(dim=-1), visible)


def sample_visible_codes(
    codes: Tensor,
    visible: Tensor,
    earlier: Tensor,
    distribution: CodebookDistribution | CumulativeMixture,
    *,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Replace codes that became visible since an earlier step with samples from the model.

    Args:
        codes: [B, N, K, T], the true codes.
        visible: [B, N, T].
        earlier: [B, N, T], at most ``visible``; see :func:`hide_codes`.
        distribution: the model's distribution of the codes given those visible ``earlier``.
        generator: source of all random numbers.
    Returns:
        The codes [B, N, K, T], of which the hidden ones are true, and a mask [B, N, T] of frames
        with a wrong visible code. The true hidden codes of such a frame do not follow from its
        visible ones, so they must not be trained on.
    """
    drawn = distribution.propose(earlier, codes, generator=generator).codes
    mixed = torch.where(hidden_codes(visible, codes.shape[2]), codes, drawn)
    return mixed, (mixed != codes).any(dim=2)


__all__ = ["after_errors", "hide_codes", "sample_history", "sample_visible_codes"]

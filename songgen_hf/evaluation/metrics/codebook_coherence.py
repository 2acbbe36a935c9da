"""Codebook coherence: how much the second code of a frame depends on the first one.

Codebooks are residual: the codes of a frame belong together. The first code of some frames in the
decoder's input is replaced with a sample from the model; coherence is the divergence of the
distribution of the second code after the true first code from that after the sample. A model that
was trained on samples of its own with true labels ignores its first code, and draws the codes of a
frame that do not belong together.

Units: nats, 0 or more; 0 for a model that ignores the first code.
Source: Kullback-Leibler divergence of predictions; training on samples of the model is parallel
scheduled sampling (arXiv 1906.04331).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

PERIOD = 10
"""Of so many frames one is replaced, so that others are predicted from a past of true codes."""


def validate(inputs: Mapping[str, Any], num_codebooks: int) -> None:
    """Raise ValueError without the input of the decoder, or for frames of a single code."""
    if inputs.get("decoder_input_ids") is None:
        raise ValueError(f"got {', '.join(inputs) or 'nothing'}: expected decoder_input_ids")
    if num_codebooks < 2:
        raise ValueError(f"got {num_codebooks} codebook, expected 2 or more")


@torch.no_grad()
def codebook_coherence(
    model: Any, inputs: Mapping[str, Tensor], *, generator: torch.Generator
) -> np.ndarray:
    """Measure the coherence of each track that the model writes.

    Args:
        model: a SongGen model in evaluation mode.
        inputs: its inputs without labels, for songs with true codes: ``decoder_input_ids``
            [B, rows, L], and the conditions.
        generator: source of the sampled first codes.
    Returns:
        float64 [tracks], divergences in nats; NaN where no sample differs from the true code.
    Raises:
        ValueError: without ``decoder_input_ids``, or for a model of one codebook.
    """
    decoder = model.config.decoder
    validate(inputs, decoder.num_codebooks)
    ids = inputs["decoder_input_ids"]
    rows, steps = decoder.pattern.index(decoder.pattern.num_frames(ids.shape[-1]), ids.device)

    def log_probabilities() -> Iterable[Tensor]:
        """Those of the first and of the second code of each frame, [B, tracks, T, V] each."""
        logits = model(**{**inputs, "decoder_input_ids": ids}).logits
        logits = logits.unflatten(0, (len(ids), -1))[:, :, -ids.shape[-1] :]
        logits = logits[:, rows[:, :2], steps[:, :2] - 1, : decoder.codebook_size]
        return logits.float().log_softmax(dim=-1).unbind(dim=2)

    true = ids[:, rows[:, 0], steps[:, 0]]  # [B, tracks, T]
    first, after_true = log_probabilities()
    drawn = torch.multinomial(first.exp().flatten(0, 2), 1, generator=generator).view(true.shape)
    replaced = (ids[:, rows, steps] < decoder.codebook_size).all(dim=2) & (drawn != true)
    replaced &= torch.arange(true.shape[-1], device=ids.device) % PERIOD == PERIOD // 2
    ids = ids.clone()
    ids[:, rows[:, 0], steps[:, 0]] = torch.where(replaced, drawn, true)
    _, after_sample = log_probabilities()
    divergence = (after_true.exp() * (after_true - after_sample)).sum(dim=-1)
    tracks = [divergence[:, track][replaced[:, track]] for track in range(true.shape[1])]
    return np.array([float(track.double().mean()) for track in tracks])


__all__ = ["codebook_coherence", "validate"]

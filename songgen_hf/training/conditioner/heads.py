"""Heads that read facts from the conditioner's states, to be thrown away, and their loss."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...modeling.patterns import IGNORED_LABEL
from ..auxiliary.frame_labels import NUM_TEMPI
from .labels import TEMPO_COLUMN, Vocabulary
from .phoneme_labels import SOUNDS


class FactHeads(nn.Module):
    """Read facts from the conditioner's states.

    Args:
        hidden_size: H.
        vocabulary: what there is to tell apart.
        tempo: whether tempi are known.
    """

    def __init__(self, hidden_size: int, vocabulary: Vocabulary, *, tempo: bool):
        super().__init__()
        sizes = {name: len(values) for name, values in vocabulary.values.items()}
        num_phonemes = sizes.pop("phonemes", 0)
        if tempo:
            sizes[TEMPO_COLUMN] = NUM_TEMPI
        self.facts = nn.ModuleDict(
            {name: nn.Linear(hidden_size, size) for name, size in sizes.items()}
        )
        self.queries = nn.Parameter(torch.randn(len(sizes), hidden_size))
        self.sounds = nn.ModuleDict()
        if num_phonemes:
            self.sounds.update({name: nn.Linear(hidden_size, num_phonemes) for name in SOUNDS})

    def read_text(self, states: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Text states [B, L, H] -> logits [B, values] of each fact, each by its own attention."""
        scores = self.queries @ states.transpose(1, 2) / math.sqrt(states.shape[-1])  # [B, A, L]
        scores = scores.masked_fill(mask[:, None] == 0, torch.finfo(scores.dtype).min)
        pooled = scores.softmax(dim=-1) @ states  # [B, A, H]
        return {name: head(pooled[:, row]) for row, (name, head) in enumerate(self.facts.items())}

    def read_lyrics(self, states: Tensor) -> dict[str, Tensor]:
        """Lyrics states [B, P, H] -> logits [B, P, phonemes] of each of ``SOUNDS``."""
        return {name: head(states) for name, head in self.sounds.items()}


def cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor | None = None) -> Tensor:
    """Weighted mean over known targets, zero if there is none.

    Args:
        logits: [..., values].
        targets: [...], -100 if unknown.
        weights: [...]; all ones by default.
    """
    known = (targets != IGNORED_LABEL).to(logits.dtype)
    weights = known if weights is None else known * weights
    each = F.cross_entropy(
        logits.flatten(0, -2), targets.flatten(), ignore_index=IGNORED_LABEL, reduction="none"
    )
    return (each * weights.flatten()).sum() / weights.sum().clamp(min=1e-6)


__all__ = ["FactHeads", "cross_entropy"]

"""Heads that predict attributes and phonemes from the conditioner's states, and their loss."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...modeling.patterns import IGNORED_LABEL
from ..auxiliary.frame_labels import NUM_TEMPI
from .labels import TEMPO_COLUMN, Vocabulary
from .phoneme_labels import PHONEME_LABELS


class AttributeHeads(nn.Module):
    """Heads that are trained with the conditioner and discarded afterwards.

    Args:
        hidden_size: H.
        vocabulary: the classes to predict.
        tempo: predict the tempo, too.
    """

    def __init__(self, hidden_size: int, vocabulary: Vocabulary, *, tempo: bool):
        super().__init__()
        sizes = {name: len(values) for name, values in vocabulary.values.items()}
        num_phonemes = sizes.pop("phonemes", 0)
        if tempo:
            sizes[TEMPO_COLUMN] = NUM_TEMPI
        self.attributes = nn.ModuleDict(
            {name: nn.Linear(hidden_size, size) for name, size in sizes.items()}
        )
        self.queries = nn.Parameter(torch.randn(len(sizes), hidden_size))
        self.phonemes = nn.ModuleDict()
        if num_phonemes:
            heads = {name: nn.Linear(hidden_size, num_phonemes) for name in PHONEME_LABELS}
            self.phonemes.update(heads)

    def read_text(self, states: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Logits [B, classes] of each attribute from text states [B, L, H], by one query each."""
        scores = self.queries @ states.transpose(1, 2) / math.sqrt(states.shape[-1])  # [B, A, L]
        scores = scores.masked_fill(mask[:, None] == 0, torch.finfo(scores.dtype).min)
        pooled = scores.softmax(dim=-1) @ states  # [B, A, H]
        heads = self.attributes.items()
        return {name: head(pooled[:, row]) for row, (name, head) in enumerate(heads)}

    def read_lyrics(self, states: Tensor) -> dict[str, Tensor]:
        """Logits [B, P, phonemes] of each of ``PHONEME_LABELS`` from lyrics states [B, P, H]."""
        return {name: head(states) for name, head in self.phonemes.items()}


def cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """The weighted mean over known labels, zero if there are none.

    Args:
        logits: [..., classes].
        labels: [...], -100 where the label is unknown.
        weights: [...]; ones by default.
    """
    known = (labels != IGNORED_LABEL).to(logits.dtype)
    weights = known if weights is None else known * weights
    losses = F.cross_entropy(
        logits.flatten(0, -2), labels.flatten(), ignore_index=IGNORED_LABEL, reduction="none"
    )
    return (losses * weights.flatten()).sum() / weights.sum().clamp(min=1e-6)


__all__ = ["AttributeHeads", "cross_entropy"]

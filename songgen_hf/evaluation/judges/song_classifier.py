"""Classification of songs by gender, lead instrument family and voice.

Convolutions over log mels with 25 frames a second are shared. Each task pools the frames with
weights of its own, since the lead instrument is audible where nobody sings, and the voice where
somebody does.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedConfig

from ...data.corpus.instruments import FAMILIES
from ...data.listening.log_mels import NUM_MELS
from ...modeling.config_checks import CheckedConfigMixin
from ...modeling.listening.network import AudioNetwork, ResidualConvolution

GENDERS = ("female", "male")
LEAD_FAMILIES = tuple(family for family in FAMILIES if family != "bass")  # a bass never leads
_VOICE_LOGIT_SCALE = 16.0  # of a cosine: sharp enough for a dozen voices, and bounded


class SongClassifierConfig(CheckedConfigMixin, PreTrainedConfig):
    """Configuration of :class:`SongClassifier`.

    Args:
        voices: ids of the voices in the training songs.
        hidden_size: channels of every layer.
        dilations: dilation of each residual convolution.
        embedding_size: size of a voice embedding.
        genders: classes of the gender.
        lead_families: classes of the lead instrument.
    """

    model_type = "songgen_song_classifier"

    voices: list[str] | tuple[str, ...] = ()
    hidden_size: int = 160
    dilations: list[int] | tuple[int, ...] = (1, 1, 2, 1, 2, 4)
    embedding_size: int = 64
    genders: list[str] | tuple[str, ...] = GENDERS
    lead_families: list[str] | tuple[str, ...] = LEAD_FAMILIES

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        for name in ("voices", "dilations", "genders", "lead_families"):
            setattr(self, name, tuple(getattr(self, name)))


class SongClassification(NamedTuple):
    """Logits [B, classes] of each task, and voice embeddings [B, E] of length 1."""

    gender: Tensor
    lead_family: Tensor
    voice: Tensor
    voice_embedding: Tensor


class WeightedStatistics(nn.Module):
    """Mean and standard deviation over time, with weights that the network computes.

    Args:
        size: channels.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.score = nn.Sequential(nn.Conv1d(size, 64, 1), nn.Tanh(), nn.Conv1d(64, size, 1))

    def forward(self, hidden: Tensor) -> Tensor:
        """[B, D, T] -> [B, 2 D]."""
        weights = self.score(hidden).float().softmax(dim=-1)
        hidden = hidden.float()
        mean = (weights * hidden).sum(dim=-1)
        variance = (weights * hidden.square()).sum(dim=-1) - mean.square()
        return torch.cat([mean, variance.clamp(min=1e-5).sqrt()], dim=-1)


class SongClassifier(AudioNetwork):
    """Predicts gender, lead instrument family and voice from log mels.

    Args:
        config: sizes and classes.
    """

    config_class = SongClassifierConfig

    def __init__(self, config: SongClassifierConfig) -> None:
        super().__init__(config)
        size = config.hidden_size
        self.entry = nn.Sequential(
            nn.BatchNorm1d(NUM_MELS),
            nn.Conv1d(NUM_MELS, size, 5, padding=2, stride=2, bias=False),
            nn.BatchNorm1d(size),
            nn.ReLU(),
            nn.Conv1d(size, size, 5, padding=2, stride=2, bias=False),
            nn.BatchNorm1d(size),
            nn.ReLU(),
        )
        self.body = nn.Sequential(
            *(ResidualConvolution(size, dilation) for dilation in config.dilations)
        )
        self.gender_pool, self.lead_pool, self.voice_pool = (
            WeightedStatistics(size) for _ in range(3)
        )
        self.gender_head = nn.Linear(2 * size, len(config.genders))
        self.lead_head = nn.Linear(2 * size, len(config.lead_families))
        self.voice_head = nn.Linear(2 * size, config.embedding_size)
        self.voice_directions = nn.Parameter(torch.randn(len(config.voices), config.embedding_size))
        self.post_init()

    def forward(self, mels: Tensor) -> SongClassification:
        """Classify songs of one length, [B, mels, M]."""
        hidden = self.body(self.entry(mels))  # [B, D, T]
        embedding = F.normalize(self.voice_head(self.voice_pool(hidden)).float(), dim=-1)
        directions = F.normalize(self.voice_directions, dim=-1)
        return SongClassification(
            self.gender_head(self.gender_pool(hidden)),
            self.lead_head(self.lead_pool(hidden)),
            _VOICE_LOGIT_SCALE * embedding @ directions.T,
            embedding,
        )

    @torch.no_grad()
    def classify(self, mels: Tensor) -> SongClassification:
        """Classify one song [mels, M]; the tensors have no batch dimension."""
        return SongClassification(*(output[0] for output in self(mels[None])))


__all__ = [
    "GENDERS",
    "LEAD_FAMILIES",
    "SongClassification",
    "SongClassifier",
    "SongClassifierConfig",
    "WeightedStatistics",
]

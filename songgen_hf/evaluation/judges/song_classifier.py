"""A network that hears who sings and what leads: gender, instrument family, voice.

One trunk of convolutions over log mels at 25 frames a second; each question has its own weighting
of the frames, since the lead is heard where nobody sings and the singer where somebody does.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...data.corpus.instruments import FAMILIES
from .log_mels import NUM_MELS
from .network_files import load_weights, read_config, save_network
from .phoneme_recognizer import ResidualConvolution

GENDERS = ("female", "male")
LEAD_FAMILIES = tuple(family for family in FAMILIES if family != "bass")  # a bass never leads


@dataclass(frozen=True)
class SongClassifierConfig:
    """Sizes and classes.

    Args:
        hidden_size: channels of every layer.
        dilations: of the residual convolutions, one each; kernel 5.
        embedding_size: of a voice.
        genders: classes.
        lead_families: classes.
        voices: the singers trained on.
    """

    voices: tuple[str, ...]
    hidden_size: int = 160
    dilations: tuple[int, ...] = (1, 1, 2, 1, 2, 4)
    embedding_size: int = 64
    genders: tuple[str, ...] = GENDERS
    lead_families: tuple[str, ...] = LEAD_FAMILIES


class SongJudgment(NamedTuple):
    """Logits [B, classes] of gender, lead family and voice, and the voice embedding [B, E] of
    length 1.
    """

    gender: Tensor
    lead_family: Tensor
    voice: Tensor
    voice_embedding: Tensor


class WeightedStatistics(nn.Module):
    """Mean and deviation over time under weights that the network sets itself.

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


class SongClassifier(nn.Module):
    """Log mels -> answers to three questions.

    Args:
        config: sizes and classes.
    """

    def __init__(self, config: SongClassifierConfig) -> None:
        super().__init__()
        self.config = config
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

    def forward(self, mels: Tensor) -> SongJudgment:
        """Judge songs of one length: [B, mels, M]."""
        hidden = self.body(self.entry(mels))  # [B, D, T]
        embedding = F.normalize(self.voice_head(self.voice_pool(hidden)).float(), dim=-1)
        # A cosine of 1 is 16 in logits: sharp enough for a dozen voices, and bounded.
        voice = 16.0 * embedding @ F.normalize(self.voice_directions, dim=-1).T
        return SongJudgment(
            self.gender_head(self.gender_pool(hidden)),
            self.lead_head(self.lead_pool(hidden)),
            voice,
            embedding,
        )

    @torch.no_grad()
    def judge(self, mels: Tensor) -> SongJudgment:
        """Judge one song [mels, M]; the answers without a batch dimension."""
        return SongJudgment(*(answer[0] for answer in self(mels[None])))

    def save(self, directory: Path | str) -> None:
        """Write sizes and weights."""
        save_network(self, self.config, directory)

    @classmethod
    def load(cls, directory: Path | str) -> SongClassifier:
        """Read what :meth:`save` wrote; in evaluation mode.

        Raises:
            FileNotFoundError, ValueError: if the folder holds no such network.
        """
        network = cls(read_config(directory, SongClassifierConfig))
        load_weights(network, directory)
        return network


__all__ = [
    "GENDERS",
    "LEAD_FAMILIES",
    "SongClassifier",
    "SongClassifierConfig",
    "SongJudgment",
    "WeightedStatistics",
]

"""A network that hears which phonemes are sung: convolutions over log mels, trained with CTC.

It sees 0.6 s to either side of a frame: enough for a sound and its neighbors, too little to learn
the words of the corpus by heart and to hear them where they are not. A second output names the
phoneme of each frame; it is used in training alone, where it shows the first output where to look.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .log_mels import NUM_MELS
from .network_files import load_weights, read_config, save_network
from .phonemes import PHONEMES

BLANK = 0  # of CTC, and silence in the frames' own output; phoneme i of the list is class i + 1


@dataclass(frozen=True)
class PhonemeRecognizerConfig:
    """Sizes.

    Args:
        hidden_size: channels of every layer.
        dilations: of the residual convolutions, one each; kernel 5.
        phonemes: the classes, without the blank.
    """

    hidden_size: int = 160
    dilations: tuple[int, ...] = (1, 1, 2, 1, 2, 4, 1, 2)
    phonemes: tuple[str, ...] = PHONEMES


class ResidualConvolution(nn.Module):
    """``x + relu(norm(conv(x)))`` over [B, D, T]; kernel 5, any length kept.

    Args:
        size: D.
        dilation: of the kernel.
    """

    def __init__(self, size: int, dilation: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(
            size, size, 5, padding=2 * dilation, dilation=dilation, bias=False
        )
        self.norm = nn.BatchNorm1d(size)

    def forward(self, hidden: Tensor) -> Tensor:
        """[B, D, T] -> [B, D, T]."""
        return hidden + F.relu(self.norm(self.convolution(hidden)))


class PhonemeRecognizer(nn.Module):
    """Log mels at 100 frames a second -> phoneme classes at 50.

    Args:
        config: sizes.
    """

    def __init__(self, config: PhonemeRecognizerConfig) -> None:
        super().__init__()
        self.config = config
        size, classes = config.hidden_size, len(config.phonemes) + 1
        self.entry = nn.Sequential(
            nn.BatchNorm1d(NUM_MELS),
            nn.Conv1d(NUM_MELS, size, 5, padding=2, stride=2, bias=False),
            nn.BatchNorm1d(size),
            nn.ReLU(),
        )
        self.body = nn.Sequential(
            *(ResidualConvolution(size, dilation) for dilation in config.dilations)
        )
        self.sequence_head = nn.Conv1d(size, classes, 1)
        self.frame_head = nn.Conv1d(size, classes, 1)

    def forward(self, mels: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the sequence (CTC) and of the single frames.

        Args:
            mels: [B, mels, M], see ``log_mels.py``.
        Returns:
            Twice [B, ceil(M / 2), 1 + phonemes].
        """
        hidden = self.body(self.entry(mels))
        return (
            self.sequence_head(hidden).transpose(1, 2),
            self.frame_head(hidden).transpose(1, 2),
        )

    @torch.no_grad()
    def recognize(self, mels: Tensor) -> list[str]:
        """The phonemes of one song, greedily decoded.

        Args:
            mels: [mels, M].
        """
        best = self(mels[None])[0][0].argmax(dim=-1).tolist()
        return [self.config.phonemes[index - 1] for index in collapse(best)]

    def save(self, directory: Path | str) -> None:
        """Write sizes and weights."""
        save_network(self, self.config, directory)

    @classmethod
    def load(cls, directory: Path | str) -> PhonemeRecognizer:
        """Read what :meth:`save` wrote; in evaluation mode.

        Raises:
            FileNotFoundError, ValueError: if the folder holds no such network.
        """
        network = cls(read_config(directory, PhonemeRecognizerConfig))
        load_weights(network, directory)
        return network


def collapse(classes: list[int]) -> list[int]:
    """CTC's reading of the classes of frames: repeats are one, then blanks are none."""
    firsts = [now for now, before in zip(classes, [BLANK, *classes], strict=False) if now != before]
    return [index for index in firsts if index != BLANK]


__all__ = [
    "BLANK",
    "PhonemeRecognizer",
    "PhonemeRecognizerConfig",
    "ResidualConvolution",
    "collapse",
]

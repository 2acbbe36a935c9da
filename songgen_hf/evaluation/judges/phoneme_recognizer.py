"""Phoneme recognition: dilated convolutions over log mels, trained with CTC.

The receptive field is 0.6 s to either side of a frame: enough for a phoneme and its neighbors, too
little to learn whole words of the corpus and to recognize them where they are not. A second output
predicts the phoneme of each frame; only training uses it, where it aligns the first output.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig

from ...modeling.config_checks import CheckedConfigMixin
from .log_mels import NUM_MELS
from .network import JudgeNetwork, ResidualConvolution
from .phonemes import PHONEMES

BLANK = 0  # of CTC, and silence for the frame output; phoneme i of the config is class i + 1


class PhonemeRecognizerConfig(CheckedConfigMixin, PreTrainedConfig):
    """Configuration of :class:`PhonemeRecognizer`.

    Args:
        hidden_size: channels of every layer.
        dilations: dilation of each residual convolution.
        phonemes: classes without the blank.
    """

    model_type = "songgen_phoneme_recognizer"

    hidden_size: int = 160
    dilations: list[int] | tuple[int, ...] = (1, 1, 2, 1, 2, 4, 1, 2)
    phonemes: list[str] | tuple[str, ...] = PHONEMES

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        self.dilations, self.phonemes = tuple(self.dilations), tuple(self.phonemes)


class PhonemeRecognizer(JudgeNetwork):
    """Predicts phoneme classes 50 times a second from log mels with 100 frames a second.

    Args:
        config: sizes and classes.
    """

    config_class = PhonemeRecognizerConfig

    def __init__(self, config: PhonemeRecognizerConfig) -> None:
        super().__init__(config)
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
        self.post_init()

    def forward(self, mels: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the logits of the sequence (CTC) and of the single frames.

        Args:
            mels: [B, mels, M], see ``log_mels.py``.
        Returns:
            Two tensors [B, ceil(M / 2), 1 + phonemes].
        """
        hidden = self.body(self.entry(mels))
        return (
            self.sequence_head(hidden).transpose(1, 2),
            self.frame_head(hidden).transpose(1, 2),
        )

    @torch.no_grad()
    def recognize(self, mels: Tensor) -> list[str]:
        """Decode the phonemes of one song greedily.

        Args:
            mels: [mels, M].
        """
        best = self(mels[None])[0][0].argmax(dim=-1).tolist()
        return [self.config.phonemes[index - 1] for index in collapse(best)]


def collapse(classes: list[int]) -> list[int]:
    """Merge repeated classes of neighboring frames, then remove the blanks (CTC decoding)."""
    firsts = [now for now, before in zip(classes, [BLANK, *classes], strict=False) if now != before]
    return [index for index in firsts if index != BLANK]


__all__ = ["BLANK", "PhonemeRecognizer", "PhonemeRecognizerConfig", "collapse"]

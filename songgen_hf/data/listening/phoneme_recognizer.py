"""Phoneme recognition: two networks over log mels, trained with CTC.

The first has dilated convolutions over time. Its receptive field is 0.6 s to either side of a
frame: enough for a phoneme and its neighbors, too little to learn whole words of the corpus and to
recognize them where they are not. The second has convolutions over time and frequency and a
receptive field of 0.2 s to either side. Trained with another seed on other songs, it tells whether
the words of a model are clear or merely suit the first.

Another output of both predicts the phoneme of each frame; only training uses it, where it aligns
the first output.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig

from ...modeling.config_checks import CheckedConfigMixin
from ...modeling.listening.network import AudioNetwork, ResidualConvolution
from .log_mels import NUM_MELS
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


class SpectrogramRecognizerConfig(CheckedConfigMixin, PreTrainedConfig):
    """Configuration of :class:`SpectrogramRecognizer`.

    Args:
        channels: channels of the convolutions over time and frequency, each of which halves the
            number of mels; the first halves the number of frames, too.
        hidden_size: channels of the layers over time.
        phonemes: classes without the blank.
    """

    model_type = "songgen_spectrogram_recognizer"

    channels: list[int] | tuple[int, ...] = (24, 48, 64)
    hidden_size: int = 192
    phonemes: list[str] | tuple[str, ...] = PHONEMES

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        self.channels, self.phonemes = tuple(self.channels), tuple(self.phonemes)


class Recognizer(AudioNetwork, ABC):
    """Predicts phoneme classes 50 times a second from log mels with 100 frames a second.

    Subclasses set the layers of :meth:`encode`, then call :meth:`add_heads`.
    """

    def add_heads(self) -> None:
        """Set the outputs over what :meth:`encode` returns."""
        size, classes = self.config.hidden_size, len(self.config.phonemes) + 1
        self.sequence_head = nn.Conv1d(size, classes, 1)
        self.frame_head = nn.Conv1d(size, classes, 1)
        self.post_init()

    @abstractmethod
    def encode(self, mels: Tensor) -> Tensor:
        """[B, mels, M] -> [B, hidden_size, ceil(M / 2)]."""

    def forward(self, mels: Tensor) -> tuple[Tensor, Tensor]:
        """Compute the logits of the sequence (CTC) and of the single frames.

        Args:
            mels: [B, mels, M], see ``log_mels.py``.
        Returns:
            Two tensors [B, ceil(M / 2), 1 + phonemes].
        """
        hidden = self.encode(mels)
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


class PhonemeRecognizer(Recognizer):
    """The recognizer with dilated convolutions.

    Args:
        config: sizes and classes.
    """

    config_class = PhonemeRecognizerConfig

    def __init__(self, config: PhonemeRecognizerConfig) -> None:
        super().__init__(config)
        size = config.hidden_size
        self.entry = nn.Sequential(
            nn.BatchNorm1d(NUM_MELS),
            nn.Conv1d(NUM_MELS, size, 5, padding=2, stride=2, bias=False),
            nn.BatchNorm1d(size),
            nn.ReLU(),
        )
        self.body = nn.Sequential(
            *(ResidualConvolution(size, dilation) for dilation in config.dilations)
        )
        self.add_heads()

    def encode(self, mels: Tensor) -> Tensor:
        """[B, mels, M] -> [B, hidden_size, ceil(M / 2)]."""
        return self.body(self.entry(mels))


class SpectrogramRecognizer(Recognizer):
    """The recognizer with convolutions over time and frequency.

    Args:
        config: sizes and classes.
    """

    config_class = SpectrogramRecognizerConfig

    def __init__(self, config: SpectrogramRecognizerConfig) -> None:
        super().__init__(config)
        layers: list[nn.Module] = [nn.BatchNorm2d(1)]
        mels, before = NUM_MELS, 1
        for place, channels in enumerate(config.channels):
            stride = (2, 1 if place else 2)
            layers += [
                nn.Conv2d(before, channels, 3, padding=1, stride=stride, bias=False),
                nn.BatchNorm2d(channels),
                nn.GELU(),
            ]
            mels, before = math.ceil(mels / 2), channels
        size = config.hidden_size
        self.spectrogram = nn.Sequential(*layers)
        self.time = nn.Sequential(
            nn.Conv1d(before * mels, size, 1, bias=False),
            nn.BatchNorm1d(size),
            nn.GELU(),
            *(ResidualConvolution(size, 1) for _ in range(3)),
        )
        self.add_heads()

    def encode(self, mels: Tensor) -> Tensor:
        """[B, mels, M] -> [B, hidden_size, ceil(M / 2)]."""
        return self.time(self.spectrogram(mels[:, None]).flatten(1, 2))


def collapse(classes: list[int]) -> list[int]:
    """Merge repeated classes of neighboring frames, then remove the blanks (CTC decoding)."""
    firsts = [now for now, before in zip(classes, [BLANK, *classes], strict=False) if now != before]
    return [index for index in firsts if index != BLANK]


__all__ = [
    "BLANK",
    "PhonemeRecognizer",
    "PhonemeRecognizerConfig",
    "Recognizer",
    "SpectrogramRecognizer",
    "SpectrogramRecognizerConfig",
    "collapse",
]

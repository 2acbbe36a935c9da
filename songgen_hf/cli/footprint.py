"""What a model takes of memory: its weights, and the keys and values of the songs being sung.

Everything is computed from the configuration; no weight is read.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ..modeling.configuration_songgen import SongGenConfig
from ..modeling.modeling_songgen import SongGenForConditionalGeneration

DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Footprint:
    """Sizes of a song model.

    Args:
        config: of the model.
        parameters: weights of each part.
        numbers: floating-point numbers that it holds, buffers included.
        other_bytes: what it holds of other kinds, whose size no precision changes.
    """

    config: SongGenConfig
    parameters: dict[str, int]
    numbers: int
    other_bytes: int

    @property
    def num_parameters(self) -> int:
        """Weights of all parts."""
        return sum(self.parameters.values())

    def weight_bytes(self, dtype: str = "float32") -> int:
        """Bytes of the loaded model in one of ``DTYPES``."""
        return self.numbers * _item_size(dtype) + self.other_bytes

    def cache_bytes(
        self,
        seconds: float,
        *,
        songs: int = 1,
        guidance: bool = False,
        conditions: int = 0,
        dtype: str = "float32",
    ) -> int:
        """Bytes of keys and values once a song is sung.

        Args:
            seconds: of the song, a prompt included.
            songs: sung together.
            guidance: with guidance a song is sung twice, with and without its conditions.
            conditions: states of text, lyrics and voice that the song is sung from.
            dtype: one of ``DTYPES``.
        """
        decoder: Any = self.config.decoder
        frames = max(1, round(seconds * self.config.frame_rate))
        steps = decoder.pattern.num_steps(frames) - 1  # the last one is not fed back
        positions = steps * decoder.num_key_value_heads
        positions += conditions * decoder.num_cross_attention_key_value_heads
        each = 2 * decoder.num_hidden_layers * decoder.head_dim * _item_size(dtype)
        return positions * each * songs * (2 if guidance else 1)


def footprint(config: SongGenConfig) -> Footprint:
    """The sizes of a model with this configuration."""
    with torch.device("meta"):
        model = SongGenForConditionalGeneration(config)
    held = {id(tensor): tensor for tensor in [*model.parameters(), *model.buffers()]}.values()
    numbers = sum(tensor.numel() for tensor in held if tensor.is_floating_point())
    others = sum(tensor.nbytes for tensor in held if not tensor.is_floating_point())
    parts = {name: _count(part) for name, part in model.named_children()}
    return Footprint(config, parts, numbers, others)


def _count(module: nn.Module) -> int:
    """Parameters of a module."""
    return sum(parameter.numel() for parameter in module.parameters())


def _item_size(dtype: str) -> int:
    """Bytes of one number."""
    if dtype not in DTYPES:
        raise ValueError(f"unknown dtype: got {dtype!r}, expected one of {', '.join(DTYPES)}")
    return getattr(torch, dtype).itemsize


__all__ = ["DTYPES", "Footprint", "footprint"]

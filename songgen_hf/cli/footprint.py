"""The memory that a song model takes, computed from its configuration without allocating any.

The library counts the weights; what it does not know are the keys and values of generated songs.
"""

from typing import Any

import torch

from ..modeling.configuration_songgen import SongGenConfig
from ..modeling.modeling_songgen import SongGenForConditionalGeneration

DTYPES = ("float32", "bfloat16", "float16")


def empty_model(config: SongGenConfig) -> SongGenForConditionalGeneration:
    """A model of this configuration on the meta device."""
    with torch.device("meta"):
        return SongGenForConditionalGeneration(config)


def count_parameters(model: SongGenForConditionalGeneration) -> dict[str, int]:
    """The number of weights in all, and of each part of a model."""
    parts = {
        name: sum(weight.numel() for weight in part.parameters())
        for name, part in model.named_children()
    }
    return {"total": sum(parts.values()), **parts}


def weight_bytes(model: SongGenForConditionalGeneration, dtype: str = "float32") -> int:
    """The bytes of a model that is loaded in one of ``DTYPES``; an empty model is converted."""
    converted: Any = model.to(_dtype(dtype))
    return converted.get_memory_footprint()


def cache_bytes(
    config: SongGenConfig,
    seconds: float,
    *,
    songs: int = 1,
    guidance: bool = False,
    conditions: int = 0,
    dtype: str = "float32",
    on_cpu: bool = False,
) -> int:
    """The bytes of the keys and values at the end of generation.

    Args:
        config: configuration of the model.
        seconds: length of the song, the prompt included.
        songs: songs that are generated together.
        guidance: whether every song is computed twice, with and without its conditions.
        conditions: number of states of text, lyrics and voice that the song is conditioned on.
        dtype: one of ``DTYPES``.
        on_cpu: whether a CPU generates, which keeps half precision in float32.
    """
    decoder: Any = config.decoder
    frames = max(1, round(seconds * config.frame_rate))
    steps = decoder.pattern.num_steps(frames) - 1  # the last one is not fed back
    positions = steps * decoder.num_key_value_heads
    positions += conditions * decoder.num_cross_attention_key_value_heads
    size = _dtype("float32" if on_cpu else dtype).itemsize
    each = 2 * decoder.num_hidden_layers * decoder.head_dim * size
    return positions * each * songs * (2 if guidance else 1)


def _dtype(name: str) -> torch.dtype:
    if name not in DTYPES:
        raise ValueError(f"unknown dtype: got {name!r}, expected one of {', '.join(DTYPES)}")
    return getattr(torch, name)

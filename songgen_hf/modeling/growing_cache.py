"""Keys and values of a song that grow in place while it is generated.

The dynamic cache of transformers concatenates, so every step copies all steps before it. Here a new
step is written behind the others, into a buffer with spare room.
"""

from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

MIN_ROOM = 64
"""Positions of the smallest buffer."""


class GrowingLayer(DynamicLayer):
    """Keys and values [B, heads, L, D] of one layer, views of the used part of their buffers.

    A full buffer is replaced by one that is a quarter larger, but not longer than a song can be, so
    that a song of the greatest length needs no spare room. If somebody else replaces the keys, as
    selecting or cropping songs does, the next step begins new buffers with them.

    Args:
        longest: number of positions of the longest song; None if it is not known.
    """

    keys: Any
    values: Any

    def __init__(self, longest: int | None = None) -> None:
        super().__init__()
        self.longest = longest
        self._buffers: tuple[Tensor, Tensor] | None = None
        self._used: tuple[Tensor | None, Tensor | None] = (None, None)

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Append states [B, heads, L, D] and return all states so far."""
        if torch.is_grad_enabled() or torch.compiler.is_compiling():
            # Gradients need what earlier steps read, and the compiler has no use for buffers.
            return super().update(key_states, value_states, *args, **kwargs)
        past, new = self.get_seq_length(), key_states.shape[-2]
        is_own = self.keys is self._used[0] and self.values is self._used[1]
        if (
            self._buffers is None
            or not is_own
            or past + new > self._buffers[0].shape[-2]
            or self._buffers[0].is_inference() != torch.is_inference_mode_enabled()
        ):
            if not self.is_initialized:
                self.lazy_initialization(key_states, value_states)
            self._make_room(past, new, key_states, value_states)
        assert self._buffers is not None
        for buffer, states in zip(self._buffers, (key_states, value_states), strict=True):
            buffer.narrow(-2, past, new).copy_(states)
        self.keys, self.values = (buffer.narrow(-2, 0, past + new) for buffer in self._buffers)
        self._used = self.keys, self.values
        return self.keys, self.values

    def _make_room(self, past: int, new: int, *states: Tensor) -> None:
        """Copy the keys and values to larger buffers, one after the other."""
        length = past + new
        size = max(length + length // 4, MIN_ROOM)
        if self.longest is not None and length <= self.longest:
            size = min(size, self.longest)
        kept, buffers = [self.keys, self.values], []
        self.keys = self.values = self._buffers = None
        self._used = (None, None)
        for given in states:
            old = kept.pop(0)
            buffer = given.new_empty(*given.shape[:-2], size, given.shape[-1])
            if past:
                buffer.narrow(-2, 0, past).copy_(old)
            buffers.append(buffer)
        self._buffers = buffers[0], buffers[1]


def grow_in_place(cache: Cache | None, longest: int | None = None) -> None:
    """Let the self-attention of a new cache grow in place.

    Caches of other kinds, and dynamic ones that hold something, stay as they are.

    Args:
        cache: an ``EncoderDecoderCache``, or None.
        longest: number of positions of the longest song.
    """
    own = getattr(cache, "self_attention_cache", None)
    if type(own) is DynamicCache and not own.offloading:
        own.layers = [
            layer
            if type(layer) is not DynamicLayer or layer.is_initialized
            else GrowingLayer(longest)
            for layer in own.layers
        ]


__all__ = ["MIN_ROOM", "GrowingLayer", "grow_in_place"]

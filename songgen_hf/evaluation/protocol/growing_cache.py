"""A cache of keys and values that grows in larger steps, for batches of many songs.

The dynamic cache of transformers copies its whole content at every step. With 50 songs of 10 s from
the mini model that took more than half of the time: 1.23 s of CPU per song, against 0.47 s here.
"""

from typing import Any

from torch import Tensor
from transformers import DynamicCache, EncoderDecoderCache
from transformers.cache_utils import DynamicLayer

MIN_CAPACITY = 64  # positions


class GrowingLayer(DynamicLayer):
    """Appends new positions in place; a full buffer is replaced by one that is a quarter larger.

    ``keys`` and ``values`` are views of the used part, as the base class expects.
    """

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Create empty buffers with the shape of the first states."""
        self.dtype, self.device = key_states.dtype, key_states.device
        self.buffers = [key_states[:, :, :0], value_states[:, :, :0]]
        self.keys, self.values = self.buffers
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Append states [B, heads, L, D] and return all states so far."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        used = self.keys.shape[-2]
        length = used + key_states.shape[-2]
        # The base class replaces the states when songs leave the batch or change places in it.
        replaced = self.keys.data_ptr() != self.buffers[0].data_ptr()
        if replaced or length > self.buffers[0].shape[-2]:
            size = max(length + length // 4, MIN_CAPACITY)
            self.buffers = [self._enlarged(old, size) for old in (self.keys, self.values)]
        for buffer, states in zip(self.buffers, (key_states, value_states), strict=True):
            buffer[:, :, used:length] = states
        self.keys, self.values = (buffer[:, :, :length] for buffer in self.buffers)
        return self.keys, self.values

    @staticmethod
    def _enlarged(old: Tensor, size: int) -> Tensor:
        buffer = old.new_empty(*old.shape[:2], size, old.shape[-1])
        buffer[:, :, : old.shape[-2]] = old
        return buffer


def growing_cache() -> EncoderDecoderCache:
    """Return an empty cache for one call of ``generate(past_key_values=...)``."""
    decoder_cache = DynamicCache()
    decoder_cache.layer_class_to_replicate = GrowingLayer
    return EncoderDecoderCache(decoder_cache, DynamicCache())


__all__ = ["GrowingLayer", "growing_cache"]

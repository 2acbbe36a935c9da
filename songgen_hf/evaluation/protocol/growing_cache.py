"""A cache of keys and values with room to grow, for songs that are sung many at a time.

The library's dynamic cache copies everything it holds at every step. For 50 songs of 10 s of the
mini model that was more than half of the time: 1.23 s of CPU a song, 0.47 s with this one.
"""

from typing import Any

from torch import Tensor
from transformers import DynamicCache, EncoderDecoderCache
from transformers.cache_utils import DynamicLayer

LEAST_ROOM = 64  # positions


class GrowingLayer(DynamicLayer):
    """Writes new positions behind the old ones; when the room is used up, makes a quarter more.

    ``keys`` and ``values`` are views of what is used, so that all else is the library's.
    """

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Start empty, in the shape of the first states."""
        self.dtype, self.device = key_states.dtype, key_states.device
        self.room = [key_states[:, :, :0], value_states[:, :, :0]]
        self.keys, self.values = self.room
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Add states [B, heads, L, D]; return all of them so far."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        used = self.keys.shape[-2]
        length = used + key_states.shape[-2]
        if length > self.room[0].shape[-2]:
            size = max(length + length // 4, LEAST_ROOM)
            self.room = [self._larger(old, size) for old in (self.keys, self.values)]
        for room, states in zip(self.room, (key_states, value_states), strict=True):
            room[:, :, used:length] = states
        self.keys, self.values = (room[:, :, :length] for room in self.room)
        return self.keys, self.values

    @staticmethod
    def _larger(old: Tensor, size: int) -> Tensor:
        room = old.new_empty(*old.shape[:2], size, old.shape[-1])
        room[:, :, : old.shape[-2]] = old
        return room


def growing_cache() -> EncoderDecoderCache:
    """An empty cache for one call of ``generate(past_key_values=...)``."""
    song = DynamicCache()
    song.layer_class_to_replicate = GrowingLayer
    return EncoderDecoderCache(song, DynamicCache())


__all__ = ["GrowingLayer", "growing_cache"]

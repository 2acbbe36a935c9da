"""Keys and values of a song that grow in place while it is generated.

The dynamic cache of transformers concatenates, so every step copies all steps before it. Here a new
step is written behind the others, into a buffer with spare room. Its static cache, which compiled
steps need, has the length of the longest song from the first step on, and every step reads all of
it. Here it is enlarged between the steps of a song, and the compiler is told that its length
varies.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers.cache_utils import (
    Cache,
    DynamicLayer,
    EncoderDecoderCache,
    StaticLayer,
)

MIN_ROOM = 64
"""Positions of the smallest buffer."""


class GrowingLayer(DynamicLayer):
    """Keys and values [B, heads, L, D] of one layer, views of the used part of their buffers.

    A full buffer is replaced by one that is a quarter larger, but not longer than a song can be, so
    that a song of the greatest length needs no spare room. If somebody else replaces the keys, as
    selecting or cropping songs does, the next step begins new buffers with them.

    On a CPU the buffers of half precision are float32: the attention of a step computes in float32
    (:func:`.few_rows.attend_one_step`), and would convert all steps at every step.

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
            shape = *given.shape[:-2], size, given.shape[-1]
            buffer = given.new_empty(shape, dtype=_buffer_dtype(given))
            if past:
                buffer.narrow(-2, 0, past).copy_(old)
            buffers.append(buffer)
        self._buffers = buffers[0], buffers[1]


def _buffer_dtype(states: Tensor) -> torch.dtype:
    """The precision in which these states are kept."""
    is_half = states.dtype in (torch.bfloat16, torch.float16)
    return torch.float32 if is_half and states.is_cpu else states.dtype


class GrowingStaticLayer(StaticLayer):
    """Keys and values [B, heads, room, D] of one layer for compiled steps, which read all of them.

    Unused positions are zero and hidden by the mask. ``max_cache_len`` is the length of the longest
    song, which the room does not exceed by more than a position.

    Args:
        max_cache_len: as that of ``StaticLayer``.
        is_own: whether these are the keys of the song, not of the conditions. Their number is then
            odd; see :func:`.compiled_steps.fit_shapes`.
        kept_in: precision of the keys and values; None for that of the states.
    """

    keys: Any
    values: Any
    max_cache_len: int

    def __init__(
        self, max_cache_len: int, is_own: bool, kept_in: torch.dtype | None = None
    ) -> None:
        super().__init__(max_cache_len)
        self.is_own, self.kept_in = is_own, kept_in

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Write states [B, heads, L, D] behind the others and return all."""
        if self.kept_in is not None:
            key_states, value_states = key_states.to(self.kept_in), value_states.to(self.kept_in)
        return super().update(key_states, value_states, *args, **kwargs)

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        longest, self.max_cache_len = self.max_cache_len, self._first_room(key_states.shape[-2])
        super().lazy_initialization(key_states, value_states)
        self.max_cache_len = longest
        self._mark()

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.keys.shape[-2] if self.is_initialized else self._first_room(query_length), 0

    def make_room(self, length: int) -> None:
        """Hold that many positions from now on, and some more when they are not there yet."""
        room = self.keys.shape[-2]
        if length <= room:
            return
        more = self._rounded(max(length, min(room + room // 4, self.max_cache_len))) - room
        for name in ("keys", "values"):
            setattr(self, name, F.pad(getattr(self, name), (0, 0, 0, more)))
        self._mark()

    def _first_room(self, length: int) -> int:
        return self._rounded(max(length, min(length + MIN_ROOM, self.max_cache_len)))

    def _rounded(self, room: int) -> int:
        return room | 1 if self.is_own else room

    def _mark(self) -> None:
        for states in (self.keys, self.values):
            torch._dynamo.maybe_mark_dynamic(states, 2)


def grow_in_place(cache: Cache, longest: int | None = None, conditions: int | None = None) -> None:
    """Let a new dynamic cache write the steps of a song in place.

    Caches of other kinds, and dynamic ones that hold something, stay as they are.

    Args:
        cache: the cache.
        longest: number of positions of the longest song.
        conditions: number of positions of the conditions, whose keys and values do not grow.
    """
    if isinstance(cache, EncoderDecoderCache):
        own, cross = cache.self_attention_cache, cache.cross_attention_cache
        for part, size in ((own, longest), (cross, conditions)):
            for place in _new_layers(part, DynamicLayer):
                part.layers[place] = GrowingLayer(size)


def grow_between_steps(cache: Cache, kept_in: torch.dtype | None = None) -> None:
    """Let a new static cache begin with little room, to which :func:`make_room` adds.

    Caches of other kinds, and static ones that hold something, stay as they are.

    Args:
        cache: the cache.
        kept_in: precision of its keys and values; None for that of the states.
    """
    if isinstance(cache, EncoderDecoderCache):
        own, cross = cache.self_attention_cache, cache.cross_attention_cache
        for part, is_own in ((own, True), (cross, False)):
            for place in _new_layers(part, StaticLayer):
                longest = part.layers[place].max_cache_len
                part.layers[place] = GrowingStaticLayer(longest, is_own, kept_in)


def _new_layers(cache: Cache, kind: type) -> list[int]:
    """The places of layers of exactly this type that hold nothing yet and stay on their device."""
    if cache.offloading:
        return []
    return [
        place
        for place, layer in enumerate(cache.layers)
        if not layer.is_initialized and type(layer) is kind
    ]


def make_room(cache: Cache | None, length: int) -> None:
    """Let a cache of :func:`grow_between_steps` hold that many positions of the song."""
    own = cache.self_attention_cache if isinstance(cache, EncoderDecoderCache) else None
    for layer in own.layers if own is not None else ():
        if isinstance(layer, GrowingStaticLayer) and layer.is_initialized:
            layer.make_room(length)


__all__ = [
    "MIN_ROOM",
    "GrowingLayer",
    "GrowingStaticLayer",
    "grow_between_steps",
    "grow_in_place",
    "make_room",
]

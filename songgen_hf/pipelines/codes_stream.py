"""Hands over the codes of a song while ``generate()`` runs.

The file travels to the Hub with the pipelines and imports nothing of this package.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from transformers.generation.streamers import BaseStreamer


class CodesStreamer(BaseStreamer):
    """Streamer that hands over the codes of frames as soon as all their codebooks are generated.

    Args:
        model: the model that generates one song.
        take: called with the number of frames before, and the codes [tracks, K, n] of new frames,
            first those of a prompt; frames after the end of a track hold special ids.
    """

    def __init__(self, model: Any, take: Callable[[int, Tensor], None] = lambda *_: None):
        self.pattern = model.pattern
        self._take = take
        self._columns: list[Tensor] = []
        self._num_frames = 0

    def put(self, value: Tensor) -> None:
        """Take the columns of the prompt [rows, L], or one column [rows] of a step."""
        columns = value[:, None] if value.ndim == 1 else value
        if columns.shape[0] != self.pattern.num_rows:
            raise ValueError(
                f"one song at a time can be streamed: got {columns.shape[0]} rows, expected "
                f"{self.pattern.num_rows}; call generate with batch size 1"
            )
        self._columns.extend(columns.cpu().unbind(dim=1))
        before, available = self._num_frames, self.pattern.num_frames(len(self._columns))
        if available > before:
            self._num_frames = available
            self._take_frames(before, self._frames(before, available))

    def end(self) -> None:
        """Do nothing: all frames have been handed over."""

    def _take_frames(self, before: int, codes: Tensor) -> None:
        self._take(before, codes)

    def _frames(self, start: int, stop: int) -> Tensor:
        """Return the codes of the frames from ``start`` to ``stop``, [tracks, K, stop - start]."""
        rows, steps = self.pattern.index(stop)
        rows, steps = rows[..., start:], steps[..., start:]
        first = int(steps.min())
        recent = torch.stack(self._columns[first:], dim=1)  # [rows, L]
        return recent[rows, steps - first]


__all__ = ["CodesStreamer"]

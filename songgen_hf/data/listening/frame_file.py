"""Frames of a recording in a temporary file, so that memory does not grow with its length."""

from __future__ import annotations

import tempfile
import weakref
from typing import Protocol

import numpy as np


class Frames(Protocol):
    """Rows [T, C] that are read in slices: an array, or a :class:`FrameFile`."""

    def __len__(self) -> int:
        """T, the number of frames."""
        ...

    def __getitem__(self, place: slice, /) -> np.ndarray:
        """The rows of a slice."""
        ...


class FrameFile:
    """Rows [T, C] of float32 in a file without a name, which ends with this object.

    Args:
        width: C.
    """

    def __init__(self, width: int) -> None:
        self._file = tempfile.TemporaryFile(buffering=0)
        weakref.finalize(self, self._file.close)
        self._width, self._length = width, 0

    def append(self, rows: np.ndarray) -> None:
        """Add rows [N, C] at the end.

        Raises:
            OSError: if the disk is full.
        """
        if rows.ndim != 2 or rows.shape[1] != self._width:
            raise ValueError(f"got rows of shape {rows.shape}, expected [N, {self._width}]")
        self._file.seek(0, 2)
        rows.astype(np.float32, copy=False).tofile(self._file)
        self._length += len(rows)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, place: slice, /) -> np.ndarray:
        start, stop, _ = slice(place.start, place.stop).indices(self._length)
        self._file.seek(4 * self._width * start)
        count = self._width * max(0, stop - start)
        return np.fromfile(self._file, np.float32, count).reshape(-1, self._width)


__all__ = ["FrameFile", "Frames"]

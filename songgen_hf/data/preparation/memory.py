"""Keeps the memory of a process flat while networks run on clips of many lengths.

On the CPU, PyTorch keeps a convolution of oneDNN for every length of input, up to 1,024 of them for
each kind. They hold memory themselves, and lie between the freed activations of earlier clips, so
that the C library cannot return those either.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any


@contextmanager
def flat_memory() -> Iterator[None]:
    """Run networks on the CPU without oneDNN, then return freed memory to the system.

    It is meant for the work on one clip, which takes up to 30 % longer. Devices other than the CPU
    are not affected.
    """
    import torch

    mkldnn: Any = torch.backends.mkldnn
    # Its context manager also sets TF32, which warns.
    (before, *_) = mkldnn.set_flags(False, _fp32_precision=None)
    try:
        yield
    finally:
        mkldnn.set_flags(before, _fp32_precision=None)
        _trim()(0)


@cache
def _trim() -> Callable[[int], int]:
    """``malloc_trim`` of glibc; nothing with another C library."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return lambda pad: 0


__all__ = ["flat_memory"]

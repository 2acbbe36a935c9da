"""Gives the memory of weights back that are mapped from a file and not needed for a while.

transformers maps the files of weights into memory: what is read stays there, although the file has
it, too. The encoders run once in a song of thousands of steps. Their pages are given back when they
have run; the system reads them from the file, which it mostly still has in its cache, when they are
needed again. Weights in other memory stay as they are: those of other precisions than the file,
those that were changed, and those on an accelerator.
"""

import ctypes
import functools
import mmap
import os
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from torch import Tensor, nn

SMALLEST = 2**18
"""Bytes below which weights are not worth the look at their pages."""
PAGEMAP = "/proc/self/pagemap"
_IS_FILE, _IS_SWAPPED, _IS_PRESENT = (np.uint64(1 << bit) for bit in (61, 62, 63))


def give_back(weights: nn.Module | Iterable[Tensor]) -> int:
    """Give back the pages of unchanged weights that are mapped from files.

    Nothing happens on other systems than Linux.

    Args:
        weights: a module or tensors; what shares a page with them may be given back, too.
    Returns:
        Number of bytes that were in memory.
    """
    advise = _madvise()
    if advise is None:
        return 0
    tensors = weights.parameters() if isinstance(weights, nn.Module) else weights
    spans = _spans(tensors)
    if sum(stop - start for start, stop in spans) < SMALLEST:
        return 0
    freed = 0
    try:
        pagemap = os.open(PAGEMAP, os.O_RDONLY)
    except OSError:
        return 0
    try:
        for start, stop in spans:
            present = _unchanged_pages(pagemap, start, stop)
            if present and not advise(start, stop - start, mmap.MADV_DONTNEED):
                freed += present * mmap.PAGESIZE
    finally:
        os.close(pagemap)
    return freed


def _spans(tensors: Iterable[Tensor]) -> list[tuple[int, int]]:
    """The addresses of whole pages of tensors, [start, stop); neighbours are joined."""
    places = []
    for tensor in tensors:
        # Other classes of tensors, of quantization libraries, need not have an address.
        is_plain = type(tensor) in (Tensor, nn.Parameter) and tensor.device.type == "cpu"
        if is_plain and tensor.is_contiguous():
            places.append((tensor.data_ptr(), tensor.data_ptr() + tensor.nbytes))
    joined: list[tuple[int, int]] = []
    for start, stop in sorted(places):
        if joined and start - joined[-1][1] < mmap.PAGESIZE:
            joined[-1] = joined[-1][0], max(stop, joined[-1][1])
        else:
            joined.append((start, stop))
    page = mmap.PAGESIZE
    inside = [(-(-start // page) * page, stop // page * page) for start, stop in joined]
    return [(start, stop) for start, stop in inside if start < stop]


def _unchanged_pages(pagemap: int, start: int, stop: int) -> int:
    """The number of pages in memory, or 0 if any of them is not what its file holds.

    A page that was written to is no page of the file any more, or it has been swapped out.
    """
    present, entry = 0, 8  # bytes of an entry of pagemap
    for first in range(start, stop, 2**28):  # 2**16 pages at a time
        last = min(stop, first + 2**28)
        count = (last - first) // mmap.PAGESIZE
        read = os.pread(pagemap, entry * count, entry * (first // mmap.PAGESIZE))
        pages = np.frombuffer(read, dtype=np.uint64)
        here = (pages & _IS_PRESENT) != 0
        if len(pages) < count or (pages & _IS_SWAPPED).any() or not (pages[here] & _IS_FILE).all():
            return 0
        present += int(here.sum())
    return present


@functools.cache
def _madvise() -> Callable[[int, int, int], int] | None:
    """``madvise`` of the C library, or None where pages cannot be looked at."""
    if not os.path.exists(PAGEMAP):
        return None
    try:
        function: Any = ctypes.CDLL(None).madvise
    except (OSError, AttributeError):
        return None
    function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    function.restype = ctypes.c_int
    return function


__all__ = ["PAGEMAP", "SMALLEST", "give_back"]

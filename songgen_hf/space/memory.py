"""Memory of a server that runs for days.

glibc gives threads arenas of their own and seldom hands back what lies in them: a Space that had
served fifty visitors at once held 11 % more afterwards, with two arenas 7 %; 2 % where the whole
process had no more (MALLOC_ARENA_MAX=2), all by benchmarks/space_clients.py.
"""

import ctypes
import sys

ARENAS = 2
_M_ARENA_MAX = -8  # of malloc.h


def use_few_arenas() -> bool:
    """Let threads share ``ARENAS`` arenas from now on; whether the C library took it."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        return bool(ctypes.CDLL(None).mallopt(_M_ARENA_MAX, ARENAS))
    except (OSError, AttributeError):  # another C library
        return False


__all__ = ["ARENAS", "use_few_arenas"]

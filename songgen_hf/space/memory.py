"""Memory use of a server that runs for days.

glibc gives threads memory arenas of their own and rarely returns their free memory to the system.
After serving fifty visitors at once, the process of a Space held 11 % more memory than before; with
two arenas for its threads it held 7 % more, and with two arenas for the whole process
(``MALLOC_ARENA_MAX=2``) 2 % more. ``benchmarks/space_clients.py`` measures this.
"""

import ctypes
import sys

ARENAS = 2
_M_ARENA_MAX = -8  # the parameter's number in malloc.h


def use_few_arenas() -> bool:
    """Make all threads share ``ARENAS`` arenas; return whether the C library accepted the limit."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        return bool(ctypes.CDLL(None).mallopt(_M_ARENA_MAX, ARENAS))
    except (OSError, AttributeError):  # not glibc
        return False


__all__ = ["ARENAS", "use_few_arenas"]

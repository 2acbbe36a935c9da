"""Waiting for a condition that another thread fulfills."""

import time
from collections.abc import Callable


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Return as soon as the condition is true; AssertionError after the given time."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"the condition was not true after {seconds:g} s"
        time.sleep(0.02)

"""A Space that listens on the loopback while a test runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def launched(demo: Any) -> Iterator[Any]:
    """Start the demo on a free port and close it at the end."""
    demo.launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1")
    try:
        yield demo
    finally:
        demo.close(verbose=False)

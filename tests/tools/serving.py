"""A Space that listens on the loopback while a test runs."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def launched(build: Callable[[], Any]) -> Iterator[Any]:
    """Build a demo, start it on a free port and close it at the end."""
    with idle_loops_closed():
        demo = build()
        demo.launch(
            prevent_thread_lock=True, quiet=True, server_name="127.0.0.1", server_port=free_port()
        )
    try:
        yield demo
    finally:
        demo.close(verbose=False)


def free_port() -> int:
    """A port that nobody listens on; gradio's own search leaves sockets open."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def idle_loops_closed() -> Iterator[None]:
    """Close the event loops that gradio makes beside its server and leaves open.

    ``gradio.utils.safe_get_lock`` makes one for every lock, although locks need none.
    """
    made = []
    new_event_loop = asyncio.new_event_loop

    def recorded() -> asyncio.AbstractEventLoop:
        made.append(new_event_loop())
        return made[-1]

    asyncio.new_event_loop = recorded
    try:
        yield
    finally:
        asyncio.new_event_loop = new_event_loop
        for loop in made:
            if not loop.is_running():
                loop.close()
        asyncio.set_event_loop(None)

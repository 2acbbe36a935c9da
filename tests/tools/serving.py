"""Runs a Space on the loopback interface during a test."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def launched(build: Callable[[], Any], **options: Any) -> Iterator[Any]:
    """Build a demo, launch it on a free port, with options, and close it after the block."""
    with idle_loops_closed():
        demo = build()
        demo.launch(
            prevent_thread_lock=True,
            quiet=True,
            server_name="127.0.0.1",
            server_port=free_port(),
            **options,
        )
    try:
        yield demo
    finally:
        demo.close(verbose=False)


def free_port() -> int:
    """Find a free port; the search of gradio itself leaves sockets open."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def idle_loops_closed() -> Iterator[None]:
    """Close the event loops that gradio creates besides its server and leaves open.

    ``gradio.utils.safe_get_lock`` creates one for every lock, although locks do not need it.
    """
    created = []
    new_event_loop = asyncio.new_event_loop

    def recorded() -> asyncio.AbstractEventLoop:
        created.append(new_event_loop())
        return created[-1]

    asyncio.new_event_loop = recorded
    try:
        yield
    finally:
        asyncio.new_event_loop = new_event_loop
        for loop in created:
            if not loop.is_running():
                loop.close()
        asyncio.set_event_loop(None)

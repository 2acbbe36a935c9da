"""Runs a service with uvicorn in a thread, on a free port of the loopback interface."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from songgen_hf.serving.limits import ServiceLimits
from songgen_hf.serving.server import listen, make_server

from ..tools.waiting import wait_until

SONGS = "/v1/audio/songs"
ROUNDING = 1e-3 * 32767
"""Largest difference of 16-bit samples that were decoded in chunks of other lengths."""


@dataclass
class Running:
    """A running service."""

    host: str
    app: Any
    engine: Any
    server: Any

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    @property
    def socket(self) -> str:
        return f"ws://{self.host}{SONGS}/stream"

    @property
    def service(self) -> Any:
        return self.app.state.service

    def post(self, body: Any = None, **options: Any) -> httpx.Response:
        """Ask for a song."""
        if body is not None:
            options["json"] = body
        return httpx.post(f"{self.url}{SONGS}", timeout=60, **options)

    def stop(self) -> None:
        """Tell the service to stop, as a signal does."""
        self.server.should_exit = True

    def get(self, path: str, **options: Any) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", timeout=60, **options)

    def error(self, body: Any = None, **options: Any) -> tuple[int, dict]:
        """Ask for a song that is refused; the status and the error."""
        answer = self.post(body, **options)
        return answer.status_code, answer.json()["error"]


@contextmanager
def served(engine: Any, *, limits: ServiceLimits, keys: tuple[str, ...] = ()) -> Iterator[Running]:
    """Serve an engine during the block."""
    server = make_server(engine, limits=limits, keys=keys, log_level="warning")
    with listen("127.0.0.1", 0) as listening:
        options = {"sockets": [listening]}
        thread = threading.Thread(target=server.run, kwargs=options)
        thread.start()
        try:
            wait_until(lambda: server.started)
            yield Running(
                f"127.0.0.1:{listening.getsockname()[1]}", server.config.app, engine, server
            )
        finally:
            server.should_exit = True
            thread.join()

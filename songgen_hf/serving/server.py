"""Runs the service with uvicorn."""

import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..checkpoints.loading import load_pipeline
from ..optional import require
from ..provenance import identity
from ..space.loading import own_models
from .app import create_app
from .limits import ServiceLimits

CLOSING_SECONDS = 10
"""How long open connections may go on after the service was told to stop."""


def load_models(names: Sequence[str] = (), **loading: Any) -> dict[str, Any]:
    """Load pipelines by the names under which requests choose them, the default first.

    Args:
        names: checkpoint folders, Hub ids or short names; none for all models of the package.
        loading: ``device``, ``dtype``, ``quantization``, ``revision`` and ``adapter``, as of
            :func:`~songgen_hf.checkpoints.loading.load_pipeline`.
    Raises:
        ValueError: if a model cannot be found, or two models have the same name.
    """
    pipelines: dict[str, Any] = {}
    for name in names or own_models():
        shown = identity(name)[0] or name
        if shown in pipelines:
            raise ValueError(f"two models are named {shown!r}: rename the folder of one")
        pipelines[shown] = load_pipeline(name, **loading)
    return pipelines


def listen(host: str, port: int) -> socket.socket:
    """Take a port, before a model is loaded.

    Raises:
        OSError: if the port is taken, or the address is not of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        number = getattr(error, "errno", None)
        reason = os.strerror(number) if number else str(error)
        raise OSError(
            f"cannot serve at {host}:{port}: {reason}; give another --port or --host"
        ) from error


def make_server(
    engine: Any,
    *,
    limits: ServiceLimits,
    keys: tuple[str, ...] = (),
    log_level: str = "info",
) -> Any:
    """Make the uvicorn server of an engine; ``run(sockets=[listen(...)])`` runs it.

    Raises:
        ImportError: without the packages of the extra ``serve``.
    """
    if TYPE_CHECKING:
        import uvicorn
    else:
        uvicorn = require("uvicorn", "serve")
    require("websockets", "serve")
    app = create_app(engine, limits=limits, keys=keys)
    config = uvicorn.Config(
        app,
        log_level=log_level,
        ws="websockets-sansio",
        ws_max_size=limits.body_bytes,
        timeout_graceful_shutdown=CLOSING_SECONDS,
        server_header=False,
    )

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            app.state.service.stop()
            await super().shutdown(sockets)

    return Server(config)


def serve(
    make_engine: Callable[[], Any],
    *,
    limits: ServiceLimits,
    keys: tuple[str, ...] = (),
    host: str = "127.0.0.1",
    port: int = 8000,
) -> None:
    """Serve an engine until SIGINT or SIGTERM; its songs are stopped at once and forgotten then.

    Args:
        make_engine: makes the engine, after the port was taken.
        limits: limits of the requests.
        keys: API keys; none lets everybody in.
        host, port: address to serve.
    Raises:
        OSError: as of :func:`listen`.
    """
    with listen(host, port) as listening:
        engine = make_engine()
        # A service manager ends the process with SIGTERM, which is no failure. Ray has set a
        # handler of its own.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        try:
            server = make_server(engine, limits=limits, keys=keys)
            server.run(sockets=[listening])
        finally:
            engine.close()


__all__ = ["listen", "load_models", "make_server", "serve"]

"""Runs the service with uvicorn."""

from collections.abc import Sequence
from typing import Any

from ..checkpoints.loading import load_pipeline
from ..optional import require
from ..provenance import identity
from ..space.loading import own_models
from .app import create_app
from .engine import SongEngine
from .limits import ServiceLimits

CLOSING_SECONDS = 10
"""How long open connections may go on after the service was told to stop."""


def load_models(
    names: Sequence[str] = (), *, device: str = "auto", dtype: str = "auto"
) -> dict[str, Any]:
    """Load pipelines by the names under which requests choose them, the default first.

    Args:
        names: checkpoint folders, Hub ids or short names; none for all models of the package.
        device, dtype: as of :func:`~songgen_hf.checkpoints.loading.load_pipeline`.
    Raises:
        ValueError: if a model cannot be found, or two models have the same name.
    """
    pipelines: dict[str, Any] = {}
    for name in names or own_models():
        shown = identity(name)[0] or name
        if shown in pipelines:
            raise ValueError(f"two models are named {shown!r}: rename the folder of one")
        pipelines[shown] = load_pipeline(name, device=device, dtype=dtype)
    return pipelines


def make_server(
    engine: Any,
    *,
    limits: ServiceLimits,
    keys: tuple[str, ...] = (),
    host: str = "127.0.0.1",
    port: int = 8000,
    log_level: str = "info",
) -> Any:
    """Make the uvicorn server of an engine; its ``run()`` returns when it was told to stop.

    Raises:
        ImportError: without the packages of the extra ``serve``.
    """
    uvicorn = require("uvicorn", "serve")
    require("websockets", "serve")
    app = create_app(engine, limits=limits, keys=keys)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_level=log_level,
        ws="websockets-sansio",
        ws_max_size=limits.body_bytes,
        timeout_graceful_shutdown=CLOSING_SECONDS,
        server_header=False,
    )
    return uvicorn.Server(config)


def run_service(server: Any) -> None:
    """Run a server until SIGINT or SIGTERM; its songs are stopped and forgotten.

    Raises:
        OSError: if the port is taken.
    """
    try:
        server.run()
    except SystemExit as error:  # uvicorn has written why to its log
        config = server.config
        raise OSError(
            f"cannot serve at {config.host}:{config.port}: is the port taken? Give another --port"
        ) from error


def serve_models(
    names: Sequence[str],
    *,
    limits: ServiceLimits,
    keys: tuple[str, ...] = (),
    host: str = "127.0.0.1",
    port: int = 8000,
    device: str = "auto",
    dtype: str = "auto",
) -> None:
    """Load models and serve them from this process until it is told to stop."""
    engine = SongEngine(load_models(names, device=device, dtype=dtype), workers=limits.concurrency)
    run_service(make_server(engine, limits=limits, keys=keys, host=host, port=port))


__all__ = ["load_models", "make_server", "run_service", "serve_models"]

"""Stands before the endpoints: API keys, the size of bodies, silent clients, and the counting."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from pathlib import Path
from typing import Any

from .errors import ServiceError, stopping
from .limits import ServiceLimits
from .metrics import ServiceMetrics

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

OPEN = frozenset(("/health", "/ready", "/openapi.json"))
"""Paths that need no key."""
OWNER = "songgen_owner"
"""Key of a scope under which the owner of a request is kept; None for a wrong key."""
CLIENT_LEFT = 499
_STATUS_OF_KEY = 401


def read_keys(path: Path | str) -> tuple[str, ...]:
    """Read API keys from a file: one in each line; empty lines and those with # are passed over.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if there is no key, or one has spaces or other letters than ASCII.
    """
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    keys = [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]
    if not keys:
        raise ValueError(f"{Path(path).name} has no key: write one in each line")
    for number, key in enumerate(keys, 1):
        if not key.isascii() or not key.isprintable() or " " in key:
            raise ValueError(
                f"key {number} of {Path(path).name} has spaces or letters beyond ASCII: write "
                "ASCII letters, digits and signs, one key in each line"
            )
    return tuple(keys)


def owner_of(keys: Iterable[str], given: str | None) -> str | None:
    """The name of the owner of a key, without the key; None for a wrong or missing one.

    Every key is compared, in constant time.
    """
    offered = (given or "").encode()
    owner = None
    for key in keys:
        if hmac.compare_digest(key.encode(), offered):
            owner = hashlib.sha256(key.encode()).hexdigest()[:16]
    return owner


def bearer(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The key in the header ``Authorization: Bearer KEY``."""
    for name, value in headers:
        if name.lower() == b"authorization":
            kind, _, key = value.decode("latin-1").partition(" ")
            return key.strip() if kind.lower() == "bearer" else None
    return None


def wrong_key(given: str | None) -> ServiceError:
    """The error of a request without a right key."""
    return ServiceError(
        _STATUS_OF_KEY,
        "The API key is wrong."
        if given
        else "An API key is missing: send the header Authorization: Bearer KEY.",
        code="invalid_api_key",
        headers={"WWW-Authenticate": "Bearer"},
    )


class Guard:
    """ASGI middleware of the service.

    Args:
        app: the application.
        keys: the API keys; none lets everybody in.
        limits: limits of the service.
        metrics: counts HTTP requests.
    """

    def __init__(
        self, app: Any, *, keys: tuple[str, ...], limits: ServiceLimits, metrics: ServiceMetrics
    ):
        self.app = app
        self.keys = keys
        self.limits = limits
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        given = bearer(scope["headers"])
        scope[OWNER] = owner_of(self.keys, given) if self.keys else ""
        if scope["type"] == "websocket":  # which has further ways to send its key
            await self.app(scope, receive, send)
            return
        watched = _Watched(scope, receive, send, self.limits)
        try:
            if scope["path"] not in OPEN and scope[OWNER] is None:
                raise wrong_key(given)
            watched.check_length()
            await self.app(scope, watched.receive, watched.send)
        except ServiceError as error:
            if watched.status is None:
                await send_error(error, watched.send)
        except asyncio.CancelledError:  # by uvicorn, some seconds after it was told to stop
            if watched.status is None:
                await send_error(stopping(), watched.send)
        finally:
            route = scope.get("route")
            endpoint = getattr(route, "path", "other")
            self.metrics.count(endpoint, watched.status or CLIENT_LEFT)


class _Watched:
    """The channel of one HTTP request: counts what comes in and notes the status that goes out."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, limits: ServiceLimits):
        self._headers: Mapping[bytes, bytes] = dict(scope["headers"])
        self._receive, self._send = receive, send
        self._limits = limits
        self._received = 0
        self._complete = False
        self.status: int | None = None

    def check_length(self) -> None:
        """Refuse a body whose head says that it is too large."""
        length = self._headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self._limits.body_bytes:
            raise self._too_large()

    async def receive(self) -> MutableMapping[str, Any]:
        """Receive a message; ServiceError for a body that is too large or does not come."""
        if self._complete:
            return await self._receive()
        try:
            message = await asyncio.wait_for(self._receive(), self._limits.idle_seconds)
        except TimeoutError:
            raise ServiceError(
                408,
                f"The request did not come within {self._limits.idle_seconds:g} s: send it again.",
                code="request_timeout",
            ) from None
        self._received += len(message.get("body", b""))
        self._complete = not message.get("more_body", False)
        if self._received > self._limits.body_bytes:
            raise self._too_large()
        return message

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Send a message; OSError if the client does not take it in time."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await asyncio.wait_for(self._send(message), self._limits.idle_seconds)

    def _too_large(self) -> ServiceError:
        return ServiceError(
            413,
            f"The request is larger than {self._limits.body_bytes / 2**20:g} MB: cut its "
            "recordings, a few seconds of a voice are enough.",
            code="request_too_large",
            headers={"Connection": "close"},
        )


async def send_error(error: ServiceError, send: Send) -> None:
    """Answer with an error."""
    body = json.dumps(error.body).encode()
    head = {"Content-Type": "application/json", "Content-Length": str(len(body)), **error.headers}
    headers = [(name.lower().encode(), value.encode()) for name, value in head.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


__all__ = ["CLIENT_LEFT", "OPEN", "OWNER", "Guard", "owner_of", "read_keys", "wrong_key"]

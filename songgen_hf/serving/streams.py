"""The WebSocket: a request comes in as JSON; sound and progress go out; closing it stops the song.

Messages of the server are JSON texts with the key ``type`` ("started", "progress", "done" or
"error"), and binary chunks of 16-bit little-endian samples of the mixture.
"""

import asyncio
import json
from contextlib import aclosing, suppress
from typing import Any
from urllib.parse import urlsplit

from .engine import StepsDone
from .errors import ServiceError, service_error
from .guard import CLIENT_LEFT, OWNER, owner_of, wrong_key
from .requests import read_request
from .service import Job, SingingService
from .sounds import description
from .store import StoredSong

ENDPOINT = "/v1/audio/songs/stream"
TRY_AGAIN_LATER, POLICY, INTERNAL = 1013, 1008, 1011
"""Codes with which a socket is closed (RFC 6455 and the registry of IANA)."""


class _Left(Exception):
    """The client closed the socket or wants no more."""


async def sing_on_socket(socket: Any, service: SingingService, keys: tuple[str, ...]) -> None:
    """Serve one WebSocket: one request, one song.

    The key is sent in the header Authorization, or as the field ``api_key`` of the request, because
    browsers cannot set headers.
    """
    status = 200
    try:
        if not keys and _is_of_another_site(socket):
            raise ServiceError(
                403,
                "Pages of other sites may use this service only with an API key: start it with "
                "--keys.",
                code="forbidden_origin",
            )
        await socket.accept()
        text = await _first_message(socket, service.limits.idle_seconds)
        owner, text = _owner(socket, text, keys)
        wanted = read_request(text).model_copy(update={"stream": True, "response_format": "pcm"})
        job = await asyncio.to_thread(service.job, wanted, owner)
        await _sing(socket, service, job)
        await socket.close()
    except _Left:
        status = CLIENT_LEFT
    except Exception as error:
        known = service_error(error)
        status = known.status
        await _refuse(socket, known)
    finally:
        service.metrics.count(ENDPOINT, status)


def _is_of_another_site(socket: Any) -> bool:
    """Whether a page of another site opened the socket, which browsers allow to every page."""
    origin = socket.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != socket.headers.get("host")


async def _first_message(socket: Any, seconds: float) -> str:
    try:
        message = await asyncio.wait_for(socket.receive(), seconds)
    except TimeoutError:
        raise ServiceError(
            408,
            f"No request came within {seconds:g} s: send it as the first message.",
            code="request_timeout",
        ) from None
    if message["type"] == "websocket.disconnect":
        raise _Left
    return message.get("text") or (message.get("bytes") or b"").decode(errors="replace")


def _owner(socket: Any, text: str, keys: tuple[str, ...]) -> tuple[str, str]:
    """The owner of the request, and the request without the key."""
    owner: str | None = socket.scope[OWNER]
    given = None
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        values = None  # whose error read_request names
    if isinstance(values, dict) and "api_key" in values:
        given = values.pop("api_key")
        text = json.dumps(values)
        if owner is None and isinstance(given, str):
            owner = owner_of(keys, given)
    if owner is None:
        raise wrong_key(given or socket.headers.get("authorization"))
    return owner, text


async def _sing(socket: Any, service: SingingService, job: Job) -> None:
    """Send what happens while a song is generated; _Left as soon as the client leaves."""
    rate = service.engine.models[job.order.model].sampling_rate
    sending = asyncio.ensure_future(_send_song(socket, service, job, rate))
    leaving = asyncio.ensure_future(_until_left(socket))
    try:
        await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if not sending.done():
            raise _Left
        await sending
    finally:
        for task in (sending, leaving):
            task.cancel()
        # The generator of the song is closed before the next line, so its place is free again.
        await asyncio.gather(sending, leaving, return_exceptions=True)


async def _until_left(socket: Any) -> None:
    """Return when the client closes the socket or sends the message ``{"type": "cancel"}``."""
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        with suppress(ValueError, RecursionError, TypeError):
            values = json.loads(message.get("text") or "{}")
            if isinstance(values, dict) and values.get("type") == "cancel":
                await socket.close()
                return


async def _send_song(socket: Any, service: SingingService, job: Job, rate: int) -> None:
    started = {
        "type": "started",
        "id": job.id,
        "model": job.order.model,
        "seed": job.seed,
        "sampling_rate": rate,
        "channels": 1,
        "encoding": "pcm_s16le",
    }
    async with aclosing(service.run(job)) as happenings:
        begun = False
        async for happening in happenings:
            if not begun:
                await _send(socket, started, service)
                begun = True
            if isinstance(happening, bytes):
                await _send(socket, happening, service)
            elif isinstance(happening, StepsDone):
                progress = {"type": "progress", "done": happening.done, "total": happening.total}
                await _send(socket, progress, service)
            elif isinstance(happening, StoredSong):
                await _send(socket, {"type": "done", **description(happening)}, service)


async def _send(socket: Any, content: dict[str, Any] | bytes, service: SingingService) -> None:
    """Send a message; _Left for a client that does not take it."""
    if isinstance(content, bytes):
        sent = socket.send_bytes(content)
    else:
        sent = socket.send_text(json.dumps(content))
    try:
        await asyncio.wait_for(sent, service.limits.idle_seconds)
    except (TimeoutError, RuntimeError, OSError) as error:
        raise _Left from error
    except Exception as error:
        if type(error).__name__ == "WebSocketDisconnect":
            raise _Left from error
        raise


async def _refuse(socket: Any, error: ServiceError) -> None:
    """Tell an error and close the socket; before the handshake, the error is an HTTP answer."""
    code = {429: TRY_AGAIN_LATER}.get(error.status, POLICY if error.status < 500 else INTERNAL)
    with suppress(RuntimeError, OSError):
        if socket.application_state.name == "CONNECTING":
            from starlette.responses import JSONResponse

            answer = JSONResponse(error.body, status_code=error.status, headers=error.headers)
            await socket.send_denial_response(answer)
            return
        await socket.send_text(json.dumps({"type": "error", **error.body}))
        await socket.close(code)


__all__ = ["ENDPOINT", "sing_on_socket"]

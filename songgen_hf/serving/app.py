"""The HTTP endpoints of the service, as a FastAPI application."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

from ..optional import require
from ..version import __version__
from .engine import Happening
from .errors import ServiceError, service_error
from .fields import FILES, PlanRequest, SongRequest
from .guard import CLIENT_LEFT, OWNER, Guard
from .limits import ServiceLimits
from .requests import read_fields, read_form, read_request
from .service import Engine, Job, SingingService
from .sounds import (
    MEDIA_TYPES,
    as_json,
    codes_file,
    encoded,
    header_text,
    headers,
    picture,
    timed_lyrics,
    wav_head,
)
from .store import StoredSong
from .streams import sing_on_socket

if TYPE_CHECKING:
    import fastapi
else:
    fastapi = require("fastapi", "serve")

SONGS = "/v1/audio/songs"
LYRICS = ("vtt", "lrc", "json")
FORM = "multipart/form-data"
_POLL_SECONDS = 0.25  # between two looks whether a client has left


def create_app(
    engine: Engine, *, limits: ServiceLimits | None = None, keys: tuple[str, ...] = ()
) -> Any:
    """Make the application of an engine; ``app.state.service`` is its service.

    Args:
        engine: what generates songs; closed with the application.
        limits: limits of the requests.
        keys: API keys; none lets everybody in.
    """
    limits = ServiceLimits() if limits is None else limits
    service = SingingService(engine, limits)

    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(service.close)

    # The pages of FastAPI that show the API load scripts from other servers.
    app = fastapi.FastAPI(
        title="songgen-hf", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None
    )
    app.state.service = service
    app.add_middleware(Guard, keys=keys, limits=limits, metrics=service.metrics)
    _add_errors(app)
    _add_songs(app, service)
    _add_facts(app, service)

    @app.websocket(f"{SONGS}/stream")
    async def stream(socket: fastapi.WebSocket) -> None:
        await sing_on_socket(socket, service, keys)

    return app


def _add_errors(app: Any) -> None:
    """Answer every error in the form of OpenAI's API."""

    async def answer(_: Any, error: Exception) -> Any:
        known = service_error(error)
        return fastapi.responses.JSONResponse(
            known.body, status_code=known.status, headers=known.headers
        )

    async def answer_http(request: Any, error: Any) -> Any:
        path = request.url.path[:80]
        message = {404: f"There is no {path}.", 405: f"{path} does not take {request.method}."}
        text = message.get(error.status_code, str(error.detail))
        found = ServiceError(error.status_code, text, headers=error.headers)
        return await answer(request, found)

    for kind in (ServiceError, ValueError, TypeError):
        app.add_exception_handler(kind, answer)
    app.add_exception_handler(fastapi.exceptions.StarletteHTTPException, answer_http)
    app.add_exception_handler(Exception, answer)


def _add_songs(app: Any, service: SingingService) -> None:
    """Add the endpoints that generate, fetch and delete songs."""
    body = {"schema": SongRequest.model_json_schema()}
    extra = {"requestBody": {"content": {"application/json": body}, "required": True}}

    @app.post(SONGS, openapi_extra=extra)
    async def sing(request: fastapi.Request) -> Any:
        """Generate a song: a sound file, JSON, or with ``stream`` its samples as they come."""
        wanted, files = await _read(request)
        job = await asyncio.to_thread(service.job, wanted, request.scope[OWNER], files)
        if wanted.stream:
            return await _streamed(job, service, wanted.response_format)
        stored = await _while_connected(service.song(job), request)
        if wanted.response_format == "json":
            return fastapi.responses.JSONResponse(await asyncio.to_thread(as_json, stored))
        return await _sound(stored, "mixture", wanted.response_format)

    sections = {"schema": PlanRequest.model_json_schema()}
    extra = {"requestBody": {"content": {"application/json": sections}, "required": True}}

    @app.post(SONGS + "/plan", openapi_extra=extra)
    async def plan(request: fastapi.Request) -> Any:
        """Plan the sections of a whole song, and generate nothing."""
        made = service.plan(read_fields(await _json(request), PlanRequest))
        facts = {"window": made.window, "context": made.context, "seconds": made.seconds}
        return {"object": "song.plan", **facts, "sections": made.to_list()}

    @app.get(SONGS + "/{song_id}")
    async def fetch(request: fastapi.Request, song_id: str, format: str = "wav") -> Any:
        """Fetch the mixture of a song as wav, flac, mp3, ogg, pcm or json."""
        stored = service.store.get(song_id, request.scope[OWNER])
        if format == "json":
            return fastapi.responses.JSONResponse(await asyncio.to_thread(as_json, stored))
        return await _sound(stored, "mixture", format)

    @app.get(SONGS + "/{song_id}/{part}")
    async def fetch_part(
        request: fastapi.Request, song_id: str, part: str, format: str = "wav"
    ) -> Any:
        """Fetch vocal, accompaniment, lyrics.vtt, .lrc or .json, codes.npz or picture.png."""
        stored = service.store.get(song_id, request.scope[OWNER])
        if part == "picture.png":
            content = await asyncio.to_thread(picture, stored)
            return fastapi.Response(content, media_type="image/png")
        if part == "codes.npz":
            facts = service.engine.models[stored.model]
            return fastapi.Response(codes_file(stored, facts), media_type="application/zip")
        name, _, ending = part.partition(".")
        if name == "lyrics" and ending in LYRICS:
            text, kind = timed_lyrics(stored, ending)
            return fastapi.Response(text, media_type=kind)
        if part not in ("vocal", "accompaniment"):
            raise ServiceError(
                404,
                f"A song has no {part[:40]!r}: expected vocal, accompaniment, lyrics.vtt, "
                "lyrics.lrc, lyrics.json, codes.npz or picture.png.",
            )
        return await _sound(stored, part, format)

    @app.delete(SONGS + "/{song_id}")
    async def delete(request: fastapi.Request, song_id: str) -> Any:
        """Forget a song."""
        service.store.delete(song_id, request.scope[OWNER])
        return {"id": song_id, "object": "song.deleted", "deleted": True}


def _add_facts(app: Any, service: SingingService) -> None:
    """Add the endpoints that say what the service has and how it does."""

    @app.get("/v1/models")
    async def models() -> Any:
        """The models, the default first."""
        data = [
            {
                "id": facts.name,
                "object": "model",
                "owned_by": "songgen-hf",
                "mode": facts.mode,
                "tracks": facts.num_tracks,
                "sampling_rate": facts.sampling_rate,
                "max_seconds": min(facts.longest, service.limits.seconds),
            }
            for facts in service.engine.models.values()
        ]
        return {"object": "list", "data": data}

    @app.get("/health")
    async def health() -> Any:
        """Whether the process answers."""
        return {"status": "ok"}

    @app.get("/ready")
    async def ready() -> Any:
        """Whether songs can be generated; status 503 if not."""
        fine = service.engine.ready
        return fastapi.responses.JSONResponse({"ready": fine}, status_code=200 if fine else 503)

    @app.get("/metrics")
    async def metrics() -> Any:
        """Metrics in the text format of Prometheus."""
        text, kind = service.metrics.text()
        return fastapi.Response(text, media_type=kind)


def _kind(request: Any) -> str:
    """The content type of a request without its options."""
    return str(request.headers.get("content-type", "").partition(";")[0].strip().lower())


async def _json(request: Any) -> bytes:
    """The body of a request that says that it is JSON."""
    if (kind := _kind(request)) != "application/json":
        # A page of another site can send other kinds without being asked.
        raise ServiceError(
            415,
            f"The content type is {kind[:40]!r}: expected application/json"
            + (f" or {FORM}." if request.url.path == SONGS else "."),
            code="unsupported_media_type",
        )
    return bytes(await request.body())


async def _read(request: Any) -> tuple[SongRequest, dict[str, bytes]]:
    """The fields and the files of a request, which is JSON or a form."""
    if _kind(request) != FORM:
        return read_request(await _json(request)), {}
    fields: dict[str, str] = {}
    files: dict[str, bytes] = {}
    async with request.form(max_files=len(FILES), max_fields=64) as form:
        for name, value in form.multi_items():
            if name in fields or name in files:
                raise ValueError(f"{name[:40]} was given twice: give it once")
            if isinstance(value, str):
                fields[name] = value
            elif name in FILES:
                files[name] = await value.read()
            else:
                raise ValueError(
                    f"there is no file {name[:40]!r}: expected some of {', '.join(FILES)}"
                )
    return read_form(fields), files


async def _while_connected(song: Any, request: Any) -> StoredSong:
    """Wait for a song; stop it if the client leaves."""
    task = asyncio.ensure_future(song)
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=_POLL_SECONDS)
            if not task.done() and await request.is_disconnected():
                raise ServiceError(CLIENT_LEFT, "The client left.")
        return task.result()
    finally:
        task.cancel()


async def _sound(stored: StoredSong, part: str, sound_format: str) -> Any:
    content = await asyncio.to_thread(encoded, stored, part, sound_format)
    name = f"song-{stored.song['seed']}.{sound_format}"
    shown = {**headers(stored), "Content-Disposition": f'inline; filename="{name}"'}
    return fastapi.Response(content, media_type=MEDIA_TYPES[sound_format], headers=shown)


async def _streamed(job: Job, service: SingingService, sound_format: str) -> Any:
    """The answer that sends the samples of a song while it is generated."""
    happenings = service.run(job)
    try:
        first = await _next_chunk(happenings)  # until then, an error has its status
    except BaseException:
        await happenings.aclose()
        raise
    facts = service.engine.models[job.order.model]

    async def samples() -> AsyncIterator[bytes]:
        async with aclosing(happenings):
            if sound_format == "wav":
                yield wav_head(facts.sampling_rate)
            chunk = first
            while chunk is not None:
                yield chunk
                chunk = await _next_chunk(happenings)

    shown = {
        "X-Song-Id": job.id,
        "X-Song-Model": header_text(facts.name),
        "X-Song-Seed": str(job.seed),
        "X-Sampling-Rate": str(facts.sampling_rate),
    }
    return fastapi.responses.StreamingResponse(
        samples(), media_type=MEDIA_TYPES[sound_format], headers=shown
    )


async def _next_chunk(
    happenings: AsyncGenerator[Happening | StoredSong, None],
) -> bytes | None:
    """The next chunk of sound; None at the end."""
    async for happening in happenings:
        if isinstance(happening, bytes):
            return happening
    return None


__all__ = ["SONGS", "create_app"]

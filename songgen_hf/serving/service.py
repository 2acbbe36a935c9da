"""The service behind all endpoints: the queue, the time limit, the metrics and the kept songs."""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from typing import Any, Protocol

from ..pipelines.song import Song
from ..pipelines.song_plan import SongPlan
from .engine import Happening, ModelFacts, Order
from .errors import queue_is_full, stopping, timed_out
from .fields import PlanRequest, SongRequest
from .limits import ServiceLimits
from .metrics import ServiceMetrics
from .orders import make_order, make_plan
from .store import SongStore, StoredSong, new_id


class Engine(Protocol):
    """What generates songs: the threads of this process, or replicas on many machines."""

    models: dict[str, ModelFacts]
    places: int

    @property
    def ready(self) -> bool:
        """Whether songs can be generated now."""

    def run(self, order: Order) -> AsyncGenerator[Happening, None]:
        """Generate one song; closing the generator stops it at the next step."""

    def close(self) -> None:
        """Stop everything."""


class Job:
    """A request that was checked: its order, and what is to be known of its song."""

    def __init__(self, order: Order, owner: str, *, loudness: float | None = None):
        self.order = order
        self.owner = owner
        self.loudness = loudness
        self.id = new_id()
        self.seed = int(order.arguments["seed"])


class SingingService:
    """Generates the songs of requests and keeps them for a while.

    Args:
        engine: what generates songs.
        limits: limits of the requests.
    """

    def __init__(self, engine: Engine, limits: ServiceLimits):
        self.engine = engine
        self.limits = limits
        self.store = SongStore(
            songs=limits.songs,
            keep_seconds=60 * limits.keep_minutes,
            audio_seconds=limits.songs * limits.seconds,
        )
        self._admitted = 0
        self._stopping = False
        self._waits: set[asyncio.Timeout] = set()  # of the requests for songs
        self._usual_seconds = 1.0  # of a song, as a running mean
        self.metrics = ServiceMetrics(
            running=lambda: min(self._admitted, engine.places),
            waiting=lambda: self.waiting,
            stored=lambda: len(self.store),
        )

    @property
    def waiting(self) -> int:
        """Number of requests that wait for a place."""
        return max(0, self._admitted - self.engine.places)

    def job(
        self, request: SongRequest, owner: str, files: Mapping[str, bytes] | None = None
    ) -> Job:
        """Check a request; reads its recordings, which takes a while.

        Raises:
            ServiceError, ValueError, TypeError: for what the client can correct.
        """

        def kept_song(song_id: str) -> StoredSong:
            return self.store.get(song_id, owner)

        order = make_order(
            request, self.engine.models, self.limits, kept_song=kept_song, files=files
        )
        return Job(order, owner, loudness=request.loudness)

    def plan(self, request: PlanRequest) -> SongPlan:
        """Plan a whole song of any model; errors as of :meth:`job`."""
        longest = max(facts.longest for facts in self.engine.models.values())
        return make_plan(request, self.limits, longest=longest)

    async def run(self, job: Job) -> AsyncGenerator[Happening | StoredSong, None]:
        """Generate the song of a job: steps and chunks as they come, at last the kept song.

        Raises:
            ServiceError: 429 if the queue is full, 503 if the service stops, 504 if the time is
                over.
            ValueError, TypeError: for arguments that the pipeline refuses.
        """
        with self._place():
            started = time.monotonic()
            async with aclosing(self.engine.run(job.order)) as happenings:
                while not self._stopping:
                    left = started + self.limits.timeout - time.monotonic()
                    try:
                        async with asyncio.timeout(max(0.0, left)) as wait:
                            self._waits.add(wait)
                            happening = await anext(happenings)
                    except StopAsyncIteration:
                        return
                    except TimeoutError:
                        if self._stopping:
                            break
                        raise timed_out(self.limits.timeout) from None
                    finally:
                        self._waits.discard(wait)
                    if isinstance(happening, Song):
                        yield self._keep(job, happening, time.monotonic() - started)
                    else:
                        yield happening
                raise stopping()

    async def song(self, job: Job) -> StoredSong:
        """Generate the song of a job; errors as of :meth:`run`."""
        async with aclosing(self.run(job)) as happenings:
            async for happening in happenings:
                if isinstance(happening, StoredSong):
                    return happening
        raise RuntimeError("the engine returned no song")

    def stop(self) -> None:
        """End all requests for songs now, from the event loop; songs end at their next step."""
        self._stopping = True
        for wait in self._waits:
            if not wait.expired():
                wait.reschedule(0)

    def close(self) -> None:
        """Stop all songs and forget those that are kept."""
        self.engine.close()
        self.store.clear()

    @contextmanager
    def _place(self) -> Iterator[None]:
        """Take a place, or a place in the queue."""
        if self._admitted >= self.engine.places + self.limits.waiting:
            raise queue_is_full(self.waiting, self._usual_seconds)
        self._admitted += 1
        try:
            yield
        finally:
            self._admitted -= 1

    def _keep(self, job: Job, song: Song, seconds: float) -> StoredSong:
        for take in song.get("takes", ()):  # their scores are enough
            for name in set(take) - {"seed", "score", "score_parts"}:
                if take is not song:
                    del take[name]
        stored = StoredSong(job.id, job.owner, job.order.model, song, job.loudness)
        self.store.add(stored)
        self.metrics.audio_seconds.inc(stored.seconds)
        self.metrics.generation_seconds.observe(seconds)
        self._usual_seconds += 0.2 * (seconds / (1 + self.waiting) - self._usual_seconds)
        return stored


def takes_of(song: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The seeds and scores of all takes of a song, best first."""
    names = ("seed", "score", "score_parts")
    return [{name: take.get(name) for name in names} for take in song.get("takes", ())]


__all__ = ["Engine", "Job", "SingingService", "takes_of"]

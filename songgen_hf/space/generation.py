"""Sings a request step by step: progress while it goes, and an end as soon as nobody listens.

``Singer.sing`` is a generator. The song is sung in a thread of its own; closing the generator (the
visitor pressed stop, or left) makes that thread end at its next decoder step. One song after the
other is sung, never a batch: a song is then the same bit for bit whatever was asked for beside it.
"""

import logging
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Condition, Event, Thread
from typing import Any

import numpy as np

from ..pipelines.adapters import load_adapters
from .gpu import on_gpu
from .settings import FEW_STEPS, MIXED, MODES, TWO_TRACKS, Settings

logger = logging.getLogger(__name__)

REPORT_SECONDS = 0.25
"""Between two reports; also the longest time until a closed generator is noticed."""
SHORTEST_SONG = 5.0
"""Seconds before which no song ends, or half its length if that is less: models that are young end
some songs at once."""
_STEPS_BEFORE_ESTIMATE = 5
_GPU_SECONDS_PER_STEP = 0.03  # before anything was measured


@dataclass(frozen=True)
class Progress:
    """How far a request is.

    Args:
        song, songs: the song that is sung, from 1, and how many were asked for.
        done: share of all the work, 0 to 1.
        seconds_left: for all songs, at most; None before anything is known.
        waiting: whether another song has to end first.
    """

    song: int = 1
    songs: int = 1
    done: float = 0.0
    seconds_left: float | None = None
    waiting: bool = True


@dataclass(frozen=True)
class SungSong:
    """One song.

    Args:
        seed: that sings it again.
        sampling_rate: Hz.
        mix: float32 [channels, samples].
        vocal, band: likewise; None for the mode mixed.
        seconds_taken: to sing it.
    """

    seed: int
    sampling_rate: int
    mix: np.ndarray
    vocal: np.ndarray | None
    band: np.ndarray | None
    seconds_taken: float


class _Stopped(Exception):
    """Nobody waits for the song any more."""


class Singer:
    """The models of a Space, and the one way to sing with them.

    Args:
        pipelines: one text-to-song pipeline, or a mapping of ``"mixed"``, ``"two tracks"`` and
            ``"few steps"`` (a :class:`MaskedSongPipeline`) to one each; a single one is offered as
            what it sings.
        places: songs that are sung at the same time.
    Raises:
        ValueError: for another mode, or a pipeline that does not sing its mode.
    """

    def __init__(self, pipelines: Any, *, places: int = 1):
        if not isinstance(pipelines, Mapping):
            pipelines = {mode_of(pipelines): pipelines}
        if not pipelines:
            raise ValueError("a Space needs at least one pipeline: got none")
        for mode, pipeline in pipelines.items():
            if mode not in MODES or mode_of(pipeline) != mode:
                raise ValueError(
                    f"the pipeline for {mode!r} sings {mode_of(pipeline)!r}: expected the modes "
                    f"{MIXED!r}, {TWO_TRACKS!r} and {FEW_STEPS!r}, each with a model of that kind"
                )
        self._stages = {
            mode: _Stage(pipelines[mode], places) for mode in MODES if mode in pipelines
        }
        self._seconds_per_step: dict[str, float] = {}
        self._on_gpu = on_gpu(self._sing, duration=self._gpu_seconds)

    @property
    def modes(self) -> tuple[str, ...]:
        """The modes there is a model for."""
        return tuple(self._stages)

    def model(self, mode: str) -> Any:
        """The song model of a mode; a masked pipeline is its own."""
        pipeline = self._stages[mode].pipeline
        return pipeline if mode == FEW_STEPS else pipeline.model

    @property
    def singing(self) -> int:
        """Songs that are being sung now, those included that were stopped and not yet ended."""
        return sum(stage.singing for stage in self._stages.values())

    def sing(
        self,
        settings: Settings,
        voice: tuple[np.ndarray, int] | None = None,
        adapters: Mapping[str, float] | None = None,
    ) -> Generator[Progress | SungSong, None, None]:
        """Sing what was asked for; close the iterator to stop.

        Args:
            settings: checked ones.
            voice: reference voice, (array, rate in Hz).
            adapters: folder -> weight.
        Raises:
            ValueError: if an adapter does not fit.
        """
        yield from self._on_gpu(settings, voice, dict(adapters or {}))

    def _gpu_seconds(self, settings: Settings, *_: Any) -> int:
        """Seconds of a borrowed GPU that a request may take."""
        steps = settings.steps
        if settings.mode != FEW_STEPS:
            config = self.model(settings.mode).config
            steps = config.decoder.pattern.num_steps(round(settings.seconds * config.frame_rate))
        each = self._seconds_per_step.get(settings.mode, _GPU_SECONDS_PER_STEP)
        return round(10 + 1.5 * settings.variations * steps * each)

    def _sing(
        self,
        settings: Settings,
        voice: tuple[np.ndarray, int] | None,
        adapters: dict[str, float],
    ) -> Generator[Progress | SungSong, None, None]:
        stop = Event()
        clock = _Clock(settings.variations)
        results: SimpleQueue[SungSong | BaseException | None] = SimpleQueue()

        def report(done: int, total: int | None) -> None:
            if stop.is_set():
                raise _Stopped
            clock.tick(done, total)

        def work() -> None:
            try:
                with self._stages[settings.mode].place(adapters, stop) as pipeline:
                    for number in range(settings.variations):
                        clock.begin(number)
                        results.put(_song(pipeline, settings, voice, number, report))
                if clock.seconds_per_step:
                    self._seconds_per_step[settings.mode] = clock.seconds_per_step
            except _Stopped:
                logger.info("stopped song %d of %d", clock.song + 1, settings.variations)
            except BaseException as error:  # handed to the reader
                results.put(error)
            finally:
                results.put(None)

        Thread(target=copy_context().run, args=(work,), daemon=True, name="singer").start()
        try:
            yield clock.progress()
            while True:
                try:
                    item = results.get(timeout=REPORT_SECONDS)
                except Empty:
                    yield clock.progress()
                    continue
                if item is None:
                    return
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            # Not joined: gradio closes generators on its event loop, which must not wait.
            stop.set()


class _Stage:
    """One model; several may sing at once as long as they want the same adapters."""

    def __init__(self, pipeline: Any, places: int):
        self.pipeline = pipeline
        self.places = places
        self.singing = 0
        self._adapters: dict[str, float] | None = {}
        self._changed = Condition()

    @contextmanager
    def place(self, adapters: dict[str, float], stop: Event) -> Iterator[Any]:
        """Wait for a place and hold it."""
        if adapters and mode_of(self.pipeline) == FEW_STEPS:
            raise ValueError(
                f"adapters are for the modes {MIXED!r} and {TWO_TRACKS!r}: take another mode, or "
                "no adapter"
            )
        with self._changed:
            while self.singing and (self.singing >= self.places or self._adapters != adapters):
                if stop.is_set():
                    raise _Stopped
                self._changed.wait(REPORT_SECONDS)
            if stop.is_set():
                raise _Stopped
            if self._adapters != adapters:
                self._adapters = None  # until they are all in
                load_adapters(self.pipeline.model, adapters)
                self._adapters = adapters
            self.singing += 1
        try:
            yield self.pipeline
        finally:
            with self._changed:
                self.singing -= 1
                self._changed.notify_all()


class _Clock:
    """Turns decoder steps into progress and remaining time; written and read by two threads."""

    def __init__(self, songs: int):
        self.songs = songs
        self.song = 0
        self.seconds_per_step: float | None = None
        self._waiting = True
        self._done, self._total = 0, 0
        self._started = (0, 0.0)  # step and time of the first report

    def begin(self, song: int) -> None:
        self.song, self._waiting = song, False
        self._done, self._started = 0, (0, 0.0)

    def tick(self, done: int, total: int | None) -> None:
        now = time.monotonic()
        if not self._started[1]:
            self._started = (done, now)
        self._done, self._total = done, total or done
        steps = done - self._started[0]
        if steps >= _STEPS_BEFORE_ESTIMATE:
            self.seconds_per_step = (now - self._started[1]) / steps

    def progress(self) -> Progress:
        share = self._done / self._total if self._total else 0.0
        left = None
        if self.seconds_per_step is not None:
            steps = self._total - self._done + (self.songs - self.song - 1) * self._total
            left = steps * self.seconds_per_step
        done = (self.song + share) / self.songs
        return Progress(self.song + 1, self.songs, min(1.0, done), left, self._waiting)


def _song(
    pipeline: Any,
    settings: Settings,
    voice: tuple[np.ndarray, int] | None,
    number: int,
    report: Callable[[int, int | None], None],
) -> SungSong:
    """One song of a request."""
    started = time.monotonic()
    song = pipeline(
        settings.text,
        lyrics=settings.lyrics,
        reference_voice=voice,
        seed=int(settings.seed or 0) + number,
        max_seconds=settings.seconds,
        min_seconds=shortest(settings),
        temperature=settings.temperature,
        progress=report,
        **_sampling(settings),
    )
    return SungSong(
        seed=song["seed"],
        sampling_rate=song["sampling_rate"],
        mix=song["audio"],
        vocal=song["vocal"],
        band=song["accompaniment"],
        seconds_taken=time.monotonic() - started,
    )


def _sampling(settings: Settings) -> dict[str, Any]:
    """What the pipelines of the modes do not have in common."""
    if settings.mode == FEW_STEPS:
        return {"num_inference_steps": settings.steps, "guidance_scale": ramp(settings.guidance)}
    return {"guidance_scale": settings.guidance, "top_k": settings.top_k, "do_sample": True}


def ramp(guidance: float) -> tuple[float, float]:
    """Guidance of the first and the last step of a masked model whose mean is ``guidance``: 2.25 is
    the (1.5, 3) that songgen-mini was judged with, 1 is off."""
    return 1 + 0.4 * (guidance - 1), 1 + 1.6 * (guidance - 1)


def shortest(settings: Settings) -> float:
    """Seconds before which a song does not end."""
    return min(SHORTEST_SONG, settings.seconds / 2)


def mode_of(pipeline: Any) -> str:
    """The mode that a pipeline sings: its model is a masked one, or of a token pattern."""
    if getattr(pipeline, "mode", None) == "masked":
        return FEW_STEPS
    return MIXED if pipeline.model.config.decoder.num_tracks == 1 else TWO_TRACKS


__all__ = ["Progress", "Singer", "SungSong", "mode_of", "ramp", "shortest"]

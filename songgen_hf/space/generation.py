"""Generates the songs of a request in a thread, with progress reports and an immediate stop.

``SongGenerator.generate`` is a generator function. Closing its iterator (the visitor pressed Stop
or left the page) ends the thread at the next step of the model. The songs of a request are
generated one by one and never as a batch, so a song is the same, bit for bit, whatever else is
requested with it or at the same time.
"""

import logging
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Condition, Event, Thread
from typing import Any

import numpy as np

from ..pipelines.adapters import load_adapters
from ..pipelines.song_requests import seed_after
from .edits import CONTINUE, Edit
from .gpu import on_gpu
from .progress import Progress, ProgressTimer
from .settings import CONDITIONS, FEW_STEPS, MIXED, MODES, TWO_TRACKS, Settings
from .streams import Chunk, ChunkStreamer, can_stream
from .whole_songs import SectionBegin, WholeSong, generate_whole

logger = logging.getLogger(__name__)

REPORT_SECONDS = 0.25
"""Time between two reports, which is also the longest time until a closed iterator is noticed."""
MIN_SECONDS = 5.0
"""Minimum length of a song, unless half of the requested length is less. Without a minimum, models
that were trained briefly end some songs at once."""
THREAD_NAME = "song-generator"
_DEFAULT_SECONDS_PER_STEP = 0.03  # on a GPU, before any step was timed

Recording = tuple[np.ndarray, int]
"""Waveform [S] and its sampling rate in Hz."""


@dataclass(frozen=True)
class GeneratedSong:
    """One generated song.

    Args:
        seed: the seed that generates the same song again.
        sampling_rate: rate of the waveforms, in Hz.
        mixture: float32 [channels, samples].
        vocal: float32 [channels, samples]; None in the mode "mixed".
        accompaniment: float32 [channels, samples]; None in the mode "mixed".
        seconds_taken: time that the generation took.
        codes: int64 [tracks, K, T], by which the song can be edited; None if there are none.
        timed: ``words``, ``lines`` and ``coverage`` of a song with timestamps, else empty.
        score: score of a take, higher is better; None for a song that was not compared.
        sections: ``name``, ``start``, ``end``, ``seed`` and ``lyrics`` of each section of a whole
            song.
    """

    seed: int
    sampling_rate: int
    mixture: np.ndarray
    vocal: np.ndarray | None
    accompaniment: np.ndarray | None
    seconds_taken: float
    codes: np.ndarray | None = None
    timed: Mapping[str, Any] = field(default_factory=dict)
    score: float | None = None
    sections: Sequence[Mapping[str, Any]] = ()

    @classmethod
    def of(cls, song: Mapping[str, Any], seconds_taken: float) -> "GeneratedSong":
        """The song of a pipeline."""
        return cls(
            seed=song["seed"],
            sampling_rate=song["sampling_rate"],
            mixture=song["audio"],
            vocal=song["vocal"],
            accompaniment=song["accompaniment"],
            seconds_taken=seconds_taken,
            codes=song["codes"],
            timed={key: song[key] for key in ("words", "lines", "coverage") if key in song},
            score=song.get("score"),
            sections=song.get("sections", ()),
        )


Item = Progress | SectionBegin | Chunk | GeneratedSong
"""What the generation of a request yields: reports, sound as soon as there is any, and songs."""
Work = Edit | WholeSong
"""What is generated of a song, unless it is a new one that is sung at once."""


class _Stopped(Exception):
    """Raised in the generating thread when the request was stopped."""


class SongGenerator:
    """The models of a Space and the one method that generates songs with them.

    Args:
        pipelines: one text-to-song pipeline, or a mapping with one pipeline for some of the modes
            ``"mixed"``, ``"two tracks"`` and ``"few steps"`` (a :class:`MaskedSongPipeline`). A
            single pipeline is offered under the mode that its model generates.
        places: number of songs that one model generates at the same time.
        compile: whether the steps of autoregressive models are compiled; see docs/speed.md.
    Raises:
        ValueError: for an unknown mode, or a pipeline whose model does not fit its mode.
        TypeError: for what is no pipeline.
    """

    def __init__(self, pipelines: Any, *, places: int = 1, compile: bool = False):
        self._compile = compile
        if not isinstance(pipelines, Mapping):
            if not callable(pipelines):
                raise TypeError(
                    f"a Space needs pipelines: got {pipelines!r}; load them with "
                    "songgen_hf.space.loading.load_pipelines"
                )
            pipelines = {mode_of(pipelines): pipelines}
        if not pipelines:
            raise ValueError("a Space needs at least one pipeline: got none")
        for mode, pipeline in pipelines.items():
            if mode not in MODES or mode_of(pipeline) != mode:
                raise ValueError(
                    f"the pipeline for {mode!r} generates {mode_of(pipeline)!r}: expected the "
                    f"modes {MIXED!r}, {TWO_TRACKS!r} and {FEW_STEPS!r}, each with a model of that "
                    "kind"
                )
        self._pipelines = {
            mode: _SharedPipeline(pipelines[mode], places) for mode in MODES if mode in pipelines
        }
        self._seconds_per_step: dict[str, float] = {}
        self._generate_on_gpu = on_gpu(self._generate, duration=self._gpu_seconds)

    @property
    def modes(self) -> tuple[str, ...]:
        """The modes that have a model."""
        return tuple(self._pipelines)

    def model(self, mode: str) -> Any:
        """The song model of a mode; for a masked model, its pipeline."""
        pipeline = self._pipelines[mode].pipeline
        return pipeline if mode == FEW_STEPS else pipeline.model

    @property
    def two_track_modes(self) -> tuple[str, ...]:
        """The modes whose songs have a vocal and a band."""
        return tuple(mode for mode in self.modes if self._num_tracks(mode) == 2)

    def modes_like(self, song: Any) -> tuple[str, ...]:
        """The modes with as many tracks as a song of the store, by which it can be edited."""
        count = 2 if song.has_two_tracks else 1
        return tuple(mode for mode in self.modes if self._num_tracks(mode) == count)

    def _num_tracks(self, mode: str) -> int:
        model = self.model(mode)
        config = model.transformer.config if mode == FEW_STEPS else model.config.decoder
        return int(config.num_tracks)

    def mode_of_base(self, name: str) -> str | None:
        """The mode whose autoregressive model has a name, without its folders; None if none has."""
        for mode in self.modes:
            if mode != FEW_STEPS and name and Path(self.model(mode).name_or_path).name == name:
                return mode
        return None

    @property
    def running(self) -> int:
        """Number of requests that occupy a model, including stopped ones that have not ended."""
        return sum(pipeline.running for pipeline in self._pipelines.values())

    def sampling_rate(self, mode: str) -> int:
        """Sampling rate of the songs of a mode, in Hz."""
        model = self.model(mode)
        return int(getattr(model, "sampling_rate", 0) or model.config.sampling_rate)

    def hop_length(self, mode: str) -> int:
        """Samples of a codec frame of a mode."""
        model = self.model(mode)
        codec = model.codec.config if mode == FEW_STEPS else model.config.audio_encoder
        return int(codec.hop_length)

    def generate(
        self,
        settings: Settings,
        voice: Recording | None = None,
        adapters: Mapping[str, float] | None = None,
        edit: Work | None = None,
    ) -> Generator[Item, None, None]:
        """Generate the songs of a request; close the iterator to stop.

        A song that is generated alone, frame by frame, is yielded in chunks before, and a whole
        song in chunks and with the beginnings of its sections. The takes of a
        song are yielded one after another, the best one first.

        Args:
            settings: settings that ``Settings.checked`` returned.
            voice: reference voice.
            adapters: weight of each adapter, by its folder.
            edit: what of a song is generated; None for a new song.
        Raises:
            ValueError: if an adapter does not fit the model.
        """
        yield from self._generate_on_gpu(settings, voice, dict(adapters or {}), edit)

    def _gpu_seconds(self, settings: Settings, *others: Any) -> int:
        """Number of seconds for which a request may need a ZeroGPU."""
        steps = settings.steps
        edit = others[-1] if others else None
        if isinstance(edit, WholeSong) and settings.mode == FEW_STEPS:
            steps *= len(edit.plan.sections)
        if settings.mode != FEW_STEPS:
            config = self.model(settings.mode).config
            seconds = settings.seconds + (edit.seconds if isinstance(edit, Edit) else 0)
            if isinstance(edit, WholeSong):
                seconds = edit.generated_seconds
            steps = config.decoder.pattern.num_steps(round(seconds * config.frame_rate))
        each = self._seconds_per_step.get(settings.mode, _DEFAULT_SECONDS_PER_STEP)
        takes = max(settings.best_of, 1 if edit is None else edit.takes)
        return round(10 + 1.5 * settings.variations * steps * each * (1 + 0.5 * (takes - 1)))

    def _generate(
        self,
        settings: Settings,
        voice: Recording | None,
        adapters: dict[str, float],
        edit: Work | None = None,
    ) -> Generator[Item, None, None]:
        stop = Event()
        timer = ProgressTimer(settings.variations)
        results: SimpleQueue[Item | BaseException | None] = SimpleQueue()

        def report(done: int, total: int | None) -> None:
            if stop.is_set():
                raise _Stopped
            timer.record(done, total)

        def work() -> None:
            try:
                with self._pipelines[settings.mode].acquire(adapters, stop) as pipeline:
                    for number in range(settings.variations):
                        timer.start_song(number)
                        request = Request(settings, voice, number, edit, self._compile)
                        for song in _generate_songs(pipeline, request, report, results.put):
                            results.put(song)
                if timer.seconds_per_step and not isinstance(edit, WholeSong):
                    self._seconds_per_step[settings.mode] = timer.seconds_per_step
            except _Stopped:
                logger.info("stopped song %d of %d", timer.song + 1, settings.variations)
            except BaseException as error:  # raised again by the iterator
                results.put(error)
            finally:
                results.put(None)

        Thread(target=copy_context().run, args=(work,), daemon=True, name=THREAD_NAME).start()
        try:
            yield timer.progress()
            while True:
                try:
                    item = results.get(timeout=REPORT_SECONDS)
                except Empty:
                    yield timer.progress()
                    continue
                if item is None:
                    return
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            # The thread is not joined: gradio closes iterators on its event loop, which must not
            # wait.
            stop.set()


class _SharedPipeline:
    """A pipeline that several requests may use at once if they want the same adapters."""

    def __init__(self, pipeline: Any, places: int):
        self.pipeline = pipeline
        self.places = places
        self.running = 0
        self._adapters: dict[str, float] | None = {}
        self._changed = Condition()

    @contextmanager
    def acquire(self, adapters: dict[str, float], stop: Event) -> Iterator[Any]:
        """Wait for a free place, load the adapters and hold the place during the block."""
        if adapters and mode_of(self.pipeline) == FEW_STEPS:
            raise ValueError(
                f"adapters are for the modes {MIXED!r} and {TWO_TRACKS!r}: choose another mode, or "
                "no adapter"
            )
        with self._changed:
            while self.running and (self.running >= self.places or self._adapters != adapters):
                if stop.is_set():
                    raise _Stopped
                self._changed.wait(REPORT_SECONDS)
            if stop.is_set():
                raise _Stopped
            if self._adapters != adapters:
                self._adapters = None  # unknown until all of them are loaded
                load_adapters(self.pipeline.model, adapters)
                self._adapters = adapters
            self.running += 1
        try:
            yield self.pipeline
        finally:
            with self._changed:
                self.running -= 1
                self._changed.notify_all()


@dataclass(frozen=True)
class Request:
    """One song of a request: its settings, voice, number from 0, edit, and whether to compile."""

    settings: Settings
    voice: Recording | None
    number: int
    edit: Work | None
    compile: bool = False

    @property
    def seed(self) -> int:
        return seed_after(int(self.settings.seed or 0), self.number)

    @property
    def takes(self) -> int:
        """How many songs are generated, of which the best one is the first."""
        return self.settings.best_of if self.edit is None else self.edit.takes


def _generate_songs(
    pipeline: Any,
    request: Request,
    report: Callable[[int, int | None], None],
    emit: Callable[[Any], None],
) -> list[GeneratedSong]:
    """Generate one song of a request, or its takes, the best one first."""
    started = time.monotonic()
    settings, edit = request.settings, request.edit
    few = settings.mode == FEW_STEPS
    options = _sampling_options(settings)
    options |= {
        "reference_voice": request.voice,
        "separate_voice": "auto",
        "seed": request.seed,
        "temperature": settings.temperature,
        "timestamps": bool(settings.lyrics) and _has_timestamps(pipeline),
        "progress": report,
    }
    if request.compile and not few:
        options["compile"] = True
    if isinstance(edit, WholeSong):
        if settings.best_of > 1:
            options["best_of"] = settings.best_of
        whole = generate_whole(pipeline, settings, edit, emit, **options)
        return [GeneratedSong.of(whole, time.monotonic() - started)]
    if edit is None or edit.kind == CONTINUE:
        options |= {"max_seconds": settings.seconds, "min_seconds": min_seconds(settings)}
        # What was heard meanwhile may have had its tracks exchanged; the song does not.
        options["check_tracks"] = True
    if edit is not None:
        options |= edit.arguments(settings.mode)
    elif settings.best_of > 1:
        options["best_of"] = settings.best_of
    if not few and request.takes == 1 and can_stream(pipeline.model):
        options["streamer"] = ChunkStreamer(pipeline.model, request.seed, emit)
    song = pipeline(settings.text, lyrics=settings.lyrics, **options)
    taken = time.monotonic() - started
    return [GeneratedSong.of(take, taken) for take in song.get("takes", [song])]


def _has_timestamps(pipeline: Any) -> bool:
    """Whether a model says when it sings which word."""
    model = getattr(pipeline, "model", None)
    return model is None or bool(model.config.lyrics_cross_attention)


def _sampling_options(settings: Settings) -> dict[str, Any]:
    """The arguments that differ between masked and autoregressive pipelines."""
    scale: Any = guidance_range if settings.mode == FEW_STEPS else lambda guidance: guidance
    guidance = scale(settings.guidance)
    own = {name: getattr(settings, f"guidance_{name}") for name in CONDITIONS}
    if any(own.values()):
        guidance = {name: scale(value or settings.guidance) for name, value in own.items()}
    if settings.mode == FEW_STEPS:
        return {"num_inference_steps": settings.steps, "guidance_scale": guidance}
    return {"guidance_scale": guidance, "top_k": settings.top_k, "do_sample": True}


def guidance_range(guidance: float) -> tuple[float, float]:
    """Guidance of a masked model at the first and at the last step, with ``guidance`` as the mean.

    A mean of 2.25 gives (1.5, 3), with which songgen-mini was evaluated; 1 turns guidance off.
    """
    return 1 + 0.4 * (guidance - 1), 1 + 1.6 * (guidance - 1)


def min_seconds(settings: Settings) -> float:
    """Minimum length of a song, in seconds."""
    return min(MIN_SECONDS, settings.seconds / 2)


def mode_of(pipeline: Any) -> str:
    """The mode that a pipeline's model generates: by masking, or by its track pattern."""
    if getattr(pipeline, "mode", None) == "masked":
        return FEW_STEPS
    return MIXED if pipeline.model.config.decoder.num_tracks == 1 else TWO_TRACKS


__all__ = [
    "GeneratedSong",
    "Item",
    "SongGenerator",
    "Work",
    "guidance_range",
    "min_seconds",
    "mode_of",
]

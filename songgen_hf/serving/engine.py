"""Generates songs in the threads of this process, as streams of events that can be closed.

Songs are generated one by one and never as a batch, so that a song depends on its seed alone,
whatever runs beside it. It knows nothing of HTTP.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import Empty
from threading import Event, Lock
from typing import Any, Literal

import numpy as np
from transformers.generation.streamers import BaseStreamer

from ..checkpoints.digests import CODEC, codec_facts
from ..pipelines.song import Song
from ..pipelines.streaming import SongGenAudioStreamer
from ..space.limits import max_seconds
from ..space.streams import Chunk
from ..space.whole_songs import SectionBegin, section_streamer

CHUNK_FRAMES = 25
"""Codec frames of a chunk of sound: half a second."""
THREAD_NAME = "song-engine"
WHOLE_FIRST = ("song", "best_of", "retries", "check_tracks")
"""Arguments with which the sound is known only when the song is complete."""


@dataclass(frozen=True)
class ModelFacts:
    """What the service knows of a model.

    Args:
        name: name in requests.
        mode: "autoregressive" or "masked".
        num_tracks: 1 for a mixture, 2 for vocal and accompaniment.
        num_codebooks: K.
        sampling_rate: Hz.
        hop_length: samples of a frame of codes.
        longest: longest song in seconds.
        codec: digest of the codec that its codes are of; "" if it is not known.
    """

    name: str
    mode: str
    num_tracks: int
    num_codebooks: int
    sampling_rate: int
    hop_length: int
    longest: float
    codec: str = ""

    @property
    def of_codes(self) -> dict[str, Any]:
        """What a file of its codes says of them."""
        known = {CODEC: self.codec} if self.codec else {}
        return {"sampling_rate": self.sampling_rate, "hop_length": self.hop_length, **known}


@dataclass(frozen=True)
class Order:
    """One song to generate.

    Args:
        model: name of the model.
        arguments: arguments of its pipeline, the seed included.
        stream: whether chunks of sound are wanted before the song.
        method: method of the pipeline: a call of it, ``whole_song`` or ``redo_section``.
    """

    model: str
    arguments: dict[str, Any] = field(default_factory=dict)
    stream: bool = False
    method: Literal["__call__", "whole_song", "redo_section"] = "__call__"


@dataclass(frozen=True)
class StepsDone:
    """Progress of a song: number of steps done, and in total if that is known."""

    done: int
    total: int | None


Happening = StepsDone | bytes | Song
"""A number of steps, a chunk of the mixture (16-bit little-endian samples), or the song."""


class _Stopped(Exception):
    """Raised in the generating thread when nobody waits for the song any more."""


class SongEngine:
    """The models of one process.

    Args:
        pipelines: name -> pipeline; the first one is the default.
        workers: songs that are generated at the same time.
        compile: whether the steps of autoregressive models are compiled; see docs/speed.md.
    """

    def __init__(self, pipelines: Mapping[str, Any], *, workers: int = 1, compile: bool = False):
        self._compile = compile
        self._pipelines = dict(pipelines)
        self.places = workers
        self.models = {name: facts_of(name, pipe) for name, pipe in self._pipelines.items()}
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix=THREAD_NAME)
        self._lock = Lock()
        self._stops: set[Event] = set()
        self._running = 0
        self.ready = True

    @property
    def running(self) -> int:
        """Number of threads that generate, including those that were stopped during a step."""
        return self._running

    async def run(self, order: Order) -> AsyncGenerator[Happening, None]:
        """Generate one song; closing the generator stops it at the next step.

        Raises:
            ValueError, TypeError: for arguments that the pipeline refuses.
        """
        loop = asyncio.get_running_loop()
        happenings: asyncio.Queue[Happening | BaseException | None] = asyncio.Queue()
        stop = Event()

        def tell(happening: Happening | BaseException | None) -> None:
            if not stop.is_set():  # otherwise the loop may be closed already
                loop.call_soon_threadsafe(happenings.put_nowait, happening)

        with self._lock:
            self._stops.add(stop)
        work = self._threads.submit(self._work, order, tell, stop)
        try:
            while (happening := await happenings.get()) is not None:
                if isinstance(happening, BaseException):
                    raise happening
                yield happening
        finally:
            stop.set()
            work.cancel()  # if it has not begun
            with self._lock:
                self._stops.discard(stop)

    def close(self) -> None:
        """Stop all songs at their next step and end the threads."""
        self.ready = False
        with self._lock:
            for stop in self._stops:
                stop.set()
        self._threads.shutdown(wait=True, cancel_futures=True)

    def _work(
        self, order: Order, tell: Callable[[Happening | BaseException | None], None], stop: Event
    ) -> None:
        if stop.is_set():
            return
        with self._lock:
            self._running += 1
        try:
            self._sing(order, tell, stop)
        except _Stopped:
            pass
        except BaseException as error:
            tell(error)
        finally:
            with self._lock:
                self._running -= 1
            tell(None)

    def _sing(self, order: Order, tell: Callable[[Happening], None], stop: Event) -> None:
        pipeline = self._pipelines[order.model]
        arguments = dict(order.arguments)

        def report(done: int, total: int | None) -> None:
            if stop.is_set():
                raise _Stopped
            tell(StepsDone(done, total))

        is_autoregressive = self.models[order.model].mode == "autoregressive"
        if self._compile and is_autoregressive:
            arguments["compile"] = True
        early = (
            order.stream
            and is_autoregressive
            and order.method == "__call__"
            and not any(arguments.get(name) for name in WHOLE_FIRST)
        )
        if early:
            arguments["streamer"] = _ChunkStreamer(pipeline.model, tell)
        sections = None
        if order.stream and order.method == "whole_song":
            sections = FinishedSections(pipeline, tell)
            arguments["follow"] = sections.streamer
            early = sections.streamer is not None
        song = getattr(pipeline, order.method)(progress=report, **arguments)
        if sections is not None:
            sections.end()
        if order.stream and not early:
            for chunk in chunks_of(song):
                tell(chunk)
        tell(song)


class _ChunkStreamer(BaseStreamer):
    """Tells the chunks of sound in the generating thread, as soon as they are decoded."""

    def __init__(self, model: Any, tell: Callable[[bytes], None]):
        self._streamer = SongGenAudioStreamer(model, CHUNK_FRAMES, timeout=0)
        self._tell = tell

    def put(self, value: Any) -> None:
        self._streamer.put(value)
        self._pass_on()

    def end(self) -> None:
        self._streamer.end()
        self._pass_on()

    def _pass_on(self) -> None:
        try:
            for chunk in self._streamer:
                self._tell(as_pcm(chunk.waveform.numpy()))
        except Empty:
            pass


class FinishedSections:
    """Tells the sound of each section of a whole song as soon as it is complete.

    A section may be generated again while it is being sung, so its chunks are held back until the
    next one begins.

    Attributes:
        streamer: what ``whole_song`` is to be followed by; None for a codec that decodes no chunks.
    """

    def __init__(self, pipeline: Any, tell: Callable[[bytes], None]):
        self.streamer = section_streamer(pipeline, 0, self._take)
        self._tell = tell
        self._section = -1
        self._held: list[bytes] = []

    def end(self) -> None:
        """Tell the last section."""
        if self.streamer is not None:
            self.streamer.end()
        self._pass_on()

    def _take(self, happening: Chunk | SectionBegin) -> None:
        if isinstance(happening, Chunk):
            self._held.append(as_pcm(happening.mixture))
        elif happening.index == self._section:  # it begins again, with other sound
            self._held = []
        else:
            self._section = happening.index
            self._pass_on()

    def _pass_on(self) -> None:
        for chunk in self._held:
            self._tell(chunk)
        self._held = []


def as_pcm(waveform: np.ndarray) -> bytes:
    """A waveform as 16-bit little-endian samples, clipped to [-1, 1]; channels interleaved.

    They are those of a WAV file, for which libsndfile rounds to 32 bits and drops 16 of them.
    """
    whole = np.rint(np.atleast_2d(waveform).T * 2.0**31)
    samples = np.floor(whole / 2**16).clip(-(2**15), 2**15 - 1)
    return samples.astype("<i2").tobytes()


def chunks_of(song: Song) -> list[bytes]:
    """The mixture of a complete song in chunks of half a second."""
    size = max(1, song["sampling_rate"] // 2)
    audio = song["audio"]
    return [as_pcm(audio[:, at : at + size]) for at in range(0, audio.shape[-1], size)]


def facts_of(name: str, pipeline: Any) -> ModelFacts:
    """What the service knows of a pipeline."""
    if pipeline.mode == "masked":
        from ..pipelines.masked_settings import LONGEST_SONG

        sizes, codec = pipeline.transformer.config, pipeline.codec
        rate, longest = pipeline.sampling_rate, LONGEST_SONG
    else:
        config = pipeline.model.config
        sizes, codec = config.decoder, pipeline.model.audio_encoder
        rate, longest = config.sampling_rate, max_seconds(pipeline.model)
    return ModelFacts(
        name,
        pipeline.mode,
        num_tracks=int(sizes.num_tracks),
        num_codebooks=int(sizes.num_codebooks),
        sampling_rate=int(rate),
        hop_length=int(codec.config.hop_length),
        longest=float(longest),
        codec=codec_facts(codec).get(CODEC, ""),
    )


__all__ = [
    "CHUNK_FRAMES",
    "FinishedSections",
    "Happening",
    "ModelFacts",
    "Order",
    "SongEngine",
    "StepsDone",
    "as_pcm",
    "chunks_of",
    "facts_of",
]

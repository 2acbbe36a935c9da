"""Streams the waveform of a song in chunks while ``generate()`` runs.

``SongGenAudioStreamer`` is a streamer of transformers. ``stream_song`` and ``stream_pipeline``
run ``generate()`` or a pipeline in a thread, raise its errors where the chunks are read, let it
wait for a slow reader, and stop it when the reading ends.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from queue import Queue
from threading import Condition, Event, Thread, current_thread
from typing import Any

import torch
from torch import Tensor
from transformers import StoppingCriteria, StoppingCriteriaList

from ..modeling.modeling_xcodec import XCodecModel
from ..modeling.patterns import ACCOMPANIMENT, VOCAL
from ..modeling.xcodec_windows import XCodecStreamDecoder
from .codes_stream import CodesStreamer
from .song_edges import FADE_SECONDS, soften_end, soften_start

FIRST_FRAMES = 5
"""Number of frames of the first chunk of a stream."""
NOT_STREAMED = ("best_of", "timestamps", "retries", "check_tracks", "takes", "song", "streamer")
"""Arguments of pipelines that need a whole song, or several."""


@dataclass
class SongChunk:
    """A chunk of a song, float32 on the CPU at the sampling rate of the codec.

    Args:
        waveform: [S], the mixture.
        vocal, accompaniment: [S], None for the mixed patterns.
    """

    waveform: Tensor
    vocal: Tensor | None = None
    accompaniment: Tensor | None = None


class SongGenAudioStreamer(CodesStreamer):
    """Iterator over :class:`SongChunk` while ``generate(streamer=...)`` runs in another thread.

    The joined chunks equal the song of the pipeline, cut to the shorter track; with ``raw`` they
    equal ``decode_codes(generate(...))``, which drops frames that hold special ids. A frame can be
    decoded when its last codebook and the frames of its context on the right
    (``decode_context_frames``) have been generated.

    Args:
        model: the model that generates one song, with X-Codec.
        chunk_frames: largest number of codec frames of a chunk; with fewer, decoding is less
            efficient.
        timeout: seconds to wait for the next chunk before ``queue.Empty`` is raised.
        raw: whether to leave the edges of the song as they were decoded. Otherwise the last 30 ms
            are held back, because only the end of the song shows that they fade out.
        first_frames: number of frames of the first chunk, if smaller, so that it is there early;
            chunks double in length up to ``chunk_frames``.
        ahead: seconds of audio that may wait to be read, plus one chunk; then the generation waits,
            too. None for any number.

    Raises:
        ValueError: for a codec that cannot decode chunks, or ``ahead`` that is not above 0.
    """

    def __init__(
        self,
        model: Any,
        chunk_frames: int = 25,
        timeout: float | None = None,
        *,
        raw: bool = False,
        first_frames: int = FIRST_FRAMES,
        ahead: float | None = None,
    ):
        if ahead is not None and not ahead > 0:
            raise ValueError(f"ahead must be above 0 seconds, or None: got {ahead!r}")
        if not isinstance(model.audio_encoder, XCodecModel):
            raise ValueError(
                f"songs of {model.config.audio_encoder.model_type} cannot be streamed: only "
                "X-Codec decodes chunks that equal the whole; call generate instead"
            )
        super().__init__(model)
        self.model = model
        self.raw = raw
        self.timeout = timeout
        self._decoders = [
            XCodecStreamDecoder(model.audio_encoder, chunk_frames, first_frames)
            for _ in range(self.pattern.num_tracks)
        ]
        self._waiting: list[Tensor] = [torch.zeros(0) for _ in self._decoders]
        self._ended = [False] * len(self._decoders)
        self._begun = False
        self._queue: Queue[SongChunk | BaseException | None] = Queue()
        self.closed = Event()
        self.ahead = ahead
        self._unread = 0.0  # seconds
        self._taken = Condition()

    def end(self) -> None:
        """Decode the remaining frames and end the iteration."""
        for track, decoder in enumerate(self._decoders):
            self._collect(track, decoder.finish())
        self._emit(last=True)
        self._queue.put(None)

    def fail(self, error: BaseException) -> None:
        """Raise ``error`` where the chunks are read."""
        self._queue.put(error)

    def close(self) -> None:
        """End the iteration, and stop the generation that has :meth:`stopping_criteria`."""
        with self._taken:
            self.closed.set()
            self._taken.notify_all()
        self._queue.put(None)

    def stopping_criteria(self) -> StoppingCriteriaList:
        """Return criteria that end ``generate()`` at its next step after :meth:`close`."""
        return StoppingCriteriaList([_StopWhenSet(self.closed)])

    def __iter__(self) -> Iterator[SongChunk]:
        return self

    def __next__(self) -> SongChunk:
        if self.closed.is_set():
            raise StopIteration
        item = self._queue.get(timeout=self.timeout)
        if item is None:
            raise StopIteration
        if isinstance(item, BaseException):
            raise item
        with self._taken:
            self._unread -= self._seconds(item)
            self._taken.notify_all()
        return item

    def _offer(self, chunk: SongChunk) -> None:
        """Queue a chunk as soon as the reader is near enough."""
        with self._taken:
            while self.ahead is not None and self._unread >= self.ahead:
                if self.closed.is_set():
                    break
                self._taken.wait()
            self._unread += self._seconds(chunk)
        self._queue.put(chunk)

    def _seconds(self, chunk: SongChunk) -> float:
        return chunk.waveform.shape[-1] / self.model.config.sampling_rate

    def _take_frames(self, before: int, codes: Tensor) -> None:
        self._decode(codes)

    def _decode(self, codes: Tensor) -> None:
        """Decode new frames, without those that hold special ids, and queue the result."""
        codebook_size = self.model.config.decoder.codebook_size
        for track, decoder in enumerate(self._decoders):
            whole = (codes[track] < codebook_size).all(dim=0)
            self._ended[track] |= not bool(whole.all())
            kept = codes[track][:, whole]
            if kept.shape[-1]:
                self._collect(track, decoder.push(kept[None]))
        self._emit()

    def _collect(self, track: int, chunks: Iterator[Tensor]) -> None:
        """Add decoded chunks to the waiting waveform of a track."""
        parts = [chunk[0, 0].float().cpu() for chunk in chunks]
        self._waiting[track] = torch.cat([self._waiting[track], *parts])

    def _emit(self, last: bool = False) -> None:
        """Queue the part of the waveform that all tracks have."""
        rate = self.model.config.sampling_rate
        held = 0 if last or self.raw else round(FADE_SECONDS * rate)
        shorter = min(waiting.shape[-1] for waiting in self._waiting)
        length = shorter - held
        if length <= 0:
            return
        if not self.raw:
            for waiting, ended in zip(self._waiting, self._ended, strict=True):
                if not self._begun:
                    soften_start(waiting.numpy(), rate)
                if last:
                    soften_end(waiting.numpy(), rate, ended=ended)
                if last and waiting.shape[-1] > shorter:
                    soften_end(waiting[:shorter].numpy(), rate, ended=False)
        self._begun = True
        tracks = [waiting[:length] for waiting in self._waiting]
        self._waiting = [waiting[length:] for waiting in self._waiting]
        if len(tracks) == 1:
            self._offer(SongChunk(tracks[0]))
        else:
            mixture = tracks[ACCOMPANIMENT] + tracks[VOCAL]
            self._offer(SongChunk(mixture, tracks[VOCAL], tracks[ACCOMPANIMENT]))


class _StopWhenSet(StoppingCriteria):
    """Stops the generation when an event is set."""

    def __init__(self, event: Event):
        self.event = event

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        return torch.full((input_ids.shape[0],), self.event.is_set(), device=input_ids.device)


class SongStream(Iterator[SongChunk]):
    """The chunks of a song that is generated in a thread.

    Closing the stream, from any thread, or dropping it stops the generation at its next step.

    Attributes:
        song: what the generation returned, when all chunks have been read; else None.

    Args:
        streamer: gets the ids.
        generate: runs the generation with the streamer.
    """

    def __init__(self, streamer: SongGenAudioStreamer, generate: Callable[[], Any]):
        self.song: Any = None
        self._streamer = streamer
        self._outcome: dict[str, Any] = {}
        outcome = self._outcome  # the thread must not keep the stream

        def run() -> None:
            try:
                outcome["song"] = generate()
            except BaseException as error:  # raised where the chunks are read
                outcome["error"] = error
                streamer.fail(error)

        self._thread = Thread(target=run, daemon=True)
        self._thread.start()

    def __next__(self) -> SongChunk:
        try:
            return next(self._streamer)
        except StopIteration:
            self._thread.join()
            if not self._streamer.closed.is_set():
                if (error := self._outcome.pop("error", None)) is not None:
                    raise error from None
                self.song = self._outcome.get("song")
            raise

    def close(self) -> None:
        """Stop the generation; further reading ends at once."""
        self._streamer.close()
        if self._thread is not current_thread():
            self._thread.join()

    def __enter__(self) -> "SongStream":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_thread"):
            self._streamer.close()


def stream_song(
    model: Any,
    *,
    chunk_frames: int = 25,
    raw: bool = False,
    first_frames: int = FIRST_FRAMES,
    ahead: float | None = None,
    **generate_kwargs: Any,
) -> SongStream:
    """Generate one song with a model, in chunks.

    Args:
        model: a ``SongGenForConditionalGeneration``.
        chunk_frames, raw, first_frames, ahead: see :class:`SongGenAudioStreamer`.
        generate_kwargs: arguments of ``generate()`` for one song.

    Raises:
        ValueError: or any other error that ``generate()`` raises, when a chunk is read.
    """
    streamer = SongGenAudioStreamer(
        model, chunk_frames, raw=raw, first_frames=first_frames, ahead=ahead
    )
    criteria = streamer.stopping_criteria()
    criteria.extend(generate_kwargs.pop("stopping_criteria", []))
    generate_kwargs |= {"streamer": streamer, "stopping_criteria": criteria}
    return SongStream(streamer, lambda: model.generate(**generate_kwargs))


def stream_pipeline(
    pipeline: Any,
    text: Any,
    lyrics: Any = None,
    *,
    chunk_frames: int = 25,
    first_frames: int = FIRST_FRAMES,
    ahead: float | None = None,
    **arguments: Any,
) -> SongStream:
    """Generate one song with a pipeline, in chunks; ``song`` of the stream is the whole at its end.

        with stream_pipeline(pipe, "folk, female voice", "the river runs", ahead=5) as stream:
            for chunk in stream:
                play(chunk.waveform.numpy())
        stream.song.save("song.wav")

    Args:
        pipeline: a ``TextToSongPipeline``.
        text, lyrics: description and words, or a request dict.
        chunk_frames, first_frames, ahead: see :class:`SongGenAudioStreamer`.
        arguments: further arguments of the pipeline for one song.

    Raises:
        ValueError: for a masked pipeline, which has no part of a song before the whole, or for
            arguments that need a whole song; or any error of the pipeline, when a chunk is read.
    """
    if getattr(pipeline, "mode", "") != "autoregressive":
        raise ValueError(
            "a masked model generates all of a song at once: stream with an autoregressive one"
        )
    if not isinstance(text, str | Mapping):
        raise TypeError(f"a stream is one song: got {type(text).__name__}, expected a text or dict")
    if given := [name for name in NOT_STREAMED if arguments.get(name)]:
        raise ValueError(
            f"{given[0]} needs a whole song, which a stream does not have: leave it out"
        )
    streamer = SongGenAudioStreamer(
        pipeline.model,
        chunk_frames,
        raw=arguments.get("raw", False),
        first_frames=first_frames,
        ahead=ahead,
    )
    arguments |= {"streamer": streamer, "stopping_criteria": streamer.stopping_criteria()}
    return SongStream(streamer, lambda: pipeline(text, lyrics, **arguments))


__all__ = [
    "SongChunk",
    "SongGenAudioStreamer",
    "SongStream",
    "stream_pipeline",
    "stream_song",
]

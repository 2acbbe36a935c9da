"""Streams the waveform of a song in chunks while ``generate()`` runs.

``SongGenAudioStreamer`` is a streamer of transformers. ``stream_song`` also runs ``generate()`` in
a thread, raises its errors where the chunks are read, and stops it when the reading ends.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from queue import Queue
from threading import Event, Thread
from typing import Any

import torch
from torch import Tensor
from transformers import StoppingCriteria, StoppingCriteriaList
from transformers.generation.streamers import BaseStreamer

from ..modeling.modeling_xcodec import XCodecModel
from ..modeling.patterns import ACCOMPANIMENT, VOCAL
from ..modeling.xcodec_windows import XCodecStreamDecoder
from .song_edges import FADE_SECONDS, soften_end, soften_start


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


class SongGenAudioStreamer(BaseStreamer):
    """Iterator over :class:`SongChunk` while ``generate(streamer=...)`` runs in another thread.

    The joined chunks equal the song of the pipeline, cut to the shorter track; with ``raw`` they
    equal ``decode_codes(generate(...))``, which drops frames that hold special ids. A frame can be
    decoded when its last codebook and the frames of its context on the right
    (``decode_context_frames``) have been generated.

    Args:
        model: the model that generates one song, with X-Codec.
        chunk_frames: number of codec frames of a chunk; with fewer, chunks are available earlier,
            and decoding is less efficient.
        timeout: seconds to wait for the next chunk before ``queue.Empty`` is raised.
        raw: whether to leave the edges of the song as they were decoded. Otherwise the last 30 ms
            are held back, because only the end of the song shows that they fade out.
    """

    def __init__(
        self,
        model: Any,
        chunk_frames: int = 25,
        timeout: float | None = None,
        *,
        raw: bool = False,
    ):
        if not isinstance(model.audio_encoder, XCodecModel):
            raise ValueError(
                f"songs of {model.config.audio_encoder.model_type} cannot be streamed: only "
                "X-Codec decodes chunks that equal the whole; call generate instead"
            )
        self.model = model
        self.raw = raw
        self.pattern = model.pattern
        self.timeout = timeout
        self._decoders = [
            XCodecStreamDecoder(model.audio_encoder, chunk_frames)
            for _ in range(self.pattern.num_tracks)
        ]
        self._waiting: list[Tensor] = [torch.zeros(0) for _ in self._decoders]
        self._ended = [False] * len(self._decoders)
        self._begun = False
        self._columns: list[Tensor] = []
        self._num_frames = 0
        self._queue: Queue[SongChunk | BaseException | None] = Queue()

    def put(self, value: Tensor) -> None:
        """Take the columns of the prompt [rows, L], or one column [rows] of a step."""
        columns = value[:, None] if value.ndim == 1 else value
        if columns.shape[0] != self.pattern.num_rows:
            raise ValueError(
                f"one song at a time can be streamed: got {columns.shape[0]} rows, expected "
                f"{self.pattern.num_rows}; call generate with batch size 1"
            )
        self._columns.extend(columns.cpu().unbind(dim=1))
        available = self.pattern.num_frames(len(self._columns))
        if available > self._num_frames:
            self._decode(self._frames(self._num_frames, available))
            self._num_frames = available

    def end(self) -> None:
        """Decode the remaining frames and end the iteration."""
        for track, decoder in enumerate(self._decoders):
            self._collect(track, decoder.finish())
        self._emit(last=True)
        self._queue.put(None)

    def fail(self, error: BaseException) -> None:
        """Raise ``error`` where the chunks are read."""
        self._queue.put(error)

    def __iter__(self) -> Iterator[SongChunk]:
        return self

    def __next__(self) -> SongChunk:
        item = self._queue.get(timeout=self.timeout)
        if item is None:
            raise StopIteration
        if isinstance(item, BaseException):
            raise item
        return item

    def _frames(self, start: int, stop: int) -> Tensor:
        """Return the codes of the frames from ``start`` to ``stop``, [tracks, K, stop - start]."""
        rows, steps = self.pattern.index(stop)
        rows, steps = rows[..., start:], steps[..., start:]
        first = int(steps.min())
        recent = torch.stack(self._columns[first:], dim=1)  # [rows, L]
        return recent[rows, steps - first]

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
            self._queue.put(SongChunk(tracks[0]))
        else:
            mixture = tracks[ACCOMPANIMENT] + tracks[VOCAL]
            self._queue.put(SongChunk(mixture, tracks[VOCAL], tracks[ACCOMPANIMENT]))


class _StopWhenSet(StoppingCriteria):
    """Stops the generation when an event is set."""

    def __init__(self, event: Event):
        self.event = event

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        return torch.full((input_ids.shape[0],), self.event.is_set(), device=input_ids.device)


def stream_song(
    model: Any, *, chunk_frames: int = 25, raw: bool = False, **generate_kwargs: Any
) -> Iterator[SongChunk]:
    """Generate one song and yield it in chunks.

    Closing the iterator, or leaving the loop over it, stops the generation at its next step.

    Args:
        model: a ``SongGenForConditionalGeneration``.
        chunk_frames: number of codec frames of a chunk.
        raw: whether to leave the edges of the song as they were decoded.
        generate_kwargs: arguments of ``generate()`` for one song.

    Raises:
        ValueError: or any other error that ``generate()`` raises.
    """
    streamer = SongGenAudioStreamer(model, chunk_frames, raw=raw)
    abandoned = Event()
    criteria = StoppingCriteriaList([*generate_kwargs.pop("stopping_criteria", [])])
    criteria.append(_StopWhenSet(abandoned))

    def run() -> None:
        try:
            model.generate(streamer=streamer, stopping_criteria=criteria, **generate_kwargs)
        except BaseException as error:  # raised where the chunks are read
            streamer.fail(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    try:
        yield from streamer
    finally:
        abandoned.set()
        thread.join()


__all__ = ["SongChunk", "SongGenAudioStreamer", "stream_song"]

"""Hear a song while it is generated: codes -> waveform chunks during ``generate()``.

``SongGenAudioStreamer`` follows the library's streamer protocol; ``stream_song`` also runs
``generate()`` in a thread, hands its errors over and stops it when nobody listens any more.
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

from ..modeling.patterns import ACCOMPANIMENT, VOCAL
from ..modeling.xcodec_windows import XCodecStreamDecoder


@dataclass
class SongChunk:
    """The next piece of a song, float32 on the CPU at the codec's sampling rate.

    Args:
        waveform: [S], the mixture.
        vocal, accompaniment: [S], None for the mixed patterns.
    """

    waveform: Tensor
    vocal: Tensor | None = None
    accompaniment: Tensor | None = None


class SongGenAudioStreamer(BaseStreamer):
    """Iterate over :class:`SongChunk` while ``generate(streamer=...)`` runs in another thread.

    The chunks joined equal ``decode_codes(generate(...))``, also its rule for frames that hold
    special ids. A frame is heard once the delay pattern has written its last codebook and the codec
    has seen the frames after it (``decode_context_frames``).

    Args:
        model: the model that generates, one song at a time.
        chunk_frames: codec frames of a chunk; fewer are heard earlier and decode less efficiently.
        timeout: seconds to wait for the next chunk before ``queue.Empty`` is raised.
    """

    def __init__(self, model: Any, chunk_frames: int = 25, timeout: float | None = None):
        self.model = model
        self.pattern = model.pattern
        self.timeout = timeout
        self._decoders = [
            XCodecStreamDecoder(model.audio_encoder, chunk_frames)
            for _ in range(self.pattern.num_tracks)
        ]
        self._waiting: list[Tensor] = [torch.zeros(0) for _ in self._decoders]
        self._columns: list[Tensor] = []
        self._num_frames = 0
        self._queue: Queue[SongChunk | BaseException | None] = Queue()

    def put(self, value: Tensor) -> None:
        """Take the prompt's columns [rows, L], then one column [rows] a step."""
        columns = value[:, None] if value.ndim == 1 else value
        if columns.shape[0] != self.pattern.num_rows:
            raise ValueError(
                f"one song at a time can be streamed: got {columns.shape[0]} rows, expected "
                f"{self.pattern.num_rows}; call generate with batch size 1"
            )
        self._columns.extend(columns.cpu().unbind(dim=1))
        available = self.pattern.num_frames(len(self._columns))
        if available > self._num_frames:
            self._hear(self._frames(self._num_frames, available))
            self._num_frames = available

    def end(self) -> None:
        """Decode what is left; the iteration ends."""
        for track, decoder in enumerate(self._decoders):
            self._collect(track, decoder.finish())
        self._emit()
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
        """Codes of the frames ``start`` to ``stop``: [tracks, K, stop - start]."""
        rows, steps = self.pattern.index(stop)
        rows, steps = rows[..., start:], steps[..., start:]
        first = int(steps.min())
        recent = torch.stack(self._columns[first:], dim=1)  # [rows, L]
        return recent[rows, steps - first]

    def _hear(self, codes: Tensor) -> None:
        codebook_size = self.model.config.decoder.codebook_size
        for track, decoder in enumerate(self._decoders):
            kept = codes[track][:, (codes[track] < codebook_size).all(dim=0)]
            if kept.shape[-1]:
                self._collect(track, decoder.push(kept[None]))
        self._emit()

    def _collect(self, track: int, chunks: Iterator[Tensor]) -> None:
        parts = [chunk[0, 0].float().cpu() for chunk in chunks]
        self._waiting[track] = torch.cat([self._waiting[track], *parts])

    def _emit(self) -> None:
        """Queue what every track has; the longer track waits for the other."""
        length = min(waiting.shape[-1] for waiting in self._waiting)
        if not length:
            return
        tracks = [waiting[:length] for waiting in self._waiting]
        self._waiting = [waiting[length:] for waiting in self._waiting]
        if len(tracks) == 1:
            self._queue.put(SongChunk(tracks[0]))
        else:
            mixture = tracks[ACCOMPANIMENT] + tracks[VOCAL]
            self._queue.put(SongChunk(mixture, tracks[VOCAL], tracks[ACCOMPANIMENT]))


class _StopWhenSet(StoppingCriteria):
    def __init__(self, event: Event):
        self.event = event

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        return torch.full((input_ids.shape[0],), self.event.is_set(), device=input_ids.device)


def stream_song(
    model: Any, *, chunk_frames: int = 25, **generate_kwargs: Any
) -> Iterator[SongChunk]:
    """Generate one song and yield it chunk by chunk.

    Args:
        model: a ``SongGenForConditionalGeneration``.
        chunk_frames: codec frames of a chunk.
        generate_kwargs: what ``generate()`` takes; one song.

    Raises:
        ValueError: whatever ``generate()`` raises, where the chunks are read.

    Closing the iterator (or leaving its loop) stops the generation at its next step.
    """
    streamer = SongGenAudioStreamer(model, chunk_frames)
    abandoned = Event()
    criteria = StoppingCriteriaList([*generate_kwargs.pop("stopping_criteria", [])])
    criteria.append(_StopWhenSet(abandoned))

    def run() -> None:
        try:
            model.generate(streamer=streamer, stopping_criteria=criteria, **generate_kwargs)
        except BaseException as error:  # handed to the reader
            streamer.fail(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    try:
        yield from streamer
    finally:
        abandoned.set()
        thread.join()


__all__ = ["SongChunk", "SongGenAudioStreamer", "stream_song"]

"""Sound of a song while it is generated: chunks of its waveform, and the song of the first ones.

The chunks are those of ``pipelines/streaming.py``, whose joined waveforms equal the song.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty
from typing import Any

import numpy as np
import torch

from ..modeling.modeling_xcodec import XCodecModel
from ..pipelines.song_edges import soften_end
from ..pipelines.streaming import SongGenAudioStreamer

FIRST_FRAMES, MOST_FRAMES = 10, 50
"""Codec frames of the first chunk, for an early beginning, and of the largest one."""
_GROWTH = 1.5


@dataclass(frozen=True, eq=False)
class Chunk:
    """A stretch of a song that is being generated.

    Args:
        seed: seed of the song.
        sampling_rate: Hz.
        mixture: float32 [samples].
        vocal, accompaniment: float32 [samples]; None in the mode "mixed".
        codes: int64 [tracks, K, frames], those generated since the chunk before.
    """

    seed: int
    sampling_rate: int
    mixture: np.ndarray
    vocal: np.ndarray | None
    accompaniment: np.ndarray | None
    codes: np.ndarray


class ChunkStreamer(SongGenAudioStreamer):
    """Streamer that hands chunks over in the thread of the generation, small ones first.

    Args:
        model: the model that generates one song.
        seed: seed of the song.
        emit: called with each chunk.
    """

    def __init__(self, model: Any, seed: int, emit: Callable[[Chunk], None]):
        super().__init__(model, FIRST_FRAMES, timeout=0)
        self.seed = seed
        self.emit = emit
        self._told = 0  # frames whose codes were handed over

    def put(self, value: torch.Tensor) -> None:
        """Take the columns of the prompt [rows, L], or one column [rows] of a step."""
        super().put(value)
        self._hand_over()

    def end(self) -> None:
        """Hand over the rest of the song."""
        super().end()
        self._hand_over()

    def _hand_over(self) -> None:
        while True:
            try:
                part = next(self)
            except (Empty, StopIteration):
                return
            codes = self._new_codes()
            tracks = (part.waveform, part.vocal, part.accompaniment)
            sounds = [None if one is None else one.numpy().copy() for one in tracks]
            rate = int(self.model.config.sampling_rate)
            assert sounds[0] is not None
            self.emit(Chunk(self.seed, rate, sounds[0], sounds[1], sounds[2], codes))
            for decoder in self._decoders:
                larger = round(decoder.chunk_frames * _GROWTH)
                decoder.chunk_frames = min(MOST_FRAMES, larger)

    def _new_codes(self) -> np.ndarray:
        """The codes of the frames that were generated since the last call, [tracks, K, n]."""
        config = self.model.config.decoder
        codes = np.zeros((config.num_tracks, config.num_codebooks, 0), np.int64)
        if self._num_frames > self._told:
            codes = self._frames(self._told, self._num_frames).numpy()
        self._told = self._num_frames
        return codes


def can_stream(model: Any) -> bool:
    """Whether songs of a model can be decoded in chunks."""
    return isinstance(getattr(model, "audio_encoder", None), XCodecModel)


def joined(chunks: Sequence[Chunk], name: str) -> np.ndarray | None:
    """A waveform of consecutive chunks by its name in :class:`Chunk`: [samples], or None."""
    parts = [getattr(chunk, name) for chunk in chunks]
    return None if parts[0] is None else np.concatenate(parts)


def first_part(chunks: Sequence[Chunk], hop_length: int) -> dict[str, Any]:
    """The song of the first chunks of a stopped one, with the keys of a song of a pipeline.

    Args:
        chunks: consecutive chunks from the beginning of a song.
        hop_length: samples of a frame.
    Returns:
        ``audio``, ``vocal``, ``accompaniment`` (float32 [1, samples] or None), which fade out,
        ``sampling_rate``, ``seed`` and ``codes`` of the whole frames.
    """
    rate = chunks[0].sampling_rate
    song: dict[str, Any] = {"sampling_rate": rate, "seed": chunks[0].seed}
    names = {"audio": "mixture", "vocal": "vocal", "accompaniment": "accompaniment"}
    for key, name in names.items():
        waveform = joined(chunks, name)
        song[key] = None if waveform is None else waveform[None]
        if song[key] is not None:
            soften_end(song[key], rate, ended=False)
    if song["vocal"] is not None:
        song["audio"] = song["accompaniment"] + song["vocal"]
    codes = np.concatenate([chunk.codes for chunk in chunks], axis=-1)
    song["codes"] = codes[..., : song["audio"].shape[-1] // hop_length]
    return song


__all__ = ["Chunk", "ChunkStreamer", "can_stream", "first_part", "joined"]

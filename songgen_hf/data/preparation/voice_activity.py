"""Voice activity detection by name: silero, whose package brings its weights.

Such detectors are trained on speech and miss part of singing, so that their result is one vote.
"""

from __future__ import annotations

import importlib.util
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import torch

from ..listening.envelopes import FRAME_RATE, sound_blocks

VOICE_DETECTORS = ("none", "silero")
_RATE, _CHUNK = 16000, 512  # what silero takes: Hz, and samples of one probability


def voice_probability(path: str | Path, name: str, num_frames: int) -> np.ndarray:
    """Estimate the probability of a voice in each frame of a sound file.

    Args:
        path: sound file.
        name: ``silero``.
        num_frames: T, the number of frames of 20 ms.
    Returns:
        float32 [T].
    Raises:
        ImportError: if the package is not installed.
        ValueError: for another name, or a file that cannot be read.
    """
    if name != "silero":
        raise ValueError(
            f"got the voice detector {name!r}, expected one of {', '.join(VOICE_DETECTORS)}"
        )
    detector = _silero()
    detector.reset_states()
    chunks, waiting, resampler = [], np.zeros(0, dtype=np.float32), None
    with torch.no_grad():
        for block in sound_blocks(path):
            resampler = resampler or soxr.ResampleStream(block.rate, _RATE, 1, dtype="float32")
            samples = block.samples[: block.starts[-1]]
            waiting = np.concatenate([waiting, resampler.resample_chunk(samples)])
            whole = len(waiting) // _CHUNK * _CHUNK
            for chunk in torch.from_numpy(waiting[:whole]).split(_CHUNK):
                chunks.append(float(detector(chunk[None], _RATE)))
            waiting = waiting[whole:]
    if not chunks:
        return np.zeros(num_frames, dtype=np.float32)
    centers = (np.arange(num_frames) + 0.5) * (_RATE / FRAME_RATE / _CHUNK)
    places = np.minimum(centers.astype(np.int64), len(chunks) - 1)
    return np.array(chunks, dtype=np.float32)[places]


@cache
def _silero() -> Any:
    """The network of the installed package, without importing it: that sets torch's threads."""
    package = importlib.util.find_spec("silero_vad")
    if package is None or package.origin is None:
        raise ImportError(
            "silero_vad is not installed. Install it with: pip install 'songgen-hf[prepare]'"
        )
    path = Path(package.origin).parent / "data" / "silero_vad.jit"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.load(str(path), map_location="cpu").eval()


__all__ = ["VOICE_DETECTORS", "voice_probability"]

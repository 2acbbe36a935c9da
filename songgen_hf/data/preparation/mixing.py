"""Mixing augmentation: one training song is made of two (AudioGen, arXiv 2209.15352, section 3.2).

It is useful for songs with descriptions and without lyrics: the model learns to generate what two
captions describe.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

SNR_RANGE = (-5.0, 5.0)  # dB
MAX_OFFSET = 0.5  # fraction of the first song
PEAK = 0.99
SILENCE = 1e-8  # root mean square below which a song is not scaled


def mix_waveforms(first: np.ndarray, second: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Add a second song to a first one, at a random time and a random level.

    The second song starts within the first half of the first song and is cut at its end. Its level
    is -5 to 5 dB below that of the first song. A mixture above full scale is scaled down.

    Args:
        first: float32 [S] in [-1, 1].
        second: float32 [S'] at the same sampling rate.
        random: random number generator for time and level.
    Returns:
        float32 [S] in [-1, 1].
    """
    snr = random.uniform(*SNR_RANGE)
    start = int(random.uniform(0, MAX_OFFSET) * len(first))
    inserted = second[: len(first) - start]
    first_level, second_level = rms(first), rms(inserted)
    gain = 1.0
    if min(first_level, second_level) > SILENCE:
        gain = first_level / second_level * 10 ** (-snr / 20)
    mixture = first.astype(np.float32, copy=True)
    mixture[start : start + len(inserted)] += gain * inserted
    peak = float(np.abs(mixture).max(initial=0.0))
    return mixture * np.float32(PEAK / peak) if peak > PEAK else mixture


def rms(waveform: np.ndarray) -> float:
    """The root mean square of a waveform [S]; 0 without samples."""
    return float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64)))) if waveform.size else 0.0


def join_captions(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """The captions of a mixture of two songs, which join the n-th captions of both songs.

    Args:
        first: row with ``captions`` (a list) or ``caption``.
        second: row with ``captions`` (a list) or ``caption``.
    """
    pairs = zip(captions_of(first), captions_of(second), strict=False)
    return [f"{one.rstrip(' .')}. {other}" for one, other in pairs]


def captions_of(row: Mapping[str, Any]) -> list[str]:
    """The captions of a row, as a list."""
    found = row.get("captions")
    if found is None:
        found = row.get("caption")
    return [found] if isinstance(found, str) else list(found or [])


__all__ = ["captions_of", "join_captions", "mix_waveforms"]

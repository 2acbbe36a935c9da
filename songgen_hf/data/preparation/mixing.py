"""Two songs become one training song (AudioGen, arXiv 2209.15352, section 3.2).

Useful where songs have descriptions and no lyrics: the model learns to make what two captions say.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

SNR_RANGE = (-5.0, 5.0)
MAX_OFFSET = 0.5
PEAK = 0.99
SILENCE = 1e-8


def mix_waveforms(first: np.ndarray, second: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The first song with the second one in it, from a random time on and at a random level.

    The second song starts within the first half of the first one, and ends with it at the latest.
    Its level is -5 to 5 dB below that of the first. A mixture above full scale is scaled down.

    Args:
        first: [S] float32 in [-1, 1].
        second: [S'] float32 at the same rate.
        random: draws level and time.
    Returns:
        [S] float32 in [-1, 1].
    """
    snr = random.uniform(*SNR_RANGE)
    start = int(random.uniform(0, MAX_OFFSET) * len(first))
    inserted = second[: len(first) - start]
    first_level, second_level = rms(first), rms(inserted)
    gain = 1.0
    if min(first_level, second_level) > SILENCE:
        gain = first_level / second_level * 10 ** (-snr / 20)
    mixed = first.astype(np.float32, copy=True)
    mixed[start : start + len(inserted)] += gain * inserted
    peak = float(np.abs(mixed).max(initial=0.0))
    return mixed * np.float32(PEAK / peak) if peak > PEAK else mixed


def rms(waveform: np.ndarray) -> float:
    """Root mean square of [S]; 0 for no samples."""
    return float(np.sqrt(np.mean(np.square(waveform, dtype=np.float64)))) if waveform.size else 0.0


def join_captions(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[str]:
    """Captions of a song made of two: the n-th of one, then the n-th of the other.

    Args:
        first, second: rows with ``captions`` (list) or ``caption``.
    """
    pairs = zip(captions_of(first), captions_of(second), strict=False)
    return [f"{one.rstrip(' .')}. {other}" for one, other in pairs]


def captions_of(row: Mapping[str, Any]) -> list[str]:
    """The captions of a row, in a list."""
    found = row.get("captions")
    if found is None:
        found = row.get("caption")
    return [found] if isinstance(found, str) else list(found or [])


__all__ = ["captions_of", "join_captions", "mix_waveforms"]

"""Mixing augmentation: one training song is made of two (AudioGen, arXiv 2209.15352, section 3.2).

It is useful for songs with descriptions and without lyrics: the model learns to generate what two
captions describe.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

SNR_RANGE = (-5.0, 5.0)  # dB
HEARD_SECONDS = 1.0  # of the second song at least, whose caption would be wrong otherwise
PEAK = 0.99
SILENCE = 1e-8  # root mean square below which a song is not scaled


class Draw(NamedTuple):
    """How a second song is added to a first one.

    Args:
        snr: level of the first song over that of the second one, in dB.
        start: sample of the first song at which the second one begins.
    """

    snr: float
    start: int


def draw_mixing(lengths: tuple[int, int], rate: int, random: np.random.Generator) -> Draw:
    """Draw the level and the place of a second song.

    Both are uniform: the level over -5 to 5 dB, the place over the whole first song, so that a
    second of the second song is heard.

    Args:
        lengths: samples of the first and of the second song.
        rate: sampling rate of both in Hz.
        random: random number generator.
    """
    latest = max(0, lengths[0] - min(round(HEARD_SECONDS * rate), *lengths))
    return Draw(float(random.uniform(*SNR_RANGE)), int(random.integers(latest + 1)))


def mix_waveforms(first: np.ndarray, second: np.ndarray, draw: Draw) -> np.ndarray:
    """Add a second song to a first one, at the end of which it is cut.

    The ratio of the levels (root mean squares) of the whole songs is that of the draw, unless one
    of them is silent. A mixture above full scale is scaled down.

    Args:
        first: float32 [S] in [-1, 1].
        second: float32 [S'] at the same sampling rate.
        draw: level and place of the second song.
    Returns:
        float32 [S] in [-1, 1].
    """
    levels = rms(first), rms(second)
    gain = levels[0] / levels[1] * 10 ** (-draw.snr / 20) if min(levels) > SILENCE else 1.0
    mixture = first.astype(np.float32, copy=True)
    mixture[draw.start : draw.start + len(second)] += gain * second[: len(first) - draw.start]
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


__all__ = ["Draw", "captions_of", "draw_mixing", "join_captions", "mix_waveforms"]

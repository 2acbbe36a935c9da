"""Synthetic songs for tests of the preparation: chords, drums and a voice, of a seed."""

from functools import cache

import numpy as np

SAMPLING_RATE = 16000  # Hz


@cache
def stems(seed: int, seconds: float = 6.0) -> tuple[np.ndarray, np.ndarray]:
    """Return the vocal and the accompaniment of a song, float32 [S] each."""
    rng = np.random.default_rng(seed)
    length = round(seconds * SAMPLING_RATE)
    beat = round(60 / rng.uniform(80, 140) * SAMPLING_RATE)
    times = np.arange(beat) / SAMPLING_RATE
    vibrato = times + 0.0005 * np.sin(2 * np.pi * 6 * times)
    vocal, accompaniment = np.zeros(length + beat), np.zeros(length + beat)
    for start in range(0, length, beat):
        span = slice(start, start + beat)
        for pitch in rng.choice(24, 3, replace=False):
            tone = 2 * np.pi * 110 * 2 ** (pitch / 12) * times
            accompaniment[span] += np.exp(-6 * times) * (np.sin(tone) + np.sin(3 * tone) / 3)
        accompaniment[span] += np.exp(-40 * times) * rng.standard_normal(beat)
        tone = 2 * np.pi * 220 * 2 ** (rng.integers(0, 12) / 12) * vibrato
        voice = sum(np.sin(k * tone) / k for k in range(1, 12)) + 0.1 * rng.standard_normal(beat)
        vocal[span] += (times < 0.8 * times[-1]) * voice
    parts = vocal[:length], accompaniment[:length]
    first, second = ((0.45 * one / np.abs(one).max()).astype(np.float32) for one in parts)
    return first, second


def song(seed: int, seconds: float = 6.0) -> np.ndarray:
    """Return the mixture of a song, float32 [S]."""
    vocal, accompaniment = stems(seed, seconds)
    return vocal + accompaniment

"""Synthetic songs with stems, for the tests of preparing recordings."""

import numpy as np

RATE = 24000


def sing(seed, lines=4):
    """A vocal of held notes in lines of three seconds with pauses, and chords with noise."""
    rng = np.random.default_rng(seed)
    times = np.arange(int(4.0 * lines * RATE)) / RATE
    vocal = np.zeros_like(times)
    for line in range(lines):
        for note in range(6):
            start = 4.0 * line + 0.5 + 0.5 * note
            inside = (times >= start) & (times < start + 0.48)
            pitch = 220 * 2 ** (rng.integers(12) / 12)
            for partial in range(1, 9):
                wave = np.sin(2 * np.pi * pitch * partial * times[inside])
                vocal[inside] += 0.1 / partial * wave
    chords = sum(np.sin(2 * np.pi * f * times) for f in 110 * 2 ** (rng.integers(0, 24, 3) / 12))
    return vocal, 0.05 * chords + 0.02 * rng.standard_normal(len(times))

"""Magnitudes and mel triangles in numpy, for the estimators that are not trained."""

from __future__ import annotations

import numpy as np


def spectrogram(waveform: np.ndarray, size: int, hop: int) -> np.ndarray:
    """Magnitudes [T, F] of Hann-windowed frames, the first one centered on the first sample.

    Args:
        waveform: float [S].
        size: of a frame, samples; F is ``size // 2 + 1``.
        hop: samples between frames; T is ``1 + (S - S % 2) // hop`` for even ``size``.
    """
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(waveform, size // 2), size)[::hop]
    return np.abs(np.fft.rfft(frames * np.hanning(size), axis=1))


def mel_triangles(bands: int, size: int, low: float, high: float, sampling_rate: int) -> np.ndarray:
    """Triangles [bands, F] of peak 1 on the mel scale.

    Args:
        bands: how many.
        size: of the frames, samples.
        low: Hz where the first begins.
        high: Hz where the last ends.
        sampling_rate: Hz.
    """
    mel = np.linspace(2595 * np.log10(1 + low / 700), 2595 * np.log10(1 + high / 700), bands + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)
    bins = np.fft.rfftfreq(size, 1 / sampling_rate)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    return np.clip(np.minimum(rising, falling), 0, None)


__all__ = ["mel_triangles", "spectrogram"]

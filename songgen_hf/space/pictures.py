"""The mel spectrogram of a track as a small picture, in the colors of the page."""

import io
from functools import cache

import numpy as np

from ..data.listening.mel_picture import mel_decibels
from ..optional import require

WIDTH, HEIGHT = 960, 160  # pixels
_BANDS, _LOWEST = 80, 60.0  # bands, Hz
_DECIBELS = 60.0  # from the loudest down
_STOPS = ("#101a24", "#173a45", "#1f6b6d", "#6aa884", "#e6b15e", "#fff1d0")


def mel_picture(waveform: np.ndarray, sampling_rate: int) -> bytes:
    """A PNG of ``WIDTH`` x ``HEIGHT``: time to the right, pitch upwards, louder is brighter.

    Args:
        waveform: float [channels, samples] or [samples].
        sampling_rate: Hz.
    Raises:
        ImportError: without Pillow.
    """
    image = require("PIL.Image", "space")
    samples = np.atleast_2d(waveform).mean(axis=0, dtype=np.float64)
    level = mel_decibels(
        samples,
        sampling_rate,
        num_bands=_BANDS,
        hop_length=max(1, len(samples) // WIDTH),
        min_frequency=_LOWEST,
        max_frequency=0.48 * sampling_rate,
    )
    # The brightest color from what one point in two hundred exceeds: a single peak dims the rest.
    top = max(float(np.percentile(level, 99.5)), -60.0)
    shade = np.clip(1 + (level - top) / _DECIBELS, 0, 1)
    indices = np.ascontiguousarray((shade[::-1] * 63).astype(np.uint8))
    picture = image.fromarray(indices, mode="L").resize((WIDTH, HEIGHT), image.Resampling.BILINEAR)
    colored = image.fromarray(np.asarray(picture))
    colored = colored.convert("P") if colored.mode != "P" else colored
    colored.putpalette(_palette())
    file = io.BytesIO()
    colored.save(file, format="PNG", optimize=True)
    return file.getvalue()


@cache
def _palette() -> list[int]:
    """64 colors, RGB after RGB."""
    stops = np.array([[int(stop[i : i + 2], 16) for i in (1, 3, 5)] for stop in _STOPS])
    places = np.linspace(0, len(stops) - 1, 64)
    channels = [np.interp(places, range(len(stops)), stops[:, channel]) for channel in range(3)]
    return [round(value) for value in np.stack(channels, axis=1).ravel()]


__all__ = ["HEIGHT", "WIDTH", "mel_picture"]

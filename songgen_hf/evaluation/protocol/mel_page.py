"""A picture of what was sung: mel spectrograms, each with the words asked for and those heard."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...optional import require
from ..judges.log_mels import SAMPLING_RATE
from ..metrics.spectrogram import mel_triangles, spectrogram

HOP, SIZE, BANDS = 160, 1024, 96
LOWEST, HIGHEST = 40.0, 7800.0  # Hz
DECIBELS = 80.0  # from the loudest down
_TICKS = {200: "200", 1000: "1k", 4000: "4k"}  # Hz


@dataclass(frozen=True)
class PicturedSong:
    """One song of the page.

    Args:
        title: what was asked for.
        sounds: name and waveform [S] of each row of pictures, the first one above.
        captions: lines below.
    """

    title: str
    sounds: tuple[tuple[str, np.ndarray], ...]
    captions: tuple[str, ...]


def mel_level(waveform: np.ndarray) -> np.ndarray:
    """Level in mel bands in dB below the song's loudest point: float [T, bands], 0 to -80.

    Args:
        waveform: float [S] at 16 kHz.
    """
    triangles = mel_triangles(BANDS, SIZE, LOWEST, HIGHEST, SAMPLING_RATE)
    power = spectrogram(waveform.astype(np.float64), SIZE, HOP) ** 2 @ triangles.T
    level = 10 * np.log10(power + 1e-12)
    return np.maximum(level - level.max(), -DECIBELS)


def draw_page(songs: Sequence[PicturedSong], *, colors: int = 32) -> bytes:
    """A PNG of all songs, one below the other.

    Args:
        songs: at least one.
        colors: of the picture's palette.
    Raises:
        ValueError: without songs.
        ImportError: without matplotlib or Pillow.
    """
    if not songs:
        raise ValueError("got no songs to draw, expected at least one")
    matplotlib = require("matplotlib.figure", "evaluate")
    image = require("PIL.Image", "evaluate")
    count = sum(len(song.sounds) for song in songs)
    figure = matplotlib.Figure(figsize=(10, 1.5 * count + 0.5 * len(songs)), layout="constrained")
    axes = figure.subplots(count, 1, squeeze=False)[:, 0]
    place = 0
    for song in songs:
        axes[place].set_title(song.title, fontsize=8, loc="left")
        for name, waveform in song.sounds:
            _draw(axes[place], name, waveform)
            place += 1
        axes[place - 1].set_xlabel("\n".join(song.captions), fontsize=8, loc="left")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=72)
    small = io.BytesIO()
    image.open(picture).convert("RGB").quantize(colors).save(small, format="PNG", optimize=True)
    return small.getvalue()


def _draw(axis: Any, name: str, waveform: np.ndarray) -> None:
    level = mel_level(waveform)
    axis.imshow(
        level.T, origin="lower", aspect="auto", cmap="magma", vmin=-DECIBELS, vmax=0,
        extent=(0, len(level) * HOP / SAMPLING_RATE, 0, BANDS), interpolation="nearest",
    )  # fmt: skip
    axis.set_yticks([_band(hertz) for hertz in _TICKS], list(_TICKS.values()))
    axis.set_ylabel(f"{name}\nHz", fontsize=8)
    axis.tick_params(labelsize=7)


def _band(hertz: float) -> float:
    """Place of a frequency on a picture's axis."""
    low, high, here = (2595 * np.log10(1 + f / 700) for f in (LOWEST, HIGHEST, hertz))
    return (here - low) / (high - low) * (BANDS + 1) - 1


__all__ = ["PicturedSong", "draw_page", "mel_level"]

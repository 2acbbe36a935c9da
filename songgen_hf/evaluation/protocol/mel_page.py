"""A page of mel spectrograms of songs, with their requested and their recognized phonemes."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from transformers.audio_utils import hertz_to_mel

from ...data.listening.log_mels import SAMPLING_RATE
from ...data.listening.mel_picture import mel_decibels
from ...optional import require

HOP_LENGTH, NUM_BANDS = 160, 96
MIN_FREQUENCY, MAX_FREQUENCY = 40.0, 7800.0  # Hz
DECIBEL_RANGE = 80.0  # below the loudest point of a song
_TICKS = {200: "200", 1000: "1k", 4000: "4k"}  # Hz


@dataclass(frozen=True)
class PicturedSong:
    """One song of the page.

    Args:
        title: line above the song.
        tracks: name and waveform [S] of each picture, from above to below.
        captions: lines below the song.
    """

    title: str
    tracks: tuple[tuple[str, np.ndarray], ...]
    captions: tuple[str, ...]


def draw_page(songs: Sequence[PicturedSong], *, colors: int = 32) -> bytes:
    """Draw all songs below each other.

    Args:
        songs: at least one song.
        colors: number of colors of the palette.
    Returns:
        The bytes of a PNG file.
    Raises:
        ValueError: without songs.
        ImportError: without matplotlib or Pillow.
    """
    if not songs:
        raise ValueError("got no songs to draw, expected at least one")
    matplotlib = require("matplotlib.figure", "evaluate")
    image = require("PIL.Image", "evaluate")
    count = sum(len(song.tracks) for song in songs)
    figure = matplotlib.Figure(figsize=(10, 1.5 * count + 0.5 * len(songs)), layout="constrained")
    axes = figure.subplots(count, 1, squeeze=False)[:, 0]
    place = 0
    for song in songs:
        axes[place].set_title(song.title, fontsize=8, loc="left")
        for name, waveform in song.tracks:
            _draw(axes[place], name, waveform)
            place += 1
        axes[place - 1].set_xlabel("\n".join(song.captions), fontsize=8, loc="left")
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=72)
    small = io.BytesIO()
    image.open(picture).convert("RGB").quantize(colors).save(small, format="PNG", optimize=True)
    return small.getvalue()


def _draw(axis: Any, name: str, waveform: np.ndarray) -> None:
    decibels = mel_decibels(
        waveform,
        SAMPLING_RATE,
        num_bands=NUM_BANDS,
        hop_length=HOP_LENGTH,
        min_frequency=MIN_FREQUENCY,
        max_frequency=MAX_FREQUENCY,
        decibel_range=DECIBEL_RANGE,
    )
    loudest, seconds = float(decibels.max()), decibels.shape[1] * HOP_LENGTH / SAMPLING_RATE
    axis.imshow(
        decibels, origin="lower", aspect="auto", cmap="magma", interpolation="nearest",
        vmin=loudest - DECIBEL_RANGE, vmax=loudest, extent=(0, seconds, 0, NUM_BANDS),
    )  # fmt: skip
    axis.set_yticks([_band(frequency) for frequency in _TICKS], list(_TICKS.values()))
    axis.set_ylabel(f"{name}\nHz", fontsize=8)
    axis.tick_params(labelsize=7)


def _band(frequency: float) -> float:
    """Position of a frequency, in Hz, on the vertical axis of a picture."""
    low, high, here = (hertz_to_mel(one) for one in (MIN_FREQUENCY, MAX_FREQUENCY, frequency))
    return float((here - low) / (high - low) * (NUM_BANDS + 1) - 1)


__all__ = ["PicturedSong", "draw_page"]

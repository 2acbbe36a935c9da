"""Draws a song: the mel spectrogram of each track, the sung words, the attention and the sections.

The file travels to the Hub with the pipelines and imports nothing of this package. matplotlib is
imported when it is first used.
"""

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

_TITLES = {"vocal": "Vocal", "accompaniment": "Accompaniment", "audio": "Mixture"}
_BANDS, _WINDOW, _LOWEST, _RANGE = 80, 1024, 60.0, 60.0  # bands, samples, Hz, dB
_COLUMNS = 1500  # frames of a spectrogram, about as many as a picture has pixels
_SECONDS_PER_INCH = 0.8
_WIDTHS = (9.0, 30.0)  # inches


def song_picture(song: Mapping[str, Any], attention: np.ndarray | None, lyrics: str) -> Any:
    """Return the figure of a song.

    Args:
        song: the keys of a song; of ``words`` and ``sections`` what there is.
        attention: [T, P], the weight of each lyrics token in each frame; None to leave it out.
        lyrics: the lyrics, for the title.
    Raises:
        ImportError: without matplotlib.
    """
    try:
        figures = importlib.import_module("matplotlib.figure")
    except ImportError as error:
        raise ImportError("a picture needs matplotlib: pip install matplotlib") from error
    names = ["audio"] if song.get("vocal") is None else ["vocal", "accompaniment"]
    rate = song["sampling_rate"]
    seconds = max(song[name].shape[-1] for name in names) / rate
    words, sections = song.get("words") or [], song.get("sections") or []
    heights = [*([0.25] if sections else []), *([0.6] if words else []), *[1.6] * len(names)]
    heights += [] if attention is None else [1.6]
    width = float(np.clip(seconds / _SECONDS_PER_INCH, *_WIDTHS))
    figure = figures.Figure(figsize=(width, sum(heights) + 0.9), layout="constrained", dpi=110)
    axes = list(
        figure.subplots(len(heights), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
    )
    title = lyrics.strip().splitlines()[:1] or [""]
    seed = "" if song["seed"] is None else f"  (seed {song['seed']})"
    figure.suptitle(f"{title[0][:80]}{seed}".strip(), fontsize=10)
    rest = iter(axes)
    if sections:
        _draw_sections(next(rest), sections)
    if words:
        _draw_words(next(rest), words, seconds / width)
    for name in names:
        _draw_mel(
            next(rest), song[name], rate, _TITLES[name], words if name != "accompaniment" else []
        )
    if attention is not None:
        _draw_attention(next(rest), attention, seconds)
    axes[-1].set_xlabel("seconds")
    axes[-1].set_xlim(0, seconds)
    return figure


def _draw_mel(axis: Any, waveform: np.ndarray, rate: int, title: str, words: list[Any]) -> None:
    samples = np.asarray(waveform, np.float64).mean(axis=0)
    seconds = len(samples) / rate
    samples = np.pad(samples, (0, max(0, _WINDOW - len(samples))))
    level = spectrogram(
        samples,
        window_function(_WINDOW, "hann", periodic=False),
        _WINDOW,
        max(1, len(samples) // _COLUMNS),
        power=2.0,
        pad_mode="constant",
        mel_filters=mel_filter_bank(_WINDOW // 2 + 1, _BANDS, _LOWEST, 0.48 * rate, rate),
        log_mel="dB",
    )
    top = float(level.max())
    axis.imshow(
        level,
        origin="lower",
        aspect="auto",
        extent=(0, seconds, 0, _BANDS),
        cmap="magma",
        vmin=top - _RANGE,
        vmax=top,
    )
    for word in words:
        axis.axvline(word["start"], color="white", linewidth=0.5, alpha=0.5)
    axis.set_yticks([])
    axis.set_ylabel(title)


def _draw_words(axis: Any, words: list[Any], seconds_per_inch: float) -> None:
    """The words at their times; where they are too close, in rows one below the other."""
    ends = [-np.inf] * 3
    for word in words:
        needed = 0.085 * seconds_per_inch * (len(word["word"]) + 1)  # inches of a letter
        row = next((i for i, end in enumerate(ends) if word["start"] >= end), int(np.argmin(ends)))
        ends[row] = word["start"] + needed
        shade = 0.35 + 0.65 * float(np.clip(word["confidence"], 0, 1))
        place = 2.5 - row
        axis.plot([word["start"], word["end"]], [place - 0.4] * 2, color="tab:blue", alpha=shade)
        text = axis.text(word["start"], place, word["word"], fontsize=8, va="center", alpha=shade)
        text.set(clip_on=True, in_layout=False)
    axis.set_ylim(0, 3)
    axis.set_yticks([])
    axis.set_ylabel("Words", rotation=0, ha="right", va="center")
    axis.spines[["top", "right", "left"]].set_visible(False)


def _draw_attention(axis: Any, attention: np.ndarray, seconds: float) -> None:
    weights = np.asarray(attention, np.float32)
    axis.imshow(
        weights.T,
        origin="lower",
        aspect="auto",
        extent=(0, seconds, 0, weights.shape[1]),
        cmap="viridis",
        vmin=0,
        interpolation="nearest",
    )
    axis.set_ylabel("Lyrics token")


def _draw_sections(axis: Any, sections: list[Any]) -> None:
    for place, section in enumerate(sections):
        start, end = section["start"], section["end"]
        axis.axvspan(start, end, color=f"C{place % 10}", alpha=0.35)
        name = str(section.get("name", place + 1))
        axis.text((start + end) / 2, 0.5, name, ha="center", va="center", fontsize=8)
    axis.set_ylim(0, 1)
    axis.set_yticks([])


__all__ = ["song_picture"]

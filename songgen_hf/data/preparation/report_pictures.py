"""Pictures of the report as text: histograms as SVG, spectrograms as PNG."""

from __future__ import annotations

import base64
import math
import struct
import zlib
from collections.abc import Sequence
from html import escape

import numpy as np

from ..listening.mel_picture import mel_decibels

WIDTH, HEIGHT = 440, 150  # of a histogram, in units of the SVG
_LEFT, _RIGHT, _TOP, _BOTTOM = 8, 8, 30, 22
_BINS = 40
_SPECTROGRAM_BANDS, _SPECTROGRAM_RANGE = 64, 70.0  # dB
_SPECTROGRAM_COLUMNS = 400
# From black over purple and orange to light yellow; legible on light and dark pages.
_PALETTE = np.array(
    [(8, 6, 24), (62, 15, 96), (130, 37, 129), (200, 62, 100), (245, 125, 65), (252, 250, 190)]
)


def histogram(
    kept: Sequence[float],
    dropped: Sequence[float],
    bounds: Sequence[tuple[str, float]],
    *,
    title: str,
    unit: str = "",
    logarithmic: bool = False,
) -> str:
    """Draw the scores of kept and of dropped clips above each other, with the thresholds.

    Args:
        kept, dropped: scores; at least one of them is not empty.
        bounds: name and value of each threshold.
        title: what is measured.
        unit: unit of the scores.
        logarithmic: whether the horizontal axis is logarithmic; scores below 1 then count as 1.
    Returns:
        An SVG element whose colors are CSS variables of the page.
    """
    scores = [np.asarray(one, dtype=np.float64) for one in (kept, dropped)]
    limits = np.array([value for _, value in bounds], dtype=np.float64)
    if logarithmic:
        *scores, limits = (np.log10(np.maximum(one, 1.0)) for one in (*scores, limits))
    everything = np.concatenate([*scores, limits])
    low, high = float(everything.min()), float(everything.max())
    margin = 0.04 * (high - low) or max(abs(high), 1.0) * 0.04
    low, high = low - margin, high + margin
    counts = [np.histogram(one, _BINS, (low, high))[0] for one in scores]
    most = max(int((counts[0] + counts[1]).max()), 1)
    width = (WIDTH - _LEFT - _RIGHT) / _BINS
    parts = []
    for place in range(_BINS):
        floor = float(HEIGHT - _BOTTOM)
        for name, count in (("kept", counts[0][place]), ("dropped", counts[1][place])):
            if count:
                size = max(1.5, count / most * (HEIGHT - _TOP - _BOTTOM))
                floor -= size
                parts.append(
                    f'<rect class="{name}" x="{_LEFT + place * width:.1f}" y="{floor:.1f}" '
                    f'width="{width - 1:.1f}" height="{size:.1f}"/>'
                )

    def across(value: float) -> float:
        return _LEFT + (value - low) / (high - low) * (WIDTH - _LEFT - _RIGHT)

    base = HEIGHT - _BOTTOM
    parts.append(f'<line class="axis" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{base}" y2="{base}"/>')
    for tick in _ticks(low, high, logarithmic):
        shown = _number(10**tick if logarithmic else tick)
        place_x = min(max(across(tick), _LEFT + 8), WIDTH - _RIGHT - 12)
        parts.append(f'<text x="{place_x:.1f}" y="{HEIGHT - 6}" class="tick">{shown}</text>')
    for row, ((name, value), limit) in enumerate(zip(bounds, limits, strict=True)):
        x, label_y = across(float(limit)), 12 + 12 * row
        side = "start" if x < WIDTH / 2 else "end"
        parts.append(
            f'<line class="bound" x1="{x:.1f}" x2="{x:.1f}" y1="{label_y - 8}" y2="{base}"/>'
            f'<text class="bound-name" text-anchor="{side}" y="{label_y}" '
            f'x="{x + (4 if side == "start" else -4):.1f}">{escape(name)} {_number(value)}</text>'
        )
    drawn = sorted([*kept, *dropped])
    text = (
        f"{title}: {len(kept)} kept and {len(dropped)} dropped clips, from {_number(drawn[0])} to "
        f"{_number(drawn[-1])}{unit}, median {_number(drawn[len(drawn) // 2])}{unit}."
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(text)}">'
        f"{''.join(parts)}</svg>"
    )


def _ticks(low: float, high: float, logarithmic: bool) -> list[float]:
    """Round places on an axis, about five."""
    if logarithmic:
        digits = (1, 2, 5) if high - low < 2 else (1,)
        powers = range(math.floor(low), math.floor(high) + 1)
        places = [power + math.log10(digit) for power in powers for digit in digits]
        return [place for place in places if low <= place <= high]
    raw = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw)
    return [index * step for index in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _number(value: float) -> str:
    """A number with three digits, or a whole number of thousands with separators."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def spectrogram_png(waveform: np.ndarray, sampling_rate: int) -> bytes:
    """Draw the mel spectrogram of a waveform [S], 70 dB from dark to light, as a PNG file."""
    hop = max(1, len(waveform) // _SPECTROGRAM_COLUMNS)
    decibels = mel_decibels(
        waveform,
        sampling_rate,
        num_bands=_SPECTROGRAM_BANDS,
        hop_length=hop,
        min_frequency=40.0,
        max_frequency=sampling_rate / 2,
        decibel_range=_SPECTROGRAM_RANGE,
    )[::-1]
    level = np.clip((decibels - decibels.max()) / _SPECTROGRAM_RANGE + 1, 0, 1)
    return png((level * 63).round().astype(np.uint8), _palette(64))


def _palette(count: int) -> np.ndarray:
    places = np.linspace(0, len(_PALETTE) - 1, count)
    channels = [np.interp(places, range(len(_PALETTE)), _PALETTE[:, c]) for c in range(3)]
    return np.stack(channels, axis=1).round().astype(np.uint8)


def png(indices: np.ndarray, palette: np.ndarray) -> bytes:
    """Encode a picture as PNG.

    Args:
        indices: uint8 [height, width], colors by their index.
        palette: uint8 [colors, 3].
    """

    def chunk(name: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    height, width = indices.shape
    lines = np.concatenate([np.zeros((height, 1), np.uint8), indices], axis=1)  # filter 0
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0))
        + chunk(b"PLTE", palette.tobytes())
        + chunk(b"IDAT", zlib.compress(lines.tobytes(), 9))
        + chunk(b"IEND", b"")
    )


def data_uri(content: bytes, kind: str) -> str:
    """The content of a file as an address within a page; ``kind`` is its media type."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


__all__ = ["data_uri", "histogram", "png", "spectrogram_png"]

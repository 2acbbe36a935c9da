"""The figure of the seven token patterns, from ``CodebookPattern``, and the drawing of cells."""

from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from palette import Palette

from songgen_hf.modeling.patterns import TRACK_PATTERNS, CodebookPattern

CODEBOOKS = 4
FRAMES = 4
MARKED_FRAME = 1
BOS, PAD = -2, -3


def cells_of(name: str) -> list[list[str]]:
    """The content of each row and step: "B", "P", or track, frame and codebook such as "v2.0"."""
    pattern = CodebookPattern(name, CODEBOOKS)
    tracks = "m" if pattern.num_tracks == 1 else "av"
    codes = torch.arange(pattern.num_tracks * CODEBOOKS * FRAMES).view(1, -1, CODEBOOKS, FRAMES)
    written = pattern.apply(codes, bos_token_id=BOS, pad_token_id=PAD)[0].tolist()

    def cell(value: int) -> str:
        if value in (BOS, PAD):
            return "B" if value == BOS else "P"
        track, rest = divmod(value, CODEBOOKS * FRAMES)
        codebook, frame = divmod(rest, FRAMES)
        return f"{tracks[track]}{frame}.{codebook}"

    return [[cell(value) for value in row] for row in written]


def data() -> dict[str, Any]:
    """The cells of every pattern, and its number of steps for ten seconds at full size."""
    return {
        "codebooks": CODEBOOKS,
        "frames": FRAMES,
        "cells": {name: cells_of(name) for name in TRACK_PATTERNS},
        "steps_of_500_frames_and_8_codebooks": {
            name: CodebookPattern(name, 8).num_steps(500) for name in TRACK_PATTERNS
        },
    }


def draw(found: dict[str, Any], palette: Palette) -> Figure:
    """Draw all seven patterns with cells of the same size."""
    figure = Figure(figsize=(9.2, 6.25))
    size = 0.255  # inches of a cell
    places = {
        "mixed": (0.42, 0.45),
        "mixed_pro": (2.85, 0.45),
        "parallel_std": (0.42, 2.1),
        "parallel_A_V": (3.3, 2.1),
        "parallel_V_A": (6.43, 2.1),
        "interleaving_A_V": (0.42, 4.76),
        "interleaving_V_A": (4.9, 4.76),
    }
    for name, (x, y) in places.items():
        place(figure, found["cells"][name], x, y, size, palette, name)
    note(figure, 5.02, 0.47, palette,
         "the cells of mixed; in\ntraining K more heads\npredict the vocal's codes")  # fmt: skip
    note(figure, 0.42, 5.9, palette,
         "two steps per frame; each track depends on the other's last codes")  # fmt: skip
    note(figure, 3.3, 4.2, palette, "the vocal is one step later")
    note(figure, 6.43, 4.2, palette, "the accompaniment is one step later")
    note(figure, 4.9, 5.9, palette, "the vocal is first")
    legend(figure, palette, 7.05, 0.42)
    return figure


def place(
    figure: Figure,
    rows: list[list[str]],
    x: float,
    y: float,
    size: float,
    palette: Palette,
    title: str,
) -> Axes:
    """Draw one pattern with its upper left corner (x, y) inches from that of the figure."""
    width, height = figure.get_size_inches()
    columns = len(rows[0])
    axes = figure.add_axes(
        (
            x / width,
            1 - (y + size * len(rows)) / height,
            size * columns / width,
            size * len(rows) / height,
        )
    )
    axes.set(xlim=(0, columns), ylim=(len(rows), 0))
    axes.axis("off")
    for row, cells in enumerate(rows):
        for column, cell in enumerate(cells):
            draw_cell(axes, column, row, cell, palette)
    if title:
        axes.text(0, -0.45, title, fontsize=9.5, fontweight="bold", color=palette.ink)
    for row in range(len(rows)):
        axes.text(-0.3, row + 0.5, str(row % CODEBOOKS), fontsize=7, ha="right", va="center",
                  color=palette.muted)  # fmt: skip
    return axes


def draw_cell(axes: Axes, column: int, row: int, cell: str, palette: Palette) -> None:
    """Draw one id: a code in the color of its track, or B or P in gray."""
    special = cell in "BP"
    track, frame = cell[0], cell[1:].partition(".")[0]
    color = palette.faint if special else palette.track(track)
    marked = not special and int(frame) == MARKED_FRAME
    box = FancyBboxPatch(
        (column + 0.07, row + 0.07),
        0.86,
        0.86,
        boxstyle="round,pad=0,rounding_size=0.16",
        facecolor=color,
        edgecolor=palette.mark if marked else "none",
        linewidth=1.6 if marked else 0,
        alpha=1.0 if special or marked else 0.62,
    )
    axes.add_patch(box)
    axes.text(
        column + 0.5,
        row + 0.52,
        cell if special else f"{track}{frame}",
        ha="center",
        va="center",
        fontsize=6.8,
        color=palette.muted if special else palette.on_track,
        fontweight="bold" if marked else "normal",
    )


def note(figure: Figure, x: float, y: float, palette: Palette, words: str) -> None:
    """Write a note with its upper left corner (x, y) inches from that of the figure."""
    width, height = figure.get_size_inches()
    figure.text(x / width, 1 - y / height, words, fontsize=8, va="top", color=palette.muted,
                linespacing=1.35)  # fmt: skip


def legend(figure: Figure, palette: Palette, x: float, y: float) -> None:
    """Draw the meaning of letters and colors."""
    width, height = figure.get_size_inches()
    entries = (
        ("m", "mixture"),
        ("a", "accompaniment"),
        ("v", "vocal"),
        ("B", "begin of sequence"),
        ("P", "padding, end of sequence"),
    )
    size = 0.215
    for line, (letter, words) in enumerate(entries):
        top = y + 0.255 * line
        axes = figure.add_axes((x / width, 1 - (top + size) / height, size / width, size / height))
        axes.set(xlim=(0, 1), ylim=(1, 0))
        axes.axis("off")
        draw_cell(axes, 0, 0, letter if letter in "BP" else f"{letter}0.0", palette)
        note(figure, x + 0.3, top + 0.045, palette, words)


__all__ = ["data", "draw"]

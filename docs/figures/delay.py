"""The figure of the delay pattern: codes of a song, and their rows and steps in the decoder."""

from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from palette import Palette
from patterns import CODEBOOKS, FRAMES, cells_of, note, place


def data() -> dict[str, Any]:
    """The codes by frame and codebook, and the rows and steps of the mixed pattern."""
    return {
        "codes": [[f"m{f}.{k}" for f in range(FRAMES)] for k in range(CODEBOOKS)],
        "delayed_ids": cells_of("mixed"),
    }


def draw(found: dict[str, Any], palette: Palette) -> Figure:
    """Draw codes on the left and delayed ids on the right; one frame is outlined in both."""
    figure = Figure(figsize=(7.2, 2.35))
    size, top = 0.36, 0.62
    place(figure, found["codes"], 0.6, top, size, palette, "codes: a column is a frame")
    place(figure, found["delayed_ids"], 3.75, top, size, palette, "delayed ids: a column is a step")
    width, height = figure.get_size_inches()
    arrow = FancyArrowPatch(
        (2.35 / width, 1 - 1.34 / height),
        (3.2 / width, 1 - 1.34 / height),
        transform=figure.transFigure,
        arrowstyle="-|>",
        mutation_scale=13,
        color=palette.muted,
        linewidth=1.2,
    )
    figure.add_artist(arrow)
    figure.text(2.77 / width, 1 - 1.2 / height, "apply", ha="center", fontsize=8.5)
    note(figure, 0.6, 2.14, palette, "rows: codebooks 0 to 3, columns: frames 0 to 3")
    note(figure, 3.75, 2.14, palette, "the outlined codes of frame 1 are on a diagonal")
    return figure


__all__ = ["data", "draw"]

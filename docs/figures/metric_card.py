"""The figure of a metric card: songs of songgen-mini beside rendered songs of the same prompts."""

import json
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from palette import Palette

CARDS = Path(__file__).parents[1] / "cards"
SIDES = {"rendered": "rendered songs", "songgen-mini": "songgen-mini, interleaving_A_V"}
ROWS = {
    "per": "phoneme error rate\n(0 is perfect)",
    "swapped": "swapped tracks\n(0 is perfect)",
    "key_with_band": "key of the vocal as that\nof the accompaniment (1)",
    "tempo_with_band": "tempo of the vocal as that\nof the accompaniment (1)",
    "tempo": "requested tempo (1)",
}


def data() -> dict[str, Any]:
    """Value and interval of both cards, by metric."""
    cards = {
        side: json.loads((CARDS / f"{side}.json").read_text(encoding="utf-8")) for side in SIDES
    }
    return {
        "songs": {side: card["songs"]["n"] for side, card in cards.items()},
        "scores": {
            name: {
                side: [round(card["scores"][name][key], 4) for key in ("value", "low", "high")]
                for side, card in cards.items()
            }
            for name in ROWS
        },
    }


def draw(found: dict[str, Any], palette: Palette) -> Figure:
    """Draw a dot and its interval for each metric and side."""
    figure = Figure(figsize=(7.2, 3.9))
    axes = figure.add_axes((0.27, 0.2, 0.69, 0.77))
    styles = {"rendered": (palette.accompaniment, "o"), "songgen-mini": (palette.vocal, "s")}
    for row, name in enumerate(ROWS):
        axes.axhline(row, color=palette.faint, linewidth=1, zorder=0)
        for side, shift, above in (("rendered", -0.13, 6), ("songgen-mini", 0.13, -13)):
            value, low, high = found["scores"][name][side]
            color, marker = styles[side]
            axes.plot([low, high], [row + shift] * 2, color=color, linewidth=2.4)
            label = f"{SIDES[side]}, {found['songs'][side]} songs" if row == 0 else None
            axes.plot(value, row + shift, marker, color=color, markersize=7, linestyle="none",
                      label=label)  # fmt: skip
            axes.annotate(f"{value:.3g}", (value, row + shift), (0, above), fontsize=8, ha="center",
                          textcoords="offset points", color=palette.ink)  # fmt: skip
    axes.set_ylim(len(ROWS) - 0.5, -0.6)
    axes.set_yticks(range(len(ROWS)), list(ROWS.values()))
    axes.tick_params(length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.set_xlabel("score of the set, with its 95 % bootstrap interval over prompts")
    figure.legend(loc="lower center", ncols=2, frameon=False)
    return figure


__all__ = ["data", "draw"]

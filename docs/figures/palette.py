"""Colors and sizes of the figures: one set for light pages, one for dark ones."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Palette:
    """Colors by their meaning; tracks also differ in letters, so that color is not needed."""

    name: str
    ink: str
    muted: str
    faint: str
    line: str
    accompaniment: str
    vocal: str
    mixture: str
    on_track: str
    mark: str
    colormap: str

    def track(self, letter: str) -> str:
        """The color of a track by its letter: m, a or v."""
        return {"m": self.mixture, "a": self.accompaniment, "v": self.vocal}[letter]


LIGHT = Palette(
    name="light",
    ink="#1f2933",
    muted="#5f6c7b",
    faint="#e9edf1",
    line="#ffffff",
    accompaniment="#2f7f8c",
    vocal="#c8573b",
    mixture="#5d5aa8",
    on_track="#ffffff",
    mark="#1f2933",
    colormap="magma",
)
DARK = Palette(
    name="dark",
    ink="#e6e9ee",
    muted="#a3adb9",
    faint="#343a44",
    line="#1e2129",
    accompaniment="#62bcc9",
    vocal="#f0967c",
    mixture="#aaa7ee",
    on_track="#14161b",
    mark="#ffffff",
    colormap="magma",
)
PALETTES = (LIGHT, DARK)


def settings(palette: Palette) -> dict[str, object]:
    """Settings of matplotlib with which a figure is the same file each time it is drawn."""
    return {
        "svg.hashsalt": "songgen-hf",
        "svg.fonttype": "path",
        "font.family": "DejaVu Sans",
        "font.size": 9,
        "text.color": palette.ink,
        "axes.edgecolor": palette.muted,
        "axes.labelcolor": palette.ink,
        "axes.titlecolor": palette.ink,
        "axes.titlesize": 9.5,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.labelsize": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.facecolor": "none",
        "figure.facecolor": "none",
        "savefig.facecolor": "none",
        "xtick.color": palette.muted,
        "ytick.color": palette.muted,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "legend.frameon": False,
        "legend.fontsize": 8.5,
    }


__all__ = ["DARK", "LIGHT", "PALETTES", "Palette", "settings"]

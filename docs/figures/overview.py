"""The way of a song through the model, with the sizes of the embedded checkpoint."""

from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from palette import Palette


def data() -> dict[str, Any]:
    """Sizes of songgen-mini, as ``songgen-hf info`` reports them."""
    from songgen_hf.checkpoints import default_checkpoint
    from songgen_hf.cli.info import describe

    facts = describe(default_checkpoint())
    names = ("track_pattern", "codebooks", "sampling_rate", "frame_rate", "steps_per_second",
             "voice_sampling_rate", "hidden_size", "layers", "parameters")  # fmt: skip
    return {name: facts[name] for name in names}


def draw(found: dict[str, Any], palette: Palette) -> Figure:
    """Boxes from left to right; what flows between them is written on the arrows."""
    figure = Figure(figsize=(9.2, 3.3))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 92), ylim=(33, 0))
    axes.axis("off")
    parameters = {name: f"{count / 1e6:.1f} M" for name, count in found["parameters"].items()}

    def box(x: float, y: float, width: float, height: float, title: str, words: str, color: str):
        axes.add_patch(
            FancyBboxPatch(
                (x, y),
                width,
                height,
                boxstyle="round,pad=0,rounding_size=1.1",
                facecolor="none",
                edgecolor=color,
                linewidth=1.6,
            )  # fmt: skip
        )
        lines = words.count("\n") + 1 if words else 0
        axes.text(x + width / 2, y + height / 2 - 1.05 * lines, title, ha="center", va="center",
                  fontsize=9.5, fontweight="bold")  # fmt: skip
        axes.text(x + width / 2, y + height / 2 + 1.35, words, ha="center", va="center",
                  fontsize=8, color=palette.muted, linespacing=1.35)  # fmt: skip

    def arrow(start: tuple[float, float], end: tuple[float, float], words: str = "") -> None:
        axes.add_patch(
            FancyArrowPatch(
                start,
                end,
                arrowstyle="-|>",
                mutation_scale=11,
                color=palette.muted,
                linewidth=1.1,
                shrinkA=2,
                shrinkB=2,
            )  # fmt: skip
        )
        if words:
            x, y = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
            axes.text(x, y - 1.1, words, ha="center", va="bottom", fontsize=7.6,
                      color=palette.ink, linespacing=1.3)  # fmt: skip

    inputs = (
        (2.0, "text", "a style description"),
        (11.5, "lyrics", "the words to sing"),
        (21.0, "reference voice", f"3 s at {found['voice_sampling_rate'] / 1000:g} kHz"),
    )
    for y, title, words in inputs:
        box(1.5, y, 14.5, 7.2, title, words, palette.muted)
        arrow((16, y + 3.6), (22.5, 15.1))
    box(22.5, 9.5, 14.5, 11.2, "conditioner",
        f"one sequence of\nstates\n{parameters['conditioner']} weights",
        palette.accompaniment)  # fmt: skip
    arrow((37, 15.1), (46, 15.1), "cross-\nattention")
    box(46, 9.5, 14.5, 11.2, "decoder",
        f"{found['layers']} layers, generate()\n{found['steps_per_second']:g} steps a second\n"
        f"{parameters['decoder']} weights", palette.mixture)  # fmt: skip
    arrow((60.5, 15.1), (71, 15.1), "codes\n[tracks, K, T]")
    box(71, 9.5, 12, 11.2, "codec",
        f"{found['codebooks']} codebooks,\n{found['frame_rate']:g} frames a second\n"
        f"{parameters['audio_encoder']} weights", palette.vocal)  # fmt: skip
    arrow((83, 15.1), (91, 15.1))
    axes.text(87, 13.6, f"{found['sampling_rate'] / 1000:g} kHz", ha="center", fontsize=7.6)
    axes.text(87.2, 18.6, "waveform", ha="center", fontsize=7.6)
    arrow((53.2, 27.5), (53.2, 20.7))
    axes.text(53.2, 30.2, "its own codes so far, one step after another,\nin the order of the "
              "token pattern", ha="center", va="center", fontsize=8, color=palette.muted,
              linespacing=1.35)  # fmt: skip
    return figure


__all__ = ["data", "draw"]

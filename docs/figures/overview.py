"""The figure of the path of a song through the model, with the sizes of songgen-mini."""

from typing import Any

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from palette import Palette


def data() -> dict[str, Any]:
    """Sizes of songgen-mini, as ``songgen-hf info`` reports them."""
    from songgen_hf.checkpoints.embedded import default_checkpoint
    from songgen_hf.cli.info import describe

    facts = describe(default_checkpoint("mixed_pro"))
    names = ("track_pattern", "codebooks", "sampling_rate", "frame_rate", "steps_per_second",
             "voice_sampling_rate", "hidden_size", "layers", "parameters")  # fmt: skip
    return {name: facts[name] for name in names}


def draw(found: dict[str, Any], palette: Palette) -> Figure:
    """Draw boxes from left to right; the arrows name the data between them."""
    figure = Figure(figsize=(8.3, 3.0))
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
        (1.0, "text", "a style description"),
        (11.5, "lyrics", "the words to sing"),
        (22.0, "reference voice", f"3 s at {found['voice_sampling_rate'] / 1000:g} kHz"),
    )
    for y, title, words in inputs:
        box(0.4, y, 16.4, 7.8, title, words, palette.muted)
        arrow((16.8, y + 3.9), (22.2, 15.4))
    box(22.2, 9.4, 15.4, 12, "conditioner",
        f"one sequence of\nstates\n{parameters['conditioner']} weights",
        palette.accompaniment)  # fmt: skip
    arrow((37.6, 15.4), (46, 15.4), "cross-\nattention")
    box(46, 9.4, 16, 12, "decoder",
        f"{found['layers']} layers, generate()\n{found['steps_per_second']:g} steps/s\n"
        f"{parameters['decoder']} weights", palette.mixture)  # fmt: skip
    arrow((62, 15.4), (71.2, 15.4), "codes\n[tracks, K, T]")
    box(71.2, 9.4, 14, 12, "codec",
        f"{found['codebooks']} codebooks,\n{found['frame_rate']:g} frames/s\n"
        f"{parameters['audio_encoder']} weights", palette.vocal)  # fmt: skip
    arrow((85.2, 15.4), (91.6, 15.4))
    axes.text(88.3, 14.2, f"{found['sampling_rate'] / 1000:g} kHz", ha="center", fontsize=7.6)
    axes.text(88.4, 18.4, "waveform", ha="center", fontsize=7.6)
    arrow((54, 27.4), (54, 21.4))
    axes.text(54, 30.0, "its own previous codes, step by step,\nin the order of the "
              "token pattern", ha="center", va="center", fontsize=8, color=palette.muted,
              linespacing=1.35)  # fmt: skip
    return figure


__all__ = ["data", "draw"]

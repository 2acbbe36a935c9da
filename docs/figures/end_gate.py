"""The figure of the end of a song: what the logits processor allows in each row and step."""

from typing import Any

import torch
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from palette import Palette

from songgen_hf.modeling.logits_process import CodebookPatternLogitsProcessor
from songgen_hf.modeling.patterns import CodebookPattern

CODEBOOKS, FRAMES, CODES = 4, 7, 8
END, BOS = CODES, CODES + 1
END_PREFERRED_FROM = 5
"""The step from which the end has the highest logit in every row of the example."""
KINDS = {
    "B": "B  begin of sequence, forced",
    "f": "free: any code, no end",
    "e": "free: any code or the end",
    "E": "the end, sampled",
    "P": "P  padding, forced",
}


def data() -> dict[str, Any]:
    """What the processor allows in each row, step by step."""
    pattern = CodebookPattern("mixed", CODEBOOKS)
    steps = pattern.num_steps(FRAMES)
    gate = CodebookPatternLogitsProcessor(
        pattern,
        max_steps=steps,
        num_frames=FRAMES,
        bos_token_id=BOS,
        pad_token_id=END,
        eos_token_id=END,
    )
    ids = torch.full((CODEBOOKS, 1), BOS)
    kinds = [["B"] for _ in range(CODEBOOKS)]
    ended = [False] * CODEBOOKS
    for step in range(1, steps):
        logits = torch.zeros(CODEBOOKS, CODES + 2)
        if step >= END_PREFERRED_FROM:
            logits[:, END] = 10.0
        allowed = gate(ids, logits)
        finite = torch.isfinite(allowed)
        chosen = allowed.argmax(dim=-1)
        for row in range(CODEBOOKS):
            choices = finite[row].nonzero().flatten().tolist()
            if choices == [BOS]:
                kind = "B"
            elif ended[row] or choices == [END]:
                kind = "P"  # a row that has ended repeats the end, which is padding
            elif chosen[row] == END:
                kind, ended[row] = "E", True
            else:
                kind = "e" if END in choices else "f"
            kinds[row].append(kind)
        ids = torch.cat([ids, chosen[:, None]], dim=1)
    return {"end_preferred_from": END_PREFERRED_FROM, "kinds": kinds}


def draw(found: dict[str, Any], palette: Palette) -> Figure:
    """Draw rows and steps in the color of what is allowed."""
    figure = Figure(figsize=(7.2, 2.9))
    axes = figure.add_axes((0.075, 0.36, 0.9, 0.54))
    rows = found["kinds"]
    axes.set(xlim=(-0.05, len(rows[0])), ylim=(len(rows), 0))
    styles = {
        "B": (palette.faint, palette.muted, "B"),
        "f": (palette.mixture, palette.on_track, ""),
        "e": (palette.accompaniment, palette.on_track, "may end"),
        "E": (palette.vocal, palette.on_track, "end"),
        "P": (palette.faint, palette.muted, "P"),
    }
    for row, kinds in enumerate(rows):
        for column, kind in enumerate(kinds):
            color, text, words = styles[kind]
            axes.add_patch(
                Rectangle(
                    (column + 0.04, row + 0.05),
                    0.92,
                    0.9,
                    facecolor=color,
                    linewidth=0,
                    alpha=0.62 if kind == "f" else 1.0,
                )  # fmt: skip
            )
            axes.text(column + 0.5, row + 0.52, words, ha="center", va="center", fontsize=7,
                      color=text)  # fmt: skip
    start = found["end_preferred_from"]
    axes.axvline(start, color=palette.mark, linewidth=1.2, linestyle=(0, (3, 2)))
    axes.text(start + 0.1, -0.16, "from here on the end is the most likely id in every row",
              fontsize=8, color=palette.ink)  # fmt: skip
    axes.set_xticks([column + 0.5 for column in range(len(rows[0]))], range(len(rows[0])))
    axes.set_yticks([row + 0.5 for row in range(len(rows))], range(len(rows)))
    axes.tick_params(length=0)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_xlabel("step")
    axes.set_ylabel("codebook")
    handles = [
        Rectangle((0, 0), 1, 1, facecolor=styles[kind][0], alpha=0.62 if kind == "f" else 1.0)
        for kind in KINDS
    ]
    figure.legend(handles, KINDS.values(), loc="lower center", ncols=3, handlelength=1.1,
                  columnspacing=1.4, bbox_to_anchor=(0.52, -0.015))  # fmt: skip
    return figure


__all__ = ["data", "draw"]

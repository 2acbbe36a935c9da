"""The figure of guidance: one step of the embedded model, with and without conditions."""

from typing import Any

import torch
from checkpoint import fingerprint
from matplotlib.figure import Figure
from palette import Palette
from transformers.generation import ClassifierFreeGuidanceLogitsProcessor

TEXT = "a warm folk song, led by flute, sung by a female voice, at 100 bpm"
LYRICS = "the silver river runs below the hill"
SEED, STEP, SHOWN = 7, 60, 14
SCALES = (1.0, 2.0, 3.0)


def data() -> dict[str, Any]:
    """Probabilities of the most likely codes of the first codebook at three guidance scales."""
    from songgen_hf import SongGenForConditionalGeneration, SongGenProcessor, default_checkpoint

    directory = default_checkpoint("mixed_pro")
    model = SongGenForConditionalGeneration.from_pretrained(directory, dtype="float32").eval()
    processor = SongGenProcessor.from_pretrained(directory)
    sung = model.generate(
        **processor(text=TEXT, lyrics=LYRICS),
        seed=SEED,
        guidance_scale=2.0,
        max_new_frames=STEP + 1,
        output_logits=True,
        return_dict_in_generate=True,
    )
    raw = sung.logits[STEP]  # [2 * rows, V]: with the conditions, then without
    size = model.config.decoder.codebook_size

    def distribution(scores: torch.Tensor) -> list[float]:
        return [round(p, 4) for p in scores[0, :size].float().softmax(dim=-1).tolist()]

    rows = model.config.decoder.num_rows
    chances = {"without": distribution(raw[rows:])}
    for scale in SCALES:
        mixed = raw[:rows]
        if scale != 1.0:
            ids = torch.zeros(rows, 1, dtype=torch.int64)
            mixed = ClassifierFreeGuidanceLogitsProcessor(scale)(ids, raw)
        chances[f"{scale:g}"] = distribution(mixed)
    order = sorted(range(size), key=lambda code: -chances["1"][code])[:SHOWN]
    return {
        "checkpoint": fingerprint(directory),
        "text": TEXT,
        "lyrics": LYRICS,
        "seed": SEED,
        "step": STEP,
        "codes": order,
        "chances": {name: [values[code] for code in order] for name, values in chances.items()},
    }


def draw(found: dict[str, Any], palette: Palette) -> Figure:
    """Draw the same codes in four rows, from no conditions to scale 3."""
    titles = {
        "without": "without description and lyrics",
        "1": "guidance 1 (off): with description and lyrics",
        "2": "guidance 2: their effect doubled",
        "3": "guidance 3: their effect tripled",
    }
    colors = {
        "without": palette.muted,
        "1": palette.mixture,
        "2": palette.accompaniment,
        "3": palette.vocal,
    }
    figure = Figure(figsize=(7.2, 4.5), layout="constrained")
    panels = figure.subplots(len(titles), 1, sharex=True, sharey=True)
    places = range(len(found["codes"]))
    for axes, (name, title) in zip(panels, titles.items(), strict=True):
        values = found["chances"][name]
        axes.bar(places, values, color=colors[name], width=0.74)
        axes.set_title(title)
        for place, value in zip(places, values, strict=True):
            if value >= 0.05:
                axes.text(place, value, f"{100 * value:.0f} %", ha="center", va="bottom",
                          fontsize=7.5, color=palette.ink)  # fmt: skip
        axes.set_ylim(0, 1.25 * max(max(row) for row in found["chances"].values()))
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.tick_params(length=0)
    panels[-1].set_xticks(places, found["codes"])
    panels[-1].set_xlabel(f"codes of the first codebook at step {found['step']}, most likely first")
    return figure


__all__ = ["data", "draw"]

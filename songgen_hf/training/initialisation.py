"""The model a run starts from: fresh, a checkpoint, or one converted to another pattern."""

import copy
from typing import Any

import torch
from transformers import AutoProcessor

from .. import presets
from ..modeling.modeling_songgen import SongGenForConditionalGeneration
from ..modeling.patterns import CodebookPattern
from ..modeling.processing_songgen import SongGenProcessor
from .options import ModelOptions


def load_model(
    options: ModelOptions, *, seed: int = 0
) -> tuple[SongGenForConditionalGeneration, SongGenProcessor]:
    """Model (float32) and processor that the options name.

    Args:
        seed: of the weights of an untrained model and of new parts.
    Raises:
        ValueError: unless exactly one of ``model`` and ``preset`` is given.
    """
    if (options.model is None) == (options.preset is None):
        raise ValueError(
            f"pass either --model or --preset: got {options.model!r} and {options.preset!r}; "
            "--preset mini starts an untrained model"
        )
    if options.preset is not None:
        pattern = options.track_pattern or presets.DEFAULT_TRACK_PATTERN
        return presets.build(options.preset, track_pattern=pattern, seed=seed)
    model = SongGenForConditionalGeneration.from_pretrained(options.model, dtype=torch.float32)
    processor = AutoProcessor.from_pretrained(options.model)
    if options.track_pattern not in (None, model.config.decoder.track_pattern):
        model = change_track_pattern(model, options.track_pattern, seed=seed)
    return model, processor


def change_track_pattern(
    model: SongGenForConditionalGeneration, track_pattern: str, *, seed: int = 0
) -> SongGenForConditionalGeneration:
    """A model of another token pattern that starts from the weights of ``model``.

    Tables and heads of a single track serve both tracks of a dual-track pattern; of two tracks
    with rows of their own the first one's are kept. Vocal heads (mixed_pro) are made or dropped.

    Args:
        model: of any pattern; left unchanged.
        track_pattern: the new pattern.
        seed: of vocal heads that are new.
    """
    config = copy.deepcopy(model.config)
    decoder: Any = config.decoder
    decoder.track_pattern = track_pattern
    decoder.add_vocal_loss = track_pattern == "mixed_pro"
    rows = CodebookPattern(track_pattern, decoder.num_codebooks).num_rows
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        changed = SongGenForConditionalGeneration(config)
    weights = model.state_dict()
    for name in ("decoder.model.embed_tokens.weight", "decoder.lm_heads.weight"):
        by_row = weights[name].unflatten(0, (-1, decoder.vocab_size))  # [rows, V, H]
        copies = -(-rows // len(by_row))
        weights[name] = by_row.repeat(copies, 1, 1)[:rows].flatten(0, 1)
    vocal_heads = "decoder.vocal_lm_heads.weight"
    if decoder.add_vocal_loss:
        weights.setdefault(vocal_heads, changed.state_dict()[vocal_heads])
    else:
        weights.pop(vocal_heads, None)
    changed.load_state_dict(weights)
    return changed.to(dtype=model.dtype).eval()


__all__ = ["change_track_pattern", "load_model"]

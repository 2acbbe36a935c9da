"""Freezing of the parts of a model that are not trained.

The codec and the voice network are always frozen; other parts can be frozen by name.
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from torch import nn

from ...modeling.modeling_songgen import SongGenForConditionalGeneration

ALWAYS_FROZEN = ("audio_encoder", "conditioner.voice_encoder.model")
_TEXT = ("conditioner.text_encoder", "conditioner.text_projection")
_LYRICS = (
    "conditioner.lyrics_embedding",
    "conditioner.lyrics_encoder",
    "conditioner.lyrics_projection",
)
FREEZABLE: dict[str, tuple[str, ...]] = {
    "text_encoder": ("conditioner.text_encoder",),
    "text": _TEXT,
    "lyrics": _LYRICS,
    "conditions": (
        *_TEXT,
        "conditioner.voice_encoder",
        "conditioner.voice_projection",
    ),
    "embeddings": ("conditioner.lyrics_embedding", "decoder.model.embed_tokens"),
    "self_attention": ("decoder.model.layers.*.self_attn",),
    "cross_attention": ("decoder.model.layers.*.encoder_attn",),
    "feed_forward": ("decoder.model.layers.*.fc[12]",),
}
"""Name of a part -> its modules, as shell patterns. ``conditions`` (with the lyrics, where they are
cross-attended) is ``freeze_cross`` of the reference, ``embeddings`` is ``freeze_embed_prompts``.
``text`` and ``lyrics`` are what ``train conditioner`` trains; the projection of the voice stays
trainable. The last three are the matrices of the decoder's layers, whose norms stay trainable."""


def freeze(model: SongGenForConditionalGeneration, parts: Iterable[str] = ()) -> int:
    """Make all weights trainable except those of the named parts, the codec and the voice network.

    Args:
        parts: names of ``FREEZABLE``.
    Returns:
        The number of trainable weights.
    Raises:
        ValueError: for an unknown part.
    """
    frozen = list(ALWAYS_FROZEN)
    for part in parts:
        if part not in FREEZABLE:
            raise ValueError(
                f"unknown part to freeze: got {part!r}, expected one of {', '.join(FREEZABLE)}"
            )
        frozen += FREEZABLE[part]
        if part == "conditions" and model.config.lyrics_cross_attention:
            frozen += _LYRICS
    model.requires_grad_(True)
    for name, module in model.named_modules():
        if any(fnmatchcase(name, pattern) for pattern in frozen):
            module.requires_grad_(False)
    return sum(weight.numel() for weight in model.parameters() if weight.requires_grad)


def submodule(model: nn.Module, name: str) -> nn.Module | None:
    """The module with a dotted name, or None if the model does not have it."""
    try:
        return model.get_submodule(name)
    except AttributeError:
        return None


__all__ = ["FREEZABLE", "freeze"]

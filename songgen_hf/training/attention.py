"""Scaled dot-product attention whose masks are made without reading them on the host.

The library's "sdpa" leaves out a mask that hides nothing, for which the host reads the mask: on a
GPU every forward pass then waits for all work before it. Here a given mask is always applied.
"""

from typing import Any

from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "songgen_masked_sdpa"


def always_masked(*args: Any, attention_mask: Any = None, **options: Any) -> Any:
    """The mask of the library's "sdpa", which is made without a look at ``attention_mask``."""
    if attention_mask is not None:
        options |= {"allow_is_causal_skip": False, "allow_is_bidirectional_skip": False}
    return sdpa_mask(*args, attention_mask=attention_mask, **options)


def use_unread_masks(model: Any) -> None:
    """Give all parts of a model that use "sdpa" the attention of this module, in place."""
    AttentionInterface.register(NAME, sdpa_attention_forward)
    AttentionMaskInterface.register(NAME, always_masked)
    configs: list[Any] = [getattr(module, "config", None) for module in model.modules()]
    given = [getattr(config, "_attn_implementation", None) for config in configs]
    for config, name in zip(configs, given, strict=True):
        if name is not None:  # a configuration of several parts sets its parts, too: they follow it
            config._attn_implementation = NAME if name == "sdpa" else name


__all__ = ["use_unread_masks"]

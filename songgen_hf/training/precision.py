"""Whether this CPU has instructions for bfloat16, and a warning where training asks for them."""

import functools
import logging

import torch

logger = logging.getLogger(__name__)


@functools.cache
def fast_bfloat16() -> bool:
    """Whether this CPU multiplies matrices in bfloat16 as fast as in float32, or faster."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def warn_of_slow_bfloat16(remedy: str) -> None:
    """Log a warning if a step in bfloat16 takes longer than in float32 on this CPU.

    Args:
        remedy: the flag that chooses float32.
    """
    if not fast_bfloat16():
        logger.warning(
            "this CPU has no instructions for bfloat16, in which a step takes several times as "
            f"long as in float32 then: say {remedy}"
        )


__all__ = ["fast_bfloat16", "warn_of_slow_bfloat16"]

"""Compiled decoder steps: the settings of ``generate()`` for them, and shapes that fit many songs.

``generate()`` of transformers compiles the step of a model if it has a static cache and a
``compile_config``. On a CPU the compiled step fits conditions and songs of any length, and the
cache grows with the song (:mod:`.growing_cache`). CUDA graphs fit one shape only: so that one fits
songs of other lyrics and other lengths, the conditions are padded, masked, to the next multiple of
``CONDITIONS_BUCKET``, and the cache has the next multiple of ``STEPS_BUCKET``.
"""

import functools
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from transformers import CompileConfig, GenerationConfig

CONDITIONS_BUCKET = 128
"""Lengths of the encoded conditions, in positions, are padded to a multiple of this for CUDA."""
STEPS_BUCKET = 512
"""Lengths of the cache, in steps, are rounded up to a multiple of this for CUDA."""
CPU_OPTIONS = {"size_asserts": False, "cpp.enable_floating_point_contract_flag": "fast"}
"""Settings of the compiler for a CPU: no checks of its own buffers at every step, and a product and
a sum in one instruction."""
MOST_SHAPES = 64
"""Number of shapes that one process compiles, after which it fails: of batches, with and without
guidance, and on CUDA of buckets."""


def compiled_generation(device: torch.device | str = "cpu") -> dict[str, Any]:
    """Return the arguments of ``generate()`` for compiled steps.

    The first song compiles for seconds to minutes; later songs in a batch of the same size use the
    result. On CUDA, where the step is a CUDA graph, their lyrics and length have to be in the same
    buckets, too.

    Args:
        device: device of the model.
    Raises:
        RuntimeError: on a CPU without a C++ compiler, which torch needs.
    """
    is_cpu = torch.device(device).type == "cpu"
    if is_cpu and (missing := missing_compiler()):
        raise RuntimeError(missing)
    settings = {"mode": None, "options": CPU_OPTIONS} if is_cpu else {"mode": "reduce-overhead"}
    config = CompileConfig(fullgraph=True, dynamic=False, **settings)
    config._compile_all_devices = True
    return {"cache_implementation": "static", "compile_config": config}


def many_shapes(generation_config: GenerationConfig) -> AbstractContextManager[Any]:
    """A context in which compiled steps may have ``MOST_SHAPES`` shapes, instead of 8."""
    if generation_config.compile_config is None:
        return nullcontext()
    from torch._dynamo import config

    return config.patch(recompile_limit=MOST_SHAPES)


@functools.cache
def missing_compiler() -> str | None:
    """Return why nothing can be compiled for the CPU, or None if it can."""
    from torch._inductor import exc
    from torch._inductor.cpp_builder import get_cpp_compiler

    try:
        get_cpp_compiler()
    except (exc.InvalidCxxCompiler, RuntimeError, OSError):
        return (
            "compile=True needs a C++ compiler, which torch did not find: install one (such as "
            "`apt-get install g++`), name it in the environment variable CXX, or leave compile out"
        )
    return None


def rounded_up(length: int, bucket: int) -> int:
    """Return the smallest multiple of ``bucket`` that is not below ``length``."""
    return -(-length // bucket) * bucket


def fits_any_length(generation_config: GenerationConfig, conditions: Any) -> bool:
    """Whether the steps are compiled, and once for conditions and songs of any length.

    CUDA graphs need buffers that stay, and the mask of prepended lyrics needs constant shapes.
    """
    return (
        generation_config.compile_config is not None
        and conditions["last_hidden_state"].device.type == "cpu"
        and conditions.get("lyrics_hidden_states") is None
    )


def fit_shapes(model_kwargs: dict[str, Any], cache_length: int, any_length: bool) -> int:
    """Pad the encoded conditions of a call in place, and return the length of its cache in steps.

    The compiler takes two lengths for one if they are equal when it compiles, and compiles again
    when they are not. So that they never are, the number of conditions is even, and that of the
    positions of the song is odd.

    Args:
        model_kwargs: keyword arguments of the loop of ``generate()``.
        cache_length: smallest length of the cache in steps.
        any_length: whether compiled steps fit songs of any length; else they fit buckets.
    """
    bucket = 2 if any_length else CONDITIONS_BUCKET
    conditions = model_kwargs["encoder_outputs"] = pad_conditions(
        model_kwargs["encoder_outputs"], bucket
    )
    if not any_length:
        return rounded_up(cache_length, STEPS_BUCKET)
    for name in ("last_hidden_state", "attention_mask"):
        torch._dynamo.maybe_mark_dynamic(conditions[name], 1)
    return cache_length


def pad_conditions(conditions: Any, bucket: int) -> Any:
    """Pad encoded conditions to a multiple of some number of positions, hidden by their mask.

    Args:
        conditions: a ``SongGenConditionOutput`` with states [B, E, H] and, if given, a mask [B, E].
        bucket: the number.
    Returns:
        A copy of the same type with [B, E', H] and [B, E'].
    """
    states, mask = conditions["last_hidden_state"], conditions.get("attention_mask")
    missing = rounded_up(states.shape[1], bucket) - states.shape[1]
    if mask is None:
        mask = torch.ones(states.shape[:2], dtype=torch.int64, device=states.device)
    padded = {
        "last_hidden_state": F.pad(states, (0, 0, 0, missing)),
        "attention_mask": F.pad(mask, (0, missing)),
    }
    return type(conditions)(**{**conditions, **padded})


__all__ = [
    "CONDITIONS_BUCKET",
    "CPU_OPTIONS",
    "MOST_SHAPES",
    "STEPS_BUCKET",
    "compiled_generation",
    "fit_shapes",
    "fits_any_length",
    "many_shapes",
    "missing_compiler",
    "pad_conditions",
    "rounded_up",
]

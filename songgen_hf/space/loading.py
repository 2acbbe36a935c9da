"""Loads the pipelines of a Space: those of the named models, or of the package's own models."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from ..checkpoints.embedded import (
    EMBEDDED,
    EMBEDDED_NAME,
    EMBEDDED_PATTERNS,
    MASKED_CHECKPOINT,
    MASKED_FOLDER,
    default_checkpoint,
)
from ..checkpoints.loading import load_pipeline
from .generation import mode_of
from .gpu import is_zero_gpu
from .settings import Settings

MINI_GUIDANCE = 2.0
"""Guidance with which songgen-mini/mixed_pro was evaluated; the words of interleaving_A_V are as
clear with it as with its own 1.5. The published checkpoints were trained without dropping the text
and are used without guidance."""


def load_pipelines(
    models: str | Sequence[str] = (), *, device: str = "auto", dtype: str = "auto"
) -> dict[str, Any]:
    """Load one pipeline for each mode.

    Args:
        models: checkpoint folders, Hub ids or short names, or one of them; at most one for each
            mode, and none for all models of the package.
        device: device of the models; "auto" for an accelerator, if there is one.
        dtype: precision of the models; "auto" for that of the checkpoints.
    Returns:
        The pipelines by mode.
    Raises:
        ValueError: if two models have the same mode, or a model cannot be found.
    """
    if is_zero_gpu() and device == "auto":
        device = "cuda"  # torch sees the GPU only while a function that uses it runs
    pipelines: dict[str, Any] = {}
    names: dict[str, str] = {}
    for name in ([models] if isinstance(models, str) else models) or own_models():
        loaded = load_pipeline(name, device=device, dtype=dtype)
        mode = mode_of(loaded)
        if mode in pipelines:
            raise ValueError(
                f"{names[mode]} and {name} both have the mode {mode}: give one model for each mode"
            )
        pipelines[mode], names[mode] = loaded, name
    return pipelines


def own_models() -> list[str]:
    """Short names of the trained models in the package.

    The masked model is included if diffusers is installed. If the package contains no trained
    model, the list contains the default checkpoint.
    """
    found = [
        f"{EMBEDDED_NAME}/{pattern}"
        for pattern in EMBEDDED_PATTERNS
        if (EMBEDDED / pattern / "config.json").is_file()
    ]
    masked = EMBEDDED / MASKED_FOLDER / "model_index.json"
    if masked.is_file() and find_spec("diffusers") is not None:
        found.append(MASKED_CHECKPOINT)
    return found or [default_checkpoint()]


def default_settings(models: Sequence[str] = ()) -> Settings:
    """The settings of an empty form for these models."""
    own = all(name.split("/")[0] == EMBEDDED_NAME for name in models)
    return Settings(guidance=MINI_GUIDANCE) if own else Settings()


__all__ = ["default_settings", "load_pipelines", "own_models"]

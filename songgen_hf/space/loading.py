"""The pipelines that a Space sings with: those named, or the package's own."""

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
from .gpu import is_lent
from .settings import Settings
from .generation import mode_of

MINI_GUIDANCE = 2.0
"""What songgen-mini was judged with; published checkpoints were trained without dropping words."""


def load_pipelines(
    models: Sequence[str] = (), *, device: str = "auto", dtype: str = "auto"
) -> dict[str, Any]:
    """Mode -> pipeline.

    Args:
        models: checkpoint folders, Hub ids or short names, at most one a mode; none for all of the
            package's own.
        device: as for ``songgen-hf generate``.
        dtype: likewise.
    Raises:
        ValueError: if two models sing the same mode, or one cannot be found.
    """
    if is_lent() and device == "auto":
        device = "cuda"  # lent for the length of a call; the library cannot see it yet
    pipelines: dict[str, Any] = {}
    names: dict[str, str] = {}
    for name in models or own_models():
        loaded = load_pipeline(name, device=device, dtype=dtype)
        mode = mode_of(loaded)
        if mode in pipelines:
            raise ValueError(
                f"{names[mode]} and {name} both sing {mode}: give one model of each mode"
            )
        pipelines[mode], names[mode] = loaded, name
    return pipelines


def own_models() -> list[str]:
    """Short names of the package's own trained models, of the masked one where diffusers is
    installed; the default one if none is embedded."""
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
    """What the form holds when the page opens, for these models."""
    own = all(name.split("/")[0] == EMBEDDED_NAME for name in models)
    return Settings(guidance=MINI_GUIDANCE) if own else Settings()


__all__ = ["default_settings", "load_pipelines", "own_models"]

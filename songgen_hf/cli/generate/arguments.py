"""The arguments of ``songgen-hf generate`` for one kind of model, and for edits of a song."""

from typing import Any

from ..flags import flag_of
from ..song_sources import song_source
from .options import GenerateOptions

MASKED_SETTINGS = {
    "steps": "num_inference_steps",
    "reveal": "reveal",
    "schedule": "schedule",
}
"""Option of masked models -> argument of the pipeline."""
AUTOREGRESSIVE_ONLY = ("top_k", "adapter", "takes")


def masked_settings(options: GenerateOptions) -> dict[str, Any]:
    """The given arguments of masked pipelines alone.

    Raises:
        ValueError: for options of autoregressive models.
    """
    if clash := [name for name in AUTOREGRESSIVE_ONLY if getattr(options, name) is not None]:
        raise ValueError(
            f"{flag_of(clash[0])} is for autoregressive models: leave it out for a masked one"
        )
    if options.compile:
        raise ValueError("--compile is for autoregressive models: leave it out for a masked one")
    given = {name: getattr(options, field) for field, name in MASKED_SETTINGS.items()}
    return {name: value for name, value in given.items() if value is not None}


def autoregressive_settings(options: GenerateOptions) -> dict[str, Any]:
    """The given arguments of autoregressive pipelines alone.

    Raises:
        ValueError: for options of masked models.
    """
    if given := [name for name in MASKED_SETTINGS if getattr(options, name) is not None]:
        raise ValueError(
            f"{flag_of(given[0])} is for masked models: add --mode masked or the --model of one"
        )
    settings: dict[str, Any] = {} if options.takes is None else {"takes": options.takes}
    if options.compile:
        settings["compile"] = True
    return settings | ({"do_sample": False} if options.greedy else {})


def edits_of(options: GenerateOptions, tracks: int) -> dict[str, Any]:
    """The given arguments of a pipeline that edit a song."""
    edits = {
        "song": song_source(options.song, tracks, "--song"),
        "regions": None if options.region is None else [tuple(one) for one in options.region],
        "keep_track": options.keep_track,
        "keep_codebooks": options.keep_codebooks,
    }
    return {name: value for name, value in edits.items() if value is not None}

"""The arguments of ``songgen-hf generate`` for one kind of model, and for edits of a song."""

from pathlib import Path
from typing import Any

from ..codes_files import CODES_ENDINGS, read_codes
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
            f"--{clash[0].replace('_', '-')} is for autoregressive models: leave it out for a "
            "masked one"
        )
    given = {name: getattr(options, field) for field, name in MASKED_SETTINGS.items()}
    return {name: value for name, value in given.items() if value is not None}


def autoregressive_settings(options: GenerateOptions) -> dict[str, Any]:
    """The given arguments of autoregressive pipelines alone.

    Raises:
        ValueError: for options of masked models.
    """
    if given := [name for name in MASKED_SETTINGS if getattr(options, name) is not None]:
        raise ValueError(
            f"--{given[0].replace('_', '-')} is for masked models: add --mode masked or the "
            "--model of one"
        )
    settings = {} if options.takes is None else {"takes": options.takes}
    return settings | ({"do_sample": False} if options.greedy else {})


def edits_of(options: GenerateOptions, tracks: int) -> dict[str, Any]:
    """The given arguments of a pipeline that edit a song."""
    edits = {
        "song": known_song(options.song, tracks, "--song"),
        "regions": None if options.region is None else [tuple(one) for one in options.region],
        "keep_track": options.keep_track,
        "keep_codebooks": options.keep_codebooks,
    }
    return {name: value for name, value in edits.items() if value is not None}


def known_song(paths: list[Path] | None, tracks: int, flag: str) -> Any:
    """The codes of a file, or the sound files of all tracks, as pipelines take them.

    Raises:
        ValueError: for a wrong number of files.
    """
    if paths is None or paths[0].suffix not in CODES_ENDINGS:
        return sound_files(paths, tracks, flag)
    if len(paths) > 1:
        raise ValueError(f"{flag} takes one file of codes: got {len(paths)} files")
    codes, _ = read_codes(paths[0])
    return codes if codes.ndim == 3 else codes[None]  # `songgen-hf encode` writes one track


def sound_files(paths: list[Path] | None, tracks: int, flag: str) -> Path | tuple[Path, ...] | None:
    """The sound files of all tracks as pipelines take them.

    Raises:
        ValueError: for a wrong number of files.
    """
    if paths is None:
        return None
    if len(paths) != tracks:
        raise ValueError(f"{flag} takes {tracks} file(s) for this model: got {len(paths)}")
    return paths[0] if tracks == 1 else tuple(paths)

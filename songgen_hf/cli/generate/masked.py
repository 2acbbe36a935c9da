"""The arguments of ``songgen-hf generate`` for masked models: steps, and edits of a song."""

from pathlib import Path
from typing import Any

from ..codes_files import CODES_ENDINGS, read_codes
from .options import GenerateOptions

MASKED_SETTINGS = {
    "steps": "num_inference_steps",
    "reveal": "reveal",
    "schedule": "schedule",
}
"""Option -> argument of the pipeline."""
EDITS = ("song", "region", "keep_track", "keep_codebooks")
AUTOREGRESSIVE_ONLY = ("top_k", "adapter")


def masked_settings(options: GenerateOptions, tracks: int) -> dict[str, Any]:
    """The given arguments of a masked pipeline, those that edit a song included.

    Raises:
        ValueError: for options of autoregressive models.
    """
    if clash := [name for name in AUTOREGRESSIVE_ONLY if getattr(options, name) is not None]:
        raise ValueError(
            f"--{clash[0].replace('_', '-')} is for autoregressive models: leave it out for a "
            "masked one"
        )
    given = {name: getattr(options, field) for field, name in MASKED_SETTINGS.items()}
    given["song"] = known_song(options.song, tracks, "--song")
    if options.region is not None:
        given["regions"] = [tuple(region) for region in options.region]
    given["keep_track"] = options.keep_track
    given["keep_codebooks"] = options.keep_codebooks
    return {name: value for name, value in given.items() if value is not None}


def refuse_masked_options(options: GenerateOptions) -> None:
    """ValueError if options of masked models were given to an autoregressive one."""
    given = [name for name in (*MASKED_SETTINGS, *EDITS) if getattr(options, name) is not None]
    if given:
        raise ValueError(
            f"--{given[0].replace('_', '-')} is for masked models: add --mode masked or the "
            "--model of one"
        )


def known_song(paths: list[Path] | None, tracks: int, flag: str) -> Any:
    """The codes of a file, or the sound files of all tracks, as masked pipelines take them.

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

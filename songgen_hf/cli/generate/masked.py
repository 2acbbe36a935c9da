"""What ``songgen-hf generate`` takes for masked models: steps, and songs sung anew in part."""

import argparse
import io
from pathlib import Path
from typing import Any

HELP_TEXT = "of a masked model, which sings in a few steps; see docs/masked.md"
CODES_ENDINGS = (".npz", ".safetensors")
MASKED_SETTINGS = {
    "steps": "num_inference_steps",
    "seconds": "seconds",
    "reveal": "reveal",
    "schedule": "schedule",
}
"""Argument -> argument of the pipeline."""
EDITS = ("song", "region", "keep_track", "keep_codebooks")
AUTOREGRESSIVE_ONLY = ("top_k", "adapter")


def add_masked_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments that masked models alone know."""
    group = parser.add_argument_group("masked models", HELP_TEXT)
    group.add_argument("--steps", type=int, help="passes of the model (default: 28)")
    group.add_argument(
        "--seconds", type=float, help="length (default: what the model expects of the lyrics)"
    )
    group.add_argument("--reveal", choices=("confidence", "random"), help="codes kept at each step")
    group.add_argument(
        "--schedule", choices=("circle", "cosine", "linear", "exp"), help="how many at each step"
    )
    group.add_argument(
        "--song",
        type=Path,
        nargs="+",
        help="song to sing anew in part: the .codes.npz that --save-codes wrote, which keeps what "
        "stays bit for bit, or sound files as --prompt-audio takes them",
    )
    group.add_argument(
        "--region",
        type=region_end,
        nargs=2,
        action="append",
        metavar=("START", "END"),
        help="seconds of --song that are sung anew; END can be the word end; may be repeated "
        "(default: all)",
    )
    group.add_argument(
        "--keep-track", choices=("accompaniment", "vocal"), help="track of --song that stays"
    )
    group.add_argument(
        "--keep-codebooks",
        type=int,
        help="coarse codebooks of --song that stay: 3 refines the rest",
    )


def region_end(word: str) -> float | None:
    """Seconds, or None for the word "end"."""
    return None if word == "end" else float(word)


def guidance(word: str) -> float | tuple[float, ...]:
    """A guidance scale; two with a comma are the first and the last step's."""
    numbers = tuple(float(number) for number in word.split(","))
    return numbers[0] if len(numbers) == 1 else numbers


def masked_settings(arguments: argparse.Namespace, tracks: int) -> dict[str, Any]:
    """Arguments of a masked pipeline that were given, those for a part of a song included.

    Raises:
        ValueError: for flags of autoregressive models.
    """
    if clash := [name for name in AUTOREGRESSIVE_ONLY if getattr(arguments, name) is not None]:
        raise ValueError(
            f"--{clash[0].replace('_', '-')} is for autoregressive models: leave it out for a "
            "masked one"
        )
    given = {name: getattr(arguments, flag) for flag, name in MASKED_SETTINGS.items()}
    given["song"] = known_song(arguments.song, tracks, "--song")
    if arguments.region is not None:
        given["regions"] = [tuple(region) for region in arguments.region]
    given["keep_track"] = arguments.keep_track
    given["keep_codebooks"] = arguments.keep_codebooks
    return {name: value for name, value in given.items() if value is not None}


def refuse_masked_flags(arguments: argparse.Namespace) -> None:
    """ValueError if flags of masked models were given to an autoregressive one."""
    given = [flag for flag in (*MASKED_SETTINGS, *EDITS) if getattr(arguments, flag) is not None]
    if given:
        raise ValueError(
            f"--{given[0].replace('_', '-')} is for masked models: add --mode masked or the "
            "--model of one"
        )
    if isinstance(arguments.guidance_scale, tuple):
        raise ValueError(
            "--guidance-scale with two numbers is for masked models: give one, or --mode masked"
        )


def known_song(paths: list[Path] | None, tracks: int, flag: str) -> Any:
    """Codes of a file of codes, or sound files as the pipelines take them.

    Raises:
        ValueError: for a wrong number of files.
    """
    if paths is None:
        return None
    if paths[0].suffix in CODES_ENDINGS:
        from ..decode import read_codes

        if len(paths) > 1:
            raise ValueError(f"{flag} takes one file of codes: got {len(paths)} files")
        codes, _ = read_codes(paths[0])
        return codes if codes.ndim == 3 else codes[None]  # `songgen-hf encode` writes one track
    if len(paths) != tracks:
        raise ValueError(f"{flag} takes {tracks} file(s) for this model: got {len(paths)}")
    return paths[0] if tracks == 1 else tuple(paths)


def encode_codes(codes: Any, sampling_rate: int, hop_length: int) -> bytes:
    """Bytes of an .npz file with ``codes`` int16 [tracks, codebooks, frames]."""
    import numpy as np

    buffer = io.BytesIO()
    arrays: dict[str, Any] = {
        "codes": np.asarray(codes, dtype=np.int16),
        "sampling_rate": sampling_rate,
        "hop_length": hop_length,
    }
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


__all__ = [
    "add_masked_arguments",
    "encode_codes",
    "guidance",
    "known_song",
    "masked_settings",
    "refuse_masked_flags",
]

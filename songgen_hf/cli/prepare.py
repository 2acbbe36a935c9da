"""Make data ready for training: codes turns songs into codec codes, as parquet."""

import argparse
from pathlib import Path

from .output import CommandResult, add_output_arguments

HELP = "make data ready for training"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``songgen-hf prepare``."""
    steps = parser.add_subparsers(dest="step", metavar="step", required=True)
    codes = steps.add_parser("codes", help="encode songs with the codec")
    codes.add_argument("source", help="songs: a folder or file of parquet, or a Hub id")
    codes.add_argument("output", type=Path, help="folder to write; a started one is continued")
    codes.add_argument("--model", help="codec or song model (default: the package's own)")
    codes.add_argument("--splits", nargs="+", help="splits to encode (default: all)")
    codes.add_argument(
        "--keep-audio", nargs="*", default=["vocal"], help="audio columns to copy (default: vocal)"
    )
    codes.add_argument("--max-seconds", type=float, help="cut longer songs (default: no limit)")
    codes.add_argument(
        "--mixtures",
        type=float,
        default=0.0,
        help="songs made of two to add per training song, for songs without lyrics (default 0)",
    )
    codes.add_argument("--seed", type=int, default=0, help="of the added songs (default 0)")
    codes.add_argument("--songs-per-shard", type=int, default=200, help="default 200")
    codes.add_argument("--runner", default="map", choices=("map", "ray"), help="default map")
    codes.add_argument("--workers", type=int, default=1, help="processes (default 1)")
    codes.add_argument("--device", default="cpu", help="of the codec, or auto (default cpu)")
    codes.add_argument("--quiet", action="store_true", help="no progress bar")
    add_output_arguments(codes, nested=True)


def run(arguments: argparse.Namespace) -> CommandResult:
    """Encode what is missing."""
    from ..checkpoints.loading import resolve_checkpoint
    from ..data.preparation.codes import prepare_codes
    from ..data.preparation.options import CodesOptions

    options = CodesOptions(
        source=arguments.source,
        output=arguments.output,
        model=resolve_checkpoint(arguments.model),
        splits=tuple(arguments.splits) if arguments.splits else None,
        keep_audio=tuple(arguments.keep_audio),
        max_seconds=arguments.max_seconds,
        mixtures=arguments.mixtures,
        seed=arguments.seed,
        songs_per_shard=arguments.songs_per_shard,
        runner=arguments.runner,
        workers=arguments.workers,
        device=arguments.device,
    )
    sizes = prepare_codes(options, progress=not arguments.quiet)
    rows = ", ".join(f"{size} {split}" for split, size in sizes.items())
    return CommandResult(
        {"codes": arguments.output, "model": options.model, "songs": sizes},
        f"{arguments.output}: {rows}",
    )

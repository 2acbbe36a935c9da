"""Write a checkpoint for the Hub, or several in one folder that share their codec."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .loading import named_checkpoint

if TYPE_CHECKING:
    from ..modeling.modeling_songgen import SongGenForConditionalGeneration
    from ..modeling.processing_songgen import SongGenProcessor

HELP = "write a checkpoint for the Hub"
STORED = ("float32", "bfloat16", "float16")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``songgen-hf export``."""
    parser.add_argument(
        "models", nargs="+", metavar="model", help="directory or Hub id of a song model"
    )
    parser.add_argument("out", type=Path, help="folder to write, new or empty")
    parser.add_argument(
        "--dtype", choices=STORED, help="precision of the files (default: the model's)"
    )
    parser.add_argument(
        "--load-dtype",
        choices=STORED,
        help="precision that loading gives unless asked for another (default: that of the files)",
    )
    parser.add_argument(
        "--remote-code",
        action="store_true",
        help="add the code, for machines without this package (trust_remote_code=True)",
    )
    parser.add_argument(
        "--share-codec",
        action="store_true",
        help="write one folder for each model, named by its track pattern, and one for the codec "
        "that they were all trained with",
    )
    parser.add_argument("--revision", help="branch, tag or commit of a Hub checkpoint")


def run(arguments: argparse.Namespace) -> None:
    """Load, write and say how large it is."""
    from ..export import export, export_sharing_codec

    if len(arguments.models) > 1 and not arguments.share_codec:
        raise ValueError(
            f"got {len(arguments.models)} models for one folder: export them one by one, or "
            "together with --share-codec"
        )
    if arguments.remote_code and arguments.share_codec:
        raise ValueError("--remote-code is for one model in one folder: leave --share-codec out")
    loaded = [load(name, arguments.revision) for name in arguments.models]
    precision = {"dtype": arguments.dtype, "load_dtype": arguments.load_dtype}
    if arguments.share_codec:
        by_pattern = {_track_pattern(model): (model, its) for model, its in loaded}
        if len(by_pattern) < len(loaded):
            raise ValueError(
                "two of the models have one track pattern, which names their folders: give models "
                "of different patterns"
            )
        export_sharing_codec(by_pattern, arguments.out, **precision)
    else:
        model, processor = loaded[0]
        export(model, processor, arguments.out, remote_code=arguments.remote_code, **precision)
    size = sum(path.stat().st_size for path in arguments.out.rglob("*") if path.is_file())
    print(f"{arguments.out}: {size / 1e6:.1f} MB")


def _track_pattern(model: Any) -> str:
    return model.config.decoder.track_pattern


def load(
    name: str, revision: str | None = None
) -> "tuple[SongGenForConditionalGeneration, SongGenProcessor]":
    """Model and processor of a checkpoint."""
    from transformers import AutoProcessor

    from ..modeling.modeling_songgen import SongGenForConditionalGeneration

    checkpoint = named_checkpoint(name)
    model = SongGenForConditionalGeneration.from_pretrained(checkpoint, revision=revision)
    return model.eval(), AutoProcessor.from_pretrained(checkpoint, revision=revision)

"""Write a model or a codec for the Hub, or several models in one folder that share their codec."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .loading import named_checkpoint
from .output import Answer

if TYPE_CHECKING:
    from ..modeling.processing_songgen import SongGenProcessor

HELP = "write a checkpoint for the Hub, smaller if asked for"
STORED = ("float32", "bfloat16", "float16")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``songgen-hf export``."""
    parser.add_argument(
        "models", nargs="+", metavar="model", help="directory or Hub id of a song model or a codec"
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


def run(arguments: argparse.Namespace) -> Answer:
    """Load, write and say how large it is."""
    from ..export import export, export_codec, export_sharing_codec

    if len(arguments.models) > 1 and not arguments.share_codec:
        raise ValueError(
            f"got {len(arguments.models)} models for one folder: export them one by one, or "
            "together with --share-codec"
        )
    if arguments.remote_code and arguments.share_codec:
        raise ValueError("--remote-code is for one model in one folder: leave --share-codec out")
    precision = {"dtype": arguments.dtype, "load_dtype": arguments.load_dtype}
    loaded = [load(name, arguments.revision) for name in arguments.models]
    model, processor = loaded[0]
    if arguments.share_codec:
        export_sharing_codec(by_track_pattern(loaded), arguments.out, **precision)
    elif processor is not None:
        export(model, processor, arguments.out, remote_code=arguments.remote_code, **precision)
    elif arguments.remote_code:
        raise ValueError("--remote-code is for song models: got a codec; leave it out")
    else:
        export_codec(model, arguments.out, **precision)
    files = sorted(path for path in arguments.out.rglob("*") if path.is_file())
    size = sum(path.stat().st_size for path in files)
    return Answer(
        {
            "exported": arguments.out,
            "bytes": size,
            "files": [path.relative_to(arguments.out).as_posix() for path in files],
        },
        f"{arguments.out}: {size / 1e6:.1f} MB",
    )


def load(name: str, revision: str | None = None) -> tuple[Any, "SongGenProcessor | None"]:
    """A song model and its processor, or a codec and None."""
    from transformers import AutoConfig, AutoProcessor

    from ..modeling.modeling_songgen import SongGenForConditionalGeneration
    from ..modeling.modeling_xcodec import XCodecModel

    checkpoint = named_checkpoint(name)
    if AutoConfig.from_pretrained(checkpoint, revision=revision).model_type != "songgen":
        return XCodecModel.from_pretrained(checkpoint, revision=revision).eval(), None
    model = SongGenForConditionalGeneration.from_pretrained(checkpoint, revision=revision)
    return model.eval(), AutoProcessor.from_pretrained(checkpoint, revision=revision)


def by_track_pattern(
    loaded: "list[tuple[Any, SongGenProcessor | None]]",
) -> "dict[str, tuple[Any, SongGenProcessor]]":
    """Models with their processors by the pattern that names their folder.

    Raises:
        ValueError: for two models of one pattern, or a codec.
    """
    found: dict[str, tuple[Any, SongGenProcessor]] = {}
    for model, processor in loaded:
        if processor is None:
            raise ValueError("--share-codec is for song models, which bring their codec: got one")
        pattern = model.config.decoder.track_pattern
        if pattern in found:
            raise ValueError(
                f"two of the models have the track pattern {pattern}, which names their folder: "
                "give models of different patterns"
            )
        found[pattern] = model, processor
    return found

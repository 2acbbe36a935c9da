"""The flags that name a model, and loading what they name."""

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..modeling.modeling_xcodec import XCodecModel

DTYPES = ("auto", "float32", "bfloat16", "float16")


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments that name a model and where it runs."""
    parser.add_argument(
        "--model",
        help="checkpoint: a directory, a Hub id, songgen-mini, songgen-mini/interleaving_A_V or "
        "songgen-mini/masked (default: songgen-mini, the package's own)",
    )
    parser.add_argument("--revision", help="branch, tag or commit of a Hub checkpoint")
    parser.add_argument(
        "--device", default="auto", help="cpu, cuda, cuda:1, mps (default: an accelerator, if any)"
    )
    parser.add_argument(
        "--dtype", default="auto", choices=DTYPES, help="precision (default: the checkpoint's)"
    )


def load_pipeline(arguments: argparse.Namespace) -> Any:
    """The pipeline of the model, and the adapter if any, that the arguments name."""
    from ..checkpoints import loading

    return loading.load_pipeline(
        arguments.model,
        mode=getattr(arguments, "mode", None),
        revision=arguments.revision,
        device=arguments.device,
        dtype=arguments.dtype,
        adapter=arguments.adapter,
    )


def load_codec(arguments: argparse.Namespace) -> "XCodecModel":
    """The codec that the arguments name: a codec checkpoint, or the codec of a song model."""
    from ..checkpoints import loading

    return loading.load_codec(
        arguments.model,
        revision=arguments.revision,
        device=arguments.device,
        dtype=arguments.dtype,
    )


__all__ = ["add_model_arguments", "load_codec", "load_pipeline"]

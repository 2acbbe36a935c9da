"""What the commands share: the arguments that name a model, and loading it."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

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
    """The text-to-song pipeline over the model, and the adapter if any, that the arguments name.

    A masked model, or the mode of that name without a model, gives a :class:`MaskedSongPipeline`.
    """
    from transformers import pipeline

    from ..checkpoints.embedded import MASKED_CHECKPOINT
    from ..pipelines.text_to_song import TextToSongPipeline

    mode = getattr(arguments, "mode", None)
    if mode == "masked" and arguments.model is None:
        arguments.model = MASKED_CHECKPOINT
    # pipeline_class: the installed code, also where the checkpoint brings its own.
    sing = pipeline(
        "text-to-song",
        model=checkpoint_of(arguments),
        revision=arguments.revision,
        device=checked_device(arguments.device),
        dtype=arguments.dtype,
        adapter=arguments.adapter,
        pipeline_class=TextToSongPipeline,
        **({} if mode is None else {"mode": mode}),
    )
    if mode not in (None, sing.mode):
        raise ValueError(f"--mode {mode}: got a {sing.mode} model; leave --mode out")
    return sing


def load_codec(arguments: argparse.Namespace) -> "XCodecModel":
    """The codec that the arguments name: a codec checkpoint, or the codec inside a song model."""
    from transformers import AutoConfig

    from ..modeling.modeling_songgen import SongGenForConditionalGeneration
    from ..modeling.modeling_xcodec import XCodecModel

    checkpoint = checkpoint_of(arguments)
    options: dict[str, Any] = {"revision": arguments.revision}
    config = AutoConfig.from_pretrained(checkpoint, **options)
    options["dtype"] = arguments.dtype
    if config.model_type == "songgen":
        codec = SongGenForConditionalGeneration.from_pretrained(checkpoint, **options).audio_encoder
    elif config.model_type in ("songgen_xcodec", "xcodec"):
        codec = XCodecModel.from_pretrained(checkpoint, **options)
    else:
        raise ValueError(
            f"{checkpoint} is of type {config.model_type!r}: "
            "expected a SongGen or X-Codec checkpoint"
        )
    return codec.to(checked_device(arguments.device)).eval()


def checkpoint_of(arguments: argparse.Namespace) -> str:
    """The checkpoint named, or the package's own."""
    from ..checkpoints.embedded import default_checkpoint

    return default_checkpoint() if arguments.model is None else named_checkpoint(arguments.model)


def named_checkpoint(name: str) -> str:
    """A directory or Hub id; short names of the package's own checkpoints become directories.

    Raises:
        ValueError: if it is no checkpoint directory here and cannot be a Hub id.
    """
    from ..checkpoints.embedded import find_checkpoint

    name = find_checkpoint(name)
    path = Path(name)
    if path.is_dir() and not (path / "config.json").is_file():
        raise ValueError(f"{name} has no config.json: it is no checkpoint directory")
    if not path.exists() and name.count("/") != 1:
        raise ValueError(
            f"no checkpoint {name!r}: it is neither a directory here nor a Hub id "
            "(owner/name); check the path, or write one with `songgen-hf init`"
        )
    return name


def checked_device(name: str) -> "torch.device":
    """The device of that name ("auto": an accelerator, if any); ValueError if it cannot be used."""
    import torch

    if name == "auto":
        return torch.accelerator.current_accelerator() or torch.device("cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).split("\n")[0]
        raise ValueError(f"cannot use device {name!r}: {reason}; try --device cpu") from error
    return device


def library_versions() -> dict[str, str]:
    """Versions that a song's bits can depend on."""
    import numpy
    import torch
    import transformers

    from ..version import __version__

    return {
        "songgen_hf": __version__,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "numpy": numpy.__version__,
    }


__all__ = [
    "add_model_arguments",
    "checked_device",
    "checkpoint_of",
    "library_versions",
    "load_codec",
    "load_pipeline",
    "named_checkpoint",
]

"""The folder of a masked song model, and the way to it from ``pipeline("text-to-song")``.

The Auto classes of transformers know the folder by its ``config.json``; what they load is the whole
pipeline of diffusers, which is imported only then.
"""

import json
import os
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from transformers import PreTrainedConfig

from ..modeling.configuration_songgen import MASKED_MODEL_TYPE
from ..modeling.processing_songgen import SongGenProcessor

MARK = "config.json"
"""Beside ``model_index.json``: tells transformers that this is a masked song model, and where the
SongGen checkpoint lies whose conditioner, codec and processor are shared, if they are."""
SHARED_PARTS = ("conditioner", "codec", "processor")
PARTS = ("transformer", "scheduler", *SHARED_PARTS)
HUB_OPTIONS = ("revision", "token", "cache_dir", "local_files_only", "force_download")


class MaskedSongConfig(PreTrainedConfig):
    """Says of a folder that it holds a masked song model; sizes are in its parts' own files."""

    model_type = MASKED_MODEL_TYPE


class MaskedSongLoader:
    """What ``AutoModelForTextToWaveform`` loads such a folder with."""

    config_class = MaskedSongConfig

    @classmethod
    def from_pretrained(cls, name: Any, *_: Any, dtype: Any = None, **options: Any) -> Any:
        """:class:`MaskedSongPipeline` of a folder or Hub id."""
        from .masked_song import MaskedSongPipeline

        given = {key: options[key] for key in HUB_OPTIONS if options.get(key) is not None}
        if isinstance(dtype, torch.dtype):
            given["dtype"] = dtype
        return MaskedSongPipeline.from_pretrained(name, **given)


class MaskedProcessorLoader:
    """What ``AutoProcessor`` loads such a folder with."""

    @classmethod
    def from_pretrained(cls, name: Any, **options: Any) -> SongGenProcessor:
        """The processor of a folder or Hub id."""
        if (source := shared_source(name)) is not None:
            return SongGenProcessor.from_pretrained(source)
        if (folder := Path(name) / "processor").is_dir():
            return SongGenProcessor.from_pretrained(folder)
        given = {key: options[key] for key in HUB_OPTIONS if options.get(key) is not None}
        return SongGenProcessor.from_pretrained(name, subfolder="processor", **given)


def shared_source(name: str | os.PathLike[str]) -> str | None:
    """The SongGen checkpoint that a folder takes its shared parts from; None if it has its own."""
    mark = Path(name) / MARK
    if not mark.is_file():
        return None
    source = json.loads(mark.read_text(encoding="utf-8")).get("song_model")
    return None if source is None else os.path.normpath(Path(name) / source)


def local_folder(name: str | os.PathLike[str], options: dict[str, Any]) -> str:
    """The folder of that name, or the snapshot of a Hub repository.

    The way of diffusers to the Hub refuses parts of packages that it does not know.

    Args:
        name: folder or Hub id.
        options: of ``from_pretrained``; those about the Hub are taken out.
    Raises:
        ValueError: if it is neither.
        OSError: if it cannot be had.
    """
    given = {key: options.pop(key) for key in HUB_OPTIONS if key in options}
    if Path(name).is_dir():
        return str(name)
    if str(name).count("/") != 1:
        raise ValueError(
            f"no masked song model {str(name)!r}: it is neither a folder here nor a Hub id "
            "(owner/name); train one with `songgen-hf train masked`"
        )
    wanted = ["*.json", "README.md", *(f"{part}/*" for part in PARTS)]
    return snapshot_download(str(name), allow_patterns=wanted, **given)


def place(pipe: Any, device: Any = None) -> Any:
    """The pipeline on a device as ``pipeline()`` names them; None for an accelerator, if any."""
    if device is None:
        device = torch.accelerator.current_accelerator() or "cpu"
    return pipe.to(torch.device("cpu") if device == -1 else torch.device(device))


__all__ = [
    "MARK",
    "MASKED_MODEL_TYPE",
    "SHARED_PARTS",
    "MaskedProcessorLoader",
    "MaskedSongConfig",
    "MaskedSongLoader",
    "local_folder",
    "place",
    "shared_source",
]

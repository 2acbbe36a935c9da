"""Loads masked song models through the Auto classes and ``pipeline("text-to-song")``.

transformers recognizes such a model by its ``config.json``. The Auto class for models then loads
the whole pipeline of diffusers, which is not imported before.
"""

from pathlib import Path
from typing import Any

import torch

from ..modeling.checkpoint_files import HUB_OPTIONS
from ..modeling.masked.configuration import MaskedSongConfig
from ..modeling.processing_songgen import SongGenProcessor
from .masked_folders import shared_source


class MaskedSongLoader:
    """Loads the folder of a masked song model for ``AutoModelForTextToWaveform``."""

    config_class = MaskedSongConfig

    @classmethod
    def from_pretrained(cls, name: Any, *_: Any, dtype: Any = None, **options: Any) -> Any:
        """Load the :class:`MaskedSongPipeline` of a folder or Hub id."""
        from .masked_song import MaskedSongPipeline

        given = {key: options[key] for key in HUB_OPTIONS if options.get(key) is not None}
        return MaskedSongPipeline.from_pretrained(name, dtype=dtype, **given)


class MaskedProcessorLoader:
    """Loads the processor of a masked song model for ``AutoProcessor``."""

    @classmethod
    def from_pretrained(cls, name: Any, **options: Any) -> SongGenProcessor:
        """Load the processor of a folder or Hub id."""
        if (source := shared_source(name)) is not None:
            return SongGenProcessor.from_pretrained(source)
        if (folder := Path(name) / "processor").is_dir():
            return SongGenProcessor.from_pretrained(folder)
        given = {key: options[key] for key in HUB_OPTIONS if options.get(key) is not None}
        return SongGenProcessor.from_pretrained(name, subfolder="processor", **given)


def move_to_device(pipe: Any, device: Any = None) -> Any:
    """Move a pipeline to a device in the notation of ``pipeline()``.

    None stands for the accelerator, or the CPU if there is none, and -1 for the CPU.
    """
    if device is None:
        device = torch.accelerator.current_accelerator() or "cpu"
    return pipe.to(torch.device("cpu") if device == -1 else torch.device(device))


__all__ = ["MaskedProcessorLoader", "MaskedSongLoader", "move_to_device"]

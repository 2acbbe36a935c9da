"""Loading of masked song models through the Auto classes and ``pipeline("text-to-song")``.

transformers recognizes the folder by its ``config.json``; what is loaded is the whole pipeline of
diffusers, which is imported only then.
"""

from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedConfig

from ..modeling.configuration_songgen import MASKED_MODEL_TYPE
from ..modeling.processing_songgen import SongGenProcessor
from .masked_folders import HUB_OPTIONS, shared_source


class MaskedSongConfig(PreTrainedConfig):
    """Marks a folder as a masked song model; the sizes are in the files of its parts."""

    model_type = MASKED_MODEL_TYPE


class MaskedSongLoader:
    """Loads the folder of a masked song model for ``AutoModelForTextToWaveform``."""

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
    """Loads the processor of a masked song model for ``AutoProcessor``."""

    @classmethod
    def from_pretrained(cls, name: Any, **options: Any) -> SongGenProcessor:
        """The processor of a folder or Hub id."""
        if (source := shared_source(name)) is not None:
            return SongGenProcessor.from_pretrained(source)
        if (folder := Path(name) / "processor").is_dir():
            return SongGenProcessor.from_pretrained(folder)
        given = {key: options[key] for key in HUB_OPTIONS if options.get(key) is not None}
        return SongGenProcessor.from_pretrained(name, subfolder="processor", **given)


def place(pipe: Any, device: Any = None) -> Any:
    """The pipeline on a device as ``pipeline()`` names them; None for an accelerator, if any."""
    if device is None:
        device = torch.accelerator.current_accelerator() or "cpu"
    return pipe.to(torch.device("cpu") if device == -1 else torch.device(device))


__all__ = ["MaskedProcessorLoader", "MaskedSongConfig", "MaskedSongLoader", "place"]

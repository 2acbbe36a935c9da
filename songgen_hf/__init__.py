"""SongGen for Hugging Face: models and pipelines that generate songs from text, lyrics and a voice.

Importing this package registers its models, its processor and the task "text-to-song" with
transformers, as soon as transformers is used. The public names are imported when they are first
used.
"""

import importlib
from typing import TYPE_CHECKING, Any

from .registration import register
from .version import __version__

if TYPE_CHECKING:
    from .checkpoints.embedded import default_checkpoint, find_checkpoint
    from .modeling.configuration_songgen import SongGenConfig
    from .modeling.configuration_xcodec import XCodecConfig
    from .modeling.decoder import SongGenForCausalLM
    from .modeling.int8_loading import Int8Config
    from .modeling.masked.model import MaskedSongModel
    from .modeling.masked.scheduler import MaskedRVQScheduler
    from .modeling.modeling_songgen import SongGenForConditionalGeneration
    from .modeling.modeling_xcodec import XCodecModel
    from .modeling.processing_songgen import SongGenProcessor
    from .pipelines.masked_song import MaskedSongPipeline
    from .pipelines.streaming import SongGenAudioStreamer
    from .pipelines.text_to_song import TextToSongPipeline

_MODULES = {
    "Int8Config": ".modeling.int8_loading",
    "MaskedRVQScheduler": ".modeling.masked.scheduler",
    "MaskedSongModel": ".modeling.masked.model",
    "MaskedSongPipeline": ".pipelines.masked_song",
    "SongGenAudioStreamer": ".pipelines.streaming",
    "SongGenConfig": ".modeling.configuration_songgen",
    "SongGenForCausalLM": ".modeling.decoder",
    "SongGenForConditionalGeneration": ".modeling.modeling_songgen",
    "SongGenProcessor": ".modeling.processing_songgen",
    "TextToSongPipeline": ".pipelines.text_to_song",
    "XCodecConfig": ".modeling.configuration_xcodec",
    "XCodecModel": ".modeling.modeling_xcodec",
    "default_checkpoint": ".checkpoints.embedded",
    "find_checkpoint": ".checkpoints.embedded",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


register()

__all__ = [
    "Int8Config",
    "MaskedRVQScheduler",
    "MaskedSongModel",
    "MaskedSongPipeline",
    "SongGenAudioStreamer",
    "SongGenConfig",
    "SongGenForCausalLM",
    "SongGenForConditionalGeneration",
    "SongGenProcessor",
    "TextToSongPipeline",
    "XCodecConfig",
    "XCodecModel",
    "__version__",
    "default_checkpoint",
    "find_checkpoint",
    "register",
]

"""Makes the models, the processor and the task known to transformers."""

import logging
from functools import cache
from typing import Any

logger = logging.getLogger(__name__)

TASK = "text-to-song"


class _DefaultModel(dict):
    """The task's default model, found or made only when somebody asks for it."""

    def __getitem__(self, key: str) -> Any:
        if key != "model":
            return super().__getitem__(key)
        from .checkpoints.embedded import default_checkpoint

        return default_checkpoint(), "main"


@cache
def register() -> None:
    """Register the Auto classes, the checkpoint mappings and the task; once a process."""
    from transformers import (
        AutoConfig,
        AutoModel,
        AutoModelForAudioTokenization,
        AutoModelForTextToWaveform,
        AutoProcessor,
    )
    from transformers.pipelines import PIPELINE_REGISTRY

    # Importing the models registers their checkpoint mappings.
    from .modeling.configuration_songgen import (
        SongGenConfig,
        SongGenDecoderConfig,
        SongGenLyricsEncoderConfig,
    )
    from .modeling.configuration_xcodec import XCodecConfig
    from .modeling.modeling_songgen import SongGenForConditionalGeneration
    from .modeling.modeling_xcodec import XCodecModel
    from .modeling.processing_songgen import SongGenProcessor
    from .modeling.publishing import PublishingMixin
    from .pipelines.masked_folders import (
        MaskedProcessorLoader,
        MaskedSongConfig,
        MaskedSongLoader,
    )
    from .pipelines.text_to_song import TextToSongPipeline

    # Of models, codecs and masked pipelines alike; the latter are imported when they are loaded.
    PublishingMixin.card_writer = staticmethod(_write_card)
    PublishingMixin.publisher = staticmethod(_publish)
    TextToSongPipeline.publisher = staticmethod(_publish)
    TextToSongPipeline.masked_singer = staticmethod(_masked_singer)
    for config in (SongGenConfig, SongGenDecoderConfig, SongGenLyricsEncoderConfig, XCodecConfig):
        AutoConfig.register(config.model_type, config, exist_ok=True)
    AutoModel.register(SongGenConfig, SongGenForConditionalGeneration, exist_ok=True)
    AutoModelForTextToWaveform.register(
        SongGenConfig, SongGenForConditionalGeneration, exist_ok=True
    )
    AutoModel.register(XCodecConfig, XCodecModel, exist_ok=True)
    AutoModelForAudioTokenization.register(XCodecConfig, XCodecModel, exist_ok=True)
    AutoProcessor.register(SongGenConfig, SongGenProcessor, exist_ok=True)
    masked: Any = MaskedSongLoader, MaskedProcessorLoader  # they only load
    AutoConfig.register(MaskedSongConfig.model_type, MaskedSongConfig, exist_ok=True)
    AutoModelForTextToWaveform.register(MaskedSongConfig, masked[0], exist_ok=True)
    AutoProcessor.register(MaskedSongConfig, masked[1], exist_ok=True)
    if TASK not in PIPELINE_REGISTRY.supported_tasks:
        PIPELINE_REGISTRY.register_pipeline(
            TASK,
            pipeline_class=TextToSongPipeline,
            pt_model=AutoModelForTextToWaveform,
            default=_DefaultModel(model=None),
            type="multimodal",
        )


def _write_card(model: Any, folder: Any) -> None:
    from .publishing.cards import write_card

    try:
        write_card(model, folder)
    except Exception as error:  # the weights are saved: a run must not end for want of a card
        logger.warning("no card was written to %s: %s", folder, error)


def _masked_singer(model: Any, *, device: Any = None) -> Any:
    """The masked pipeline that ``pipeline("text-to-song")`` was asked for.

    Args:
        model: the pipeline already, or the task's default model, in whose place comes the masked
            model of the package.
        device: as ``pipeline()`` names it.
    Raises:
        ValueError: for another model, or if the package holds no masked one.
    """
    from .checkpoints.embedded import MASKED_CHECKPOINT, default_checkpoint, find_checkpoint
    from .pipelines.masked_folders import MaskedSongLoader, place

    if getattr(model, "mode", None) != "masked":
        name = getattr(model, "name_or_path", None)
        if model is not None and name != default_checkpoint():
            raise ValueError(
                f"mode='masked' needs a masked model: got {name or type(model).__name__}, an "
                "autoregressive one; train one on it with `songgen-hf train masked --model ...` "
                "and pass its folder as model"
            )
        model = MaskedSongLoader.from_pretrained(find_checkpoint(MASKED_CHECKPOINT))
    return place(model, device)


def _publish(*args: Any, **options: Any) -> Any:
    from .publishing.hub import publish

    return publish(*args, **options)


__all__ = ["TASK", "register"]

"""Registers the models, the processor and the task "text-to-song" with transformers."""

import logging
from functools import cache, partial
from typing import Any


class _DefaultCheckpoint(str):
    """Name of the default checkpoint, whose type distinguishes it from a name that was passed."""


class _DefaultModelFilter(logging.Filter):
    """Drops, once, the warning of transformers against its default models: this one is ours."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to emit a record."""
        if "No model was supplied" not in str(record.msg):
            return True
        logging.getLogger("transformers.pipelines").removeFilter(self)
        return False


class _DefaultModel(dict):
    """Default model of the task, whose name is looked up when it is read."""

    def __getitem__(self, key: str) -> Any:
        if key != "model":
            return super().__getitem__(key)
        from .checkpoints.embedded import default_checkpoint

        logging.getLogger("transformers.pipelines").addFilter(_DefaultModelFilter())
        return _DefaultCheckpoint(default_checkpoint()), "main"


@cache
def register() -> None:
    """Register the Auto classes, the checkpoint mappings and the task, once per process."""
    from transformers import (
        AutoConfig,
        AutoModel,
        AutoModelForAudioTokenization,
        AutoModelForTextToWaveform,
        AutoProcessor,
    )
    from transformers.pipelines import PIPELINE_REGISTRY

    from .checkpoints.loading import TASK

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
    from .pipelines.masked_loading import MaskedProcessorLoader, MaskedSongConfig, MaskedSongLoader

    for config in (SongGenConfig, SongGenDecoderConfig, SongGenLyricsEncoderConfig, XCodecConfig):
        AutoConfig.register(config.model_type, config, exist_ok=True)
    AutoModel.register(SongGenConfig, SongGenForConditionalGeneration, exist_ok=True)
    AutoModelForTextToWaveform.register(
        SongGenConfig, SongGenForConditionalGeneration, exist_ok=True
    )
    AutoModel.register(XCodecConfig, XCodecModel, exist_ok=True)
    AutoModelForAudioTokenization.register(XCodecConfig, XCodecModel, exist_ok=True)
    AutoProcessor.register(SongGenConfig, SongGenProcessor, exist_ok=True)
    masked: Any = MaskedSongLoader, MaskedProcessorLoader  # classes with from_pretrained only
    AutoConfig.register(MaskedSongConfig.model_type, MaskedSongConfig, exist_ok=True)
    AutoModelForTextToWaveform.register(MaskedSongConfig, masked[0], exist_ok=True)
    AutoProcessor.register(MaskedSongConfig, masked[1], exist_ok=True)
    if TASK not in PIPELINE_REGISTRY.supported_tasks:
        _register_task()


def _register_task() -> None:
    """Register the task, whose default model is loaded when the mode of the pipeline is known."""
    from transformers import AutoModelForTextToWaveform
    from transformers.pipelines import PIPELINE_REGISTRY

    from .checkpoints.embedded import MASKED_CHECKPOINT, find_checkpoint
    from .checkpoints.loading import TASK, SongPipelineFactory

    class DeferredModel(AutoModelForTextToWaveform):
        """Auto class that loads a named model, and returns a loader for the default model."""

        @classmethod
        def from_pretrained(cls, name: Any, *arguments: Any, **options: Any) -> Any:
            load = AutoModelForTextToWaveform.from_pretrained
            if isinstance(name, _DefaultCheckpoint):
                return partial(load, str(name), *arguments, **options)
            return load(name, *arguments, **options)

    class TaskPipeline(SongPipelineFactory):
        """Factory of pipelines that loads the default model of the requested mode."""

        def __call__(self, model: Any, *, mode: str | None = None, **options: Any) -> Any:
            if isinstance(model, partial):
                if mode == "masked":
                    model = partial(model.func, find_checkpoint(MASKED_CHECKPOINT))
                model = model()
            return super().__call__(model, mode=mode, **options)

    factory: Any = TaskPipeline()
    PIPELINE_REGISTRY.register_pipeline(
        TASK,
        pipeline_class=factory,
        pt_model=DeferredModel,
        default=_DefaultModel(model=None),
        type="multimodal",
    )


__all__ = ["register"]

"""Registers the models, the processor and the task "text-to-song" with transformers."""

import logging
from functools import partial
from typing import Any

from .import_hook import ImportHook
from .modeling.checkpoint_names import register_names


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


def register() -> None:
    """Register the Auto classes, the checkpoint mappings and the task with transformers.

    Each is registered as soon as transformers has imported the classes that need it, which takes
    seconds; until then nothing is imported.
    """
    register_names(_find_checkpoint)
    _hook.install()


def _find_checkpoint(name: str) -> str:
    """Return the folder of the name of an embedded checkpoint, and any other name unchanged."""
    from .checkpoints.embedded import find_checkpoint

    return find_checkpoint(name)


def _register_configs() -> None:
    """Register the configurations."""
    from transformers import AutoConfig

    from .modeling.configuration_songgen import (
        SongGenConfig,
        SongGenDecoderConfig,
        SongGenLyricsEncoderConfig,
    )
    from .modeling.configuration_xcodec import XCodecConfig
    from .modeling.masked.configuration import MaskedSongConfig

    songgen = SongGenConfig, SongGenDecoderConfig, SongGenLyricsEncoderConfig
    for config in (*songgen, XCodecConfig, MaskedSongConfig):
        AutoConfig.register(config.model_type, config, exist_ok=True)


def _register_models() -> None:
    """Register the models; importing them registers their checkpoint mappings."""
    from transformers import (
        AutoModel,
        AutoModelForAudioTokenization,
        AutoModelForTextToWaveform,
    )

    from .modeling.configuration_songgen import SongGenConfig
    from .modeling.configuration_xcodec import XCodecConfig
    from .modeling.masked.configuration import MaskedSongConfig
    from .modeling.modeling_songgen import SongGenForConditionalGeneration
    from .modeling.modeling_xcodec import XCodecModel
    from .pipelines.masked_loading import MaskedSongLoader

    for auto_class in (AutoModel, AutoModelForTextToWaveform):
        auto_class.register(SongGenConfig, SongGenForConditionalGeneration, exist_ok=True)
    for auto_class in (AutoModel, AutoModelForAudioTokenization):
        auto_class.register(XCodecConfig, XCodecModel, exist_ok=True)
    masked: Any = MaskedSongLoader  # a class with from_pretrained only
    AutoModelForTextToWaveform.register(MaskedSongConfig, masked, exist_ok=True)


def _register_processors() -> None:
    """Register the processor."""
    from transformers import AutoProcessor

    from .modeling.configuration_songgen import SongGenConfig
    from .modeling.masked.configuration import MaskedSongConfig
    from .modeling.processing_songgen import SongGenProcessor
    from .pipelines.masked_loading import MaskedProcessorLoader

    AutoProcessor.register(SongGenConfig, SongGenProcessor, exist_ok=True)
    masked: Any = MaskedProcessorLoader  # a class with from_pretrained only
    AutoProcessor.register(MaskedSongConfig, masked, exist_ok=True)


def _register_task() -> None:
    """Register the task."""
    from transformers import AutoModelForTextToWaveform
    from transformers.pipelines import PIPELINE_REGISTRY

    from .checkpoints.embedded import MASKED_CHECKPOINT, find_checkpoint
    from .checkpoints.loading import TASK, SongPipelineFactory, quantized_loading

    if TASK in PIPELINE_REGISTRY.supported_tasks:
        return

    class DeferredModel(AutoModelForTextToWaveform):
        """Auto class that returns a loader of the model.

        ``transformers.pipeline`` tries to load a model twice and wraps both errors with their
        tracebacks in one; those of a loader that the factory calls reach the caller unchanged.
        """

        @classmethod
        def from_pretrained(cls, name: Any, *arguments: Any, **options: Any) -> Any:
            return partial(AutoModelForTextToWaveform.from_pretrained, name, *arguments, **options)

    class TaskPipeline(SongPipelineFactory):
        """Factory of pipelines that loads the model, the default one of the requested mode."""

        def __call__(
            self,
            model: Any,
            *,
            mode: str | None = None,
            quantization: str | None = None,
            **options: Any,
        ) -> Any:
            if isinstance(model, partial):
                if mode == "masked" and isinstance(model.args[0], _DefaultCheckpoint):
                    own = {name: it for name, it in model.keywords.items() if name != "config"}
                    model = partial(model.func, find_checkpoint(MASKED_CHECKPOINT), **own)
                model = model(**quantized_loading(quantization))
            return super().__call__(model, mode=mode, quantization=quantization, **options)

    factory: Any = TaskPipeline()
    PIPELINE_REGISTRY.register_pipeline(
        TASK,
        pipeline_class=factory,
        pt_model=DeferredModel,
        default=_DefaultModel(model=None),
        type="multimodal",
    )


_hook = ImportHook(
    {
        "transformers.models.auto.configuration_auto": _register_configs,
        "transformers.models.auto.modeling_auto": _register_models,
        "transformers.models.auto.processing_auto": _register_processors,
        "transformers.pipelines": _register_task,
    },
    packages=("transformers", "songgen_hf"),
)

__all__ = ["register"]

"""Resolves the name of a checkpoint (embedded, folder, Hub id) and loads pipelines and codecs.

All parts of the package resolve the names of checkpoints with this module.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..pipelines.masked_loading import move_to_device
from ..pipelines.song_requests import check_mode
from .devices import checked_device
from .embedded import MASKED_CHECKPOINT, default_checkpoint, find_checkpoint

TASK = "text-to-song"
QUANTIZATIONS = ("int8",)
PIPELINE_OPTIONS = {"task", "device", "dtype", "processor"}
"""Arguments that ``transformers.pipeline`` gives to every pipeline."""


def resolve_checkpoint(name: str | None = None) -> str:
    """Return the folder or Hub id of a checkpoint.

    Args:
        name: a folder, a Hub id or the name of an embedded checkpoint; None for the default model.
    Raises:
        ValueError: if the name is neither the folder of a checkpoint nor a Hub id.
    """
    if name is None:
        return default_checkpoint()
    name = find_checkpoint(name)
    path = Path(name)
    if path.is_dir() and not (path / "config.json").is_file():
        if (path / "adapter_config.json").is_file():
            raise ValueError(
                f"{name} is an adapter: expected a model; give it as --adapter of the model that "
                "it was trained for"
            )
        raise ValueError(f"{name} has no config.json: it is not the directory of a checkpoint")
    if not path.exists() and name.count("/") != 1:
        raise ValueError(
            f"no checkpoint {name!r}: it is neither a directory here nor a Hub id "
            "(owner/name); check the path, or write one with `songgen-hf init`"
        )
    return name


def load_codec(
    name: str | None = None,
    *,
    revision: str | None = None,
    device: str = "auto",
    dtype: Any = "auto",
) -> Any:
    """Load a codec, or the codec of a song model, in evaluation mode.

    EnCodec, DAC and Mimi of transformers get the methods of :class:`XCodecModel` by an adapter.

    Args:
        name: name of the checkpoint, see :func:`resolve_checkpoint`.
        revision: branch, tag or commit of a Hub repository.
        device: name of the device, see :func:`checked_device`.
        dtype: precision of the weights; "auto" for that of the checkpoint.
    Raises:
        ValueError: if the checkpoint is neither a song model nor a codec.
    """
    from transformers import AutoModel

    from ..modeling.codec_adapter import CodecAdapter
    from ..modeling.codec_sizes import ADAPTED_TYPES
    from ..modeling.modeling_songgen import SongGenForConditionalGeneration
    from ..modeling.modeling_xcodec import XCodecModel

    checkpoint = resolve_checkpoint(name)
    kind = read_model_type(checkpoint, revision)
    options: dict[str, Any] = {"revision": revision, "dtype": dtype}
    codec: Any
    if kind == "songgen":
        codec = SongGenForConditionalGeneration.from_pretrained(checkpoint, **options).codec
    elif kind in ("songgen_xcodec", "xcodec"):
        codec = XCodecModel.from_pretrained(checkpoint, **options)
    elif kind in ADAPTED_TYPES:
        codec = CodecAdapter(AutoModel.from_pretrained(checkpoint, **options))
    else:
        raise ValueError(
            f"{checkpoint} is of type {kind!r}: expected a SongGen or X-Codec checkpoint, or one "
            f"of {', '.join(ADAPTED_TYPES)}"
        )
    return codec.to(checked_device(device)).eval()


def load_pipeline(
    name: str | None = None,
    *,
    mode: str | None = None,
    revision: str | None = None,
    device: str = "auto",
    dtype: Any = "auto",
    adapter: Any = None,
    quantization: str | None = None,
) -> Any:
    """Load the pipeline of an autoregressive or a masked song model.

    Args:
        name: name of the checkpoint, see :func:`resolve_checkpoint`.
        mode: expected mode, "autoregressive" or "masked"; None for that of the checkpoint. For
            "masked" the default checkpoint is the embedded masked model.
        revision: branch, tag or commit of a Hub repository.
        device: name of the device, see :func:`checked_device`.
        dtype: precision of the weights; "auto" for that of the checkpoint.
        adapter: LoRA adapters of an autoregressive model, see
            :func:`~songgen_hf.pipelines.adapters.load_adapters`.
        quantization: "int8" to compute with weights of 8 bits; see docs/speed.md.
    Returns:
        A :class:`TextToSongPipeline`, or a :class:`MaskedSongPipeline` for a masked model.
    Raises:
        ValueError: if the checkpoint cannot be found or has another mode, or for an unknown dtype.
    """
    loaded = quantized_loading(quantization)
    from ..modeling.configuration_songgen import MASKED_MODEL_TYPE, SongGenConfig
    from ..modeling.modeling_songgen import SongGenForConditionalGeneration
    from ..modeling.processing_songgen import SongGenProcessor
    from ..pipelines.masked_folders import checked_dtype
    from ..pipelines.masked_loading import MaskedSongLoader

    if mode == "masked" and name is None:
        name = MASKED_CHECKPOINT
    # Not by ``transformers.pipeline``, which wraps every error of loading in a long traceback.
    checkpoint = resolve_checkpoint(name)
    dtype = "auto" if dtype == "auto" else checked_dtype(dtype)
    kind = read_model_type(checkpoint, revision)
    if kind not in (SongGenConfig.model_type, MASKED_MODEL_TYPE):
        raise ValueError(f"{checkpoint} is of type {kind!r}: expected a SongGen checkpoint")
    placed = {"device": checked_device(device), "mode": mode, "adapter": adapter}
    placed["quantization"] = quantization
    loaded |= {"revision": revision, "dtype": dtype}
    if kind == MASKED_MODEL_TYPE:
        return song_pipeline(MaskedSongLoader.from_pretrained(checkpoint, **loaded), **placed)
    model = SongGenForConditionalGeneration.from_pretrained(checkpoint, **loaded)
    processor = SongGenProcessor.from_pretrained(checkpoint, revision=revision)
    return song_pipeline(model, processor=processor, task=TASK, **placed)


def quantized_loading(quantization: str | None) -> dict[str, Any]:
    """Return the options of ``from_pretrained`` that a quantization needs.

    Raises:
        ValueError: for an unknown one.
    """
    if quantization is None:
        return {}
    if quantization not in QUANTIZATIONS:
        raise ValueError(
            f"quantization is {quantization!r}, expected {' or '.join(QUANTIZATIONS)}, or None for "
            "the precision of the checkpoint"
        )
    from ..modeling.int8_loading import Int8Config

    return {"quantization_config": Int8Config()}


@contextmanager
def fetching(name: str) -> Iterator[None]:
    """Say what helps if the Hub does not give a checkpoint, in place of what transformers says."""
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    try:
        yield
    except OSError as error:
        cause = error.__cause__
        if not isinstance(cause, HfHubHTTPError | LocalEntryNotFoundError | OfflineModeIsEnabled):
            raise
        raise OSError(
            f"cannot read {name}: it is no folder here and not in the cache, and the Hub does not "
            f"give it ({type(cause).__name__}); check the name, the revision, the connection "
            "(HF_HUB_OFFLINE must not be set) and, of a private model, the token (HF_TOKEN), or "
            "give a folder"
        ) from error


def read_model_type(checkpoint: str, revision: str | None = None) -> Any:
    """The ``model_type`` in the ``config.json`` of a checkpoint; None without one."""
    from transformers import PreTrainedConfig

    from ..modeling.checkpoint_files import reading

    with reading(checkpoint), fetching(checkpoint):
        fields, _ = PreTrainedConfig.get_config_dict(checkpoint, revision=revision)
        return fields.get("model_type")


class SongPipelineFactory:
    """Creates the pipeline of the task "text-to-song" for a model of ``transformers.pipeline``."""

    _load_processor = True
    _load_tokenizer = False
    _load_feature_extractor = False
    _load_image_processor = False
    _load_video_processor = False

    def __call__(
        self,
        model: Any,
        *,
        mode: str | None = None,
        adapter: Any = None,
        quantization: str | None = None,
        **options: Any,
    ) -> Any:
        """Return the pipeline of a loaded model.

        Args:
            model: a song model, or a masked pipeline, which the Auto classes load for a masked
                checkpoint.
            mode: expected mode; None for any.
            adapter: LoRA adapters of an autoregressive model.
            quantization: "int8" to compute with weights of 8 bits, to which the model is changed.
            options: further arguments of the pipeline.
        Raises:
            ValueError: if the model has another mode, or if it is masked and ``adapter`` is given.
        """
        from ..modeling.int8_loading import quantize_model
        from ..pipelines.text_to_song import TextToSongPipeline
        from .codes_files import read_song
        from .heard_lines import heard_lines
        from .separators import extract_vocal, separate_voice
        from .take_listeners import take_listener

        found = check_mode(getattr(model, "mode", "autoregressive"))
        expected = found if mode is None else check_mode(mode)
        if found == "autoregressive" and expected == "masked":
            raise ValueError(
                f"mode='masked' needs a masked model: got {model.name_or_path}, an autoregressive "
                "one; train one on it with `songgen-hf train masked --model ...` and pass its "
                "folder as model"
            )
        if quantized_loading(quantization):
            model.transformer.quantize() if found == "masked" else quantize_model(model)
        if found == "autoregressive":
            song_pipeline = TextToSongPipeline(
                model=model,
                adapter=adapter,
                voice_separator=separate_voice,
                take_listener=take_listener,
                **options,
            )
            song_pipeline.lyrics_listener = heard_lines
            song_pipeline.vocal_extractor = extract_vocal
            song_pipeline.codes_reader = read_song
            return song_pipeline
        if adapter is not None:
            raise ValueError(
                "adapters are for autoregressive models, got a masked one: leave adapter or mode "
                "out, or give the model of the adapter"
            )
        if extra := sorted(options.keys() - PIPELINE_OPTIONS):
            raise ValueError(
                f"a masked model does not take {', '.join(extra)} when it is loaded: give settings "
                "of songs to each call, and leave compile out"
            )
        if expected != found:
            raise ValueError(f"mode={mode!r}: got a {found} model; leave mode (--mode) out")
        model.voice_separator = separate_voice
        model.take_listener = take_listener
        model.lyrics_listener = heard_lines
        model.vocal_extractor = extract_vocal
        model.codes_reader = read_song
        return move_to_device(model, options.get("device"))


song_pipeline = SongPipelineFactory()


__all__ = [
    "TASK",
    "SongPipelineFactory",
    "checked_device",
    "fetching",
    "load_codec",
    "load_pipeline",
    "read_model_type",
    "resolve_checkpoint",
    "song_pipeline",
]

"""Writes checkpoints for the Hub, optionally with their code.

With the code, ``AutoConfig``, ``AutoModel``, ``AutoModelForTextToWaveform``, ``AutoProcessor`` and
``pipeline("text-to-song")`` load the directory with ``trust_remote_code=True`` on machines without
this package.
"""

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..files import encode_json, new_directory
from .cards import write_card

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ..modeling.modeling_songgen import SongGenForConditionalGeneration
    from ..modeling.modeling_xcodec import XCodecModel
    from ..modeling.processing_songgen import SongGenProcessor

TASK = "text-to-song"
PIPELINE_MODULE = "text_to_song"


def export(
    model: "SongGenForConditionalGeneration",
    processor: "SongGenProcessor",
    directory: Path | str,
    *,
    remote_code: bool = False,
    dtype: str | None = None,
    load_dtype: str | None = None,
    quantize: str | None = None,
    license: str | None = None,
) -> Path:
    """Write a song model, its processor and its model card for the Auto classes.

    Args:
        model: the model, which changes no more than by ``save_pretrained``.
        processor: processor of the model.
        directory: new or empty directory; it is written completely or not at all.
        remote_code: whether to write the code too, for machines without this package. Where the
            package is installed, the Auto classes use the installed code, and ``pipeline`` needs
            ``trust_remote_code``.
        dtype: precision of the weights in the files, such as ``"bfloat16"``; None for that of the
            model.
        load_dtype: default precision of ``from_pretrained``; None for that of the files.
        quantize: "int8" to store matrices with 8 bits a weight. The model then computes with them,
            or with floats if ``load_dtype`` is given.
        license: license for the card, under its name on the Hub; None for that of the facts about
            the weights.
    Returns:
        ``directory``.
    Raises:
        FileExistsError: if the directory contains files.
    """
    with new_directory(directory) as temporary:
        weights = stored_weights(model, dtype, quantize)
        model.save_pretrained(
            temporary, state_dict=written_weights(weights, quantize), save_original_format=False
        )
        processor.save_pretrained(temporary)
        state_dtype(temporary / "config.json", load_dtype or dtype)
        state_quantization(temporary / "config.json", quantize, load_dtype)
        if remote_code:
            _add_code(model, processor, temporary)
        write_card(
            model,
            temporary,
            repository=Path(directory).name,
            state_dict=weights,
            remote_code=remote_code,
            license=license,
        )
    return Path(directory)


def export_codec(
    codec: "XCodecModel",
    directory: Path | str,
    *,
    dtype: str | None = None,
    load_dtype: str | None = None,
    license: str | None = None,
) -> Path:
    """Write a codec and its model card; the arguments are those of :func:`export`.

    Before models are trained on its codes, a codec should be rounded to the precision of its files,
    so that the exported codec encodes the same codes.
    """
    with new_directory(directory) as temporary:
        weights = stored_weights(codec, dtype)
        codec.save_pretrained(temporary, state_dict=dict(weights))
        state_dtype(temporary / "config.json", load_dtype or dtype)
        name = Path(directory).name
        write_card(codec, temporary, repository=name, state_dict=weights, license=license)
    return Path(directory)


def stored_weights(
    module: "nn.Module", dtype: str | None, quantize: str | None = None
) -> "dict[str, Tensor]":
    """Return the weights of a module as floats, with the values that the files will hold."""
    import torch

    from ..modeling.int8_layers import dequantize_state_dict, quantized_state_dict

    weights = module.state_dict()
    dequantize_state_dict(weights)
    rounded: set[str] = set()
    if quantize is not None:
        integers = quantized_state_dict(weights)
        rounded = {key for key in weights if weights[key] is not integers[key]}
        dequantize_state_dict(integers)
        weights = integers
    if dtype is None:
        return weights
    kind = getattr(torch, dtype)
    # Tied weights stay one tensor under two names, which transformers writes once.
    cast: dict[tuple[int, torch.Size], Tensor] = {}
    for key, weight in weights.items():
        if weight.is_floating_point() and key not in rounded:
            same = (weight.data_ptr(), weight.shape)
            weights[key] = cast.setdefault(same, weight.to(kind))
    return weights


def written_weights(weights: "Mapping[str, Tensor]", quantize: str | None) -> "dict[str, Tensor]":
    """Return the tensors of a file from the weights of :func:`stored_weights`, in a new mapping."""
    from ..modeling.int8_layers import quantized_state_dict

    return dict(weights) if quantize is None else quantized_state_dict(dict(weights))


def state_dtype(path: Path, dtype: str | None) -> None:
    """Set the precision in a config.json; None leaves it unchanged."""
    if dtype is None:
        return
    config = json.loads(path.read_text(encoding="utf-8"))
    for section in (config, *config.values()):
        if isinstance(section, dict) and "dtype" in section:
            section["dtype"] = dtype
    path.write_bytes(encode_json(config | {"dtype": dtype}))


def state_quantization(path: Path, quantize: str | None, load_dtype: str | None) -> None:
    """Say in a config.json that files hold integers, and whether the model computes with them."""
    if quantize is not None:
        from ..modeling.int8_loading import Int8Config

        stated = Int8Config(dequantize=load_dtype is not None)
        _update_json(path, quantization_config=stated.to_dict())


def code_files(model_class: type, processor_class: type) -> set[Path]:
    """Return the source files that a model, its processor and the pipeline need as remote code.

    Args:
        model_class: class of the song model, whose module imports the configuration.
        processor_class: class of the processor.
    """
    from transformers.dynamic_module_utils import get_relative_import_files

    from ..pipelines import text_to_song

    modules = [
        text_to_song,
        *(sys.modules[kind.__module__] for kind in (model_class, processor_class)),
    ]
    files: set[Path] = set()
    for module in modules:
        source = Path(str(module.__file__))
        files |= {source, *map(Path, get_relative_import_files(source))}
    return files


def _add_code(
    model: "SongGenForConditionalGeneration", processor: "SongGenProcessor", directory: Path
) -> None:
    """Copy the source files and add the names of their classes to the two config files."""
    from ..pipelines import text_to_song

    for source in code_files(type(model), type(processor)):
        shutil.copyfile(source, directory / source.name)

    model_class = _reference(model)
    _update_json(
        directory / "config.json",
        auto_map={
            "AutoConfig": _reference(model.config),
            "AutoModel": model_class,
            "AutoModelForTextToWaveform": model_class,
            "AutoProcessor": _reference(processor),
        },
        custom_pipelines={
            TASK: {
                "impl": f"{PIPELINE_MODULE}.{text_to_song.TextToSongPipeline.__name__}",
                "pt": ["AutoModelForTextToWaveform"],
                "type": "multimodal",
            }
        },
    )
    _update_json(
        directory / "processor_config.json", auto_map={"AutoProcessor": _reference(processor)}
    )


def _reference(part: object) -> str:
    """Return ``module.Class`` in the form of dynamic modules of the Hub."""
    return f"{type(part).__module__.rpartition('.')[2]}.{type(part).__name__}"


def _update_json(path: Path, **values: object) -> None:
    """Set keys of a JSON file."""
    path.write_bytes(encode_json({**json.loads(path.read_text(encoding="utf-8")), **values}))


__all__ = [
    "export",
    "export_codec",
    "stored_weights",
    "written_weights",
]

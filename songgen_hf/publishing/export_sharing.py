"""Writes several models to one folder of a disk or a package: their codec is stored once.

    directory/codec/             a complete codec: XCodecModel.from_pretrained
    directory/shared/            other weights that all models have, such as the voice network
    directory/<name>/            a song model, whose index refers to ../codec and ../shared
        language_model.safetensors
        model.safetensors.index.json

A checkpoint that is saved from such a model is complete. The Hub accepts no paths outside of a
repository, so models have to be exported one by one for it.
"""

import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..checkpoints.embedded import CODEC_FOLDER
from ..files import encode_json, new_directory
from .cards import write_card
from .export import state_dtype, state_quantization, stored_weights, written_weights

if TYPE_CHECKING:
    from torch import Tensor

    from ..modeling.modeling_songgen import SongGenForConditionalGeneration
    from ..modeling.processing_songgen import SongGenProcessor

SHARED_FOLDER = "shared"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
OWN_WEIGHTS = "language_model.safetensors"
"""File of a model's own weights. transformers would prefer a file named ``WEIGHTS`` to an index."""
CHANGED_WEIGHTS = "language_model_{}.safetensors"
"""Files of later weights, numbered from 02: their names come after ``OWN_WEIGHTS``."""


def export_sharing_codec(
    models: "Mapping[str, tuple[SongGenForConditionalGeneration, SongGenProcessor]]",
    directory: Path | str,
    *,
    dtype: str | None = None,
    load_dtype: str | None = None,
    quantize: str | None = None,
) -> Path:
    """Write several models and store their codec, and all other equal weights, once.

    Args:
        models: model and processor of each folder name; they change no more than by
            ``save_pretrained``.
        directory: new or empty directory; it is written completely or not at all.
        dtype: precision of the weights in the files, see :func:`export`.
        load_dtype: default precision of ``from_pretrained``, see :func:`export`.
        quantize: "int8" to store the matrices of the models with 8 bits, see :func:`export`.
    Returns:
        ``directory``.
    Raises:
        ValueError: without models, for a folder named ``codec`` or ``shared``, or if the codecs
            differ.
        FileExistsError: if the directory contains files.
    """
    if not models or {CODEC_FOLDER, SHARED_FOLDER} & set(models):
        raise ValueError(
            f"got the folder names {list(models)}, expected one or more without {CODEC_FOLDER!r} "
            f"and {SHARED_FOLDER!r}, which hold the common weights"
        )
    from safetensors.torch import save_file

    _check_one_codec({name: model for name, (model, _) in models.items()})
    prefix = "audio_encoder."
    with new_directory(directory) as temporary:
        codec = next(iter(models.values()))[0].audio_encoder
        # The keys are those of the song model, because an index cannot rename keys; XCodecModel
        # reads them too.
        codec_weights = {
            f"{prefix}{key}": weight for key, weight in stored_weights(codec, dtype).items()
        }
        codec.save_pretrained(temporary / CODEC_FOLDER, state_dict=codec_weights)
        state_dtype(temporary / CODEC_FOLDER / "config.json", load_dtype or dtype)
        write_card(codec, temporary / CODEC_FOLDER, state_dict=stored_weights(codec, dtype))
        stored = {
            name: {
                key: weight
                for key, weight in stored_weights(model, dtype, quantize).items()
                if not key.startswith(prefix)
            }
            for name, (model, _) in models.items()
        }
        files = [OWN_WEIGHTS, f"../{CODEC_FOLDER}/{WEIGHTS}"]
        if shared := _equal_weights(list(stored.values())):
            (temporary / SHARED_FOLDER).mkdir()
            written = written_weights(shared, quantize)
            save_file(written, temporary / SHARED_FOLDER / WEIGHTS, metadata={"format": "pt"})
            files.append(f"../{SHARED_FOLDER}/{WEIGHTS}")
        for name, (model, processor) in models.items():
            folder = temporary / name
            own = {key: weight for key, weight in stored[name].items() if key not in shared}
            model.save_pretrained(
                folder, state_dict=written_weights(own, quantize), save_original_format=False
            )
            (folder / WEIGHTS).rename(folder / OWN_WEIGHTS)
            _write_index(folder, _keys_of(folder, files))
            processor.save_pretrained(folder)
            state_dtype(folder / "config.json", load_dtype or dtype)
            state_quantization(folder / "config.json", quantize, load_dtype)
            write_card(model, folder, state_dict=stored_weights(model, dtype, quantize))
    return Path(directory)


def export_changes(
    models: "Mapping[str, tuple[SongGenForConditionalGeneration, SongGenProcessor]]",
    earlier: Path | str,
    directory: Path | str,
    *,
    dtype: str | None = None,
    load_dtype: str | None = None,
    quantize: str | None = None,
) -> Path:
    """Copy a folder of :func:`export_sharing_codec` and add the weights in which models differ.

    The files of the earlier folder stay as they are, so that it grows, in version control or on a
    mirror, by what has changed. The changed weights of a model are in a file whose name follows
    those of the others: the index names it for them, and transformers, which reads all files of an
    index in the order of their names, takes the last.

    Args:
        models: model and processor of each folder name of ``earlier`` that has changed.
        earlier: a folder that :func:`export_sharing_codec` or this function wrote.
        directory: new or empty directory; it is written completely or not at all.
        dtype, load_dtype, quantize: those of the earlier export, see :func:`export`.
    Returns:
        ``directory``.
    Raises:
        ValueError: if the earlier folder has no model of that name, or another codec.
        FileExistsError: if the directory contains files.
    """
    for name in models:
        if not Path(earlier, name, INDEX).is_file():
            raise ValueError(
                f"{earlier} has no {name}/{INDEX}: name a folder that --share-codec wrote"
            )
    with new_directory(directory) as temporary:
        shutil.copytree(earlier, temporary, dirs_exist_ok=True)
        for name, (model, processor) in models.items():
            folder = temporary / name
            stored = stored_weights(model, dtype, quantize)
            written = written_weights(stored, quantize)
            index = json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"]
            places = {key: place for key, place in index.items() if key in written}
            changed = _changed_weights(folder, places, written)
            if codec := [key for key in changed if key.startswith("audio_encoder.")]:
                raise ValueError(
                    f"the codecs of {earlier} and of {name} differ in {len(codec)} weights, such "
                    f"as {codec[0]}: export the models anew with --share-codec"
                )
            if changed:
                number = 2 + len([*folder.glob(CHANGED_WEIGHTS.format("*"))])
                file = CHANGED_WEIGHTS.format(f"{number:02}")
                model.save_pretrained(folder, state_dict=changed, save_original_format=False)
                (folder / WEIGHTS).rename(folder / file)
                _write_index(folder, places | _keys_of(folder, [file]))
            else:
                model.config.save_pretrained(folder)
            processor.save_pretrained(folder)
            state_dtype(folder / "config.json", load_dtype or dtype)
            state_quantization(folder / "config.json", quantize, load_dtype)
            write_card(model, folder, state_dict=stored)
    return Path(directory)


def _changed_weights(
    folder: Path, places: "Mapping[str, str]", weights: "Mapping[str, Tensor]"
) -> "dict[str, Tensor]":
    """Return the weights of a model that differ from those of the files of a folder."""
    import torch
    from safetensors import safe_open

    same: set[str] = set()
    for name in set(places.values()):
        with safe_open(folder / name, framework="pt") as file:
            for key in (key for key, place in places.items() if place == name):
                weight = file.get_tensor(key)
                if weight.dtype == weights[key].dtype and torch.equal(weight, weights[key].cpu()):
                    same.add(key)
    # A tied weight has one of its names in the index.
    kept = {weights[key].data_ptr() for key in same}
    return {key: weight for key, weight in weights.items() if weight.data_ptr() not in kept}


def _check_one_codec(models: "Mapping[str, SongGenForConditionalGeneration]") -> None:
    """Raise ValueError unless all models have the same codec, bit for bit."""
    import torch

    (first, reference), *others = models.items()
    expected = reference.audio_encoder.state_dict()
    for name, model in others:
        weights = model.audio_encoder.state_dict()
        different = sorted(
            key
            for key in expected.keys() | weights.keys()
            if key not in expected
            or key not in weights
            or not torch.equal(expected[key], weights[key])
        )
        if different:
            raise ValueError(
                f"the codecs of {first} and {name} differ in {len(different)} of {len(expected)} "
                f"weights, such as {different[0]}: only models that were trained with one codec "
                "can share it; export them one by one"
            )


def _equal_weights(models: "Sequence[Mapping[str, Tensor]]") -> "dict[str, Tensor]":
    """Return the weights that two or more models share bit for bit, except tied weights."""
    import torch

    first, *others = models
    if not others:
        return {}
    places = Counter(weight.data_ptr() for weight in first.values())
    return {
        key: weight.contiguous()
        for key, weight in first.items()
        if places[weight.data_ptr()] == 1
        and all(
            key in other and other[key].dtype == weight.dtype and torch.equal(other[key], weight)
            for other in others
        )
    }


def _keys_of(folder: Path, files: Sequence[str]) -> dict[str, str]:
    """The file of each weight, of files whose names are relative to the folder."""
    from safetensors import safe_open

    places: dict[str, str] = {}
    for name in files:
        with safe_open(folder / name, framework="pt") as file:
            places |= dict.fromkeys(file.keys(), name)
    return places


def _write_index(folder: Path, places: Mapping[str, str]) -> None:
    """Write the index of weights in several files, whose names are relative to the folder."""
    size = sum((folder / name).stat().st_size for name in set(places.values()))
    index = {"metadata": {"total_size": size}, "weight_map": dict(sorted(places.items()))}
    (folder / INDEX).write_bytes(encode_json(index))


__all__ = ["export_changes", "export_sharing_codec"]

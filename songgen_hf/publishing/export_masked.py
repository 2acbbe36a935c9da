"""Writes masked song models, complete or beside the SongGen checkpoint whose parts they share.

songgen-mini/interleaving_A_V/      a SongGen checkpoint
songgen-mini/masked/
    config.json                     "song_model": "../interleaving_A_V"
    model_index.json                without conditioner, codec and processor
    conditioner.safetensors         only if the song model's conditioner was trained further
    transformer/  scheduler/
"""

import copy
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file, save_file

from ..files import encode_json, new_directory
from ..modeling.int8_layers import (
    LARGEST,
    dequantize_rows,
    is_quantizable,
    quantize_rows,
    quantized_state_dict,
)
from ..pipelines.masked_folders import (
    CONDITIONER_FILE,
    MASKED_CONFIG,
    MASKED_MODEL_TYPE,
    SHARED_PARTS,
)
from .cards import write_card
from .export import stored_weights, written_weights

if TYPE_CHECKING:
    from ..pipelines.masked_song import MaskedSongPipeline

ROUNDING = 2.0**-7
"""Largest relative difference between a weight and its rounding to half precision."""


def export_masked(
    pipe: "MaskedSongPipeline",
    directory: Path | str,
    *,
    beside: Path | str | None = None,
    dtype: str | None = None,
    quantize: str | None = None,
    license: str | None = None,
) -> Path:
    """Write a masked song model with its model card.

    Args:
        pipe: pipeline of the model, which is not changed.
        directory: new or empty directory; it is written completely or not at all.
        beside: folder of the SongGen checkpoint with the same conditioner and codec. They are then
            loaded from there instead of being written again. This is for a disk or a package; the
            Hub accepts no paths outside of a repository. If its conditioner has been trained
            further, the weights of the masked model's own are written.
        dtype: precision of the weights in the files, such as "bfloat16"; None for that of the
            model. Weights are loaded as float32 by default.
        quantize: "int8" to store the matrices of the transformer, and of a conditioner of its own,
            with 8 bits a weight.
        license: license for the card, under its name on the Hub; None for that of the facts about
            the weights.
    Returns:
        ``directory``.
    Raises:
        ValueError: if the checkpoint ``beside`` has another codec, or a conditioner of other sizes.
        FileExistsError: if the directory contains files.
    """
    directory = Path(directory)
    own_conditioner = beside is not None and not _shares_conditioner(pipe, Path(beside))
    transformer = pipe.transformer
    if dtype is not None or quantize is not None:
        transformer = copy.deepcopy(transformer)
        for name, weight in transformer.named_parameters():  # code vectors are not rounded
            if quantize is not None and is_quantizable(name, weight):
                weight.data = dequantize_rows(*quantize_rows(weight))
            elif dtype is not None:
                weight.data = weight.data.to(getattr(torch, dtype))
    with new_directory(directory) as temporary:
        if beside is None:
            written = type(pipe)(**{**pipe.components, "transformer": transformer})
            written.register_to_config(_name_or_path=getattr(pipe.config, "_name_or_path", ""))
            written.save_pretrained(temporary)
        else:
            _write_own_parts(pipe, transformer, temporary)
            source = os.path.relpath(Path(beside).resolve(), directory.resolve())
            config = {
                "model_type": MASKED_MODEL_TYPE,
                "architectures": [type(pipe).__name__],
                "song_model": Path(source).as_posix(),
            }
            (temporary / MASKED_CONFIG).write_bytes(encode_json(config))
            if own_conditioner:
                stored = stored_weights(pipe.conditioner, dtype, quantize)
                # Copies: safetensors refuses tied weights, which share their memory.
                own = {k: w.clone() for k, w in written_weights(stored, quantize).items()}
                save_file(own, temporary / CONDITIONER_FILE, metadata={"format": "pt"})
        if quantize is not None:
            _store_integers(temporary / "transformer")
        weights = transformer.state_dict()
        write_card(pipe, temporary, repository=directory.name, state_dict=weights, license=license)
    return directory


def _store_integers(folder: Path) -> None:
    """Write the matrices of the files of a transformer again, as integers with scales."""
    for path in folder.glob("*.safetensors"):
        save_file(quantized_state_dict(load_file(path)), path, metadata={"format": "pt"})


def _write_own_parts(pipe: "MaskedSongPipeline", transformer: Any, folder: Path) -> None:
    """Write the transformer, the scheduler, and an index that names no other part."""
    transformer.save_pretrained(folder / "transformer")
    pipe.scheduler.save_pretrained(folder / "scheduler")
    pipe.save_config(folder)
    index = json.loads((folder / pipe.config_name).read_text(encoding="utf-8"))
    index |= dict.fromkeys(SHARED_PARTS, [None, None])
    (folder / pipe.config_name).write_bytes(encode_json(index))


def _shares_conditioner(pipe: "MaskedSongPipeline", source: Path) -> bool:
    """Whether a SongGen checkpoint has the conditioner of a masked model, but for rounding.

    Raises:
        ValueError: if it has another codec, or a conditioner with other tensors.
    """
    from ..modeling.modeling_songgen import SongGenForConditionalGeneration

    if not (source / "config.json").is_file():
        raise ValueError(f"{source} has no config.json: name the folder of a SongGen checkpoint")
    model = SongGenForConditionalGeneration.from_pretrained(source)
    shares = True
    for name, own, other in (
        ("conditioner", pipe.conditioner, model.conditioner),
        ("codec", pipe.codec, model.audio_encoder),
    ):
        ours, theirs = own.state_dict(), other.state_dict()
        different = sorted(
            key
            for key in ours.keys() | theirs.keys()
            if key not in ours or key not in theirs or not _same(ours[key], theirs[key])
        )
        shapes, others = ({k: v.shape for k, v in one.items()} for one in (ours, theirs))
        if different and name == "conditioner" and shapes == others:
            shares = False
        elif different:
            raise ValueError(
                f"the {name} of {source} differs in {len(different)} of {len(ours)} weights, such "
                f"as {different[0]}: name the SongGen checkpoint that the masked model was trained "
                "on, or write the model with all its parts"
            )
    return shares


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether two tensors are equal but for rounding to half precision or to 8 bits."""
    if one.shape != other.shape:
        return False
    one, other = one.detach().cpu(), other.detach().cpu()
    if not one.is_floating_point():
        return torch.equal(one, other)
    one, other = one.float(), other.float()
    allowed = other.abs() * ROUNDING + 1e-6
    if other.ndim == 2:
        allowed = allowed + other.abs().amax(dim=1, keepdim=True) / LARGEST
    return bool(((one - other).abs() <= allowed).all())


__all__ = ["export_masked"]

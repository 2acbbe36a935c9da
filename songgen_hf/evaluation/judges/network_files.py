"""A judge's network in a folder: sizes in ``config.json``, weights in ``model.safetensors``."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors.torch import load, save
from torch import nn

from ...files import encode_json, write_files

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"
Config = TypeVar("Config")


def save_network(network: nn.Module, config: Any, directory: Path | str) -> None:
    """Write both files, whole or not at all; weights as float16, which halves them.

    Args:
        network: whose ``state_dict`` is written.
        config: dataclass of its sizes.
        directory: made if missing.
    """
    directory = Path(directory)
    weights = {
        name: value.half().contiguous() if value.is_floating_point() else value
        for name, value in network.state_dict().items()
    }
    write_files(
        {
            directory / CONFIG_FILE: encode_json(asdict(config)),
            directory / WEIGHTS_FILE: save(weights),
        }
    )


def read_config(directory: Path | str, kind: type[Config]) -> Config:
    """The sizes that :func:`save_network` wrote.

    Raises:
        FileNotFoundError: if the folder holds no such network.
        ValueError: if it holds another kind of network.
    """
    path = Path(directory) / CONFIG_FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} does not exist: train the judges with `songgen-hf evaluate judges --out ...`"
        )
    values = json.loads(path.read_text(encoding="utf-8"))
    known = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    if set(values) != known:
        raise ValueError(
            f"{path} has the keys {', '.join(sorted(values))}, expected "
            f"{', '.join(sorted(known))}: train the judges anew"
        )
    for name, value in values.items():
        if isinstance(value, list):
            values[name] = tuple(value)
    return kind(**values)


def load_weights(network: nn.Module, directory: Path | str) -> None:
    """Fill ``network`` with the weights in a folder, as float32, and set it to evaluation mode.

    Raises:
        ValueError: if they do not fit.
    """
    weights = load((Path(directory) / WEIGHTS_FILE).read_bytes())
    try:
        network.load_state_dict(
            {
                name: value.float() if value.dtype == torch.float16 else value
                for name, value in weights.items()
            }
        )
    except RuntimeError as error:
        raise ValueError(
            f"{directory}: the weights do not fit config.json ({error}): train the judges anew"
        ) from error
    network.eval()


__all__ = ["CONFIG_FILE", "WEIGHTS_FILE", "load_weights", "read_config", "save_network"]

"""Reads checkpoint files without running pickled code, and names those that cannot be used.

The module handles files and the loading report of transformers; it depends on no model class.
"""

import json
import os
import pickle
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from huggingface_hub import try_to_load_from_cache
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, cached_file

LONGEST_REASON, LONGEST_MESSAGE = 180, 320
"""Characters of a library's error that a message repeats, and of one that is left as it is."""
HUB_OPTIONS = ("revision", "token", "cache_dir", "local_files_only", "force_download")


@contextmanager
def reading(name: Any) -> Iterator[None]:
    """Turn errors of libraries about the files of a checkpoint into messages of one line.

    Damaged files make transformers, diffusers and tokenizers fail in many ways: a missing key, a
    wrong type, a value that is not JSON. Short messages that name the checkpoint or its
    ``config.json`` stay as they are.

    Args:
        name: folder, file or Hub id that is read.

    Raises:
        ValueError, OSError: naming the checkpoint.
    """
    try:
        yield
    except (ImportError, MemoryError):
        raise
    except Exception as error:
        text = str(error)
        name = name if len(str(name)) <= LONGEST_REASON else f"...{str(name)[-LONGEST_REASON:]}"
        if type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in text:
            raise
        if isinstance(error, SafetensorError) or "Unable to load weights" in text:
            raise ValueError(
                f"the weights of {name} are damaged or cut short ({_shortened(error)}); "
                "copy or download the file again"
            ) from error
        if isinstance(error, RuntimeError) and "mismatch" in text.lower():
            raise ValueError(
                f"the weights of {name} do not have the shapes of its config.json; "
                "use the config that belongs to the weights (sizes, and decoder.track_pattern of a "
                "song model)"
            ) from error
        reason, expected = _shortened(error), isinstance(error, ValueError | TypeError | OSError)
        named = str(name) in text or "config.json" in text
        is_clear = named and "\n" not in text and len(text) <= LONGEST_MESSAGE
        if expected and (is_clear or text.startswith(("cannot read ", "the weights of "))):
            raise
        kind = OSError if isinstance(error, OSError) else ValueError
        raise kind(
            f"cannot read {name} ({reason if expected else f'{type(error).__name__}: {reason}'}); "
            "a file there is damaged or does not fit the others: copy or download it again"
        ) from error


def _shortened(error: Exception) -> str:
    """The text of an error in one line of at most ``LONGEST_REASON`` characters."""
    text = " ".join(str(error).split())
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]} ..."


def load_fitting(load: Callable[[], tuple[Any, dict[str, Any]]], name: Any, *, strict: bool) -> Any:
    """Run a loader of transformers and report weights that do not fit in a message of one line.

    Args:
        load: returns the model and its loading report.
        name: name of the checkpoint, for messages.
        strict: refuse weights with missing or unexpected keys.

    Returns:
        The model and the loading report that ``load`` returned.

    Raises:
        ValueError: if a file is damaged, or if keys or shapes do not fit the configuration.
    """
    with reading(name):
        model, report = load()
    problems = {
        kind: sorted(str(key) for key in report.get(f"{kind}_keys", ()) or ())
        for kind in ("missing", "unexpected")
    }
    if strict and any(problems.values()):
        found = "; ".join(
            f"{len(keys)} {kind}, such as {keys[0]}" for kind, keys in problems.items() if keys
        )
        raise ValueError(
            f"the weights of {name} do not fit its config.json: {found}; use the config that "
            "belongs to the checkpoint, or strict=False to start missing parts from scratch"
        )
    return model, report


def cached_commit(name: Any, revision: str | None, cache_dir: Any = None) -> str | None:
    """Return the commit of a Hub checkpoint that has been loaded; None for a folder.

    transformers 5.23 does not keep the commit. It is read from the cache, where the files of each
    commit lie in a folder named after it.
    """
    if name is None or os.path.exists(name):
        return None
    found = try_to_load_from_cache(str(name), "config.json", cache_dir, revision)
    return os.path.basename(os.path.dirname(found)) if isinstance(found, str) else None


def read_weights(name: Any, pattern: str, **hub_options: Any) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint whose names match a pattern, on the CPU.

    Args:
        name: folder or Hub id whose weights are safetensors; others, and None, have none here.
        pattern: regular expression for the start of a name.
        **hub_options: of the download, such as ``revision``.
    """
    if name is None:
        return {}
    quiet = {"_raise_exceptions_for_missing_entries": False}
    index = cached_file(name, SAFE_WEIGHTS_INDEX_NAME, **hub_options, **quiet)
    files = {SAFE_WEIGHTS_NAME}
    if index is not None:
        with open(index, encoding="utf-8") as file:
            places = json.load(file)["weight_map"]
        files = {place for key, place in places.items() if re.match(pattern, key)}
    found: dict[str, Tensor] = {}
    for place in sorted(files):
        path = cached_file(name, place, **hub_options, **quiet)
        if path is not None:
            with safe_open(path, framework="pt") as weights:
                keys = [key for key in weights.keys() if re.match(pattern, key)]
                found |= {key: weights.get_tensor(key) for key in keys}
    return found


def read_state_dict(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read the tensors of a ``.safetensors`` or ``torch.save`` file without running pickled code.

    Raises:
        ValueError: if the file holds other objects than tensors, or no state dict.
    """
    if os.fspath(path).endswith(".safetensors"):
        return load_file(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            f"{path} holds more than tensors and plain containers, expected a state dict that "
            "torch.load(weights_only=True) reads; "
            "if you trust the file, save its state dict on its own first."
        ) from error
    for name in ("codec_model", "generator", "state_dict", "model_state"):
        if isinstance(content, dict) and isinstance(content.get(name), dict):
            content = content[name]
    if not isinstance(content, dict) or not all(isinstance(v, Tensor) for v in content.values()):
        raise ValueError(
            f"{path} holds {type(content).__name__} without tensors, expected a state dict, plain "
            "or under codec_model, generator, state_dict or model_state."
        )
    return dict(content)


__all__ = [
    "HUB_OPTIONS",
    "cached_commit",
    "load_fitting",
    "read_state_dict",
    "read_weights",
    "reading",
]

"""Files of weights in other layouts than that of transformers, read without pickled code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ...modeling.checkpoint_files import read_state_dict

ENDINGS = (".pth", ".pt", ".safetensors")


def read_weights_file(
    name: str, example: str, *, unused: str = ""
) -> tuple[Path, dict[str, Tensor]]:
    """Read a file of weights, or the only one of a folder.

    Args:
        name: file or folder.
        example: name of the published file, for the error.
        unused: files of a folder with this word in their name are left out.
    Returns:
        The path of the file, and its state dict.
    Raises:
        ValueError: if a folder does not hold one such file, or the file holds no state dict.
        OSError: if the file cannot be read.
    """
    path = Path(name)
    if path.is_dir():
        files = [one for one in sorted(path.iterdir()) if one.suffix in ENDINGS]
        files = [one for one in files if not unused or unused not in one.name]
        if len(files) != 1:
            raise ValueError(
                f"{name} holds {len(files)} files of weights ({', '.join(ENDINGS)}), expected one, "
                f"such as {example}"
            )
        path = files[0]
    return path, read_state_dict(path)


def file_settings(path: Path, model: nn.Module) -> dict[str, Any]:
    """The name of a file of weights without its folder, and the hash of the weights."""
    from ...checkpoints.digests import weights_digest

    return {"model": path.name, "revision": f"weights:{weights_digest(model)}"}


def load_exactly(model: nn.Module, weights: dict[str, Tensor], kind: str) -> None:
    """Load a state dict that fits a network exactly.

    Raises:
        ValueError: for other names or shapes.
    """
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(
            f"the weights are not those of {kind}: {' '.join(str(error).split())[:120]}"
        ) from error


__all__ = ["ENDINGS", "file_settings", "load_exactly", "read_weights_file"]

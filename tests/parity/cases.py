"""Lists recorded cases by looking into the golden folder, so that unseen ones are tested too."""

import json
import os
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file


def golden_root() -> Path:
    """``SONGGEN_GOLDEN`` if set, else the small set that lies beside the tests."""
    root = os.environ.get("SONGGEN_GOLDEN")
    return Path(root).expanduser().resolve() if root else Path(__file__).parent.parent / "golden"


def case_names() -> list[str]:
    """Names of all folders under models/ that hold recordings."""
    return sorted(path.parent.name for path in (golden_root() / "models").glob("*/golden.json"))


def case_record(name: str) -> dict:
    """The metadata of one case."""
    return read_json(f"models/{name}/golden.json")


def case_entries(section: str, *, prefix: str = "") -> list[tuple[str, str]]:
    """(case, entry) pairs of one section ("forward" or "generate"), entries that are dicts only."""
    return [
        (name, entry)
        for name in case_names()
        for entry, record in case_record(name).get(section, {}).items()
        if isinstance(record, dict) and entry.startswith(prefix)
    ]


@cache
def _read_json(path: Path):
    return json.loads(path.read_text())


def read_json(relative: str):
    """Parsed JSON of the golden folder; skips the test if the folder lacks the file."""
    path = golden_root() / relative
    if not path.is_file():
        pytest.skip(f"the golden folder has no {relative}", allow_module_level=True)
    return _read_json(path)


def read_tensors(relative: str) -> dict[str, torch.Tensor]:
    """Tensors of the golden folder, integers as int64 and floats as float32."""
    path = golden_root() / relative
    if not path.is_file():
        pytest.skip(f"the golden folder has no {relative}", allow_module_level=True)
    return {name: widen(tensor) for name, tensor in load_file(path).items()}


def widen(tensor: torch.Tensor) -> torch.Tensor:
    """Stored compactly (int16, uint8, float16 without loss); used as int64 and float32."""
    return tensor.float() if tensor.is_floating_point() else tensor.long()

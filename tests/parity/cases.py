"""Lists the recorded cases in the golden folder, so that added cases are tested too."""

import json
import os
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file


def golden_root() -> Path:
    """Return the folder in ``SONGGEN_GOLDEN`` if it is set, else the small set in tests/golden."""
    root = os.environ.get("SONGGEN_GOLDEN")
    return Path(root).expanduser().resolve() if root else Path(__file__).parent.parent / "golden"


def case_names() -> list[str]:
    """Return the names of all folders under models/ that contain recordings."""
    return sorted(path.parent.name for path in (golden_root() / "models").glob("*/golden.json"))


def case_record(name: str) -> dict:
    """Return the metadata of one case."""
    return read_json(f"models/{name}/golden.json")


def case_entries(section: str, *, prefix: str = "") -> list[tuple[str, str]]:
    """Return (case, entry) pairs of a section, "forward" or "generate", if the entry is a dict."""
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
    """Parse a JSON file of the golden folder; the test is skipped if the file is missing."""
    path = golden_root() / relative
    if not path.is_file():
        pytest.skip(f"the golden folder has no {relative}", allow_module_level=True)
    return _read_json(path)


def read_tensors(relative: str) -> dict[str, torch.Tensor]:
    """Read tensors of the golden folder, integers as int64 and floats as float32."""
    path = golden_root() / relative
    if not path.is_file():
        pytest.skip(f"the golden folder has no {relative}", allow_module_level=True)
    return {name: widen(tensor) for name, tensor in load_file(path).items()}


def widen(tensor: torch.Tensor) -> torch.Tensor:
    """Convert a tensor that is stored as int16, uint8 or float16 to int64 or float32."""
    return tensor.float() if tensor.is_floating_point() else tensor.long()

"""The device of the tests marked gpu: ``SONGGEN_TEST_DEVICE=cpu`` runs them without a GPU.

They need torch, transformers and accelerate only; tests of other packages skip without them.
"""

import copy
import os

import pytest
import torch

from ..tools.tiny_checkpoint import tiny_masked, tiny_processor, tiny_singer

__all__ = ["tiny_masked", "tiny_processor", "tiny_singer"]


@pytest.fixture(scope="session")
def device() -> torch.device:
    """The device under test."""
    name = os.environ.get("SONGGEN_TEST_DEVICE", "cuda")
    if name.startswith("cuda") and not torch.cuda.is_available():
        pytest.skip("no CUDA device: SONGGEN_TEST_DEVICE=cpu runs these tests on the CPU")
    return torch.device(name)


@pytest.fixture(scope="session")
def moved(device):
    """Factory ``moved(model or batch)`` of copies on the device."""

    def move(value, dtype: torch.dtype | None = None):
        if isinstance(value, dict):
            return {name: tensor.to(device) for name, tensor in value.items()}
        return copy.deepcopy(value).to(device=device, dtype=dtype)

    return move

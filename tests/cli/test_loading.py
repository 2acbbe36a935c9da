"""How the commands load a model: the number of CPU threads, and the garbage of the imports."""

import gc
from types import SimpleNamespace

import pytest
import torch

from songgen_hf.cli.loading import SMALL_MODEL, use_threads, without_garbage_collection


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def pipeline_of(weights, *, mode="autoregressive", device="cpu"):
    """A pipeline whose network has that many weights, without memory for them."""
    with torch.device("meta"):
        network = torch.nn.Linear(weights, 1, bias=False)
    name = "transformer" if mode == "masked" else "model"
    return SimpleNamespace(mode=mode, device=torch.device(device), **{name: network})


@pytest.mark.parametrize("mode", ["autoregressive", "masked"])
@pytest.mark.parametrize(
    ("given", "weights", "device", "used"),
    [
        (None, SMALL_MODEL - 1, "cpu", 1),
        (None, SMALL_MODEL, "cpu", 2),
        (None, 10, "cuda", 2),
        (3, 10, "cpu", 3),
        (1, SMALL_MODEL, "cpu", 1),
    ],
)
def test_small_models_on_the_cpu_use_one_thread_unless_told(mode, given, weights, device, used):
    use_threads(given, pipeline_of(weights, mode=mode, device=device))

    assert torch.get_num_threads() == used


@pytest.mark.parametrize("enabled", [True, False])
def test_garbage_is_collected_after_the_imports_as_before_them(enabled):
    before = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        with pytest.raises(ValueError, match="broken"), without_garbage_collection():
            assert not gc.isenabled()
            raise ValueError("broken")
        assert gc.isenabled() == enabled
    finally:
        (gc.enable if before else gc.disable)()

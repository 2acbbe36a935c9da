"""Memory that stays flat over clips of many lengths."""

import gc
import sys
from pathlib import Path

import pytest
import torch

from songgen_hf.data.preparation.memory import _trim, flat_memory


def resident_megabytes():
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1000


@pytest.mark.skipif(sys.platform != "linux", reason="/proc/self/status is that of Linux")
def test_freed_memory_between_kept_blocks_is_returned():
    blocks = [bytes(100_000) for _ in range(1000)]
    kept = blocks[::50] + blocks[-1:]
    del blocks
    gc.collect()
    before = resident_megabytes()

    with flat_memory():
        pass

    assert resident_megabytes() < before - 50
    assert len(kept) == 21


def test_convolutions_of_single_lengths_are_not_kept():
    before = torch.backends.mkldnn.enabled

    with pytest.raises(ValueError, match="clip"), flat_memory():
        assert not torch.backends.mkldnn.enabled
        raise ValueError("a clip that cannot be read")

    assert torch.backends.mkldnn.enabled == before


def test_another_c_library_is_no_error(monkeypatch):
    _trim.cache_clear()
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())

    with flat_memory():
        pass

    _trim.cache_clear()

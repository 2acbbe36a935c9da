"""The table of memory is what the package computes today."""

import runpy

import pytest

from ..tools.documentation.blocks import ROOT


@pytest.fixture(scope="module")
def memory():
    """The functions of the script that writes the table."""
    return runpy.run_path(str(ROOT / "docs" / "memory.py"), run_name="memory")


@pytest.mark.slow
def test_the_table_is_what_the_script_writes(memory):
    page = memory["PAGE"].read_text(encoding="utf-8")

    assert memory["table"]() in page, "sizes have changed: run python docs/memory.py"


def test_smaller_precision_and_fewer_songs_need_less(memory):
    sizes = {
        dtype: (weights, caches) for dtype, weights, caches in memory["sizes"]("mini", "mixed")
    }

    weights = [sizes[dtype][0] for dtype in ("float32", "bfloat16", "int8")]
    assert weights[0] == pytest.approx(2 * weights[1], rel=0.01) and weights[0] > weights[2] > 0
    for _, caches in sizes.values():
        assert caches[1] == 8 * caches[0] and caches[2] == 64 * caches[0]
    assert sizes["float32"][1] == [2 * cache for cache in sizes["bfloat16"][1]]

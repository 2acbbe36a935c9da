"""The benchmark of masked and autoregressive songs runs and reports what it promises."""

import importlib.util
import json
from pathlib import Path

import pytest

pytest.importorskip("diffusers", reason="needs the extra diffusers")

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "masked_speed.py"


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("benchmark_masked_speed", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_both_models_make_the_song_and_passes_are_counted(benchmark, capsys):
    benchmark.main(
        ["--preset", "mini", "--seconds", "0.4", "--ar-seconds", "0.2", "--passes", "2", "3"]
        + ["--rounds", "1", "--device", "cpu"]
    )

    *table, last = capsys.readouterr().out.strip().splitlines()
    result = json.loads(last)
    rows = result["rows"]
    assert [(row["mode"], row["head"]) for row in rows] == [("ar", None)] + [
        ("masked", head) for head in ("softmax", "mixture") for _ in range(4)
    ]
    assert [row["passes"] for row in rows[1:]] == 2 * [2, 2, 3, 3]
    assert rows[0]["scaled"] and not any(row["scaled"] for row in rows[1:])
    assert rows[0]["passes"] >= 2 * 20  # two tracks of 20 frames
    assert all(row["seconds"] > 0 for row in rows) and result["codec_seconds"] > 0
    assert len(table) == 1 + 9 + 2

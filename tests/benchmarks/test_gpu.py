"""The table of a GPU, with tiny sizes on the CPU."""

import json

import pytest
import torch

from songgen_hf.presets import models as presets

from ..training.conftest import SIZES


@pytest.fixture
def tiny_preset(monkeypatch):
    """The name of a preset of tiny models with the tokenizers of the mini preset."""
    processor = presets.build_processor("mini")
    sizes = {name: dict(section) for name, section in SIZES.items()}
    sizes["text_encoder"]["vocab_size"] = len(processor.tokenizer)
    sizes["lyrics_encoder"]["vocab_size"] = len(processor.lyrics_tokenizer)
    monkeypatch.setitem(presets.PRESETS, "tiny", sizes)
    return "tiny"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_every_row_is_measured(benchmark, tiny_preset, capsys, tmp_path):
    pytest.importorskip("diffusers", reason="needs the extra diffusers")
    report = str(tmp_path / "gpu.json")

    assert benchmark.main(["--smoke", "--preset", tiny_preset, "--report", report]) == 0

    lines = capsys.readouterr().out.splitlines()
    report = json.loads(lines[-1])
    assert json.loads((tmp_path / "gpu.json").read_text()) == report
    assert [row["what"] for row in report["rows"]] == [
        "train bf16", "generate", "masked, 2 passes",
    ]  # fmt: skip
    assert all(row["songs/s"] > 0 and row["ms"] > 0 for row in report["rows"])
    assert all(row["rtf"] > 0 for row in report["rows"][1:])


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_one_line_says_so(benchmark, capsys):
    assert benchmark.main([]) == 1

    assert capsys.readouterr().out.startswith("no CUDA device: `make gpu` needs one")


def test_a_row_that_fails_does_not_end_the_table(benchmark, capsys):
    report = benchmark.Report(torch.device("cpu"), 60)

    report.add("broken", 1, lambda: 1 / 0)
    report.end = 0
    report.add("late", 1, lambda: {"ms": 1.0})

    assert [row["error"] for row in report.rows] == [
        "ZeroDivisionError: division by zero", "left out: no time",
    ]  # fmt: skip
    assert "broken" in capsys.readouterr().out

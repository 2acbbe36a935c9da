"""Without an extra, the commands that need it print the line that installs it."""

import sys

import pytest

from songgen_hf.cli import main


@pytest.mark.parametrize(
    ("package", "extra", "command"),
    [
        ("gradio", "space", ["space", "push", "me/x", "--dry-run"]),
        ("accelerate", "train", ["train", "lm", "--preset", "mini", "--output-dir", "out"]),
        ("yaml", "train", ["train", "codec", "--output-dir", "out"]),
        ("diffusers", "diffusers", ["train", "masked", "--output-dir", "out"]),
        ("datasets", "train", ["train", "codec", "--data", "x.parquet", "--out", "out"]),
        ("datasets", "prepare", ["prepare", "codes", "x.parquet", "out"]),
        ("pyarrow", "prepare", ["prepare", "codes", "x.parquet", "out"]),
        ("scipy", "corpus", ["corpus", "out", "--songs", "1"]),
        ("pyworld", "corpus", ["corpus", "out", "--songs", "1"]),
        ("gradio", "space", ["space", "files", "out"]),
        ("gradio", "space", ["space", "run"]),
        ("mcp", "mcp", ["space", "run", "--mcp"]),
        ("fastapi", "serve", ["serve"]),
        ("prometheus_client", "serve", ["serve"]),
        ("shtab", "completion", ["completion", "bash"]),
    ],
)
def test_the_message_names_our_extra(package, extra, command, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.parquet").write_bytes(b"")
    monkeypatch.setitem(sys.modules, package, None)

    assert main(command) == 2

    error = capsys.readouterr().err.strip()
    assert f"{package} is not installed" in error and f"songgen-hf[{extra}]" in error
    assert len(error.splitlines()) == 1


def test_an_adapter_without_peft_names_our_extra(tiny_model, monkeypatch):
    from songgen_hf.pipelines.adapters import load_adapters

    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(ImportError, match=r"pip install 'songgen-hf\[train\]'"):
        load_adapters(tiny_model("mixed"), "anna")
    load_adapters(tiny_model("mixed"), {})


def test_the_default_model_comes_without_a_warning(monkeypatch, tiny_model, caplog):
    import logging

    from songgen_hf.registration import _DefaultModel

    logger = logging.getLogger("transformers.pipelines")
    monkeypatch.setattr(logger, "propagate", True)
    _DefaultModel(model=None)["model"]

    for _ in range(2):
        logger.warning("No model was supplied, defaulted to x")

    assert caplog.text.count("No model was supplied") == 1, "only ours is silent"

"""The checkpoint that is sung from when none is named."""

import json
from pathlib import Path

import huggingface_hub.constants
import pytest
from transformers import pipeline

from songgen_hf import checkpoints


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty Hugging Face cache, and a package without an embedded checkpoint."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HOME", str(tmp_path))
    monkeypatch.setattr(checkpoints, "EMBEDDED", tmp_path / "none")
    return tmp_path


def test_the_untrained_checkpoint_is_made_once_and_marked(cache):
    first = checkpoints.default_checkpoint()
    stamp = Path(first, "model.safetensors").stat().st_mtime_ns

    assert checkpoints.default_checkpoint() == first
    assert Path(first, "model.safetensors").stat().st_mtime_ns == stamp
    assert json.loads(Path(first, "config.json").read_text())["trained"] is False
    assert [path.name for path in Path(first).parent.iterdir()] == [Path(first).name]


def test_a_failure_leaves_nothing_half_made(cache, monkeypatch):
    def failing(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr("songgen_hf.presets.build", failing)

    with pytest.raises(OSError, match="disk full"):
        checkpoints.default_checkpoint()
    assert list((cache / "songgen-hf").iterdir()) == []


def test_an_embedded_checkpoint_comes_first(cache, monkeypatch):
    embedded = cache / "songgen-mini"
    embedded.mkdir()
    (embedded / "config.json").write_text("{}")
    monkeypatch.setattr(checkpoints, "EMBEDDED", embedded)

    assert checkpoints.default_checkpoint() == str(embedded)


def test_the_task_without_a_model_sings_from_it_and_says_it_is_untrained(cache, caplog):
    sing = pipeline("text-to-song", device="cpu")
    song = sing("folk", lyrics="la la", seed=1, max_seconds=0.2)

    assert song["audio"].shape[1] > 0
    assert "untrained" in caplog.text

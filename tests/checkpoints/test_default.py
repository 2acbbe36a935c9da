"""Tests of the default model and of the names of embedded checkpoints."""

import json
from pathlib import Path

import huggingface_hub.constants
import pytest
from transformers import pipeline

from songgen_hf.checkpoints import embedded as checkpoints


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty Hugging Face cache, and a package without an embedded checkpoint."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HOME", str(tmp_path))
    monkeypatch.setattr(checkpoints, "EMBEDDED", tmp_path / "none")
    return tmp_path


@pytest.mark.slow
def test_the_untrained_checkpoint_is_made_once_and_marked(cache):
    first = checkpoints.default_checkpoint()
    stamp = Path(first, "model.safetensors").stat().st_mtime_ns

    assert checkpoints.default_checkpoint() == first
    assert Path(first, "model.safetensors").stat().st_mtime_ns == stamp
    assert json.loads(Path(first, "config.json").read_text())["trained"] is False
    assert [path.name for path in Path(first).parent.iterdir()] == [Path(first).name]


def test_a_failure_leaves_no_incomplete_checkpoint(cache, monkeypatch):
    def failing(*_, **__):
        raise OSError("disk full")

    monkeypatch.setattr("songgen_hf.presets.models.build", failing)

    with pytest.raises(OSError, match="disk full"):
        checkpoints.default_checkpoint()
    assert list((cache / "songgen-hf").iterdir()) == []


@pytest.mark.slow
def test_each_pattern_has_an_untrained_checkpoint_of_its_own(cache):
    folders = [checkpoints.default_checkpoint(name) for name in checkpoints.EMBEDDED_PATTERNS]

    configs = [json.loads(Path(folder, "config.json").read_text()) for folder in folders]
    assert [config["decoder"]["track_pattern"] for config in configs] == [
        "interleaving_A_V",
        "mixed_pro",
    ]
    assert checkpoints.default_checkpoint() == folders[0]
    assert checkpoints.find_checkpoint("songgen-mini/mixed_pro") == folders[1]


@pytest.mark.parametrize("find", [checkpoints.default_checkpoint, checkpoints.find_checkpoint])
def test_a_pattern_that_is_not_embedded_is_refused(cache, find):
    prefix = "" if find is checkpoints.default_checkpoint else "songgen-mini/"

    with pytest.raises(ValueError, match="'parallel_std' comes with the package: expected inter"):
        find(f"{prefix}parallel_std")


def test_the_short_name_of_the_codec_is_refused_if_none_is_embedded(cache):
    with pytest.raises(ValueError, match="no codec comes with this installation"):
        checkpoints.find_checkpoint("songgen-mini/codec")


def test_an_embedded_checkpoint_is_the_default(cache, monkeypatch):
    embedded = cache / "songgen-mini" / "interleaving_A_V"
    embedded.mkdir(parents=True)
    (embedded / "config.json").write_text("{}")
    monkeypatch.setattr(checkpoints, "EMBEDDED", embedded.parent)

    assert checkpoints.default_checkpoint() == str(embedded)


def test_a_local_folder_has_precedence_over_a_short_name(cache, monkeypatch):
    (cache / "songgen-mini").mkdir()
    monkeypatch.chdir(cache)

    assert checkpoints.find_checkpoint("songgen-mini") == "songgen-mini"


@pytest.mark.slow
def test_the_task_without_a_model_uses_the_untrained_checkpoint_with_a_warning(cache, caplog):
    sing = pipeline("text-to-song", device="cpu")
    song = sing("folk", lyrics="la la", seed=1, max_seconds=0.2)

    assert song["audio"].shape[1] > 0
    assert "untrained" in caplog.text

"""Tests of exported checkpoints, also without this package."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from transformers import AutoModel, AutoProcessor

from songgen_hf.pipelines.text_to_song import TextToSongPipeline
from songgen_hf.publishing.export import export

from ..tools.tiny_checkpoint import tiny_processor, tiny_singer

ISOLATED = """
import importlib.util, json, sys
import numpy as np
assert importlib.util.find_spec("songgen_hf") is None
from transformers import (
    AutoConfig, AutoModel, AutoModelForTextToWaveform, AutoProcessor, pipeline,
)
directory, out = sys.argv[1:]
trusted = dict(trust_remote_code=True)
config = AutoConfig.from_pretrained(directory, **trusted)
model = AutoModel.from_pretrained(directory, **trusted)
processor = AutoProcessor.from_pretrained(directory, **trusted)
AutoModelForTextToWaveform.from_pretrained(directory, **trusted)
sing = pipeline("text-to-song", model=directory, device="cpu", do_sample=True, top_k=50, **trusted)
inferred = pipeline(model=directory, device="cpu", **trusted)
song = sing("folk", lyrics="la la", seed=7, max_seconds=0.2)
np.savez(out, audio=song["audio"])
classes = [type(part) for part in (config, model, processor, sing, inferred)]
assert all(kind.__module__.startswith("transformers_modules.") for kind in classes), classes
print(json.dumps([kind.__name__ for kind in classes]))
"""


@pytest.mark.slow
def test_export_writes_native_names_that_the_auto_classes_load(
    tmp_path, tiny_singer, tiny_processor
):
    model = tiny_singer("parallel_std")

    directory = export(model, tiny_processor, tmp_path / "out")

    with safe_open(directory / "model.safetensors", framework="np") as file:
        stored = set(file.keys())
    assert stored <= set(model.state_dict())
    loaded = AutoModel.from_pretrained(directory)
    assert all(
        np.array_equal(tensor.numpy(), loaded.state_dict()[name].numpy())
        for name, tensor in model.state_dict().items()
    )
    assert type(AutoProcessor.from_pretrained(directory)) is type(tiny_processor)
    assert not list(directory.glob("*.py"))
    assert "auto_map" not in json.loads((directory / "config.json").read_text())


def test_export_does_not_change_the_model_and_its_class(tmp_path, tiny_singer, tiny_processor):
    model = tiny_singer()
    model.save_pretrained(tmp_path / "saved")  # adds the dtype and the class to the config
    before = json.dumps(model.config.to_dict(), sort_keys=True, default=str)

    export(model, tiny_processor, tmp_path / "out", remote_code=True)

    assert json.dumps(model.config.to_dict(), sort_keys=True, default=str) == before
    assert type(model)._auto_class is None


def test_export_refuses_a_directory_with_files(tmp_path, tiny_singer, tiny_processor):
    (tmp_path / "kept.txt").write_text("kept")

    with pytest.raises(FileExistsError, match="is not empty: give a new directory"):
        export(tiny_singer(), tiny_processor, tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]


@pytest.mark.slow
def test_files_can_have_a_lower_precision_than_loaded_models(tmp_path, tiny_singer, tiny_processor):
    model = tiny_singer()
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    small = export(model, tiny_processor, tmp_path / "a", dtype="bfloat16")
    large = export(model, tiny_processor, tmp_path / "b", dtype="bfloat16", load_dtype="float32")

    assert (small / "model.safetensors").read_bytes() == (large / "model.safetensors").read_bytes()
    assert AutoModel.from_pretrained(small).dtype == torch.bfloat16
    loaded = AutoModel.from_pretrained(large)
    assert {tensor.dtype for tensor in loaded.parameters()} == {torch.float32}
    assert all(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())
    for name, tensor in loaded.state_dict().items():
        assert torch.equal(tensor, weights[name].bfloat16().to(tensor.dtype)), name


def test_exported_code_contains_no_local_paths(tmp_path, tiny_singer, tiny_processor):
    directory = export(tiny_singer(), tiny_processor, tmp_path / "out", remote_code=True)

    for path in [*directory.glob("*.json"), *directory.glob("*.py")]:
        assert str(tmp_path) not in path.read_text(encoding="utf-8")


@pytest.mark.slow
def test_exported_code_generates_the_same_song_without_the_package(
    tmp_path, tiny_singer, tiny_processor
):
    model = tiny_singer()
    directory = export(model, tiny_processor, tmp_path / "out", remote_code=True)
    expected = TextToSongPipeline(
        model=model, processor=tiny_processor, device="cpu", do_sample=True, top_k=50
    )("folk", lyrics="la la", seed=7, max_seconds=0.2)

    done = subprocess.run(
        [sys.executable, "-S", "-c", _without_package(), str(directory), str(tmp_path / "a.npz")],
        cwd="/",
        env={
            **{k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")},
            "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_OFFLINE": "1",
        },
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [
        "SongGenConfig",
        "SongGenForConditionalGeneration",
        "SongGenProcessor",
        "TextToSongPipeline",
        "TextToSongPipeline",
    ]
    generated = np.load(tmp_path / "a.npz")["audio"]
    assert np.allclose(generated, expected["audio"], rtol=1e-3, atol=1e-3)


def _without_package() -> str:
    """Return the program ``ISOLATED`` with the installed libraries but without this package.

    ``-S`` skips the site hooks, by which an editable install would make the package importable.
    """
    import transformers

    libraries = str(Path(transformers.__file__).parents[1])
    return f"import sys; sys.path.append({libraries!r})\n{ISOLATED}"

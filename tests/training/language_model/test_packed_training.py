"""Training from packed songs needs nothing but torch, transformers and accelerate."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from songgen_hf.data.preparation.options import PackOptions
from songgen_hf.provenance import read_provenance
from songgen_hf.training.language_model.options import LANGUAGE_MODEL_OPTIONS
from songgen_hf.training.language_model.packing import pack_songs
from songgen_hf.training.language_model.run import train_language_model
from songgen_hf.training.option_parsing import make_options

BLOCKED = "datasets pyarrow soundfile soxr diffusers num2words pandas tensorboard gradio peft"
SCRIPT = f"""
import shutil, sys
for name in {BLOCKED.split()!r}:
    sys.modules[name] = None
from songgen_hf.cli import main
assert main(sys.argv[2:]) == 0
shutil.rmtree(sys.argv[1])
assert main([*sys.argv[2:], "--resume_from_checkpoint", "auto"]) == 0
"""


def settings(model: str, dataset: str, out: Path) -> dict:
    return {
        "model": model,
        "dataset": dataset,
        "output_dir": str(out),
        "max_steps": 4,
        "save_steps": 2,
        "logging_steps": 1,
        "per_device_train_batch_size": 3,
        "learning_rate": 1e-2,
        "frame_label_weight": 0.1,
        "guided_attention_weight": 0.1,
        "joint_dropout": 0.2,
        "disable_tqdm": True,
    }


@pytest.fixture(scope="module")
def packed(annotated_folder, tiny_checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed") / "songs"
    options = PackOptions(annotated_folder, folder, model=tiny_checkpoint("mixed_pro"))
    pack_songs(options, progress=False)
    return str(folder)


def train(model: str, dataset: str, out: Path):
    return train_language_model(
        *make_options(LANGUAGE_MODEL_OPTIONS, settings(model, dataset, out))
    )


@pytest.mark.slow
def test_packed_songs_train_the_same_model_without_packages_for_data_and_sound(
    packed, annotated_folder, tiny_checkpoint, tmp_path
):
    model = tiny_checkpoint("mixed_pro")
    expected = train(model, annotated_folder, tmp_path / "parquet")
    found = train(model, packed, tmp_path / "packed")

    log, packed_log = (
        [entry["objective"] for entry in trainer.state.log_history[:-1]]
        for trainer in (expected, found)
    )
    assert packed_log == log and len(log) == 4

    out = tmp_path / "alone"
    values = settings(model, packed, out) | {"max_shard_size": 0.5}
    flags = [part for name, value in values.items() for part in (f"--{name}", str(value))]
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(out / "checkpoint-4")]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    result = subprocess.run([*command, "train", *flags], capture_output=True, env=environment)
    assert result.returncode == 0, result.stderr.decode()[-2000:]

    resumed = {}
    for file in out.glob("model*.safetensors"):
        resumed |= load_file(file)
    whole = load_file(tmp_path / "packed" / "model.safetensors")
    assert resumed.keys() == whole.keys()
    for name, weight in whole.items():
        assert torch.allclose(resumed[name], weight, atol=1e-6), name


@pytest.mark.slow
def test_samples_of_packed_songs_record_their_words(packed, tiny_checkpoint, tmp_path):
    values = settings(tiny_checkpoint("mixed_pro"), packed, tmp_path) | {
        "max_steps": 1,
        "save_strategy": "no",
        "eval_split": "validation",
        "eval_strategy": "steps",
        "eval_steps": 1,
        "sample_songs": 1,
        "sample_seconds": 0.2,
    }
    train_language_model(*make_options(LANGUAGE_MODEL_OPTIONS, values))

    (sample,) = (tmp_path / "samples").rglob("0.flac")
    options = read_provenance(sample)["options"]
    assert options["text"] == "caption 0 a" and options["lyrics"] == "stone, river"

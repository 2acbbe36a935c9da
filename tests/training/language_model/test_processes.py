"""Training in real processes: two processes with half the batch each, and a killed process."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from songgen_hf.training.language_model.options import LANGUAGE_MODEL_OPTIONS
from songgen_hf.training.language_model.run import train_language_model
from songgen_hf.training.option_parsing import parse_options

REPOSITORY = Path(__file__).parents[3]
SETTINGS = (
    "--max-steps 4 --max-train-songs 8 --learning-rate 0.01 --warmup-steps 1 --logging-steps 1 "
    "--save-strategy steps --save-steps 2 --disable-tqdm true --joint-dropout 0.3 --use-cpu "
    "--ema-decay 0.9"
).split()


def launch(arguments: list[str], *, cache: Path) -> subprocess.CompletedProcess:
    """Run ``songgen-hf train`` in two processes of one thread each."""
    command = [sys.executable, "-m", "accelerate.commands.launch", "--num_machines", "1"]
    command += ["--num_processes", "2", "--num_cpu_threads_per_process", "1"]
    command += ["--mixed_precision", "no", "--dynamo_backend", "no"]
    # "multi_gpu" starts the processes with torchrun; for CPUs alone the launcher wants MPI.
    command += ["--multi_gpu", "--main_process_port", "0"]
    command += ["-m", "songgen_hf", "train", *arguments, "--ddp-backend", "gloo"]
    environment = os.environ | {
        "ACCELERATE_USE_CPU": "true",
        "OMP_NUM_THREADS": "1",
        "HF_DATASETS_CACHE": str(cache),
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": str(REPOSITORY),
    }
    return subprocess.run(
        command, cwd=cache, env=environment, capture_output=True, text=True, timeout=300
    )


def train_here(arguments: list[str]) -> None:
    """Train with the same flags in this process."""
    train_language_model(*parse_options(LANGUAGE_MODEL_OPTIONS, arguments))


def losses(folder: Path) -> list[float]:
    history = json.loads((folder / "trainer_state.json").read_text())["log_history"]
    return [entry["objective"] for entry in history if "objective" in entry]


@pytest.mark.slow
def test_two_processes_have_the_losses_of_one_with_twice_the_batch(
    tiny_checkpoint, songs_folder, tmp_path
):
    shared = ["--model", tiny_checkpoint("mixed", dropout=0.0), "--dataset", songs_folder]
    shared += SETTINGS
    one = ["--output-dir", str(tmp_path / "one"), "--per-device-train-batch-size", "4"]
    two = ["--output-dir", str(tmp_path / "two"), "--per-device-train-batch-size", "2"]

    train_here([*shared, *one])
    done = launch([*shared, *two], cache=tmp_path)

    assert done.returncode == 0, done.stderr
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), abs=1e-4)
    assert len(losses(tmp_path / "one")) == 4


def start(arguments: list[str], cache: Path) -> subprocess.Popen:
    """Start ``songgen-hf train`` in a separate process."""
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "HF_DATASETS_CACHE": str(cache),
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": str(REPOSITORY),
    }
    command = [sys.executable, "-m", "songgen_hf", "train", *arguments]
    return subprocess.Popen(
        command, cwd=cache, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


@pytest.mark.slow
def test_a_killed_process_resumes_with_the_same_losses(tiny_checkpoint, songs_folder, tmp_path):
    shared = ["--model", tiny_checkpoint("mixed"), "--dataset", songs_folder, *SETTINGS]
    shared += ["--max-steps", "60", "--save-steps", "5", "--per-device-train-batch-size", "2"]
    killed_folder, whole_folder = tmp_path / "killed", tmp_path / "whole"

    killed = start([*shared, "--output-dir", str(killed_folder)], tmp_path)
    deadline = time.monotonic() + 120
    while not list(killed_folder.glob("checkpoint-*/trainer_state.json")):
        assert killed.poll() is None and time.monotonic() < deadline, killed.stderr.read()[-2000:]
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert not (killed_folder / "trainer_state.json").exists()

    out = ["--output-dir", str(killed_folder), "--resume-from-checkpoint", "auto"]
    resumed = start([*shared, *out], tmp_path)
    train_here([*shared, "--output-dir", str(whole_folder)])
    _, errors = resumed.communicate(timeout=200)
    assert resumed.returncode == 0, errors[-2000:]

    assert len(losses(whole_folder)) == 60
    assert losses(killed_folder) == pytest.approx(losses(whole_folder), abs=1e-6)

"""Training on a GPU from packed songs: the losses of the CPU, bf16, checkpoints and no waiting."""

from contextlib import contextmanager

import pytest
import torch

from songgen_hf.training.language_model.options import LANGUAGE_MODEL_OPTIONS, LORA_OPTIONS
from songgen_hf.training.language_model.run import train_language_model
from songgen_hf.training.language_model.song_trainer import SongTrainer
from songgen_hf.training.option_parsing import make_options

from ..tools.host_sync import HostSync
from ..tools.packed_cases import write_packed
from ..training.conftest import build_tiny

pytestmark = [
    pytest.mark.gpu,
    # Of accelerate and PEFT, about each other's and torch's names.
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
TOLERANCE = 2e-3  # relative difference of losses of CPU and GPU in the first steps, without TF32
SETTINGS = {
    "max_steps": 3,
    "learning_rate": 1e-3,
    "logging_steps": 1,
    "save_strategy": "no",
    "per_device_train_batch_size": 4,
    "guided_attention_weight": 0.1,
    "frame_label_weight": 0.1,
    "disable_tqdm": True,
}


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    """Factory ``songs(pattern)`` -> options that name a tiny model and packed songs for it."""
    folder, made = tmp_path_factory.mktemp("songs"), {}

    def build(pattern: str) -> dict[str, str]:
        if pattern not in made:
            model, processor = build_tiny(pattern, dropout=0.0)
            model.save_pretrained(folder / pattern)
            processor.save_pretrained(folder / pattern)
            data = folder / f"{pattern}-data"
            write_packed(data, model, processor, lengths=[9, 12, 7, 14, 10, 8, 11, 13])
            made[pattern] = {"model": str(folder / pattern), "dataset": str(data)}
        return made[pattern]

    return build


@pytest.fixture
def train(songs, device, tmp_path):
    """Factory: a short run on the device, or on the CPU, -> its trainer."""

    def run(pattern: str = "mixed_pro", *, out: str = "out", cpu: bool = False, **changes):
        values = SETTINGS | songs(pattern) | {"output_dir": str(tmp_path / out)} | changes
        values["use_cpu"] = cpu or device.type == "cpu"
        return train_language_model(*make_options(LANGUAGE_MODEL_OPTIONS, values))

    return run


def losses(trainer) -> list[float]:
    return [entry["objective"] for entry in trainer.state.log_history if "objective" in entry]


@pytest.mark.parametrize("pattern", ["mixed_pro", "interleaving_A_V", "parallel_V_A"])
def test_the_losses_of_the_first_steps_are_those_of_the_cpu(train, device, pattern):
    expected = losses(train(pattern, out="cpu", cpu=True))

    trainer = train(pattern)

    assert next(trainer.model.parameters()).device.type == device.type
    assert losses(trainer) == pytest.approx(expected, rel=TOLERANCE)


def test_bf16_trains_alike(train):
    expected = losses(train(out="full"))

    assert losses(train(out="half", bf16=True)) == pytest.approx(expected, rel=0.02)


def test_muon_and_an_average_of_the_weights_train(train):
    trainer = train(optimizer="muon", ema_decay=0.9)

    assert all(0 < loss < 20 for loss in losses(trainer))


def test_a_resumed_run_has_the_losses_of_an_uninterrupted_one(train, tmp_path):
    saving = {"max_steps": 4, "save_strategy": "steps", "save_steps": 2, "max_shard_size": 0.1}
    whole = losses(train(out="whole", **saving))
    train(out="cut", **saving)
    (tmp_path / "cut" / "checkpoint-4").rename(tmp_path / "gone")

    resumed = losses(train(out="cut", resume_from_checkpoint="auto", **saving))

    assert resumed == pytest.approx(whole, rel=1e-4)


def test_a_step_does_not_wait_for_the_device(train, device, monkeypatch):
    training_step, steps = SongTrainer.training_step, []

    @contextmanager
    def watched():
        if device.type == "cuda":
            torch.cuda.set_sync_debug_mode("error")
            try:
                yield
            finally:
                torch.cuda.set_sync_debug_mode("default")
        else:
            with HostSync() as sync:
                yield
            assert sync.found == []

    def step(self, *args, **options):
        steps.append(1)
        if len(steps) < 3:  # the first steps copy weights of the curriculum, and allocate
            return training_step(self, *args, **options)
        with watched():
            return training_step(self, *args, **options)

    monkeypatch.setattr(SongTrainer, "training_step", step)
    train("interleaving_A_V", max_steps=6, scheduled_sampling=0.2)

    assert len(steps) == 6


def test_an_adapter_is_trained(songs, device, tmp_path):
    pytest.importorskip("peft", reason="needs the extra train")
    from songgen_hf.training.language_model.lora import train_lora

    values = SETTINGS | songs("mixed_pro") | {"output_dir": str(tmp_path), "max_steps": 1}
    values |= {"use_cpu": device.type == "cpu", "frame_label_weight": 0.0}

    trainer = train_lora(*make_options(LORA_OPTIONS, values))

    assert 0 < losses(trainer)[0] < 20
    assert (tmp_path / "adapter_model.safetensors").is_file()

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from songgen_hf.modeling.modeling_songgen import SongGenForConditionalGeneration
from songgen_hf.modeling.patterns import IGNORED_LABEL, shift_right
from songgen_hf.provenance import read_provenance
from songgen_hf.training.language_model.options import LANGUAGE_MODEL_OPTIONS
from songgen_hf.training.language_model.run import train_language_model
from songgen_hf.training.language_model.song_trainer import last_checkpoint
from songgen_hf.training.language_model.trainer import SongGenTrainer
from songgen_hf.training.option_parsing import RESOLVED_FILE, make_options, stage_names

from ..conftest import interrupted_after, song_row, write_table

SETTINGS = {
    "max_steps": 6,
    "warmup_steps": 1,
    "learning_rate": 1e-2,
    "logging_steps": 1,
    "save_strategy": "no",
    "per_device_train_batch_size": 2,
    "disable_tqdm": True,
    "joint_dropout": 0.2,
}


@pytest.fixture
def train(tiny_checkpoint, songs_folder, tmp_path):
    """Factory: a short run with some options changed -> its trainer."""

    def run(pattern="mixed", *, out="out", **changes):
        values = {
            **SETTINGS,
            "model": tiny_checkpoint(pattern),
            "dataset": songs_folder,
            "output_dir": str(tmp_path / out),
            **changes,
        }
        return train_language_model(*make_options(LANGUAGE_MODEL_OPTIONS, values))

    return run


def losses(trainer) -> list[float]:
    return [entry["objective"] for entry in trainer.state.log_history if "objective" in entry]


@pytest.mark.slow
@pytest.mark.parametrize("stage", stage_names())
def test_every_stage_writes_a_model_that_generates(train, stage, tmp_path):
    from songgen_hf.training.option_parsing import read_stage

    trainer = train(**{**read_stage(stage), **SETTINGS, "max_steps": 2})

    model = SongGenForConditionalGeneration.from_pretrained(tmp_path / "out")
    expected = "interleaving_A_V" if stage == "1.5" else "mixed"
    assert model.config.decoder.track_pattern == expected
    assert all(0 < loss < 20 for loss in losses(trainer))
    codes = model.generate(input_ids=torch.tensor([[1]]), max_new_frames=2, seed=0)
    assert codes.shape[1:3] == (model.config.decoder.num_tracks, 3)
    assert (tmp_path / "out" / RESOLVED_FILE).is_file()
    assert not list(tmp_path.rglob("*.bin"))


@pytest.mark.slow
@pytest.mark.parametrize("pattern", ["mixed_pro", "parallel_V_A"])
def test_training_lowers_the_loss_and_logs_its_parts(train, pattern):
    trainer = train(pattern, max_steps=12, codebook_weighting=False, max_train_songs=2)

    history = [entry for entry in trainer.state.log_history if "objective" in entry]
    assert history[-1]["plain_loss"] < 0.9 * history[0]["plain_loss"]
    rows = trainer.model.config.decoder.num_rows
    assert {f"codebook_loss/{row}" for row in range(rows)} <= history[0].keys()
    extra = {"mixed_pro": "vocal_codebook_loss/2", "parallel_V_A": "accompaniment_loss"}
    assert extra[pattern] in history[0]
    assert history[0]["loss"] == pytest.approx(history[0]["objective"], abs=1e-6)


@pytest.mark.slow
def test_accumulated_batches_train_like_one_large_batch(train, tiny_checkpoint):
    settings = {"model": tiny_checkpoint("mixed", dropout=0.0), "num_train_epochs": 1}
    large = train(out="large", per_device_train_batch_size=4, **settings)
    small = train(
        out="small", per_device_train_batch_size=1, gradient_accumulation_steps=4, **settings
    )

    assert losses(small) == pytest.approx(losses(large), abs=2e-5)


@pytest.mark.slow
@pytest.mark.parametrize("pattern", ["mixed_pro", "interleaving_A_V"])
def test_labels_after_corrupted_codes_are_masked_only_if_asked_for(train, pattern):
    trainer = train(pattern, max_steps=1, history_corruption=0.5)
    batch = next(iter(trainer.get_train_dataloader()))
    token_pattern = trainer.song_config.decoder.pattern

    assert "labels" not in trainer._history(trainer.model, batch)
    trainer.objective.mask_after_errors = True
    labels = trainer._history(trainer.model, batch)["labels"]

    hidden = (labels == IGNORED_LABEL) & (batch["labels"] != IGNORED_LABEL)
    true = shift_right(
        batch["labels"],
        trainer.song_config.decoder_start_token_id,
        trainer.song_config.pad_token_id,
    )
    rows, steps = token_pattern.index(token_pattern.num_frames(true.shape[-1]), true.device)
    wrong = (true != batch["decoder_input_ids"])[:, rows, steps]  # [B, tracks, K, T]
    expected = torch.zeros_like(wrong)
    for codebook in range(1, wrong.shape[2]):
        expected[:, :, codebook] = wrong[:, :, :codebook].any(dim=2)
    found = hidden[:, steps - 1, rows]
    assert torch.equal(found, expected & (batch["labels"][:, steps - 1, rows] != IGNORED_LABEL))
    assert found.any() and not found.all()


@pytest.mark.slow
def test_a_killed_run_resumes_with_the_same_losses(train):
    settings = {"max_steps": 9, "save_strategy": "steps", "save_steps": 2, "ema_decay": 0.9}
    whole = train(out="whole", **settings)

    for step in np.random.default_rng(0).choice(range(2, 9), 2, replace=False).tolist():
        out = f"killed-{step}"
        with interrupted_after(step):
            train(out=out, **settings)
        resumed = train(out=out, resume_from_checkpoint="auto", **settings)

        assert losses(resumed) == pytest.approx(losses(whole), abs=1e-6)
        for name, average in whole.average.average.items():
            assert torch.allclose(resumed.average.average[name], average, atol=1e-6)


@pytest.mark.slow
def test_every_epoch_trains_on_its_own_mixtures_also_after_a_kill(train, tmp_path):
    epochs = [-1, -1, -1, -1, 0, 0, 1, 1]
    rows = [song_row(n, 10) | {"mixture_epoch": epoch} for n, epoch in enumerate(epochs)]
    write_table(tmp_path / "codes" / "train-0.parquet", rows)
    settings = {"dataset": str(tmp_path / "codes"), "eval_split": None}
    settings |= {"save_strategy": "steps", "save_steps": 1}

    whole = train(out="whole", **settings)
    with interrupted_after(4):
        train(out="killed", **settings)
    resumed = train(out="killed", resume_from_checkpoint="auto", **settings)

    assert whole.state.epoch == 2  # of three batches each
    assert whole._sampler.epoch == 1 and set(whole._sampler.order()) == {0, 1, 2, 3, 6, 7}
    assert losses(resumed) == pytest.approx(losses(whole), abs=1e-6)


@pytest.mark.slow
def test_a_finished_run_is_not_trained_further(train):
    settings = {"out": "run", "max_steps": 2, "save_strategy": "steps", "save_steps": 1}
    whole = train(**settings)
    again = train(resume_from_checkpoint="auto", **settings)

    assert again.state.global_step == 2 and losses(again) == losses(whole)
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], weight), name


def test_an_incomplete_checkpoint_is_ignored(tmp_path):
    for step, complete in ((3, True), (12, True), (20, False)):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        if complete:
            (folder / "trainer_state.json").write_text("{}")
    (tmp_path / "checkpoint-last").mkdir()

    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-12"
    (tmp_path / "checkpoint-13").mkdir()  # killed while its last file was written
    (tmp_path / "checkpoint-13" / "trainer_state.json").write_text('{"epoch": 1.0, "glob')
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-12"
    assert last_checkpoint(tmp_path / "nowhere") is None


@pytest.mark.slow
def test_a_checkpoint_that_cannot_be_written_is_removed(train, monkeypatch, tmp_path):
    def full(self, output_dir):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SongGenTrainer, "_save_optimizer_and_scheduler", full)

    with pytest.raises(OSError, match=r"cannot write .*checkpoint-2 .*No space left.*make room"):
        train(save_strategy="steps", save_steps=2)
    assert not list((tmp_path / "out").glob("checkpoint-*"))


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_resumed_run_takes_another_learning_rate_and_weight_decay(train, optimizer, caplog):
    settings = {
        "optimizer": optimizer,
        "save_strategy": "steps",
        "save_steps": 1,
        "warmup_steps": 0,
        "lr_scheduler_type": "linear",
    }
    train(max_steps=1, learning_rate=0.1, weight_decay=0.2, **settings)

    resumed = train(
        max_steps=4,
        learning_rate=0.004,
        weight_decay=0.5,
        resume_from_checkpoint="auto",
        allow_changed_options=True,
        **settings,
    )

    assert "missing keys" not in caplog.text  # of tied weights
    rates = [e["learning_rate"] for e in resumed.state.log_history if "learning_rate" in e]
    assert rates[1:] == pytest.approx([0.003, 0.002, 0.001])
    assert {group["weight_decay"] for group in resumed.optimizer.param_groups} == {0.0, 0.5}


@pytest.mark.slow
def test_a_run_is_neither_overwritten_nor_resumed_with_other_options(train):
    saving = {"save_strategy": "steps", "save_steps": 2, "max_steps": 2}
    train(**saving)

    with pytest.raises(ValueError, match="holds a run up to checkpoint-2: pass --resume"):
        train(**saving)
    with pytest.raises(ValueError, match="learning_rate was 0.01, now 0.1"):
        train(**saving, learning_rate=0.1, resume_from_checkpoint="auto")
    with pytest.raises(ValueError, match="is no complete checkpoint"):
        train(**saving, resume_from_checkpoint="elsewhere/checkpoint-1")


@pytest.mark.slow
def test_a_run_is_not_resumed_with_other_files_of_the_same_name(train):
    saving = {"save_strategy": "steps", "save_steps": 2, "max_steps": 2}
    trainer = train(**saving)
    path = Path(trainer.args.output_dir) / "checkpoint-2" / RESOLVED_FILE
    recorded = yaml.safe_load(path.read_text())
    assert len(recorded["dataset_files"]) == 16

    file = next(Path(recorded["dataset"]).rglob("*.parquet"))
    before = file.stat()
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    try:
        with pytest.raises(ValueError, match="dataset_files was .*restore them"):
            train(**saving, resume_from_checkpoint="auto")
        with pytest.raises(ValueError, match="holds other files .* than the configuration"):
            train(out="other", dataset_files=recorded["dataset_files"])
    finally:
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.slow
def test_a_loss_that_is_not_finite_stops_the_run(train, tiny_checkpoint, tmp_path):
    folder = tmp_path / "broken"
    shutil.copytree(tiny_checkpoint("mixed"), folder)
    model = SongGenForConditionalGeneration.from_pretrained(folder)
    with torch.no_grad():
        model.decoder.lm_heads.weight.fill_(float("nan"))
    model.save_pretrained(folder)

    message = "the loss became nan by step {}: lower --learning-rate"
    with pytest.raises(ValueError, match=message.format(1)):
        train(model=str(folder))
    seldom = {"logging_steps": 100, "out": "seldom", "max_steps": 3}
    with pytest.raises(ValueError, match=message.format(2)):
        train(model=str(folder), save_strategy="steps", save_steps=2, **seldom)
    assert not list(tmp_path.rglob("checkpoint-*"))


@pytest.mark.slow
def test_a_run_with_small_files_resumes_and_saves_shards(train, tmp_path):
    settings = {"max_steps": 4, "save_strategy": "steps", "save_steps": 2, "ema_decay": 0.9}
    small, limit = {**settings, "max_shard_size": 0.05}, 0.05e6
    whole = train(out="whole", **settings)
    with interrupted_after(3):
        train(out="small", **small)
    checkpoint = tmp_path / "small" / "checkpoint-2"
    assert list(checkpoint.glob("optimizer.pt.part-00000-of-*"))

    resumed = train(out="small", resume_from_checkpoint="auto", **small)

    assert losses(resumed) == pytest.approx(losses(whole), abs=1e-6)
    written = [file for file in (tmp_path / "small").rglob("*") if file.is_file()]
    large = {file.name for file in written if file.stat().st_size > 1.1 * limit}
    # JSON is not split, and a shard has one matrix at least.
    assert not {name for name in large if not name.startswith("model") and ".json" not in name}
    assert len(list((tmp_path / "small").glob("model-*.safetensors"))) > 4
    load = SongGenForConditionalGeneration.from_pretrained
    expected = load(tmp_path / "whole").state_dict()
    for name, weight in load(tmp_path / "small").state_dict().items():
        assert torch.allclose(weight, expected[name], atol=1e-6), name


@pytest.mark.slow
def test_the_average_of_the_weights_is_what_is_saved(train, tmp_path):
    trainer = train(ema_decay=0.9, max_steps=3)

    saved = SongGenForConditionalGeneration.from_pretrained(tmp_path / "out")
    name = "decoder.lm_heads.weight"
    assert torch.equal(saved.get_parameter(name), trainer.average.average[name])


@pytest.mark.slow
def test_evaluation_reports_plain_losses_and_writes_samples(train, tmp_path):
    trainer = train(
        max_steps=2,
        eval_split="validation",
        eval_strategy="steps",
        eval_steps=2,
        sample_songs=1,
        sample_seconds=0.2,
    )

    entry = next(entry for entry in trainer.state.log_history if "eval_loss" in entry)
    assert entry["eval_loss"] == pytest.approx(entry["eval_plain_loss"], rel=1e-3)
    (sample,) = (tmp_path / "out" / "samples").rglob("0.flac")
    assert read_provenance(sample)["seed"] == 0


@pytest.mark.slow
def test_memory_saving_modes_train_alike(train):
    plain = train(out="plain", max_steps=2)
    checkpointed = train(out="checkpointed", max_steps=2, activation_checkpointing=True)
    half = train(out="half", max_steps=2, bf16=True)

    assert losses(checkpointed) == pytest.approx(losses(plain), abs=1e-5)
    assert losses(half) == pytest.approx(losses(plain), rel=0.02)


@pytest.mark.slow
def test_the_trained_model_is_saved_with_its_log(train, tmp_path):
    train(max_steps=2)

    state = json.loads(Path(tmp_path / "out" / "trainer_state.json").read_text())
    assert state["global_step"] == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": None}, "no dataset given"),
        ({"model": None}, "pass either --model or --preset: got None and None"),
        ({"freeze": ["everything"]}, "unknown part to freeze: got 'everything'"),
        ({"ema_every": 0}, "ema_every >= 1"),
    ],
)
def test_wrong_options_of_song_training_are_refused(train, changes, message):
    with pytest.raises(ValueError, match=message):
        train(**changes)


@pytest.mark.slow
def test_an_empty_dataset_folder_is_refused(train, tmp_path):
    (tmp_path / "nothing").mkdir()

    with pytest.raises(OSError, match="holds no parquet files; write them with songgen-hf prepare"):
        train(dataset=str(tmp_path / "nothing"))

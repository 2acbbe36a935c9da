"""Training of a tiny separator: mixtures, augmentation, the loss and resumption."""

import dataclasses

import datasets
import numpy as np
import pytest
import torch

from songgen_hf.cli import main
from songgen_hf.modeling.listening.separator import VocalSeparator
from songgen_hf.training.separator.mixtures import Mixture, Mixtures, augmented
from songgen_hf.training.separator.options import SeparatorTrainingOptions
from songgen_hf.training.separator.trainer import (
    SeparatorTrainer,
    separation_error,
    train_separator,
)

from ...tools.codec_cases import logged
from ...tools.judge_cases import invented_row
from ...tools.separation_cases import TINY_SIZES, tiny_separator

RATE = 16000


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    """A parquet file of six invented songs."""
    path = tmp_path_factory.mktemp("songs") / "songs.parquet"
    rows = [invented_row(index, seconds=1.5) for index in range(6)]
    stems = [{name: row[name]["bytes"] for name in ("vocal", "accompaniment")} for row in rows]
    datasets.Dataset.from_list(stems).to_parquet(path)
    return path


def options(songs, out, **changes):
    """Options of a run of seconds."""
    values = {
        "data": str(songs), "out": str(out), "steps": 4, "batch_size": 2, "crop_seconds": 0.5,
        "log_every": 1, "evaluation_crops": 3, "warmup_steps": 0,
        **TINY_SIZES, "dilations": list(TINY_SIZES["dilations"]),
    }  # fmt: skip
    return SeparatorTrainingOptions(**values | changes)


def batch(songs, count=4, **place):
    """Mixtures of half a second."""
    spectrum_of = tiny_separator().spectrum_of
    return Mixtures(songs, RATE).batch(count, RATE // 2, spectrum_of, **{"seed": 0, **place})


def test_mixtures_follow_from_seed_step_and_place(songs):
    whole = batch(songs, step=3)
    part = batch(songs, 2, step=3, first=2)

    assert torch.equal(whole.mixture[2:], part.mixture)
    assert torch.equal(whole.vocal[2:], part.vocal)
    assert not torch.equal(whole.mixture, batch(songs, step=4).mixture)
    assert whole.mixture.shape == whole.vocal.shape == (4, 641, 22)


def test_mixtures_without_augmentation_are_crops_of_one_song(songs):
    source = Mixtures(songs, RATE)
    spectrum_of = tiny_separator().spectrum_of
    rng = np.random.default_rng([0, 5, 0])
    song, position = int(rng.integers(6, size=2)[0]), rng.random(2)[0]

    drawn = batch(songs, 1, step=5, augment=False)

    stems = [
        torch.from_numpy(crops.read(song, RATE // 2, position=position))[None]
        for crops in (source.vocals, source.accompaniments)
    ]
    torch.testing.assert_close(drawn.vocal, spectrum_of(stems[0], RATE))
    torch.testing.assert_close(drawn.mixture, spectrum_of(stems[0] + stems[1], RATE))


def test_augmentation_keeps_the_vocal_apart_from_noise_and_holes():
    spectra = torch.randn(2, 65, 8, dtype=torch.complex64)
    lacking = {0: 0, 1: 0}
    for seed in range(200):
        made = augmented(spectra, RATE, np.random.default_rng(seed))
        assert torch.isfinite(made.abs()).all()
        silent = made.abs().amax(dim=(1, 2)) == 0
        lacking = {row: lacking[row] + int(silent[row]) for row in lacking}
        if not silent[0]:  # a filter: one factor for all frames of a bin
            factors = made[0] / spectra[0]
            torch.testing.assert_close(factors, factors[:, :1].expand_as(factors))

    assert 10 <= lacking[0] <= 35 and 0 <= lacking[1] <= 15


def test_the_error_is_that_of_both_stems_in_decibels():
    vocal, accompaniment = torch.randn(2, 3, 5, 7, dtype=torch.complex64)
    mixture = vocal + accompaniment

    perfect = separation_error(torch.ones(3, 5, 7), Mixture(mixture, mixture))
    nothing = separation_error(torch.zeros(3, 5, 7), Mixture(mixture, mixture))
    half = separation_error(torch.full((3, 5, 7), 0.5), Mixture(mixture, mixture))

    assert perfect.item() == pytest.approx(-30.0, abs=1e-3)
    assert nothing.item() == pytest.approx(0.0, abs=0.01)
    assert half.item() == pytest.approx(-6.02, abs=0.03)
    silent = torch.zeros(3, 5, 7, dtype=torch.complex64)
    assert torch.isfinite(separation_error(torch.ones(3, 5, 7), Mixture(silent, silent)))


def test_every_weight_gets_a_gradient(songs):
    separator = tiny_separator().train()
    drawn = batch(songs, step=0)

    separation_error(separator(drawn.mixture), drawn).backward()

    for name, weight in separator.named_parameters():
        assert weight.grad is not None and weight.grad.abs().sum() > 0, name


@pytest.mark.slow
def test_training_reduces_the_error_of_held_out_songs(songs, tmp_path):
    folder = train_separator(
        options(songs, tmp_path / "run", steps=30, learning_rate=0.02, validation_data=str(songs))
    )

    losses = [line["validation_loss"] for line in logged(tmp_path / "run") if len(line) == 2]
    assert losses[-1] < losses[0] - 3
    trained = VocalSeparator.from_pretrained(folder)
    assert trained.config.dilations == (1, 3)


@pytest.mark.slow
def test_a_resumed_run_ends_with_the_same_weights(songs, tmp_path):
    whole = train_separator(options(songs, tmp_path / "whole"))
    trainer = SeparatorTrainer(options(songs, tmp_path / "parts", save_every=2))
    for step in range(2):
        trainer.train_step(step)
    trainer.run.save(2, trainer.state())

    resumed = train_separator(options(songs, tmp_path / "parts", save_every=2))

    states = [VocalSeparator.from_pretrained(one).state_dict() for one in (whole, resumed)]
    for name, weight in states[0].items():
        assert torch.equal(weight, states[1][name]), name


def test_the_command_trains_a_separator(songs, tmp_path, capsys):
    arguments = ["train", "separator", "--data", str(songs), "--out", str(tmp_path / "run")]
    sizes = ["--steps", "1", "--hidden-size", "8", "--dilations", "1", "--crop-seconds", "0.3"]

    assert main([*arguments, *sizes, "--batch-size", "1", "--json"]) == 0

    assert '"kind": "separator"' in capsys.readouterr().out
    assert (tmp_path / "run" / "separator" / "model.safetensors").is_file()


def test_options_and_data_that_do_not_fit_are_refused(songs, tmp_path):
    with pytest.raises(ValueError, match="dilations are \\[0\\], expected numbers of 1 or more"):
        options(songs, tmp_path, dilations=[0])
    with pytest.raises(ValueError, match="crop_seconds is 0.05, expected at least 0.08"):
        train_separator(options(songs, tmp_path / "a", crop_seconds=0.05))
    (tmp_path / "x.wav").write_bytes(b"")
    with pytest.raises(ValueError, match="holds no parquet files: expected songs with the col"):
        Mixtures(tmp_path, RATE)
    datasets.Dataset.from_list([{"vocal": b"x"}]).to_parquet(tmp_path / "half.parquet")
    with pytest.raises(ValueError, match="expected one or more of accompaniment"):
        Mixtures(tmp_path / "half.parquet", RATE)


def test_a_run_with_other_sizes_is_not_resumed(songs, tmp_path):
    made = options(songs, tmp_path / "run", steps=1)
    train_separator(made)

    with pytest.raises(ValueError, match="hidden_size was 8, now 9"):
        train_separator(dataclasses.replace(made, hidden_size=9))

"""Training of a tiny codec: checkpoints, errors, options and the trained codec."""

import dataclasses
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import HubertConfig, HubertModel

import songgen_hf.training
from songgen_hf.checkpoints.digests import codes_digest
from songgen_hf.modeling.modeling_xcodec import XCodecModel
from songgen_hf.training.codec.objective import (
    new_codec,
)
from songgen_hf.training.codec.options import CodecTrainingOptions, TeacherTrainingOptions
from songgen_hf.training.codec.semantic_teacher import TeacherTrainer
from songgen_hf.training.codec.trainer import CodecTrainer, train_codec
from songgen_hf.training.codec.waveform_trainer import learning_rate
from songgen_hf.training.option_parsing import parse_options, read_yaml

from ...tools.codec_cases import (
    TINY_CODEC,
    codec_options,
    logged,
    noise,
    teacher_options,
    tiny_config,
)

RECIPES = Path(songgen_hf.training.__file__).parent / "recipes"


@pytest.fixture(scope="module")
def trained(sounds, tmp_path_factory):
    """The folder of a run of 40 steps with all losses."""
    from songgen_hf.presets.models import PRESETS

    out = tmp_path_factory.mktemp("codec")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "tiny", PRESETS["mini"] | {"audio_encoder": TINY_CODEC})
        options = codec_options(
            sounds,
            out,
            steps=40,
            discriminator_start=35,
            validation_data=str(sounds),
            evaluate_every=20,
            save_every=15,
            mel_weight=5.0,
            learning_rate=3e-3,
            quantizer_start=10,
        )
        train_codec(options)
    return out


@pytest.mark.slow
def test_a_short_run_decreases_the_distance_of_decoded_sounds(trained):
    lines = logged(trained)

    losses = [line["mel"] for line in lines if "mel" in line]
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])
    assert "adversarial" not in lines[33] and "commitment" not in lines[8]
    assert {"adversarial", "feature", "discriminator", "commitment"} <= set(lines[-2])
    assert lines[-1]["step"] == 40 and "mel_distance/0.8" in lines[-1] and "usage/3" in lines[-1]


@pytest.mark.slow
def test_the_trained_codec_is_loaded_for_inference(trained):
    codec = XCodecModel.from_pretrained(trained / "codec")
    waveform = 0.1 * noise(1, 1, 6400)

    codes = codec.encode(waveform, return_dict=False)

    assert codes.shape == (1, 4, 20)
    assert codec.decode(codes, return_dict=False).shape == (1, 1, 6400)
    assert not any("parametrizations" in name for name in codec.acoustic_decoder.state_dict())
    assert all(level.codebook.inited.item() for level in codec.quantizer.quantizers)


@pytest.mark.slow
def test_residual_deviations_are_saved_in_both_layouts(trained, tmp_path):
    codec = XCodecModel.from_pretrained(trained / "codec")
    deviations = codec.config.residual_rms
    assert len(deviations) == 5 and all(value > 0 for value in deviations)

    for original in (False, True):
        codec.save_pretrained(tmp_path / str(original), save_original_format=original)
        again = XCodecModel.from_pretrained(tmp_path / str(original))
        assert again.config.residual_rms == deviations
        for name, value in codec.state_dict().items():
            assert torch.equal(again.state_dict()[name], value), name


@pytest.mark.slow
def test_old_checkpoints_are_removed(trained):
    assert sorted(path.name for path in trained.glob("checkpoint-*")) == [
        "checkpoint-30",
        "checkpoint-40",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("stop", [1, 3])
def test_a_resumed_run_equals_one_never_stopped(tiny_preset, sounds, tmp_path, stop):
    changes = {"validation_data": str(sounds), "evaluate_every": 2, "quantizer_start": 2}
    train_codec(codec_options(sounds, tmp_path / "whole", **changes))
    torch.manual_seed(99)
    train_codec(codec_options(sounds, tmp_path / "split", steps=stop, **changes))

    train_codec(codec_options(sounds, tmp_path / "split", **changes))

    whole, split = logged(tmp_path / "whole"), logged(tmp_path / "split")
    planned = [line for line in split if "loss" in line or line["step"] in (0, 2, 4)]
    assert planned == whole
    states = [
        torch.load(tmp_path / name / "checkpoint-4" / "state.pt") for name in ("whole", "split")
    ]
    for name, value in states[0]["objective"].items():
        assert torch.equal(value, states[1]["objective"][name]), name


@pytest.mark.slow
def test_lines_after_the_checkpoint_are_dropped_on_resume(tiny_preset, sounds, tmp_path):
    train_codec(codec_options(sounds, tmp_path, steps=2))
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"step": 3, "loss": 1e9}) + '\n{"step": 4, "lo')

    train_codec(codec_options(sounds, tmp_path, steps=3))

    assert [line["step"] for line in logged(tmp_path)] == [1, 2, 3]
    assert logged(tmp_path)[-1]["loss"] < 1e9


@pytest.mark.slow
def test_the_time_limit_stops_a_run_with_a_checkpoint(tiny_preset, sounds, tmp_path):
    options = codec_options(sounds, tmp_path, steps=1000, max_minutes=1e-6)

    folder = train_codec(options)

    assert (tmp_path / "checkpoint-1").is_dir()
    assert XCodecModel.from_pretrained(folder).config.num_quantizers == 4


@pytest.mark.slow
def test_other_options_on_resume_are_refused(tiny_preset, sounds, tmp_path):
    options = codec_options(sounds, tmp_path, steps=1)
    train_codec(options)

    with pytest.raises(ValueError, match="other options .*batch_size was 2, now 3"):
        train_codec(dataclasses.replace(options, batch_size=3))


@pytest.mark.slow
@pytest.mark.parametrize("options_of", [codec_options, teacher_options])
def test_a_run_refuses_other_sounds_under_the_same_name(tiny_preset, sounds, tmp_path, options_of):
    data, out = shutil.copytree(sounds, tmp_path / "data"), tmp_path / "out"
    kind = CodecTrainer if options_of is codec_options else TeacherTrainer
    trainer = kind(options_of(data, out))
    trainer.run.save(1, trainer.state())
    recorded = read_yaml(out / "training.yaml")

    os.utime(data / "tone-1.wav", ns=(1, 1))

    with pytest.raises(ValueError, match="data_files was '.*', now '.*--allow-changed-options"):
        kind(options_of(data, out))
    with pytest.raises(ValueError, match="holds other files"):
        kind(options_of(data, tmp_path / "new", data_files=recorded["data_files"]))
    allowed = dataclasses.replace(options_of(data, out), allow_changed_options=True)
    assert kind(allowed).done == 1


def test_a_loss_that_is_not_finite_stops_the_run(tiny_preset, sounds, tmp_path):
    trainer = CodecTrainer(codec_options(sounds, tmp_path))

    with pytest.raises(ValueError, match="step 7: loss not finite; the last checkpoint is kept"):
        trainer.run.log(7, {"loss": float("nan"), "stft": 1.0})


@pytest.mark.slow
def test_a_full_disk_keeps_earlier_checkpoints(tiny_preset, sounds, tmp_path, monkeypatch):
    train_codec(codec_options(sounds, tmp_path, steps=1))

    def full(*arguments, **keywords):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space left on device"):
        train_codec(codec_options(sounds, tmp_path, steps=2))

    assert [path.name for path in tmp_path.glob("*checkpoint-*")] == ["checkpoint-1"]
    XCodecModel.from_pretrained(tmp_path / "codec")


def test_a_teacher_of_another_size_is_refused(tiny_preset, sounds, tmp_path):
    config = HubertConfig(**TINY_CODEC["semantic_model_config"] | {"hidden_size": 24})
    HubertModel(config).save_pretrained(tmp_path / "teacher")

    with pytest.raises(ValueError, match="hidden size 24 and 320 samples per frame, expected 12"):
        new_codec(codec_options(sounds, tmp_path, teacher=str(tmp_path / "teacher")))


def test_the_teacher_becomes_the_semantic_model(tiny_preset, sounds, tmp_path):
    teacher = HubertModel(HubertConfig(**TINY_CODEC["semantic_model_config"]))
    teacher.save_pretrained(tmp_path / "teacher")

    codec = new_codec(codec_options(sounds, tmp_path, teacher=str(tmp_path / "teacher")))

    for name, value in teacher.state_dict().items():
        assert torch.equal(codec.semantic_model.state_dict()[name], value), name


@pytest.mark.parametrize("schedule", ["exponential", "cosine"])
def test_the_learning_rate_rises_and_falls(schedule):
    options = CodecTrainingOptions(
        steps=100, warmup_steps=10, schedule=schedule, decay_rate=0.5, decay_steps=10
    )
    rates = [learning_rate(options, step) for step in range(100)]

    assert rates[:10] == sorted(rates[:10]) and rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[0] <= 2e-5 and max(rates) < 2e-4 and rates[-1] < 1e-6


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"batch_size": 0}, "batch_size is 0, expected more than 0; change --batch-size"),
        ({"schedule": "linear"}, "schedule is 'linear', expected exponential or cosine"),
        ({"max_minutes": -1.0}, "max_minutes is -1.0"),
        ({"codebook_counts": []}, "codebook_counts is .., expected counts of 1 or more"),
        ({"semantics": False, "teacher": "x"}, "a teacher is given without semantics"),
    ],
)
def test_wrong_options_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        CodecTrainingOptions(**changes)


def test_a_run_needs_data_and_a_folder(tiny_preset, tmp_path):
    with pytest.raises(ValueError, match="data is not given: set --data"):
        train_codec(codec_options("", tmp_path))


def test_flags_fill_the_options():
    flags = ["--data", "a", "--out", "b", "--no-semantics", "--codebook-counts", "1", "8"]

    (options,) = parse_options((CodecTrainingOptions,), flags)
    (teacher,) = parse_options((TeacherTrainingOptions,), ["--data", "a", "--num-clusters", "99"])

    assert not options.semantics and options.codebook_counts == [1, 8]
    assert teacher.num_clusters == 99


@pytest.mark.parametrize(
    "recipe, kind", [("codec-mini", CodecTrainingOptions), ("teacher-mini", TeacherTrainingOptions)]
)
def test_the_recipes_are_options_of_their_kind(recipe, kind):
    flags = ["--config", str(RECIPES / f"{recipe}.yaml"), "--data", "a", "--out", "b"]

    (options,) = parse_options((kind,), flags)

    assert options.preset == "mini" and options.steps < kind().steps


@pytest.mark.slow
def test_decoder_only_training_keeps_every_code(sounds, tiny_preset, tmp_path):
    first = train_codec(codec_options(sounds, tmp_path / "first"))
    second = train_codec(
        codec_options(sounds, tmp_path / "second", codec=str(first), decoder_only=True, seed=5)
    )

    before, after = XCodecModel.from_pretrained(first), XCodecModel.from_pretrained(second)
    waveform = 0.1 * noise(2, 1, 6400)
    codes = before.encode(waveform, return_dict=False)
    assert torch.equal(after.encode(waveform, return_dict=False), codes)
    changed = {
        name
        for name, weight in before.state_dict().items()
        if not torch.equal(weight, after.state_dict()[name])
    }
    assert changed and all(name.startswith(("acoustic_decoder.", "fc2.")) for name in changed)
    assert after.config.residual_rms == before.config.residual_rms
    assert codes_digest(after) == codes_digest(before)


def test_the_codes_digest_depends_on_the_weights_that_decide_the_codes():
    codec = XCodecModel(tiny_config())
    before = codes_digest(codec)

    with torch.no_grad():
        codec.acoustic_encoder.conv1.weight.mul_(1.01)

    assert codes_digest(codec) != before


@pytest.mark.parametrize("changes", [{}, {"codec": "a", "teacher": "b"}])
def test_decoder_only_training_needs_a_codec_and_no_teacher(changes):
    with pytest.raises(ValueError, match="decoder_only keeps the codes of a codec"):
        codec_options("data", "out", decoder_only=True, **changes)

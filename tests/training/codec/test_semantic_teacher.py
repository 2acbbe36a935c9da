"""Labels, masks and training of the semantic teacher with tiny networks."""

import math

import numpy as np
import pytest
import torch
from transformers import HubertConfig, HubertModel

from songgen_hf.modeling.modeling_xcodec import XCodecModel
from songgen_hf.training.codec.semantic_teacher import (
    MaskedPrediction,
    TeacherTrainer,
    network_of_preset,
    train_teacher,
)
from songgen_hf.training.codec.teacher_labels import FirstCodebook, LogMelClusters, span_mask
from songgen_hf.training.codec.waveform_crops import WaveformCrops

from ...tools.codec_cases import (
    TINY_CODEC,
    logged,
    noise,
    teacher_options,
    tiny_config,
)


def network(num_targets=5):
    torch.manual_seed(0)
    return MaskedPrediction(
        HubertModel(HubertConfig(**TINY_CODEC["semantic_model_config"])), num_targets
    )


def test_different_tones_share_no_cluster():
    time = torch.arange(6400) / 16000
    tones = torch.stack([torch.sin(2 * math.pi * pitch * time) for pitch in (200, 1000, 5000)])
    clusters = LogMelClusters(16000, 320, num_mels=20, num_clusters=9)

    clusters.fit(tones[:, None], seed=0)
    found = [set(row[4:-4].tolist()) for row in clusters(tones[:, None])]

    assert clusters(tones[:, None]).shape == (3, 20)
    assert not (found[0] & found[1] or found[0] & found[2] or found[1] & found[2])


def test_label_frames_are_centered_like_the_frames_of_the_network():
    clusters = LogMelClusters(16000, 320, num_mels=20, num_clusters=4)
    for frame in range(3, 17):
        click = torch.zeros(1, 1, 6400)
        click[..., frame * 320 + 160] = 1.0
        loudness = clusters.features(click)[0, :, :20].mean(dim=1)
        assert loudness.shape == (20,)
        assert loudness.argmax() == frame


def test_labels_of_a_codec_are_the_codes_of_its_first_codebook():
    codec = XCodecModel(tiny_config()).eval()
    waveforms = 0.1 * noise(2, 1, 3200)

    targets = FirstCodebook(codec)

    assert targets.num_clusters == 16
    assert torch.equal(targets(waveforms), codec.encode(waveforms, return_dict=False)[:, 0])
    assert not list(targets.parameters())


def test_masks_are_spans_that_depend_on_seed_step_and_place_alone():
    mask = span_mask(4, 60, chance=0.05, span=6, seed=1, step=2)

    again = span_mask(2, 60, chance=0.05, span=6, seed=1, step=2, first=2)

    assert torch.equal(mask[2:], again)
    assert not torch.equal(mask, span_mask(4, 60, chance=0.05, span=6, seed=1, step=3))
    for row in mask.numpy():
        edges = np.flatnonzero(np.diff(np.concatenate([[0], row, [0]])))
        lengths = edges[1::2] - edges[::2]
        assert all(length >= 6 for length in lengths[:-1])


def test_every_clip_has_a_masked_frame_even_without_chance():
    assert span_mask(8, 20, chance=0.0, span=3, seed=0, step=0).any(dim=1).all()


def test_the_loss_depends_on_the_labels_of_masked_frames_only():
    model = network().eval()
    waveforms, targets = 0.1 * noise(2, 1, 3200), torch.arange(20).view(2, 10) % 5
    mask = span_mask(2, 10, chance=0.2, span=2, seed=0, step=0)
    elsewhere = torch.where(mask, targets, (targets + 1) % 5)

    assert torch.equal(model(waveforms, targets, mask)[0], model(waveforms, elsewhere, mask)[0])


def test_visible_frames_count_with_their_weight():
    waveforms, targets = 0.1 * noise(2, 1, 3200), torch.arange(20).view(2, 10) % 5
    mask = span_mask(2, 10, chance=0.2, span=2, seed=0, step=0)
    model = network().eval()

    masked = model(waveforms, targets, mask)[0]
    model.visible_weight = 0.5
    both = model(waveforms, targets, mask)[0]

    padded = torch.nn.functional.pad(waveforms[:, 0], (160, 160))
    logits = model.head(model.model(padded, mask_time_indices=mask).last_hidden_state)
    visible = torch.nn.functional.cross_entropy(logits[~mask], targets[~mask])
    torch.testing.assert_close(both, masked + 0.5 * visible)


def test_the_output_does_not_depend_on_masked_frames():
    model = network().eval()
    targets, mask = torch.zeros(1, 10, dtype=torch.long), torch.ones(1, 10, dtype=torch.bool)

    losses = [model(0.1 * noise(1, 1, 3200, seed=seed), targets, mask)[0] for seed in (0, 1)]
    mask[:, :5] = False
    seen = [model(0.1 * noise(1, 1, 3200, seed=seed), targets, mask)[0] for seed in (0, 1)]

    assert torch.equal(*losses)
    assert not torch.equal(*seen)


@pytest.mark.slow
def test_training_lowers_the_loss_and_writes_a_network(tiny_preset, sounds, tmp_path):
    options = teacher_options(
        sounds,
        tmp_path,
        steps=80,
        learning_rate=5e-3,
        validation_data=str(sounds),
        evaluate_every=5,
        evaluation_crops=8,
    )

    folder = train_teacher(options)

    lines = logged(tmp_path)
    losses = [line["validation_loss"] for line in lines if "validation_loss" in line]
    assert len(losses) == 17 and min(losses[-3:]) < 0.9 * losses[0]
    assert lines[-1]["validation_accuracy"] > 1 / 8
    hidden = HubertModel.from_pretrained(folder)(0.1 * noise(1, 16000)).last_hidden_state
    assert hidden.shape == (1, 49, 12)


@pytest.mark.slow
def test_a_resumed_run_equals_one_never_stopped(tiny_preset, sounds, tmp_path):
    whole = teacher_options(sounds, tmp_path / "whole", schedule="exponential")
    train_teacher(whole)
    torch.manual_seed(99)
    train_teacher(teacher_options(sounds, tmp_path / "split", steps=2, schedule="exponential"))

    train_teacher(teacher_options(sounds, tmp_path / "split", schedule="exponential"))

    assert logged(tmp_path / "split") == logged(tmp_path / "whole")


@pytest.mark.slow
def test_a_baseline_codec_gives_the_labels(tiny_preset, sounds, tmp_path):
    XCodecModel(tiny_config()).save_pretrained(tmp_path / "baseline")
    options = teacher_options(
        sounds, tmp_path / "out", steps=1, baseline=str(tmp_path / "baseline")
    )

    trainer = TeacherTrainer(options)

    assert isinstance(trainer.clusters, FirstCodebook)
    assert trainer.train_step(0)["loss"] > 0


@pytest.mark.slow
def test_the_voice_network_is_trained_at_its_own_rate(tiny_preset, sounds, tmp_path):
    folder = train_teacher(teacher_options(sounds, tmp_path, steps=1, part="voice"))

    config, rate = network_of_preset("tiny", "voice")
    trained = HubertModel.from_pretrained(folder).config
    assert rate == 24000
    assert trained.hidden_size == config.hidden_size == 96
    assert trained.do_stable_layer_norm == config.do_stable_layer_norm


def test_an_unknown_part_is_refused():
    with pytest.raises(ValueError, match="part is 'lungs', expected semantic or voice"):
        network_of_preset("mini", "lungs")


@pytest.mark.slow
def test_a_baseline_at_another_rate_is_refused(tiny_preset, sounds, tmp_path):
    XCodecModel(tiny_config()).save_pretrained(tmp_path / "baseline")
    options = teacher_options(
        sounds, tmp_path / "out", baseline=str(tmp_path / "baseline"), sampling_rate=24000
    )

    with pytest.raises(ValueError, match="takes 16000 Hz and the teacher 24000 Hz"):
        TeacherTrainer(options)


def test_sounds_at_another_rate_are_resampled(sounds):
    at_16k, at_24k = (WaveformCrops(sounds, rate).read(0, rate // 2) for rate in (16000, 24000))

    assert len(at_24k) == 12000
    # The same half second: the same loudest frequency, in bins of 2 Hz.
    assert np.abs(np.fft.rfft(at_16k)).argmax() == np.abs(np.fft.rfft(at_24k)).argmax()


@pytest.mark.parametrize("part", ["semantic", "voice"])
def test_no_layer_is_left_out_at_random(part):
    # With all four layers of a mini teacher left out, the mean of its layers is undefined.
    config, _ = network_of_preset("mini", part)

    assert config.layerdrop == 0

"""Training of the judges: songs, augmentation, losses and runs."""

import json
import os
from dataclasses import replace

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch

from songgen_hf.data.listening.log_mels import log_mels
from songgen_hf.data.listening.phoneme_recognizer import PhonemeRecognizer
from songgen_hf.data.listening.phonemes import PHONEMES, row_phonemes
from songgen_hf.evaluation.judges import augmentation as mel_augmentation
from songgen_hf.evaluation.judges.augmentation import augmented, mix_power
from songgen_hf.evaluation.judges.dataset import (
    LineCrop,
    Sound,
    crop_lines,
    frame_classes,
    judge_song,
    read_judge_songs,
)
from songgen_hf.evaluation.judges.loading import Judges
from songgen_hf.evaluation.judges.losses import classifier_losses, recognizer_losses
from songgen_hf.evaluation.judges.options import JudgeTrainingOptions
from songgen_hf.evaluation.judges.song_classifier import SongClassifier
from songgen_hf.evaluation.judges.training import (
    train_classifier,
    train_judges,
    train_recognizer,
    train_second_recognizer,
)
from songgen_hf.evaluation.metrics.phoneme_error_rate import phoneme_error_rate
from songgen_hf.evaluation.protocol.judge_validation import validate_judges, voice_pairs
from songgen_hf.training import precision
from songgen_hf.training.seeding import seeded

from ...tools.judge_cases import TINY_CLASSIFIER, TINY_RECOGNIZER, TINY_SECOND, invented_row

OPTIONS = JudgeTrainingOptions(
    recognizer_steps=4,
    recognizer_batch=2,
    classifier_steps=4,
    classifier_batch=4,
    classifier_seconds=1.0,
    bf16=False,
    save_every=2,
)


@pytest.fixture(scope="module")
def songs():
    """Four invented songs."""
    return [judge_song(invented_row(index)) for index in range(4)]


def write_rows(path, count):
    """A parquet file of invented songs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [invented_row(index) for index in range(count)]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return str(path)


def same_weights(one, two):
    """Whether two networks are equal."""
    pairs = zip(one.state_dict().values(), two.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_a_song_has_its_stems_and_labels(songs):
    assert songs[1].gender == "female" and songs[1].lead_family == "piano"
    assert songs[0].vocal.shape == songs[0].accompaniment.shape == (80, 301)
    assert [PHONEMES[sound.phoneme] for sound in songs[0].sounds] == ["ə", "s", "ə", "s"]
    assert [sound.line for sound in songs[0].sounds] == [0, 0, 1, 1]


def test_a_merged_phoneme_is_divided_in_time():
    row = invented_row(0)
    row["phonemes"][0]["symbol"] = "ɑːɹ"

    first, second = judge_song(row).sounds[:2]

    assert (PHONEMES[first.phoneme], PHONEMES[second.phoneme]) == ("ɑ", "ɹ")
    assert first.start == 0.4 and first.end == second.start == pytest.approx(0.55)


def test_a_crop_has_complete_lines_and_no_other_phonemes(songs):
    rng = np.random.default_rng(0)
    for _ in range(50):
        crop = crop_lines(songs[0], rng)
        inside = [s for s in songs[0].sounds if crop.first <= 100 * s.start < crop.last]
        assert list(crop.sounds) == inside
        assert all(100 * s.end <= crop.last for s in inside)
        assert 0 <= crop.first < crop.last <= songs[0].num_frames


def test_frames_have_the_class_of_their_phoneme():
    crop = LineCrop(100, 200, (Sound(4, 1.2, 1.4, 0), Sound(7, 1.4, 1.6, 0)))

    classes = frame_classes(crop, 50, 2)

    assert classes.tolist() == [0] * 10 + [5] * 10 + [8] * 10 + [0] * 20


def test_augmentation_keeps_the_shape_and_is_drawn_from_the_generator(songs):
    power = songs[0].power("vocal", 0, 200)

    draws = [augmented(power, np.random.default_rng(seed)) for seed in (3, 3, 4)]

    assert all(draw.shape == power.shape and torch.isfinite(draw).all() for draw in draws)
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])


@pytest.mark.parametrize(
    "name", ["equalize", "add_noise", "smear", "blur", "roughen", "shift_bands"]
)
def test_no_augmentation_changes_its_argument_or_makes_power_negative(songs, name):
    power = songs[0].power("vocal", 0, 200)
    before = power.clone()

    for seed in range(8):
        changed = getattr(mel_augmentation, name)(power, np.random.default_rng(seed))
        assert changed.shape == power.shape and (changed >= 0).all()

    assert torch.equal(power, before)


def test_mixing_with_silence_changes_nothing(songs):
    power = songs[0].power("vocal", 0, 200)

    assert torch.equal(mix_power(power, torch.zeros_like(power), np.random.default_rng(0)), power)


def test_power_of_a_mixture_is_on_average_the_sum(songs):
    one, two = torch.full((80, 500), 2.0), torch.full((80, 500), 3.0)

    mixed = mix_power(one, two, np.random.default_rng(0))

    assert float(mixed.mean()) == pytest.approx(5.0, rel=0.02) and (mixed > 0).all()


def test_losses_depend_on_seed_and_step_alone(songs):
    with seeded(0):
        recognizer = PhonemeRecognizer(TINY_RECOGNIZER).eval()
        classifier = SongClassifier(TINY_CLASSIFIER).eval()

    for losses, network in ((recognizer_losses, recognizer), (classifier_losses, classifier)):
        drawn = [losses(network, songs, OPTIONS, step)["loss"] for step in (1, 1, 2)]
        values = [float(loss.detach()) for loss in drawn]
        assert values[0] == values[1] != values[2]
        assert np.isfinite(values).all()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("train", "config"),
    [
        (train_recognizer, TINY_RECOGNIZER),
        (train_second_recognizer, TINY_SECOND),
        (train_classifier, TINY_CLASSIFIER),
    ],
)
def test_a_stopped_judge_run_is_resumed(songs, tmp_path, monkeypatch, train, config):
    whole = train(songs, OPTIONS, tmp_path / "whole", config=config, progress=False)
    from songgen_hf.evaluation.judges import training as judge_training

    name = "classifier_losses" if train is train_classifier else "recognizer_losses"
    real = getattr(judge_training, name)

    def until_killed(network, songs, options, step):
        if step == 3:
            raise KeyboardInterrupt
        return real(network, songs, options, step)

    monkeypatch.setattr(judge_training, name, until_killed)
    with pytest.raises(KeyboardInterrupt):
        train(songs, OPTIONS, tmp_path / "parts", config=config, progress=False)
    monkeypatch.setattr(judge_training, name, real)
    resumed = train(songs, OPTIONS, tmp_path / "parts", config=config, progress=False)

    assert same_weights(whole, resumed)


def test_a_judge_run_is_not_resumed_with_other_options(songs, tmp_path):
    train_recognizer(songs, OPTIONS, tmp_path, config=TINY_RECOGNIZER, progress=False)
    other = JudgeTrainingOptions(**{**vars(OPTIONS), "seed": 5})

    with pytest.raises(ValueError, match="other options .seed was 0, now 5"):
        train_recognizer(songs, other, tmp_path, config=TINY_RECOGNIZER, progress=False)


def test_training_leaves_the_global_generator_alone(songs, tmp_path):
    before = torch.get_rng_state()

    train_recognizer(songs, OPTIONS, tmp_path, config=TINY_RECOGNIZER, progress=False)

    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("train", "config"),
    [(train_recognizer, TINY_RECOGNIZER), (train_second_recognizer, TINY_SECOND)],
)
def test_a_small_recognizer_learns_two_phonemes(songs, tmp_path, train, config):
    options = JudgeTrainingOptions(
        recognizer_steps=240, recognizer_batch=4, learning_rate=1e-2, bf16=False
    )

    network = train(songs, options, tmp_path, config=config, progress=False)

    rows = [invented_row(index) for index in range(4)]
    from songgen_hf.data.corpus.rows import read_sound

    found = [network.recognize(log_mels(read_sound(row, "vocal"))) for row in rows]
    assert phoneme_error_rate([row_phonemes(row) for row in rows], found) < 0.3


@pytest.mark.slow
def test_the_command_writes_judges_and_their_scores(tmp_path, monkeypatch):
    from songgen_hf.evaluation.judges import training as judge_training

    monkeypatch.setattr(judge_training, "PhonemeRecognizerConfig", lambda: TINY_RECOGNIZER)
    monkeypatch.setattr(judge_training, "SongClassifierConfig", lambda voices: TINY_CLASSIFIER)
    monkeypatch.setattr(judge_training, "SpectrogramRecognizerConfig", lambda: TINY_SECOND)
    data = write_rows(tmp_path / "songs" / "train-0.parquet", 4)

    scores = train_judges(
        data,
        tmp_path / "judges",
        OPTIONS,
        second_data=write_rows(tmp_path / "songs" / "second.parquet", 3),
        validation_data=data,
        validate=validate_judges,
        progress=False,
    )

    judges = Judges.load(tmp_path / "judges")
    assert judges.report["true_songs"] == scores and judges.report["training_songs"] == 4
    assert json.loads((tmp_path / "judges" / "judges.json").read_text())["options"]["seed"] == 0
    assert {
        "per",
        "per_second",
        "per_mixture",
        "gender",
        "instrument",
        "tempo",
        "key",
        "voice",
    } <= set(scores)
    assert 0 <= scores["voice_match"] <= 1
    assert sorted(path.name for path in (tmp_path / "judges").iterdir()) == [
        "judges.json", "phoneme_recognizer", "second_recognizer", "song_classifier",
    ]  # fmt: skip


def test_a_judge_run_is_not_resumed_with_other_songs(tmp_path, monkeypatch):
    from songgen_hf.evaluation.judges import training as judge_training

    monkeypatch.setattr(judge_training, "PhonemeRecognizerConfig", lambda: TINY_RECOGNIZER)
    monkeypatch.setattr(judge_training, "SongClassifierConfig", lambda voices: TINY_CLASSIFIER)
    data = write_rows(tmp_path / "songs" / "train-0.parquet", 2)
    pattern, options = str(tmp_path / "songs" / "train-*"), replace(OPTIONS, recognizer_steps=1)
    keywords = {"validation_data": data, "progress": False}

    with pytest.raises(ZeroDivisionError):  # after both networks, before their checkpoints go
        train_judges(pattern, tmp_path, options, validate=lambda *_, seed: 1 / 0, **keywords)
    os.utime(data, ns=(1, 1))

    with pytest.raises(ValueError, match="data_files was '.{16}', now '.{16}'.*another --out"):
        train_judges(pattern, tmp_path, options, **keywords)


def test_songs_are_read_from_all_files_of_a_pattern(tmp_path):
    for name, count in (("train-0", 2), ("train-1", 1), ("test-0", 1)):
        write_rows(tmp_path / f"{name}.parquet", count)

    assert len(read_judge_songs(tmp_path / "train-*.parquet", progress=False)) == 3


@pytest.mark.slow
def test_some_songs_are_also_used_after_a_codec(tmp_path, tiny_model):
    data = write_rows(tmp_path / "train-0.parquet", 5)
    codec = tiny_model("mixed").audio_encoder

    songs = read_judge_songs(data, codec=codec, coded_songs=2, progress=False)

    assert [bool(song.coded) for song in songs] == [False, False, True, False, True]
    for name, mels in songs[2].coded.items():
        assert mels.shape == songs[2].vocal.shape
        assert name == "mixture" or not np.array_equal(mels, getattr(songs[2], name))
    for losses, network in (
        (recognizer_losses, PhonemeRecognizer(TINY_RECOGNIZER)),
        (classifier_losses, SongClassifier(TINY_CLASSIFIER)),
    ):
        with_codec, without = (
            [losses(network, group, OPTIONS, step)["loss"].item() for step in range(3)]
            for group in (songs, [replace(song, coded={}) for song in songs])
        )
        assert np.isfinite(with_codec).all() and with_codec != without


def test_a_judge_run_is_not_resumed_with_another_codec(tmp_path, songs):
    train_recognizer(songs, OPTIONS, tmp_path, config=TINY_RECOGNIZER, progress=False)
    with pytest.raises(ValueError, match="codec was '', now 'other'"):
        other = replace(OPTIONS, codec="other")
        train_recognizer(songs, other, tmp_path, config=TINY_RECOGNIZER, progress=False)


def test_missing_songs_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="songgen-hf corpus songs"):
        read_judge_songs(tmp_path / "*.parquet", progress=False)
    with pytest.raises(FileNotFoundError, match="no file matches"):
        train_judges("none", tmp_path, OPTIONS, validation_data=tmp_path / "no-*.parquet")


def test_songs_with_another_sampling_rate_are_refused():
    with pytest.raises(ValueError, match="got a song of 24000 Hz"):
        judge_song({**invented_row(0), "sampling_rate": 24000})


def test_options_of_judge_training_must_be_positive():
    with pytest.raises(ValueError, match="got recognizer_steps 0"):
        JudgeTrainingOptions(recognizer_steps=0)


def test_voice_pairs_are_of_the_same_and_of_another_voice():
    voices = ["a", "b", "a", "c", "b", "a"]

    same, other = voice_pairs(voices, seed=0)

    assert [voices[index] for index in same] == voices
    assert all(voices[index] != voice for index, voice in zip(other, voices, strict=True))
    assert all(i != j for i, j in enumerate(same) if voices.count(voices[i]) > 1)
    assert voice_pairs(voices, seed=0) == (same, other)
    with pytest.raises(ValueError, match="got 1 voices"):
        voice_pairs(["a", "a"], seed=0)


def test_bfloat16_without_its_instructions_gives_a_warning(monkeypatch, caplog, tmp_path):
    monkeypatch.setattr(precision, "fast_bfloat16", lambda: False)
    for bf16 in (False, True):
        with pytest.raises(FileNotFoundError):
            train_judges(tmp_path / "nowhere-*.parquet", tmp_path, replace(OPTIONS, bf16=bf16))

    assert [text for text in caplog.messages if "bfloat16" in text] == [
        "this CPU has no instructions for bfloat16, in which a step takes several times as long as "
        "in float32 then: say --fp32"
    ]

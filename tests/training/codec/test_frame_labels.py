"""Labels of frames in the training of teacher and codec: crops of songs, heads and losses."""

import io

import datasets
import numpy as np
import pytest
import soundfile
import torch
from transformers import HubertModel

from songgen_hf.modeling.modeling_xcodec import XCodecModel
from songgen_hf.training.auxiliary.frame_labels import SILENCE
from songgen_hf.training.codec.objective import CodecObjective, balance_initial_weights
from songgen_hf.training.codec.semantic_teacher import train_teacher
from songgen_hf.training.codec.trainer import train_codec
from songgen_hf.training.codec.waveform_crops import WaveformCrops

from ...tools.codec_cases import (
    codec_options,
    logged,
    noise,
    teacher_options,
    tiny_config,
)

RATE, HOP = 16000, 320
PITCHES = {"a": 300.0, "b": 2000.0}


def sound(pitch_of_second):
    """A FLAC file with one tone in each second; 0 is silence."""
    time = np.arange(RATE) / RATE
    wave = np.concatenate([0.3 * np.sin(2 * np.pi * pitch * time) for pitch in pitch_of_second])
    buffer = io.BytesIO()
    soundfile.write(buffer, wave, RATE, format="FLAC")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    """A parquet file of songs in which every phoneme is a tone of its own."""
    spans = [
        [{"symbol": "a", "start": 0.0, "end": 1.0}, {"symbol": "b", "start": 1.0, "end": 2.0}],
        [{"symbol": "b", "start": 0.0, "end": 1.0}, {"symbol": "a", "start": 1.0, "end": 2.0}],
    ]
    vocals = [sound([PITCHES[span["symbol"]] for span in song]) for song in spans]
    rows = datasets.Dataset.from_dict(
        {
            "vocal": vocals,
            "accompaniment": [sound([900.0, 900.0])] * 2,
            "phonemes": spans,
            "voice_id": ["female_1", "male_1"],
            "tempo": [120, 60],
        }
    )
    path = tmp_path_factory.mktemp("songs") / "train.parquet"
    rows.to_parquet(path)
    return path


def test_labels_belong_to_the_frames_of_their_crop(songs):
    crops = WaveformCrops(songs, RATE, columns=["vocal"], labels=["phoneme"])
    batch, labels = crops.labeled_batch(16, 40 * HOP, hop_length=HOP, seed=0, step=3)

    assert torch.equal(batch, crops.batch(16, 40 * HOP, seed=0, step=3))
    assert labels["phoneme"].shape == (16, 40)
    # The low tone crosses zero 12 times in a frame, the high one 80 times.
    frames = batch.view(16, 40, HOP)
    crossings = (frames[..., 1:].sign() != frames[..., :-1].sign()).sum(dim=-1)
    heard = torch.where(crossings > 40, 2, 1)
    assert crops.labels.classes["phoneme"] == ["a", "b"]
    assert (heard != labels["phoneme"]).sum() <= 16  # at most the frame of the change in each
    assert {1, 2} <= set(labels["phoneme"].flatten().tolist())


def test_what_a_stem_does_not_contain_is_unknown(songs):
    kinds = ["phoneme", "voice_id", "tempo"]
    found = {}
    for column in ("vocal", "accompaniment"):
        crops = WaveformCrops(songs, RATE, columns=[column], labels=kinds)
        found[column] = crops.labeled_batch(8, 20 * HOP, hop_length=HOP, seed=0, step=0)[1]

    assert (found["accompaniment"]["phoneme"] == SILENCE).all()
    assert (found["accompaniment"]["voice_id"] == -100).all()
    assert (found["accompaniment"]["tempo"] >= 0).all()
    assert (found["vocal"]["tempo"] == -100).all()
    assert set(found["vocal"]["voice_id"].unique().tolist()) == {0, 1}


def test_missing_labels_are_named(songs, tmp_path):
    with pytest.raises(ValueError, match="no labels genre.*--label-weight 0"):
        WaveformCrops(songs, RATE, labels=["phoneme", "genre"])
    soundfile.write(tmp_path / "one.wav", np.zeros(RATE), RATE)
    with pytest.raises(ValueError, match="no labels phoneme"):
        WaveformCrops(tmp_path, RATE, labels=["phoneme"])
    with pytest.raises(ValueError, match="opened without labels"):
        WaveformCrops(songs, RATE).labeled_batch(1, HOP, hop_length=HOP, seed=0, step=0)


@pytest.mark.slow
def test_a_teacher_learns_the_labels_and_is_published_without_their_heads(
    tiny_preset,
    songs,
    tmp_path,
):
    options = teacher_options(
        songs, tmp_path, steps=40, batch_size=4, learning_rate=5e-3, columns=["vocal"],
        labels=["phoneme"], label_weight=1.0,
    )  # fmt: skip

    folder = train_teacher(options)

    told = [line["sound_accuracy/phoneme"] for line in logged(tmp_path)]
    assert np.mean(told[-5:]) > 0.9 > np.mean(told[:2])
    _, report = HubertModel.from_pretrained(folder, output_loading_info=True)
    assert not report["unexpected_keys"] and not report["missing_keys"]


def objective(**changes):
    codec = XCodecModel(tiny_config())
    balance_initial_weights(codec, seed=0)
    made = CodecObjective(
        codec, codec_options("data", "out", **changes), label_sizes={"phoneme": 3}
    )
    made.start_codebooks(0.1 * noise(4, 1, 6400, seed=8), seed=0)
    return made.train()


@pytest.mark.slow
def test_the_first_code_alone_is_trained_to_say_the_labels():
    made = objective(label_weight=1.0, first_semantic_weight=1.0)
    waveform = 0.1 * noise(2, 1, 6400)
    labels = {"phoneme": torch.zeros(2, 20, dtype=torch.long)}
    table = made.codec.quantizer.quantizers[0].codebook.embed.clone()

    latent = made.codec.extract_features(waveform).embeddings
    result = made.quantizer(latent)
    passed = made(waveform, frame_labels=labels)

    torch.testing.assert_close(result.first.transpose(1, 2), table[result.codes[:, 0]])
    assert passed.losses["label"] > 0 and "sound_accuracy/phoneme" in passed.metrics
    # With one codebook both semantic losses see the same vector.
    alone = made(waveform, num_codebooks=1).losses
    torch.testing.assert_close(alone["first_semantic"], alone["semantic"])
    made.zero_grad()
    (passed.losses["label"] + passed.losses["first_semantic"]).backward()
    assert made.codec.fc.weight.grad.abs().sum() > 0
    assert all(weight.grad is None for weight in made.codec.acoustic_decoder.parameters())


@pytest.mark.slow
def test_a_codec_run_with_labels_resumes(tiny_preset, songs, tmp_path):
    values = {"label_weight": 1.0, "first_semantic_weight": 1.0, "discriminator_start": 99}
    train_codec(codec_options(songs, tmp_path / "whole", **values, schedule="exponential"))
    train_codec(codec_options(songs, tmp_path / "split", **values, steps=2, schedule="exponential"))

    train_codec(codec_options(songs, tmp_path / "split", **values, schedule="exponential"))

    assert logged(tmp_path / "split") == logged(tmp_path / "whole")
    assert "label" in logged(tmp_path / "whole")[-1]


def test_labels_are_refused_where_the_codes_stay():
    with pytest.raises(ValueError, match="decoder_only keeps the codes.*label_weight"):
        codec_options("data", "out", decoder_only=True, codec="codec", label_weight=1.0)

import json

import datasets
import pytest
import torch
from transformers import AutoModel

from songgen_hf.training.auxiliary.frame_labels import (
    BEAT_PHASES,
    HEADS_FILE,
    FrameLabelHeads,
    FrameLabels,
    frame_label_layer,
    recorded_output,
    tempo_class,
    tempo_of_class,
)
from songgen_hf.training.language_model.collator import SongCollator
from songgen_hf.training.language_model.options import LANGUAGE_MODEL_OPTIONS
from songgen_hf.training.language_model.run import train_language_model
from songgen_hf.training.option_parsing import make_options

from ..conftest import (
    FRAME_RATE,
    TINY_CODEBOOKS,
    build_tiny,
    interrupted_after,
    song_row,
    write_table,
)

SONG = {
    "tempo": 120,
    "lead_instrument": "oboe",
    "gender": "female",
    "genre": None,
    "phonemes": [
        {"symbol": "m", "start": 0.04, "end": 0.1, "word": 0},
        {"symbol": "aɪ", "start": 0.1, "end": 0.2, "word": 0},
    ],
}


def labeled_rows(number: int = 6) -> list[dict]:
    """Rows of codes parquet with labels."""
    rows = []
    for index in range(number):
        labels = {
            **SONG,
            "tempo": 80 + 20 * (index % 3),
            "lead_instrument": ["oboe", "banjo"][index % 2],
            "genre": "waltz",
            "words": [{"word": "line", "start": 0.04, "end": 0.2, "line": 0}],
        }
        rows.append(song_row(index, 12) | labels)
    return rows


@pytest.fixture(scope="module")
def labeled_songs(tmp_path_factory) -> str:
    """A folder of songs with labels."""
    folder = tmp_path_factory.mktemp("known")
    write_table(folder / "train-00000-of-00001.parquet", labeled_rows())
    return str(folder)


def test_frame_label_classes_are_those_of_the_dataset():
    classes = FrameLabels.from_rows(datasets.Dataset.from_list(labeled_rows()))

    assert classes.classes["lead_instrument"] == ["banjo", "oboe"]
    assert classes.classes["phoneme"] == ["aɪ", "m"]
    assert classes.sizes()["phoneme"] == 3 and classes.sizes()["beat"] == BEAT_PHASES
    with pytest.raises(ValueError, match="needs songs with labels: .*--frame-label-weight 0"):
        FrameLabels.from_rows(datasets.Dataset.from_dict({"codes": [1]}))


def test_a_frame_has_the_labels_of_its_middle():
    classes = FrameLabels(
        {"phoneme": ["aɪ", "m"], "lead_instrument": ["oboe"], "genre": [], "beat": [], "tempo": []}
    )

    targets = classes.of_song(SONG, 30, FRAME_RATE)

    assert targets["phoneme"].tolist() == [0] * 2 + [2] * 3 + [1] * 5 + [0] * 20
    assert (targets["lead_instrument"] == 0).all() and (targets["genre"] == -100).all()
    beat = targets["beat"]  # 25 frames at 120 beats a minute
    assert beat[0] == 0 and beat[24] == BEAT_PHASES - 1 and beat[25] == 0
    assert (beat[:25].diff() >= 0).all()
    assert (targets["tempo"] == tempo_class(120)).all()
    nothing = classes.of_song({}, 4, FRAME_RATE)
    assert all((values == -100).all() for values in nothing.values())
    unknown = classes.of_song({"phonemes": [{"symbol": "x", "start": 0, "end": 1}]}, 2, FRAME_RATE)
    assert unknown["phoneme"].tolist() == [-100, -100]


def test_tempo_classes_join_two_percent_and_separate_ten_percent():
    for tempo in range(60, 181):
        assert abs(tempo_class(tempo) - tempo_class(1.02 * tempo)) <= 1
        assert tempo_class(1.1 * tempo) - tempo_class(tempo) >= 2
    classes = torch.tensor([tempo_class(tempo) for tempo in range(60, 181)])
    assert ((tempo_of_class(classes) / torch.arange(60, 181) - 1).abs() < 0.021).all()
    assert tempo_class(1) == 0 < tempo_class(1e6) < FrameLabels({"tempo": []}).sizes()["tempo"]


def test_unknown_labels_do_not_count_in_the_loss():
    heads = FrameLabelHeads({"beat": 4, "genre": 2}, 8)
    states = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))
    targets = {"beat": torch.arange(5).expand(2, 5) % 4, "genre": torch.full((2, 5), -100)}

    loss, metrics = heads(states.requires_grad_(), targets)

    expected = torch.nn.functional.cross_entropy(
        heads.heads["beat"](heads.norm(states)).flatten(0, 1), targets["beat"].flatten()
    )
    torch.testing.assert_close(loss, expected)
    assert metrics["sound_loss/genre"] == 0 and metrics["sound_accuracy/genre"] == 0
    loss.backward()
    assert states.grad.abs().sum() > 0


@pytest.mark.slow
def test_interleaved_steps_of_a_frame_have_the_same_labels():
    model, processor = build_tiny("interleaving_A_V")
    rows = labeled_rows(2)
    classes = FrameLabels.from_rows(datasets.Dataset.from_list(rows))
    songs = [
        {name: value for name, value in row.items() if name != "vocal_codes"}
        | {
            "codes": torch.zeros(2, TINY_CODEBOOKS, 12).long(),
            "text": "a song",
            "voice": None,
            "voice_start": 0.0,
        }
        for row in rows
    ]

    batch = SongCollator(model.config, processor, frame_labels=classes)(songs)

    phonemes = batch["frame_labels"]["phoneme"]
    assert phonemes.shape == batch["labels"].shape[:2]
    assert torch.equal(phonemes[:, 0:24:2], phonemes[:, 1:24:2])
    assert phonemes[0, 0:24:2].tolist() == [0, 0, 2, 2, 2, 1, 1, 1, 1, 1, 0, 0]
    assert (phonemes[:, 24:] == -100).all()
    assert frame_label_layer(6) == 3 and frame_label_layer(1) == 0


def test_recording_a_layer_removes_its_hook():
    model, _ = build_tiny("mixed")
    inputs = {
        "input_ids": torch.ones(1, 1).long(),
        "decoder_input_ids": torch.zeros(1, TINY_CODEBOOKS, 2).long(),
    }
    with recorded_output(model.decoder.model.layers[1]) as seen:
        model(**inputs)
    model(**inputs)

    assert len(seen) == 1 and seen[0].shape == (1, 2, 32)


@pytest.mark.slow
def test_frame_labels_are_learned_and_the_model_is_saved_without_the_heads(
    tiny_checkpoint, labeled_songs, tmp_path
):
    def run(out, **changes):
        values = {
            "model": tiny_checkpoint("mixed", dropout=0.0),
            "dataset": labeled_songs,
            "output_dir": str(tmp_path / out),
            "max_steps": 14,
            "learning_rate": 1e-2,
            "logging_steps": 1,
            "save_steps": 8,
            "per_device_train_batch_size": 6,
            "disable_tqdm": True,
            "frame_label_weight": 1.0,
            "foreign_history": 0.5,
            **changes,
        }
        return train_language_model(*make_options(LANGUAGE_MODEL_OPTIONS, values))

    trainer = run("whole")
    log = [entry for entry in trainer.state.log_history if "objective" in entry]
    assert log[-1]["sound_loss/tempo"] < 0.6 * log[0]["sound_loss/tempo"]
    assert log[-1]["sound_accuracy/phoneme"] > 0.6
    assert (tmp_path / "whole" / "checkpoint-8" / HEADS_FILE).is_file()
    assert not (tmp_path / "whole" / HEADS_FILE).is_file()
    index = (tmp_path / "whole" / "config.json").read_text()
    assert "sound" not in json.loads(index)
    model, info = AutoModel.from_pretrained(tmp_path / "whole", output_loading_info=True)
    assert not info["unexpected_keys"] and not info["missing_keys"]

    with interrupted_after(10):
        run("killed")
    resumed = run("killed", resume_from_checkpoint="auto")
    again = [entry for entry in resumed.state.log_history if "objective" in entry]
    assert again[-1]["objective"] == pytest.approx(log[-1]["objective"], abs=1e-5)

"""Training of the conditioner on labels of captions and lyrics, with tiny models."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from songgen_hf.data.tables import source_digest
from songgen_hf.training.conditioner.labels import (
    CaptionWriter,
    Vocabulary,
    read_captions,
    read_columns,
)
from songgen_hf.training.conditioner.options import ConditionerOptions
from songgen_hf.training.conditioner.phoneme_labels import read_lyrics
from songgen_hf.training.conditioner.run import (
    TRAINED_PARTS,
    ConditionerTrainer,
    padded_ids,
    read_spoken_words,
    train_conditioner,
)
from songgen_hf.training.language_model.dataset import read_songs
from songgen_hf.training.option_parsing import read_yaml
from songgen_hf.training.options import ModelOptions

from ..conftest import build_tiny
from .conftest import SPELLED


def run(model: str, dataset: str, out: Path, **changes):
    options = {"max_steps": 3, "batch_size": 4, "lyrics_batch_size": 2, "warmup_steps": 0}
    options |= {"dataset": dataset, "output_dir": str(out), "eval_split": "validation"}
    return train_conditioner(ModelOptions(model=model), ConditionerOptions(**options | changes))


def weights(folder: Path | str) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(Path(folder) / "model.safetensors")


@pytest.mark.slow
def test_a_seed_gives_the_same_model_and_another_seed_another(
    labeled_songs, tiny_checkpoint, tmp_path
):
    model = tiny_checkpoint("mixed")
    runs = {name: tmp_path / name for name in ("first", "again", "other")}

    metrics = run(model, labeled_songs, runs["first"], seed=1)
    torch.rand(3)  # other random numbers have no influence
    again = run(model, labeled_songs, runs["again"], seed=1)
    run(model, labeled_songs, runs["other"], seed=2)

    assert metrics == again
    first, repeated, other = (weights(folder) for folder in runs.values())
    assert all(torch.equal(first[name], repeated[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@pytest.mark.slow
def test_only_text_and_lyrics_parts_are_trained(labeled_songs, tiny_checkpoint, tmp_path):
    model = tiny_checkpoint("mixed")

    run(model, labeled_songs, tmp_path / "out", learning_rate=1e-2)

    before, after = weights(model), weights(tmp_path / "out")
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    parts = {name.split(".")[1] for name in changed}
    assert all(name.startswith("conditioner.") for name in changed)
    assert parts == set(TRAINED_PARTS)


@pytest.mark.slow
def test_the_digest_of_the_songs_is_recorded_and_checked(labeled_songs, tiny_checkpoint, tmp_path):
    data = Path(shutil.copytree(labeled_songs, tmp_path / "songs"))
    run(tiny_checkpoint("mixed"), str(data), tmp_path / "out", max_steps=1)
    recorded = read_yaml(tmp_path / "out" / "training.yaml")["dataset_files"]
    assert recorded == source_digest(data)

    os.utime(next(data.glob("train-*")), ns=(1, 1))

    with pytest.raises(ValueError, match=f"other files .digest .* written for .{recorded}"):
        run("no model", str(data), tmp_path / "new", dataset_files=recorded)


@pytest.mark.slow
def test_the_written_model_can_be_trained_further(labeled_songs, tiny_checkpoint, tmp_path):
    from songgen_hf.training.language_model.initialization import load_model

    run(tiny_checkpoint("mixed"), labeled_songs, tmp_path / "out")

    model, processor = load_model(ModelOptions(model=str(tmp_path / "out")))
    given = processor(text="a calm song", lyrics="blue")
    assert torch.isfinite(model.conditioner(**given).last_hidden_state).all()
    before = json.loads((Path(tiny_checkpoint("mixed")) / "config.json").read_text())
    after = json.loads((tmp_path / "out" / "config.json").read_text())
    assert before.get("trained") == after.get("trained")
    log = (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in log]
    assert entries[0]["step"] == 0 and "accuracy_tempo" in entries[0]
    assert entries[-1]["step"] == 3 and "accuracy_phoneme" in entries[-1]


@pytest.mark.slow
def test_attributes_and_phonemes_are_learned(labeled_songs):
    from songgen_hf.training.language_model.dataset import read_songs

    model, processor = build_tiny("mixed")
    columns = read_columns(read_songs(labeled_songs, "train"))
    vocabulary = Vocabulary.of(columns)
    captions = read_captions(columns, vocabulary, processor)
    lyrics = read_lyrics(columns, vocabulary, processor)
    options = ConditionerOptions(
        max_steps=120, batch_size=16, lyrics_batch_size=8, learning_rate=1e-2, warmup_steps=5
    )
    writer = CaptionWriter(vocabulary, columns["tempo"], processor)
    trainer = ConditionerTrainer(model.conditioner, captions, lyrics, vocabulary, options, writer)

    scales = trainer.output_scales()
    before = trainer.evaluate(captions, lyrics)
    losses = [trainer.train_step(step)["loss"] for step in range(options.max_steps)]
    after = trainer.evaluate(captions, lyrics)

    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:10])
    for name in ("genre", "mood", "lead_instrument", "phoneme"):
        assert after[f"accuracy_{name}"] > max(0.9, before[f"accuracy_{name}"]), (name, after)

    # Larger lyrics states would outweigh their positions, which are added at a fixed scale.
    assert trainer.output_scales()["lyrics_projection"] > 1.2 * scales["lyrics_projection"]
    trainer.restore_scales(scales)
    assert trainer.output_scales() == pytest.approx(scales, rel=1e-4)
    assert scales.keys() == {"text_projection", "lyrics_projection"}


def relative_change(before, after, mask):
    """The mean square of the change of states, relative to their own."""
    return ((after - before)[mask > 0].square().mean() / before[mask > 0].square().mean()).item()


@pytest.mark.slow
def test_the_order_of_digits_is_learned():
    model, processor = build_tiny("mixed")
    tempi = [102, 120, 103, 130, 104, 140, 105, 150, 106, 160, 108, 180]
    columns = {"captions": [[f"at {tempo} bpm"] for tempo in tempi], "tempo": tempi}
    vocabulary = Vocabulary.of(columns)
    captions = read_captions(columns, vocabulary, processor)
    options = ConditionerOptions(max_steps=300, batch_size=24, learning_rate=3e-3, warmup_steps=5)
    trainer = ConditionerTrainer(model.conditioner, captions, [], vocabulary, options)

    losses = [trainer.train_step(step)["loss_tempo"] for step in range(options.max_steps)]

    assert np.mean(losses[-20:]) < 0.1  # 0.25 with position biases at the rate of the matrices
    assert trainer.evaluate(captions, [])["accuracy_tempo"] == 1


@pytest.mark.slow
def test_states_of_songs_can_be_held_while_other_lines_are_learned(labeled_songs):
    columns = read_columns(read_songs(labeled_songs, "train"))
    vocabulary = Vocabulary.of(columns)
    changes = {}
    for weight in (0.0, 10.0):
        model, processor = build_tiny("mixed")
        lyrics = read_lyrics(columns, vocabulary, processor)
        sung, spoken = lyrics[:12], [replace(line, is_sung=False) for line in lyrics[12:]]
        options = ConditionerOptions(
            max_steps=80,
            lyrics_batch_size=8,
            learning_rate=1e-2,
            warmup_steps=5,
            anchor_weight=weight,
        )
        trainer = ConditionerTrainer(model.conditioner, [], sung + spoken, vocabulary, options)
        ids, mask = padded_ids([line.ids for line in sung])
        before = model.conditioner.encode_lyrics(ids, mask).detach()
        losses = [trainer.train_step(step) for step in range(options.max_steps)]
        after = model.conditioner.encode_lyrics(ids, mask).detach()
        changes[weight] = relative_change(before, after, mask)
        assert losses[-1]["loss_phoneme"] < 0.7 * losses[0]["loss_phoneme"]
        assert ("loss_lyrics_change" in losses[-1]) == (weight > 0)
        assert "lyrics_change" not in trainer.lyrics_losses(spoken)

    assert changes[10.0] < 0.1 * changes[0.0]


@pytest.mark.slow
def test_states_of_captions_can_be_held_while_tempi_are_learned(labeled_songs):
    columns = read_columns(read_songs(labeled_songs, "train"))
    vocabulary = Vocabulary.of(columns)
    changes = {}
    for weight in (0.0, 10.0):
        model, processor = build_tiny("mixed")
        captions = read_captions(columns, vocabulary, processor)
        options = ConditionerOptions(
            max_steps=80, batch_size=16, learning_rate=1e-2, warmup_steps=5, anchor_weight=weight
        )
        writer = CaptionWriter(vocabulary, columns["tempo"], processor)
        trainer = ConditionerTrainer(model.conditioner, captions, [], vocabulary, options, writer)
        ids, mask = padded_ids([song[0].ids for song in captions])
        before = model.conditioner.encode_text(ids, mask).detach()
        losses = [trainer.train_step(step) for step in range(options.max_steps)]
        after = model.conditioner.encode_text(ids, mask).detach()
        changes[weight] = relative_change(before, after, mask)
        assert np.mean([one["loss_genre"] for one in losses[-9:]]) < losses[0]["loss_genre"]
        assert ("loss_text_change" in losses[-1]) == (weight > 0)

    assert changes[10.0] < 0.1 * changes[0.0]


@pytest.mark.slow
@pytest.mark.debian
def test_words_of_text_alone_are_learned_from_too(labeled_songs):
    processor = build_tiny("mixed")[1]
    columns = read_columns(read_songs(labeled_songs, "train"))
    vocabulary = Vocabulary.of(columns)
    options = ConditionerOptions(spoken_words=40)

    lines = read_spoken_words(options, vocabulary, processor)

    assert 5 < len(lines) < 15 and not any(line.is_sung for line in lines)
    labels = torch.cat([line.labels["phoneme"] for line in lines])
    known = {symbol for word in SPELLED.values() for symbol in word}
    assert set(labels.unique().tolist()) <= {-100, *range(1, len(known) + 1)}
    assert (labels > 0).any()
    with pytest.raises(ValueError, match="spoken_words needs songs with phonemes"):
        read_spoken_words(options, Vocabulary({"gender": ["male"]}), processor)


@pytest.mark.slow
def test_a_frozen_part_stays(labeled_songs, tiny_checkpoint, tmp_path):
    model = tiny_checkpoint("mixed")
    options = ConditionerOptions(
        dataset=labeled_songs, output_dir=str(tmp_path / "out"), max_steps=2, batch_size=2
    )

    train_conditioner(ModelOptions(model=model, freeze=["text_encoder"]), options)

    before, after = weights(model), weights(tmp_path / "out")
    for name in before:
        if name.startswith("conditioner.text_encoder."):
            assert torch.equal(before[name], after[name])
    projection = "conditioner.text_projection.weight"
    assert not torch.equal(before[projection], after[projection])


@pytest.mark.slow
@pytest.mark.parametrize("part, other", [("text", "lyrics"), ("lyrics", "text")])
def test_labels_of_a_frozen_part_are_left_out(
    part, other, labeled_songs, tiny_checkpoint, tmp_path
):
    options = ConditionerOptions(
        dataset=labeled_songs,
        eval_split="train",
        output_dir=str(tmp_path / "out"),
        max_steps=2,
        batch_size=2,
    )
    label = {"text": "tempo", "lyrics": "phoneme"}

    metrics = train_conditioner(
        ModelOptions(model=tiny_checkpoint("mixed"), freeze=[part]), options
    )

    assert f"loss_{label[other]}" in metrics and f"accuracy_{label[other]}" in metrics
    assert f"loss_{label[part]}" not in metrics and f"accuracy_{label[part]}" not in metrics


def test_a_conditioner_of_frozen_parts_only_is_refused(labeled_songs, tiny_checkpoint, tmp_path):
    options = ConditionerOptions(dataset=labeled_songs, output_dir=str(tmp_path / "out"))
    model = ModelOptions(model=tiny_checkpoint("mixed"), freeze=["text", "lyrics"])

    with pytest.raises(ValueError, match="every part of the conditioner is frozen"):
        train_conditioner(model, options)


def test_words_for_frozen_lyrics_are_refused(labeled_songs, tiny_checkpoint, tmp_path):
    options = ConditionerOptions(
        dataset=labeled_songs, output_dir=str(tmp_path / "out"), spoken_words=40
    )
    model = ModelOptions(model=tiny_checkpoint("mixed"), freeze=["lyrics"])

    with pytest.raises(ValueError, match="spoken_words are lyrics, which are frozen"):
        train_conditioner(model, options)


@pytest.mark.slow
@pytest.mark.parametrize("left_out", [("words",), ("captions",)])
def test_captions_alone_and_lyrics_alone_are_enough(
    left_out, labeled_songs, tiny_checkpoint, tmp_path
):
    from songgen_hf.training.language_model.dataset import read_songs

    rows = read_songs(labeled_songs, "train").remove_columns(list(left_out))
    folder = tmp_path / "songs"
    folder.mkdir()
    rows.to_parquet(folder / "train.parquet")

    metrics = run(tiny_checkpoint("mixed"), str(folder), tmp_path / "out", eval_split=None)

    assert ("loss_phoneme" in metrics) == (left_out == ("captions",))
    assert ("loss_tempo" in metrics) == (left_out == ("words",))


@pytest.mark.slow
def test_songs_without_labels_are_refused(songs_folder, tiny_checkpoint, tmp_path):
    with pytest.raises(ValueError, match="no labels for captions or lyrics: got .*codes"):
        run(tiny_checkpoint("mixed"), songs_folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_captions_are_not_written_without_all_attributes(labeled_songs, tiny_checkpoint, tmp_path):
    from songgen_hf.training.language_model.dataset import read_songs

    folder = tmp_path / "songs"
    folder.mkdir()
    read_songs(labeled_songs, "train").remove_columns("key").to_parquet(folder / "train.parquet")
    model = tiny_checkpoint("mixed")

    with pytest.raises(ValueError, match="has no key; train with --written-captions 0"):
        run(model, str(folder), tmp_path / "out", eval_split=None)
    run(model, str(folder), tmp_path / "out", eval_split=None, written_captions=0)


@pytest.mark.slow
def test_an_output_folder_with_files_is_refused_and_kept(labeled_songs, tiny_checkpoint, tmp_path):
    (tmp_path / "note").write_text("mine")

    with pytest.raises(FileExistsError, match="is not empty"):
        run(tiny_checkpoint("mixed"), labeled_songs, tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["note"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_steps": 0}, "max_steps is 0, expected more than 0"),
        ({"unsaid_weight": 2}, "unsaid_weight is 2, expected 0 to 1"),
        ({"anchor_weight": -1}, "anchor_weight is -1, expected 0 or more"),
        ({"mixed_precision": "fp8"}, "mixed_precision is 'fp8', expected no or bf16"),
    ],
)
def test_numbers_out_of_range_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        ConditionerOptions(**changes)


@pytest.mark.parametrize("name", ["dataset", "output_dir"])
def test_missing_paths_are_named(name, tmp_path):
    paths = {"dataset": "songs", "output_dir": str(tmp_path / "out")} | {name: None}

    with pytest.raises(ValueError, match=f"set --{name.replace('_', '-')}"):
        train_conditioner(ModelOptions(preset="mini"), ConditionerOptions(**paths))


@pytest.mark.slow
def test_the_command_trains_a_conditioner(
    labeled_songs, tiny_checkpoint, tmp_path, capsys, monkeypatch
):
    from songgen_hf.cli import main

    monkeypatch.setattr("songgen_hf.cli.train.quiet_warnings", lambda: None)
    shared = ["--model", tiny_checkpoint("mixed"), "--dataset", labeled_songs, "--max-steps", "2"]
    command = ["train", "conditioner", *shared, "--output-dir", str(tmp_path / "out"), "--json"]

    assert main([*command, "--batch-size", "2", "--eval-split", "validation"]) == 0

    answer = json.loads(capsys.readouterr().out)
    assert answer["kind"] == "conditioner" and answer["written"] == str(tmp_path / "out")
    assert {"loss", "accuracy_tempo", "before_accuracy_tempo"} <= answer["metrics"].keys()
    assert (tmp_path / "out" / "model.safetensors").is_file()

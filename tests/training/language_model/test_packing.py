"""Packed songs give the batches of the parquet rows that they were packed from."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from songgen_hf.data.packed import INDEX_FILE, PackedShard
from songgen_hf.data.preparation.options import PackOptions
from songgen_hf.training.auxiliary.frame_labels import FrameLabels
from songgen_hf.training.language_model.collator import SongCollator
from songgen_hf.training.language_model.dataset import SongDataset, read_songs
from songgen_hf.training.language_model.packed_songs import PackedSongs
from songgen_hf.training.language_model.packing import SongPacker, pack_songs
from songgen_hf.training.options import DataOptions

from ..conftest import annotated_row, build_tiny, write_table


@pytest.fixture(scope="module")
def processors():
    return {
        pattern: build_tiny(pattern)
        for pattern in ("mixed", "mixed_pro", "interleaving_A_V", "parallel_V_A")
    }


def pack(source, output, model, **changes):
    options = PackOptions(source=str(source), output=Path(output), model=str(model), **changes)
    return pack_songs(options, progress=False)


@pytest.fixture(scope="module")
def packed_folder(annotated_folder, tiny_checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed") / "songs"
    assert pack(annotated_folder, folder, tiny_checkpoint("mixed")) == {"train": 7, "validation": 2}
    return folder


def batches(folder, model, processor, *, split="train", training=True, size=3, limit=None, **data):
    rows = read_songs(str(folder), split)
    if limit is not None:
        rows = rows.select(range(limit))
    songs = SongDataset(
        rows,
        model.config,
        DataOptions(**data),
        seed=3,
        training=training,
        voice_seconds=processor.voice_seconds,
    )
    labels = FrameLabels.from_rows(songs.rows)
    collator = SongCollator(model.config, processor, align_lyrics=True, frame_labels=labels)
    keys = [(epoch, index) for epoch in range(2) for index in range(len(songs))]
    parts = [keys[start : start + size] for start in range(0, len(keys), size)]
    return labels, [collator([songs[key] for key in part]) for part in parts]


def assert_same(ours, theirs):
    labels, found = ours
    expected_labels, expected = theirs
    assert labels.classes == expected_labels.classes
    assert labels.sizes() == expected_labels.sizes()
    for batch, other in zip(found, expected, strict=True):
        assert batch.keys() == other.keys()
        for name in batch:
            if name == "frame_labels":
                assert batch[name].keys() == other[name].keys()
                for kind in batch[name]:
                    assert torch.equal(batch[name][kind], other[name][kind]), kind
            else:
                assert batch[name].dtype == other[name].dtype, name
                assert torch.equal(batch[name], other[name]), name


@pytest.mark.slow
@pytest.mark.parametrize("pattern", ["mixed", "mixed_pro", "interleaving_A_V", "parallel_V_A"])
def test_packed_songs_give_the_same_batches(pattern, processors, annotated_folder, packed_folder):
    given = processors[pattern]
    dropout = {"text_dropout": 0.3, "lyrics_dropout": 0.3, "voice_dropout": 0.3}
    for options in (
        dropout,
        {"training": False, "split": "validation"},
        {"history_corruption": 0.4, "foreign_history": 0.5, "limit": 4},
        {"min_seconds": 9 / 50, "max_seconds": 11 / 50},
    ):
        assert_same(
            batches(packed_folder, *given, **options),
            batches(annotated_folder, *given, **options),
        )


@pytest.mark.slow
def test_packed_batches_have_labels_and_voices(processors, packed_folder):
    _, found = batches(packed_folder, *processors["mixed_pro"], size=7)

    batch = found[0]
    assert (batch["lyrics_labels"] >= 0).any() and (batch["frame_labels"]["phoneme"] > 0).any()
    assert (batch["voice_attention_mask"].sum(1) > 0).all()
    assert set(batch["frame_labels"]) == {
        "lead_instrument", "gender", "genre", "voice_id", "phoneme", "beat", "tempo",
    }  # fmt: skip


@pytest.mark.slow
def test_clips_of_a_voice_are_stored_in_place_of_the_recording(
    processors, annotated_folder, tiny_checkpoint, tmp_path
):
    pack(annotated_folder, tmp_path / "p", tiny_checkpoint("mixed"), voice_clips=2)
    model, processor = processors["mixed"]
    rows = read_songs(str(tmp_path / "p"), "train")
    songs = SongDataset(rows, model.config, DataOptions(), voice_seconds=processor.voice_seconds)

    clips = [songs[epoch, 0]["voice"][0] for epoch in range(8)]

    size = round(processor.voice_seconds * processor.voice_feature_extractor.sampling_rate)
    assert {len(clip) for clip in clips} == {size}
    assert len({clip.tobytes() for clip in clips}) == 2


@pytest.mark.slow
def test_shards_are_small_and_an_interrupted_run_is_continued(
    annotated_folder, tiny_checkpoint, tmp_path, monkeypatch
):
    model, limit = tiny_checkpoint("mixed"), 0.06
    pack(annotated_folder, tmp_path / "whole", model, max_shard_size=limit)
    files = sorted((tmp_path / "whole").glob("train-*.safetensors"))
    assert len(files) > 1 and all(file.stat().st_size <= limit * 1e6 for file in files)
    original, calls = SongPacker.pack, []

    def interrupted(self, row, names):
        calls.append(row)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return original(self, row, names)

    monkeypatch.setattr(SongPacker, "pack", interrupted)
    with pytest.raises(KeyboardInterrupt):
        pack(annotated_folder, tmp_path / "cut", model, max_shard_size=limit)
    with pytest.raises(ValueError, match="is incomplete: finish it with the same songgen-hf"):
        read_songs(str(tmp_path / "cut"), "train")
    assert all(PackedShard(file) for file in (tmp_path / "cut").glob("*.safetensors"))
    pack(annotated_folder, tmp_path / "cut", model, max_shard_size=limit)

    for file in (tmp_path / "whole").iterdir():
        assert (tmp_path / "cut" / file.name).read_bytes() == file.read_bytes()
    with pytest.raises(ValueError, match="was packed with another max_shard_size"):
        pack(annotated_folder, tmp_path / "cut", model)


def test_wrong_packed_folders_are_refused(
    processors, packed_folder, annotated_folder, tiny_checkpoint, tmp_path
):
    copy = tmp_path / "copy"
    shutil.copytree(packed_folder, copy)
    with pytest.raises(ValueError, match="has no split 'test': got train, validation"):
        read_songs(str(copy), "test")
    other = json.loads((copy / INDEX_FILE).read_text())
    other["tokenizers"]["lyrics tokenizer"] = "0"
    (copy / INDEX_FILE).write_text(json.dumps(other))
    with pytest.raises(ValueError, match="was packed for another lyrics tokenizer"):
        PackedSongs(copy, "train").check(processors["mixed"][1])
    with (copy / "train-00000.safetensors").open("ab") as file:
        file.write(b"x")
    with pytest.raises(ValueError, match="bytes, expected .*: copy the folder again"):
        read_songs(str(copy), "train")
    write_table(tmp_path / "more" / "train.parquet", [annotated_row(0, 9)])
    shutil.copytree(packed_folder, tmp_path / "started")
    with pytest.raises(ValueError, match="was packed with another source_files"):
        pack(tmp_path / "more", tmp_path / "started", tiny_checkpoint("mixed"))


def test_packed_codes_are_small_integers(packed_folder):
    shard = PackedShard(packed_folder / "train-00000.safetensors")

    assert shard.columns["codes"].dtype == np.uint16
    assert shard.columns["voice"].dtype == np.int16
    assert shard.row(1, "codes").shape == (12, 3)


@pytest.mark.slow
def test_mixtures_keep_their_epochs(tiny_checkpoint, processors, tmp_path):
    epochs = [-1, -1, 0, 1, 0, 1]
    rows = [annotated_row(n, 10 + n) | {"mixture_epoch": epoch} for n, epoch in enumerate(epochs)]
    (tmp_path / "codes").mkdir()
    write_table(tmp_path / "codes" / "train-0.parquet", rows)
    pack(tmp_path / "codes", tmp_path / "packed", tiny_checkpoint("mixed"))

    model, _ = processors["mixed"]
    for folder in ("codes", "packed"):
        rows = read_songs(str(tmp_path / folder), "train")
        songs = SongDataset(rows, model.config, DataOptions(min_seconds=0.22))
        assert songs.mixture_epochs.tolist() == epochs[1:]
        assert songs.lengths.tolist() == [11, 12, 13, 14, 15]

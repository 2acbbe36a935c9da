"""Rows of parquet files come from the folder that was named."""

import os

import pytest

pytest.importorskip("pyarrow", reason="needs the extra train")
pytest.importorskip("datasets", reason="needs the extra train")

import pyarrow as pa
import pyarrow.parquet

from songgen_hf.data.tables import files_digest, load_rows, split_files, split_names

CARD = """---
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train-*
  - split: test
    path: data/test-*
---
"""


def write_folder(folder, value, *, card):
    (folder / "data").mkdir(parents=True)
    for split, number in (("train", value), ("test", -value)):
        path = folder / "data" / f"{split}-00000-of-00001.parquet"
        pyarrow.parquet.write_table(pa.table({"x": [number] * 3}), path)
    if card:
        (folder / "README.md").write_text(CARD)
    return folder


@pytest.mark.parametrize("card", [True, False])
def test_two_folders_of_one_name_keep_their_own_rows(tmp_path, monkeypatch, card):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    folders = [
        write_folder(tmp_path / parent / "songs", value, card=card)
        for parent, value in (("a", 1), ("b", 2))
    ]

    for _ in range(2):
        read = [load_rows(folder, "train")["x"][:1] for folder in folders]
        assert read == [[1], [2]]
    assert [load_rows(folder, "test")["x"][0] for folder in folders] == [-1, -2]
    assert set(split_names(folders[0])) == {"test", "train"}


def test_a_relative_name_means_the_folder_below_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    for parent, value in (("a", 1), ("b", 2)):
        write_folder(tmp_path / parent / "songs", value, card=True)
        monkeypatch.chdir(tmp_path / parent)
        assert load_rows("songs", "train")["x"][0] == value


def test_a_column_of_some_files_is_null_in_the_rows_of_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    folder = tmp_path / "songs"
    folder.mkdir()
    columns = [
        {"x": [1], "empty": pa.nulls(1)},
        {"x": [2], "words": [[{"word": "rain", "start": 0.5}]], "empty": ["no"]},
        {"words": [[]], "x": [3]},
    ]
    for number, values in enumerate(columns):
        pyarrow.parquet.write_table(pa.table(values), folder / f"train-{number}.parquet")

    rows = load_rows(folder, "train")

    assert rows["x"][:] == [1, 2, 3]
    assert rows["words"][:] == [None, [{"word": "rain", "start": 0.5}], []]
    assert rows["empty"][:] == [None, "no", None]


def test_a_file_is_one_split_whatever_its_name(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    folder = write_folder(tmp_path / "songs", 1, card=False)
    file = next((folder / "data").glob("test-*"))

    assert split_files(file, "train") == [file]
    assert load_rows(file, "train")["x"][0] == -1


def test_a_missing_split_and_an_empty_folder_are_named(tmp_path):
    folder = write_folder(tmp_path / "songs", 1, card=True)

    with pytest.raises(ValueError, match="has no split 'validation': got test, train; name one"):
        split_files(folder, "validation")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="holds no parquet files; write them with"):
        split_files(tmp_path / "empty", "train")


def test_the_digest_changes_with_size_time_and_name(tmp_path):
    path = tmp_path / "train.parquet"
    path.write_bytes(b"one")
    os.utime(path, ns=(1, 1))
    first = files_digest([path])

    os.utime(path, ns=(2, 2))
    second = files_digest([path])
    path.write_bytes(b"longer")
    os.utime(path, ns=(2, 2))
    third = files_digest([path])

    assert len({first, second, third}) == 3
    assert files_digest([path, path.rename(tmp_path / "test.parquet")][1:]) != third

"""Tests of finding recordings."""

import json

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import soundfile

from songgen_hf.data.preparation.recordings import find_recordings


def tone(path, seed=0):
    """Write a second of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).normal(0, 0.1, 8000)
    soundfile.write(path, noise, 8000)
    return path


def test_a_folder_gives_its_sounds_with_lyrics_and_details(tmp_path):
    tone(tmp_path / "Album One" / "Erste Blüte.wav")
    tone(tmp_path / "b.flac")
    (tmp_path / "b.txt").write_text("one word\ntwo\n", encoding="utf-8")
    (tmp_path / "b.json").write_text(json.dumps({"genre": "folk", "tags": ["calm"]}))
    (tmp_path / "notes.pdf").write_bytes(b"")

    one, two = find_recordings(str(tmp_path), tmp_path / "out")

    assert one["recording_id"] == "album-one-erste-blüte"
    assert one["path"] == str((tmp_path / "Album One" / "Erste Blüte.wav").resolve())
    assert two == {
        "recording_id": "b", "path": str((tmp_path / "b.flac").resolve()),
        "lyrics": "one word\ntwo", "genre": "folk", "tags": ["calm"],
    }  # fmt: skip


def test_a_subfolder_with_stems_is_one_recording(tmp_path):
    for name in ("mixture", "vocals", "no_vocals"):
        tone(tmp_path / "song" / f"{name}.wav")
    (tmp_path / "song" / "mixture.txt").write_text("sung words")

    (row,) = find_recordings(str(tmp_path), tmp_path / "out")

    assert row["recording_id"] == "song" and row["lyrics"] == "sung words"
    names = [row[key].rsplit("/", 1)[-1] for key in ("path", "vocal", "accompaniment")]
    assert names == ["mixture.wav", "vocals.wav", "no_vocals.wav"]


def test_stems_beside_a_song_belong_to_it(tmp_path):
    for name in ("song-1", "song-1.vocal", "song-1.accompaniment", "song-2", "lead.vocal"):
        tone(tmp_path / f"{name}.wav")

    rows = {row["recording_id"]: row for row in find_recordings(str(tmp_path), tmp_path / "out")}

    assert set(rows) == {"song-1", "song-2", "lead-vocal"}
    assert rows["song-1"]["vocal"].endswith("song-1.vocal.wav")
    assert rows["song-1"]["accompaniment"].endswith("song-1.accompaniment.wav")
    assert "vocal" not in rows["song-2"]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_manifest_keeps_its_columns(tmp_path, ending):
    tone(tmp_path / "sounds" / "a.wav")
    rows = [
        {"path": "sounds/a.wav", "artist": "Ann", "recording_id": "first"},
        {"path": "sounds/missing.wav", "artist": "Bo", "recording_id": "first"},
    ]
    manifest = tmp_path / f"songs.{ending}"
    if ending == "parquet":
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), manifest)
    elif ending == "jsonl":
        manifest.write_text("\n".join(json.dumps(row) for row in rows))
    else:
        manifest.write_text(
            "path,artist,recording_id\n" + "\n".join(",".join(row.values()) for row in rows)
        )

    one, two = find_recordings(str(manifest), tmp_path / "out")

    assert one == {
        "recording_id": "first", "artist": "Ann", "path": str((tmp_path / "sounds/a.wav").resolve())
    }  # fmt: skip
    assert two["artist"] == "Bo" and two["recording_id"].startswith("first-")


def test_sounds_of_a_dataset_become_files(tmp_path):
    content = tone(tmp_path / "a.wav").read_bytes()
    cell = {"bytes": content, "path": None}
    rows = [{"id": "x/1", "mixture": cell, "vocal": cell, "mood": "calm"}]
    (tmp_path / "songs").mkdir()
    pyarrow.parquet.write_table(
        pyarrow.Table.from_pylist(rows), tmp_path / "songs" / "train-0.parquet"
    )

    (row,) = find_recordings(str(tmp_path / "songs"), tmp_path / "out")

    assert row["recording_id"] == "x-1" and row["mood"] == "calm"
    assert soundfile.info(row["path"]).frames == soundfile.info(row["vocal"]).frames == 8000
    assert row["path"] != row["vocal"] and "mixture" not in row


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("songs.csv", "artist\nAnn\n", "has a row without a path"),
        ("songs.jsonl", '{"path": 3}\n', "has a row without a path"),
        ("songs.jsonl", "{", "songs.jsonl"),
        ("songs.pdf", "", "is neither a folder nor a manifest"),
    ],
)
def test_what_holds_no_recordings_is_refused(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        find_recordings(str(tmp_path / name), tmp_path / "out")


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no sound files"):
        find_recordings(str(tmp_path), tmp_path / "out")

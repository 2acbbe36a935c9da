"""Tests of finding recordings."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import soundfile

from songgen_hf.data.preparation.inspection import inspect_recording
from songgen_hf.data.preparation.recordings import (
    AUDIO_ENDINGS,
    find_recordings,
    recording_digest,
)


def tone(path, seed=0):
    """Write a second of noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(seed).normal(0, 0.1, 8000)
    soundfile.write(path, noise, 8000)
    return path


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """A folder for the sounds of datasets."""
    return tmp_path_factory.mktemp("out") / "recordings"


def test_a_folder_gives_its_sounds_with_lyrics_and_details(tmp_path, out):
    tone(tmp_path / "Album One" / "Erste Blüte.wav")
    tone(tmp_path / "b.flac")
    (tmp_path / "b.txt").write_text("one word\ntwo\n", encoding="utf-8")
    (tmp_path / "b.json").write_text(
        json.dumps({"genre": "folk", "tags": ["calm"], "settings": {"eq": {}}, "takes": [{}]})
    )
    (tmp_path / "notes.pdf").write_bytes(b"")

    one, two = find_recordings(str(tmp_path), out)

    assert one["recording_id"] == "album-one-erste-blüte"
    assert one["path"] == str((tmp_path / "Album One" / "Erste Blüte.wav").resolve())
    assert two == {
        "recording_id": "b", "path": str((tmp_path / "b.flac").resolve()),
        "lyrics": "one word\ntwo", "genre": "folk", "tags": ["calm"], "takes": [],
    }  # fmt: skip


def test_files_beside_a_song_may_have_capital_endings(tmp_path, out):
    tone(tmp_path / "A.WAV")
    (tmp_path / "A.TXT").write_text("one word")
    (tmp_path / "A.JSON").write_text('{"genre": "folk"}')

    (row,) = find_recordings(str(tmp_path), out)

    assert (row["lyrics"], row["genre"]) == ("one word", "folk")


def test_timed_lyrics_are_read_where_there_are_no_others(tmp_path, out):
    for name in ("a.wav", "b.wav"):
        tone(tmp_path / name)
    (tmp_path / "a.lrc").write_text("[ar:Ann]\n[00:01.00]one word\n[00:02.50]two\n")
    (tmp_path / "b.lrc").write_text("[00:01.00]not these\n")
    (tmp_path / "b.txt").write_text("but these")

    found = find_recordings(str(tmp_path), out)

    assert [row["lyrics"] for row in found] == ["one word\ntwo", "but these"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "ü a".encode("latin-1"), "cannot read a.txt as UTF-8: save it in this encoding"),
        ("a.txt", "words".encode("utf-16"), "cannot read a.txt as UTF-8: save it in this encoding"),
        ("a.json", "ü".encode("latin-1"), "cannot read a.json as UTF-8: save it in this encoding"),
        (
            "a.json", b'{"genre": "folk",\n"artist" "Ann"}',
            "line 2 of a.json is no JSON (Expecting ':' delimiter, column 10): correct it",
        ),
        (
            "a.json", b"[1]",
            'line 1 of a.json: got list, expected a JSON object such as {"genre": "folk"}',
        ),
    ],
)  # fmt: skip
def test_a_song_with_a_file_that_cannot_be_read_is_the_only_one_with_an_error(
    tmp_path, out, name, content, message
):
    for song in ("a", "b"):
        tone(tmp_path / f"{song}.wav")
    (tmp_path / name).write_bytes(content)

    one, two = find_recordings(str(tmp_path), out)

    assert one["error"] == f"inspect: {message}" and "error" not in two


def test_languages_become_codes(tmp_path, out):
    for name, language in (("a", "English"), ("b", "pt_BR"), ("c", "Klingon")):
        tone(tmp_path / f"{name}.wav")
        (tmp_path / f"{name}.json").write_text(json.dumps({"language": language}))

    found = find_recordings(str(tmp_path), out)

    assert [row["language"] for row in found] == ["en", "pt", "klingon"]


def test_a_subfolder_with_stems_is_one_recording(tmp_path, out):
    for name in ("mixture", "vocals", "no_vocals"):
        tone(tmp_path / "song" / f"{name}.wav")
    (tmp_path / "song" / "mixture.txt").write_text("sung words")

    (row,) = find_recordings(str(tmp_path), out)

    assert row["recording_id"] == "song" and row["lyrics"] == "sung words"
    names = [row[key].rsplit("/", 1)[-1] for key in ("path", "vocal", "accompaniment")]
    assert names == ["mixture.wav", "vocals.wav", "no_vocals.wav"]


def test_stems_beside_a_song_belong_to_it(tmp_path, out):
    for name in ("song-1", "song-1.vocal", "song-1.accompaniment", "song-2", "lead.vocal"):
        tone(tmp_path / f"{name}.wav")

    rows = {row["recording_id"]: row for row in find_recordings(str(tmp_path), out)}

    assert set(rows) == {"song-1", "song-2", "lead-vocal"}
    assert rows["song-1"]["vocal"].endswith("song-1.vocal.wav")
    assert rows["song-1"]["accompaniment"].endswith("song-1.accompaniment.wav")
    assert "vocal" not in rows["song-2"]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_manifest_keeps_its_columns(tmp_path, out, ending):
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

    one, two = find_recordings(str(manifest), out)

    assert one == {
        "recording_id": "first", "artist": "Ann", "path": str((tmp_path / "sounds/a.wav").resolve())
    }  # fmt: skip
    assert two["artist"] == "Bo" and two["recording_id"].startswith("first-")


def test_sounds_of_a_dataset_become_files(tmp_path, out):
    content = tone(tmp_path / "a.wav").read_bytes()
    cell = {"bytes": content, "path": None}
    rows = [{"id": "x/1", "mixture": cell, "vocal": cell, "mood": "calm"}]
    (tmp_path / "songs").mkdir()
    pyarrow.parquet.write_table(
        pyarrow.Table.from_pylist(rows), tmp_path / "songs" / "train-0.parquet"
    )

    (row,) = find_recordings(str(tmp_path / "songs"), out)

    assert row["recording_id"] == "x-1" and row["mood"] == "calm"
    assert soundfile.info(row["path"]).frames == soundfile.info(row["vocal"]).frames == 8000
    assert row["path"] != row["vocal"] and "mixture" not in row


def test_sounds_of_a_dataset_are_kept_apart_whatever_their_names(tmp_path, out):
    contents = [tone(tmp_path / f"{seed}.wav", seed).read_bytes() for seed in range(6)]
    cells = [{"bytes": content, "path": "sound.wav?raw=1"} for content in contents]
    rows = [
        {"id": "a" * 90, "mixture": cells[0], "vocal": cells[1], "accompaniment": cells[2]},
        {"id": "b", "mixture": cells[3], "vocal": None, "accompaniment": None},
        {"id": "b", "mixture": cells[4], "vocal": None, "accompaniment": None},
    ]
    (tmp_path / "songs").mkdir()
    table = tmp_path / "songs" / "train-0.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), table)

    def found():
        names = ("path", "vocal", "accompaniment")
        rows = find_recordings(str(tmp_path / "songs"), out)
        assert all(Path(row["path"]).suffix in AUDIO_ENDINGS for row in rows)
        return [[Path(row[name]).read_bytes() for name in names if name in row] for row in rows]

    assert found() == [contents[:3], contents[3:4], contents[4:5]]
    rows[2]["mixture"] = cells[5]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), table)
    assert found()[2] == contents[5:]


def test_a_row_without_a_sound_is_a_recording_that_cannot_be_read(tmp_path, out):
    cell = {"bytes": tone(tmp_path / "a.wav").read_bytes(), "path": None}
    (tmp_path / "songs").mkdir()
    rows = [{"id": "a", "audio": cell}, {"id": "b", "audio": None}, {"id": "b", "audio": None}]
    pyarrow.parquet.write_table(
        pyarrow.Table.from_pylist(rows), tmp_path / "songs" / "train-0.parquet"
    )

    found = find_recordings(str(tmp_path / "songs"), out)

    assert len({row["recording_id"] for row in found}) == 3
    for row in found[1:]:
        with pytest.raises(ValueError, match="it has no sound"):
            inspect_recording(row)


def test_hidden_files_and_folders_are_no_recordings(tmp_path, out):
    tone(tmp_path / "a.wav")
    (tmp_path / "._a.wav").write_bytes(b"a resource fork")
    tone(tmp_path / ".trash" / "b.wav")
    (tmp_path / "album.wav").mkdir()

    (row,) = find_recordings(str(tmp_path), out)

    assert row["recording_id"] == "a"


def test_stems_without_their_mixture_are_refused(tmp_path, out):
    tone(tmp_path / "a.wav")
    for name in ("vocals", "no_vocals"):
        tone(tmp_path / "song" / f"{name}.wav")

    with pytest.raises(ValueError, match="song holds stems, but no file mixture or mix"):
        find_recordings(str(tmp_path), out)


def test_a_song_with_the_name_of_a_stem_is_a_recording(tmp_path, out):
    for name in ("Vocal", "other"):
        tone(tmp_path / f"{name}.wav")

    found = find_recordings(str(tmp_path), out)

    assert [row["recording_id"] for row in found] == ["vocal", "other"]


def test_an_output_within_the_source_is_refused(tmp_path):
    tone(tmp_path / "a.wav")

    with pytest.raises(ValueError, match="lies in the folder of recordings"):
        find_recordings(str(tmp_path), tmp_path / "adapter" / "songs" / "recordings")


def test_equal_names_keep_their_ids_when_recordings_are_added(tmp_path, out):
    tone(tmp_path / "x" / "y.wav")
    tone(tmp_path / "x-y.wav")
    before = {row["path"]: row["recording_id"] for row in find_recordings(str(tmp_path), out)}

    for name in ("a", "x-x"):
        tone(tmp_path / f"{name}.wav")
    after = {row["path"]: row["recording_id"] for row in find_recordings(str(tmp_path), out)}

    assert len(set(after.values())) == 4 and before.items() <= after.items()


@pytest.mark.parametrize("column", ["lyrics", "recording_lyrics", "language", "vocal"])
@pytest.mark.parametrize("source", [".", "songs.jsonl"])
def test_a_song_with_a_column_that_must_be_text_is_the_only_one_with_an_error(
    tmp_path, out, column, source
):
    rows = [{"path": "a.wav", "recording_id": 7, column: ["one", "two"]}, {"path": "b.wav"}]
    for row in rows:
        tone(tmp_path / row["path"])
    (tmp_path / "a.json").write_text(json.dumps({column: ["one", "two"]}))
    (tmp_path / "songs.jsonl").write_text("\n".join(map(json.dumps, rows)))

    one, two = find_recordings(str(tmp_path / source), out)

    assert one["recording_id"] == ("a" if source == "." else "7") and column not in one
    assert one["error"] == f"inspect: {column}: got list, expected text; write it as one"
    assert "error" not in two


def test_a_changed_recording_has_another_digest_and_a_moved_one_has_not(tmp_path, out):
    def digest(place):
        (row,) = find_recordings(str(tmp_path / place), out)
        return recording_digest(row)

    tone(tmp_path / "here" / "a.wav")
    first = digest("here")
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    assert digest("there") == digest("here") == first

    (tmp_path / "here" / "a.txt").write_text("some words")
    soundfile.write(tmp_path / "there" / "a.wav", np.zeros(9000), 8000)
    assert len({first, digest("here"), digest("there")}) == 3


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("songs.csv", "artist\nAnn\n", "has a row without a path"),
        ("songs.jsonl", '{"path": 3}\n', "has a row without a path"),
        ("songs.jsonl", '{"path": "a"}\n{', r"line 2 of songs.jsonl is no JSON \(Expecting"),
        (
            "songs.csv",
            "path,artist\na,\udcfc\n",
            "cannot read songs.csv as UTF-8",
        ),
        ("songs.pdf", "", "is neither a folder nor a manifest"),
    ],
)
def test_what_holds_no_recordings_is_refused(tmp_path, out, name, content, message):
    (tmp_path / name).write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match=message):
        find_recordings(str(tmp_path / name), out)


def test_an_empty_folder_is_refused(tmp_path, out):
    with pytest.raises(FileNotFoundError, match="holds no sound files"):
        find_recordings(str(tmp_path), out)


def test_a_source_that_does_not_exist_is_refused(out):
    with pytest.raises(FileNotFoundError, match="neither a folder nor a file here, .*check the"):
        find_recordings("albun/songs", out)

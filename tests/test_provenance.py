"""Provenance records in audio files and in JSON files."""

import json
import shutil
import subprocess
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from songgen_hf import default_checkpoint
from songgen_hf.provenance import (
    TAG_BYTES,
    encode_song,
    license_of,
    provenance,
    read_provenance,
    write_song,
)

FORMATS = [".wav", ".flac", ".ogg"]
WAVE = 0.5 * np.sin(np.arange(1600, dtype=np.float32) / 7)


def model(source: str = "", commit: str | None = None):
    """A model with the attributes that a record needs."""
    return SimpleNamespace(config=SimpleNamespace(_name_or_path=source, _commit_hash=commit))


@pytest.fixture
def record():
    """The record of a song with lyrics in a non-Latin script."""
    return provenance(
        model("me/x", "0123abc"), seed=7, options={"text": "folk", "lyrics": "雨 é", "top_k": None}
    )


@pytest.mark.parametrize("ending", FORMATS)
def test_a_written_record_is_read_back(tmp_path, record, ending):
    path = write_song(tmp_path / "new" / f"song{ending}", WAVE, 16000, record)

    found = read_provenance(path)
    assert found.pop("ai_generated") is True
    assert found == {key: record[key] for key in record if key not in ("created", "ai_generated")}
    assert found["options"] == {"text": "folk", "lyrics": "雨 é"}
    wave, rate = soundfile.read(path, dtype="float32")
    assert rate == 16000 and len(wave) == 1600
    assert np.abs(wave - WAVE).max() < (0.05 if ending == ".ogg" else 1e-4)


@pytest.mark.parametrize("ending", FORMATS)
def test_long_lyrics_are_omitted_from_the_tag_and_the_rest_is_kept(tmp_path, ending):
    long = provenance(model("me/x", "0123abc"), seed=7, options={"lyrics": "雨" * 50_000})

    found = read_provenance(write_song(tmp_path / f"song{ending}", WAVE, 16000, long))

    assert "options" not in found
    assert (found["model"], found["revision"], found["seed"]) == ("me/x", "0123abc", 7)
    with soundfile.SoundFile(tmp_path / f"song{ending}") as file:
        assert len(file.comment) <= TAG_BYTES
        assert "AI-generated" in file.title and "AI-generated" in file.copyright
        assert "me/x" in file.artist and file.software.startswith("songgen-hf ")


@pytest.mark.slow
def test_ffprobe_reads_the_tags(tmp_path, record):
    if shutil.which("ffprobe") is None:
        pytest.skip("ffprobe is not installed")
    for ending in (".wav", ".flac"):
        path = write_song(tmp_path / f"song{ending}", WAVE, 16000, record)
        command = ["ffprobe", "-v", "error", "-show_entries", "format_tags", "-of", "json"]

        found = subprocess.run([*command, str(path)], capture_output=True, check=True, timeout=60)

        tags = {
            name.lower(): text for name, text in json.loads(found.stdout)["format"]["tags"].items()
        }
        assert json.loads(tags["comment"])["ai_generated"] is True
        assert "AI-generated" in tags["copyright"]


def test_the_same_song_gives_the_same_file(record):
    later = {**record, "created": "2099-01-01T00:00:00+00:00"}

    assert encode_song(WAVE, 16000, "a.wav", record) == encode_song(WAVE, 16000, "a.wav", later)


def test_a_loud_song_is_scaled_and_not_clipped(tmp_path, record):
    path = write_song(tmp_path / "song.wav", 4 * WAVE[None], 16000, record)

    assert np.allclose(soundfile.read(path)[0], WAVE / np.abs(WAVE).max(), atol=1e-4)


def test_a_batch_of_songs_is_refused_and_no_file_is_written(tmp_path, record):
    with pytest.raises(ValueError, match=r"got a waveform of shape \[2, 1, 8\], expected"):
        write_song(tmp_path / "song.wav", np.zeros((2, 1, 8)), 16000, record)

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["plain.wav", "plain.json", "words.wav", "comment.flac"])
def test_reading_a_file_without_a_record_raises_an_error(tmp_path, kind):
    path = tmp_path / kind
    if kind == "plain.wav":
        soundfile.write(path, WAVE, 16000)
    elif kind == "comment.flac":
        with soundfile.SoundFile(path, "w", 16000, 1) as file:
            file.comment = '["a list"]'
            file.write(WAVE)
    else:
        path.write_text('{"ai_generated": false}')

    with pytest.raises(ValueError, match="has no provenance record"):
        read_provenance(path)


def test_the_model_is_the_name_of_the_folder_and_the_revision_a_hash_of_its_weights(tmp_path):
    folder = tmp_path / "secret" / "my-model"
    folder.mkdir(parents=True)

    (folder / "model.safetensors").write_bytes(b"weights")
    one = provenance(model(str(folder)), seed=1, options={})
    (folder / "model.safetensors").write_bytes(b"other weights")
    two = provenance(model(str(folder)), seed=1, options={})

    assert one["model"] == "my-model" and "secret" not in json.dumps(one)
    assert one["revision"].startswith("sha256:") and one["revision"] != two["revision"]


def test_an_embedded_model_has_its_short_name():
    own = provenance(model(default_checkpoint()), seed=1, options={})

    assert own["model"] == "songgen-mini/interleaving_A_V"
    assert own["revision"].startswith("sha256:")


def test_a_folder_of_the_hub_cache_has_the_name_of_the_repository(tmp_path):
    snapshot = tmp_path / "models--me--x" / "snapshots" / "0123abc"
    snapshot.mkdir(parents=True)

    found = provenance(model(str(snapshot)), seed=1, options={})

    assert (found["model"], found["revision"]) == ("me/x", "0123abc")


def test_the_license_is_read_from_the_model_card(tmp_path):
    folders = {"plain": "license: cc-by-nc-4.0", "other": "license: other\nlicense_name: cpml"}
    for name, line in folders.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "README.md").write_text(f"---\n{line}\n---\n# x\n")
    (tmp_path / "none").mkdir()

    licenses = [license_of(str(tmp_path / name)) for name in ("plain", "other", "none")]
    assert licenses == ["cc-by-nc-4.0", "cpml", "unknown"]
    assert license_of("") == license_of("me/never-downloaded") == "unknown"


def test_adapters_are_recorded_with_their_weights(tmp_path):
    adapter = tmp_path / "anna"
    adapter.mkdir()
    (adapter / "adapter_model.safetensors").write_bytes(b"weights")

    found = provenance(model(), seed=1, options={}, adapters={str(adapter): 0.5, "me/y": 1.0})

    first, second = found["adapters"]
    assert (first["name"], first["weight"]) == ("anna", 0.5)
    assert first["revision"].startswith("sha256:")
    assert second == {"name": "me/y", "revision": None, "weight": 1.0}
    assert found["model"] is None and found["licence"] == "unknown"

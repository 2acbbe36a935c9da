"""Writing files whole or not at all, and encoding audio and JSON."""

import io
import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import numpy as np
import pytest
import soundfile
from safetensors.numpy import save_file

from songgen_hf.cli import main
from songgen_hf.files import (
    encode_json,
    encode_sound,
    new_directory,
    remove_leftovers,
    safe_gain,
    write_files,
)
from tests.tools.tiny_checkpoint import tiny_checkpoint, tiny_processor, tiny_singer


def test_missing_folders_are_created_and_files_have_the_default_mode(tmp_path):
    plain = tmp_path / "plain"
    plain.write_bytes(b"")

    write_files({tmp_path / "a" / "b.txt": b"one", tmp_path / "c.txt": b"two"})

    assert (tmp_path / "a" / "b.txt").read_bytes() == b"one"
    assert (tmp_path / "c.txt").read_bytes() == b"two"
    assert (tmp_path / "c.txt").stat().st_mode == plain.stat().st_mode


def test_an_error_changes_no_file_and_leaves_no_temporary_file(tmp_path):
    (tmp_path / "old.txt").write_bytes(b"old")
    (tmp_path / "taken").mkdir()

    with pytest.raises(IsADirectoryError, match="taken is a directory: give a file name"):
        write_files({tmp_path / "old.txt": b"new", tmp_path / "taken": b"x"})

    assert sorted(path.name for path in tmp_path.iterdir()) == ["old.txt", "taken"]
    assert (tmp_path / "old.txt").read_bytes() == b"old"


@contextmanager
def full_disk(size: int):
    """Within the block, no file can have more bytes, as on a full disk."""
    resource = pytest.importorskip("resource")  # not on Windows
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_an_error_that_names_the_file_and_leaves_nothing(tmp_path):
    with full_disk(1000), pytest.raises(OSError, match="cannot write .*b.bin: .*; free space"):
        write_files({tmp_path / "a.bin": b"1", tmp_path / "b.bin": b"1" * 2000})

    assert list(tmp_path.iterdir()) == []


def test_weights_on_a_full_disk_leave_no_directory(tmp_path):
    weights = {"a": np.zeros(2000, np.float32)}

    with full_disk(1000), pytest.raises(OSError, match="cannot write .*model: .*; free space"):
        with new_directory(tmp_path / "model") as folder:
            save_file(weights, folder / "a.safetensors")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("command", ["export", "encode"])
def test_commands_report_a_full_disk_in_one_line_and_leave_nothing(
    command, tmp_path, tiny_checkpoint, capsys
):
    model, out = str(tiny_checkpoint("mixed")), tmp_path / "disk" / "new.npz"
    (tmp_path / "disk").mkdir()
    words = {
        "export": ["export", model, out],
        "encode": ["encode", tmp_path / "a.wav", out, "--model", model],
    }
    soundfile.write(tmp_path / "a.wav", np.random.default_rng(0).normal(0, 0.1, 16000), 16000)

    with full_disk(100):
        status = main([str(word) for word in words[command]])

    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert status == 2 and error.startswith(f"songgen-hf {command}: error: cannot write ")
    assert str(out) in error and "free space" in error and len(error) < 400
    assert list((tmp_path / "disk").iterdir()) == []


def test_a_new_directory_is_created_only_if_its_block_raises_no_error(tmp_path):
    with pytest.raises(RuntimeError, match="halfway"), new_directory(tmp_path / "bad") as folder:
        (folder / "half.txt").write_text("half")
        raise RuntimeError("halfway")
    with new_directory(tmp_path / "deep" / "good") as folder:
        (folder / "whole.txt").write_text("whole")
        assert not (tmp_path / "deep" / "good").exists()

    assert [path.name for path in tmp_path.iterdir()] == ["deep"]
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["good"]
    assert (tmp_path / "deep" / "good" / "whole.txt").read_text() == "whole"


def test_a_new_directory_replaces_an_empty_directory_only(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("kept")

    with new_directory(tmp_path / "empty") as folder:
        (folder / "a").write_text("a")
    with pytest.raises(FileExistsError, match="not empty"), new_directory(tmp_path / "empty"):
        pass
    with pytest.raises(FileExistsError, match="is a file"), new_directory(tmp_path / "file"):
        pass

    assert (tmp_path / "empty" / "a").read_text() == "a"
    assert (tmp_path / "file").read_text() == "kept"


KILLED = """
import os, signal, sys
from pathlib import Path
from songgen_hf import files

folder = Path(sys.argv[1])
if sys.argv[2] == "directory":
    with files.new_directory(folder / "stems") as temporary:
        (temporary / "vocal.flac").write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)
files.os.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
files.write_files({folder / "song.parquet": b"whole"})
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("what", ["directory", "file"])
def test_what_a_killed_process_left_can_be_removed_and_nothing_else(tmp_path, what):
    for name in (".DS_Store", ".song.download", "song.flac"):
        (tmp_path / name).write_text("of a user")
    before = set(tmp_path.iterdir())

    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), what])
    left = set(tmp_path.iterdir()) - before
    remove_leftovers(tmp_path)

    assert done.returncode == -signal.SIGKILL and len(left) == 1
    assert set(tmp_path.iterdir()) == before
    remove_leftovers(tmp_path / "missing")


@pytest.mark.parametrize(("name", "tolerance"), [("a.wav", 1e-4), ("a.FLAC", 1e-4)])
def test_audio_is_unchanged_after_encoding_and_decoding(name, tolerance):
    waveform = np.random.default_rng(0).uniform(-0.9, 0.9, (2, 1600)).astype(np.float32)

    read, rate = soundfile.read(io.BytesIO(encode_sound(waveform, 16000, name)), always_2d=True)

    assert rate == 16000
    assert np.allclose(read.T, waveform, atol=tolerance)


def test_the_safe_gain_keeps_all_waveforms_within_full_scale():
    loud, quiet = np.full((1, 9), 4.0), np.full((1, 9), -0.5)

    assert safe_gain(loud, quiet, None) == 0.25
    assert safe_gain(quiet) == 1.0
    assert safe_gain(np.zeros((1, 0)), None) == 1.0


def test_an_unknown_sound_format_is_refused():
    with pytest.raises(ValueError, match=r"'a.mp4': expected a name that ends in .wav, .flac"):
        encode_sound(np.zeros((1, 4)), 16000, "a.mp4")


def test_json_contains_non_latin_text_unescaped():
    assert encode_json({"lyrics": "雨"}) == '{\n  "lyrics": "雨"\n}\n'.encode()

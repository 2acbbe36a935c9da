"""songgen-hf generate --timestamps and songgen-hf align: files of timed lyrics and pictures."""

import json

import numpy as np
import pytest
import soundfile

from songgen_hf.cli import main

LYRICS = "Rivers run\nto the sea"


@pytest.mark.slow
def test_generate_writes_timed_lyrics_and_a_picture_beside_the_song(
    tiny_checkpoint, tmp_path, capsys
):
    pytest.importorskip("matplotlib", reason="needs the extra evaluate")
    out = tmp_path / "a.flac"
    arguments = ["generate", "folk", "--lyrics", LYRICS, "--seed", "3", "--seconds", "0.5"]
    arguments += ["--model", tiny_checkpoint("mixed"), "--device", "cpu", "--quiet"]
    arguments += ["--timestamps", "lrc", "json", "vtt", "--plot", "--save-codes"]

    assert main([*arguments, "--out", str(out)]) == 0

    names = ["a.codes.npz", "a.flac", "a.json", "a.lrc", "a.png", "a.vtt", "a.words.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    timed = json.loads((tmp_path / "a.words.json").read_text())
    assert [line["line"] for line in timed["lines"]] in (LYRICS.split("\n"), [])
    assert json.loads((tmp_path / "a.json").read_text())["coverage"] == timed["coverage"]
    assert (tmp_path / "a.vtt").read_text().startswith("WEBVTT")


@pytest.mark.slow
def test_the_description_says_what_was_exchanged(tiny_checkpoint, tmp_path):
    arguments = ["generate", "folk", "--seed", "3", "--seconds", "0.2", "--check-tracks"]
    arguments += ["--model", tiny_checkpoint("interleaving_A_V"), "--device", "cpu", "--quiet"]

    assert main([*arguments, "--out", str(tmp_path / "a.wav")]) == 0

    described = json.loads((tmp_path / "a.json").read_text())
    assert described["exchanged"] == [] and described["misplaced_seconds"] >= 0


@pytest.mark.slow
def test_align_writes_timed_lyrics_beside_the_recording(tiny_checkpoint, tmp_path, sound, capsys):
    words = tmp_path / "words.txt"
    words.write_text(LYRICS, encoding="utf-8")
    arguments = ["align", str(sound), "--lyrics-file", str(words), "--device", "cpu", "--json"]

    assert main([*arguments, "--model", tiny_checkpoint("mixed")]) == 0

    result = json.loads(capsys.readouterr().out)
    assert result["files"] == [str(sound.with_suffix(".lrc"))]
    assert [line["line"] for line in result["lines"]] == LYRICS.split("\n")
    assert sound.with_suffix(".lrc").read_text().count("\n") == 2


@pytest.mark.slow
def test_wrong_calls_end_with_one_line(tiny_checkpoint, sound, capsys):
    model = ["--model", tiny_checkpoint("mixed"), "--device", "cpu"]

    assert main(["align", str(sound), *model]) == 2
    assert main(["align", str(sound), str(sound), "--lyrics", "run", *model]) == 2
    assert main(["generate", "folk", "--retries", "-1", *model]) == 2

    lines = [line for line in capsys.readouterr().err.splitlines() if line]
    assert len(lines) == 3
    assert "give --lyrics or --lyrics-file" in lines[0]
    assert "takes 1 file for this model: got 2" in lines[1]
    assert "retries must be an integer of at least 0: got -1" in lines[2]


@pytest.fixture
def sound(tmp_path):
    """A sound file of half a second."""

    path = tmp_path / "sung.wav"
    soundfile.write(path, 0.3 * np.sin(np.arange(8000) / 9), 16000)
    return path

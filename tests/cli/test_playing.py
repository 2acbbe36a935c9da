"""``generate --play`` and ``--out -`` give the samples of the song, and say what is missing."""

import io
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from songgen_hf.cli import main
from songgen_hf.cli.generate import playing

CALL = ["generate", "folk", "--seed", "5", "--max-seconds", "0.4", "--device", "cpu", "--quiet"]


class Stdout(io.TextIOWrapper):
    """Standard output whose bytes are kept."""

    def __init__(self):
        super().__init__(io.BytesIO(), encoding="utf-8")


def samples_of(pcm: bytes) -> np.ndarray:
    return np.frombuffer(pcm, "<i2") / 32767


def check_heard(samples: np.ndarray, song: Path) -> None:
    """The samples are those of a sound file, without the gain by which it is not clipped."""
    gain = json.loads(song.with_suffix(".json").read_text())["gain"]
    expected = soundfile.read(song)[0] / gain
    assert len(samples) == len(expected) > 0
    assert np.abs(samples - np.clip(expected, -1, 1)).max() < 0.02  # 16 bits with that gain


@pytest.fixture
def no_sounddevice(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)


@pytest.mark.slow
def test_standard_output_gets_the_samples_of_the_song(tmp_path, tiny_checkpoint, monkeypatch):
    call = [*CALL, "--model", tiny_checkpoint("mixed")]
    assert main([*call, "--out", str(tmp_path / "song.wav")]) == 0
    stdout = Stdout()
    monkeypatch.setattr(sys, "stdout", stdout)

    assert main([*call, "--out", "-"]) == 0

    check_heard(samples_of(stdout.buffer.getvalue()), tmp_path / "song.wav")


@pytest.mark.slow
def test_a_player_gets_the_song_that_is_also_written(
    tmp_path, tiny_checkpoint, monkeypatch, no_sounddevice
):
    player, heard = tmp_path / "aplay", tmp_path / "heard"
    player.write_text(f"#!/bin/sh\nexec cat > {heard}\n")
    player.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(
        playing.shutil, "which", lambda name: str(player) if name == "aplay" else None
    )
    song = tmp_path / "song.wav"

    assert main([*CALL, "--model", tiny_checkpoint("mixed"), "--play", "--out", str(song)]) == 0

    check_heard(samples_of(heard.read_bytes()), song)


def test_without_a_player_one_line_says_what_to_install(monkeypatch, no_sounddevice, capsys):
    monkeypatch.setattr(playing.shutil, "which", lambda name: None)

    assert main([*CALL, "--play"]) == 2

    assert "--play found no player: pip install sounddevice, or install" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--num-songs", "2"], "--out - is for one song: got --num-songs 2"),
        (["--json"], "--out - and --json both write to standard output"),
    ],
)
def test_what_standard_output_cannot_hold_is_refused(arguments, message, capsys):
    assert main([*CALL, "--out", "-", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_samples_are_rounded_to_16_bits_and_clipped():
    pcm = playing.as_pcm(np.array([0.0, 0.5, -1.0, 3.0], dtype=np.float32))

    assert np.frombuffer(pcm, "<i2").tolist() == [0, 16384, -32767, 32767]

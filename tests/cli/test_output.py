"""The results of commands: text or JSON, the exit status, and an output that is closed early."""

import argparse
import importlib
import io
import json
import os
import sys
from pathlib import Path, PureWindowsPath

import numpy as np
import pytest
import soundfile
import torch

from songgen_hf.cli import COMMANDS, build_parser, main
from songgen_hf.cli.output import LONGEST_MESSAGE, CommandResult, result_json, shortened

# Calls of each command, and of each of its sub-commands, that are refused on every machine.
REFUSED = {
    "generate": [["a", "--out", "song.txt"]],
    "align": [["sound.wav"], ["no.wav", "--lyrics", "run"]],
    "encode": [["sound.wav", "codes.txt"]],
    "decode": [["codes.txt", "sound.wav"]],
    "init": [["--preset", "huge", "--out", "new"]],
    "info": [["nowhere"]],
    "doctor": [["nowhere"]],
    "completion": [["tcsh"]],
    "corpus": [["taken", "--train-songs", "-1"]],
    "prepare": [["codes", "nowhere", "out", "--mixtures", "-1"]],
    "adapt": [["nowhere", "--out", "out", "--steps", "0"]],
    "train": [["everything"], ["--preset", "mini"]],
    "evaluate": [
        ["judges", "--data", "nowhere", "--out", "out"],
        ["prompts", "nowhere", "--out", "prompts.json"],
        ["codec", "--songs", "nowhere", "--judges", "nowhere", "--out", "report.json"],
        ["mini", "--songs", "nowhere", "--judges", "nowhere", "--out", "report.json"],
        ["listen", "nowhere", "neither", "--out", "page"],
        ["votes", "nowhere.json", "--key", "key.json"],
        ["songs", "nowhere", "--out", "card.json"],
        ["compare", "nowhere.json", "nowhere.json"],
    ],
    "experiment": [["nothing"]],
    "export": [["nowhere", "out"]],
    "card": [["nowhere"]],
    "space": [["run", "--threads", "0"]],
    "serve": [["--workers", "0"], ["--keys", "nowhere.txt"]],
}
CALLS = {command: calls[0] for command, calls in REFUSED.items()} | {
    "adapt": ["nowhere", "--out", "out"],
    "completion": ["bash"],
    "corpus": ["out"],
    "prepare": ["codes", "songs", "out"],
}
"""A call of each command whose arguments are accepted."""


@pytest.fixture
def sound(tmp_path):
    """A sound file of a fifth of a second."""
    path = tmp_path / "tone.wav"
    soundfile.write(path, 0.3 * np.sin(np.arange(3200) / 9), 16000)
    return str(path)


def result_of(capsys, *arguments) -> tuple[dict, str]:
    """The JSON of a command that succeeds, and its stderr."""
    capsys.readouterr()
    assert main([*map(str, arguments), "--json"]) == 0
    captured = capsys.readouterr()
    return json.loads(captured.out), captured.err


def status_of(arguments: list[str]) -> int:
    """The exit status, also where the parser has stopped already."""
    try:
        return main(arguments)
    except SystemExit as stopped:
        return stopped.code


def leaf_parsers(parser: argparse.ArgumentParser, name: str = "") -> dict:
    """The parsers of all commands and of their parts, by name."""
    nested = [action.choices for action in parser._actions if isinstance(action.choices, dict)]
    if not nested:
        return {name: parser}
    found = {}
    for choices in nested:
        for part, its_parser in choices.items():
            found |= leaf_parsers(its_parser, f"{name} {part}".strip())
    return found


def test_every_command_takes_json_and_debug():
    for name, parser in leaf_parsers(build_parser()).items():
        if name == "train":
            continue  # takes everything as it is, see its own test
        options = {option for action in parser._actions for option in action.option_strings}
        assert {"--json", "--debug"} <= options, name


@pytest.mark.slow
def test_generate_lists_songs_seeds_and_files(tmp_path, tiny_checkpoint, capsys):
    facts, stderr = result_of(
        capsys, "generate", "folk", "--model", tiny_checkpoint(), "--seed", 4, "--num-songs", 2,
        "--max-seconds", 0.2, "--device", "cpu", "--out", tmp_path / "song.flac",
    )  # fmt: skip

    assert [song["seed"] for song in facts["songs"]] == [4, 5]
    files = [Path(name) for song in facts["songs"] for name in song["files"]]
    assert sorted(files) == sorted(tmp_path.iterdir())
    assert soundfile.info(files[0]).duration == facts["songs"][0]["duration"]
    assert str(files[0]) in stderr


@pytest.mark.slow
def test_encode_and_decode_report_what_they_wrote(tmp_path, tiny_checkpoint, sound, capsys):
    model = ["--model", tiny_checkpoint(), "--device", "cpu"]
    codes, back = tmp_path / "codes.npz", tmp_path / "back.wav"

    encoded, _ = result_of(capsys, "encode", sound, codes, *model)
    decoded, _ = result_of(capsys, "decode", codes, back, *model)

    assert (encoded["codes"], encoded["codebooks"], encoded["frames"]) == (str(codes), 4, 10)
    assert decoded["sound"] == str(back)
    assert encoded["duration"] == decoded["duration"] == soundfile.info(back).duration == 0.2


@pytest.mark.slow
def test_init_info_and_export_report_what_they_wrote(tmp_path, capsys):
    model, out = tmp_path / "mini", tmp_path / "out"

    made, _ = result_of(capsys, "init", "--track-pattern", "parallel_std", "--out", model)
    described, words = result_of(capsys, "info", model)
    exported, _ = result_of(capsys, "export", model, out, "--dtype", "bfloat16")

    assert made["model"] == described["model"] == str(model)
    assert made["track_pattern"] == described["track_pattern"] == "parallel_std"
    assert made["trained"] is described["trained"] is False
    assert "track pattern:" in words
    files = [path for path in out.rglob("*") if path.is_file()]
    assert exported["files"] == sorted(path.relative_to(out).as_posix() for path in files)
    assert exported["bytes"] == sum(path.stat().st_size for path in files)


def test_every_command_has_a_refused_call_here():
    assert REFUSED.keys() == COMMANDS.keys()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("command", "arguments"), [(name, call) for name in REFUSED for call in REFUSED[name]]
)
def test_a_refused_call_exits_with_2_and_leaves_stdout_empty(
    tmp_path, monkeypatch, capsys, command, arguments
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()

    status = status_of([command, *arguments, "--json"])

    captured = capsys.readouterr()
    assert status == 2 and captured.out == ""
    errors = [line for line in captured.err.splitlines() if f"songgen-hf {command}: error:" in line]
    assert len(errors) == 1
    assert [path.name for path in tmp_path.rglob("*")] == ["taken", "file"]


@pytest.mark.slow
@pytest.mark.parametrize("command", REFUSED)
@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (KeyboardInterrupt(), 130, "songgen-hf: interrupted"),
        (torch.OutOfMemoryError("tried 9 GiB"), 1, "out of memory (tried 9 GiB); `songgen-hf doc"),
        (MemoryError(), 1, "out of memory (MemoryError)"),
        (ImportError("pip install 'x'"), 2, "error: pip install 'x'"),
        (OSError("disk\nfull"), 2, "error: disk full"),
        (BrokenPipeError("of a worker, not ours"), 2, "error: of a worker"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_the_error_that_stops_a_command_decides_its_status(
    monkeypatch, capsys, command, error, status, message
):
    def stopped(_):
        raise error

    monkeypatch.setattr(importlib.import_module(COMMANDS[command][0]), "run", stopped)

    assert main([command, *CALLS[command]]) == status
    captured = capsys.readouterr()
    assert captured.out == "" and message in captured.err and "Traceback" not in captured.err


def test_a_programming_error_is_not_hidden(monkeypatch):
    def wrong(_):
        raise RuntimeError("a bug")

    monkeypatch.setattr("songgen_hf.cli.info.run", wrong)

    with pytest.raises(RuntimeError, match="a bug"):
        main(["info"])


def test_a_failed_check_exits_with_its_own_status(monkeypatch, capsys):
    failed = CommandResult({"works": False}, "it does not work", status=1)
    monkeypatch.setattr("songgen_hf.cli.info.run", lambda _: failed)

    assert main(["info"]) == 1
    assert main(["info", "--json"]) == 1
    assert capsys.readouterr().out == 'it does not work\n{\n  "works": false\n}\n'


def test_what_a_library_prints_stays_out_of_the_json(monkeypatch, capsys):
    def noisy(_):
        sys.stdout.write("{'loss': 3}\n")
        return CommandResult({"done": 1}, "done")

    monkeypatch.setattr("songgen_hf.cli.info.run", noisy)

    facts, stderr = result_of(capsys, "info")
    assert facts == {"done": 1}
    assert stderr.splitlines()[-2:] == ["{'loss': 3}", "done"]


def test_json_is_ascii_and_has_no_numbers_that_json_lacks():
    facts = {
        "path": PureWindowsPath("a\\b"),
        "array": [np.float32(0.5), torch.tensor(2), np.int64(7)],
        "loss": float("nan"),
        "lyrics": "雨",
        "nested": {"sizes": (1, float("inf"))},
    }

    text = result_json(facts)

    assert text.isascii() and "NaN" not in text
    assert json.loads(text) == {
        "path": "a\\b",
        "array": [0.5, 2, 7],
        "loss": None,
        "lyrics": "雨",
        "nested": {"sizes": [1, None]},
    }


@pytest.mark.parametrize(
    "arguments", [["--help"], ["info", "--help"], ["info"], ["info", "--json"]], ids=" ".join
)
def test_a_closed_output_is_no_error(tiny_checkpoint, capsys, monkeypatch, arguments):
    if "--help" not in arguments:
        arguments = [*arguments, tiny_checkpoint()]
    reading, writing = os.pipe()
    os.close(reading)

    with io.TextIOWrapper(io.FileIO(writing, "w"), encoding="utf-8") as unread:
        monkeypatch.setattr(sys, "stdout", unread)
        assert main(arguments) == 141
        unread.flush()  # what is left goes nowhere
        monkeypatch.undo()

    stderr = capsys.readouterr().err
    assert "Broken pipe" not in stderr and "Traceback" not in stderr and "error:" not in stderr


def test_a_console_that_lacks_a_character_shows_its_number(monkeypatch):
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="cp1252", write_through=True)
    monkeypatch.setattr(sys, "stdout", narrow)
    monkeypatch.setattr("songgen_hf.cli.info.run", lambda _: CommandResult({}, "雨.wav: 2 s"))

    assert main(["info"]) == 0
    assert narrow.buffer.getvalue().split() == [b"\\u96e8.wav:", b"2", b"s"]


def test_long_messages_keep_their_beginning_and_their_end(capsys):
    message = f"begins {'x' * 1000} ends"

    assert shortened("short") == "short"
    assert len(shortened(message)) <= LONGEST_MESSAGE
    assert shortened(message).startswith("begins xx") and shortened(message).endswith("xx ends")
    assert main(["info", "a" * 300 + "/" + "b" * 300]) == 2
    assert len(capsys.readouterr().err.strip()) < 400

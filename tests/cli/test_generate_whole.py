"""songgen-hf generate --whole: plan, sections in a folder, one of them again, and wrong calls."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from songgen_hf.cli import main
from songgen_hf.provenance import read_provenance

LYRICS = "[intro 0.1s]\n[verse 0.16s]\nla lo\n[chorus 0.1s]\noh\n[chorus 0.1s]\n"
WINDOW = ["--window", "0.4", "--context", "0.06"]


@pytest.fixture
def words(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text(LYRICS)
    return str(path)


def test_the_plan_is_printed_without_a_model(words, capsys):
    call = ["generate", "folk", "--whole", "--plan", "--lyrics-file", words, "--model", "nowhere"]

    assert main(call) == 0
    table = capsys.readouterr().out
    assert main([*call, "--no-repeat-chorus", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)

    assert table.splitlines()[0].split() == ["section", "start", "length", "words"]
    assert "(as chorus 1)" in table and table.endswith("4 sections, 0:00.5\n")
    assert [section["name"] for section in facts["sections"]] == [
        "intro", "verse", "chorus 1", "chorus 2",
    ]  # fmt: skip
    assert facts["sections"][3]["quotes"] is None and facts["window"] == 20


def test_the_plan_of_single_lines_has_a_section_for_each(capsys):
    call = ["generate", "folk", "--whole", "--plan", "--lyrics", "[verse]\nla lo\noh no"]

    assert main([*call, "--best-of", "2", "--best-of-by", "line"]) == 0

    assert "verse (2/2)" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["autoregressive", "masked"])
def test_a_whole_song_is_written_goes_on_and_is_redone(
    mode, words, tiny_checkpoint, tiny_masked, tmp_path, capsys
):
    model = str(tmp_path / "model")
    shutil.copytree(tiny_checkpoint("interleaving_A_V"), model)
    settings = Path(model) / "generation_config.json"
    suppressed = {"suppress_tokens": list(range(1025, 1088))}
    settings.write_text(json.dumps({**json.loads(settings.read_text()), **suppressed}))
    if mode == "masked":
        model = str(tmp_path / "masked")
        tiny_masked("parallel_std").save_pretrained(model)
    out, folder = tmp_path / "song.flac", tmp_path / "sections"
    call = ["generate", "folk", "--whole", "--model", model, "--device", "cpu", "--quiet"]
    call += ["--folder", str(folder), "--out", str(out)]

    assert main([*call, "--lyrics-file", words, "--seed", "3", *WINDOW]) == 0
    first, _ = soundfile.read(out, dtype="float32")
    assert main([*call, "--lyrics-file", words, *WINDOW]) == 0  # reads all sections
    again, _ = soundfile.read(out, dtype="float32")
    assert main([*call, "--redo", "2", "--seed", "9"]) == 0
    redone, _ = soundfile.read(out, dtype="float32")

    assert np.array_equal(first, again) and len(redone) == len(first) == 23 * 320
    described = json.loads(out.with_suffix(".json").read_text())
    assert described["seed"] == 3 and described["lyrics"] == "la lo\noh\noh"
    assert [section["name"] for section in described["sections"]] == [
        "intro", "verse", "chorus 1", "chorus 2",
    ]  # fmt: skip
    assert described["sections"][1]["seed"] in range(9, 13)
    assert read_provenance(out)["options"]["sections"] == described["sections"]
    assert not np.array_equal(first, redone)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--plan"], "--plan is for whole songs: add --whole"),
        (["--redo", "1"], "--redo is for whole songs: add --whole"),
        (["--whole", "--lyrics", "la", "--seconds", "3"], "--whole does not take --seconds"),
        (["--whole", "--lyrics", "la", "--num-songs", "2"], "--whole generates one song"),
        (["--whole", "--lyrics", "la", "--takes", "2"], "with --whole give --best-of"),
        (["--whole", "--redo", "1"], "--redo needs the --folder of an earlier --whole"),
        (["--whole", "--redo", "0", "--folder", "f"], "from 1: got 0"),
        (["--whole", "--redo", "1", "--folder", "f", "--lyrics", "la"], "leave --lyrics out"),
        (["--whole", "--redo", "1", "--folder", "f", "--window", "9"], "leave --window out"),
        (["--whole", "--redo", "1", "--folder", "f", "--best-of", "2"], "give --takes"),
        (["--whole", "--plan", "--lyrics", "[solo] la"], "unknown tag [solo]: expected [intro]"),
        (["--whole", "--plan"], "the song is empty"),
    ],
)
def test_wrong_calls_end_with_one_line(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    assert main(["generate", "folk", "--model", "nowhere", *arguments]) == 2

    (line,) = [line for line in capsys.readouterr().err.splitlines() if line]
    assert message in line
    assert not list(tmp_path.iterdir())


def test_another_text_or_section_than_those_of_the_folder_is_refused(tmp_path, capsys):
    record = {"text": "rock", "plan": {"sections": [], "window": 20, "context": 4}}
    (tmp_path / "whole_song.json").write_text(json.dumps(record))
    call = ["generate", "folk", "--whole", "--redo", "1", "--folder", str(tmp_path)]

    assert main(call) == 2

    assert "whole_song.json is damaged" in capsys.readouterr().err
    section = {"name": "inst", "kind": "inst", "lyrics": "", "seconds": 2, "quotes": None}
    record["plan"]["sections"] = [section]
    (tmp_path / "whole_song.json").write_text(json.dumps(record))
    assert main(call) == 2
    assert "is described as 'rock': got 'folk'; give the same" in capsys.readouterr().err
    for number in ("0", "2"):
        call = ["generate", "rock", "--whole", "--folder", str(tmp_path), "--redo", number]
        assert main(call) == 2
        assert f"number of a section, from 1 to 1: got {number}" in capsys.readouterr().err

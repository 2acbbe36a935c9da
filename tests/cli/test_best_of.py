"""songgen-hf generate --best-of: one song is written, and its description names all takes."""

import json

import pytest

from songgen_hf.cli import main

pytestmark = pytest.mark.slow


@pytest.mark.slow
def test_the_best_take_is_written_with_the_scores_of_all(tiny_checkpoint, tmp_path, capsys):
    arguments = ["generate", "folk", "--seed", "3", "--seconds", "0.3"]
    arguments += ["--model", tiny_checkpoint("mixed"), "--device", "cpu", "--quiet"]

    assert main([*arguments, "--best-of", "2", "--out", str(tmp_path / "a.wav")]) == 0

    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "a.wav"]
    described = json.loads((tmp_path / "a.json").read_text())
    assert sorted(take["seed"] for take in described["takes"]) == [3, 4]
    assert described["seed"] == described["takes"][0]["seed"]
    assert described["takes"][0]["score"] >= described["takes"][1]["score"]


@pytest.mark.debian
def test_the_description_has_the_scores_of_all_takes_of_each_line(tiny_checkpoint, tmp_path):
    arguments = ["generate", "folk", "--lyrics", "la lo", "--seed", "3", "--seconds", "0.3"]
    arguments += ["--model", tiny_checkpoint("interleaving_A_V"), "--device", "cpu", "--quiet"]
    arguments += ["--best-of", "2", "--best-of-by", "line", "--out", str(tmp_path / "a.wav")]

    assert main(arguments) == 0

    (line,) = json.loads((tmp_path / "a.json").read_text())["line_takes"]
    assert line["line"] == "la lo" and sorted(take["seed"] for take in line["takes"]) == [3, 4]


@pytest.mark.slow
def test_the_takes_of_a_region_are_in_its_description(tiny_checkpoint, tmp_path):
    arguments = ["generate", "folk", "--seed", "3", "--seconds", "0.4", "--save-codes"]
    arguments += ["--model", tiny_checkpoint("interleaving_A_V"), "--device", "cpu", "--quiet"]
    assert main([*arguments, "--out", str(tmp_path / "a.wav")]) == 0
    edit = [*arguments[:4], *arguments[7:], "--song", str(tmp_path / "a.codes.npz")]

    assert main([*edit, "--region", "0.1", "0.2", "--out", str(tmp_path / "b.wav")]) == 0

    takes = json.loads((tmp_path / "b.json").read_text())["takes"]
    assert sorted(take["seed"] for take in takes) == [3, 4, 5, 6]
    assert [take["score"] for take in takes] == sorted((t["score"] for t in takes), reverse=True)


@pytest.mark.slow
def test_wrong_calls_end_with_one_line(tiny_checkpoint, tmp_path, capsys):
    arguments = ["generate", "folk", "--model", tiny_checkpoint("mixed"), "--device", "cpu"]
    arguments += ["--out", str(tmp_path / "a.wav")]

    assert main([*arguments, "--best-of", "0"]) == 2
    assert main([*arguments, "--best-of", "2", "--num-songs", "3"]) == 2
    assert main([*arguments, "--rank-by", "recognizer-mini"]) == 2

    lines = [line for line in capsys.readouterr().err.splitlines() if line]
    assert len(lines) == 3
    assert all("best_of" in line for line in lines)

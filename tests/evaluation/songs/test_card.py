"""Metric cards: their content, and the commands that make and compare them."""

import json

import numpy as np
import pytest
import soundfile

from songgen_hf.cli import main
from songgen_hf.evaluation.songs.card import (
    card_markdown,
    make_card,
    read_card,
    write_card,
)
from songgen_hf.evaluation.songs.folders import MeasuredSong
from songgen_hf.evaluation.songs.measuring import Measurement, Score


@pytest.fixture
def found(tmp_path):
    """A measurement of one song."""
    soundfile.write(tmp_path / "a.wav", np.ones(10), 16000)
    return Measurement(
        [MeasuredSong("a", tmp_path / "a.wav")],
        [{"id": "a", "wer_edits": 1, "wer_length": 4}],
        {"wer": Score(0.25, (0.0, 0.5), 1), "fad_clap_infinity": Score(-0.01, None, 1)},
        {"loudness": -14.0, "clap": {"model": "clap", "revision": "abc"}, "num_songs": 1},
        {"per": "espeak-ng is missing"},
    )


@pytest.fixture
def card(found):
    return make_card(found, name="mine", command="songgen-hf evaluate songs mine")


@pytest.fixture
def folder(tmp_path):
    """A folder with one song of half a second."""
    path = tmp_path / "songs"
    path.mkdir()
    soundfile.write(path / "a.wav", 0.3 * np.sin(np.arange(8000) / 9), 16000)
    return path


def test_a_card_is_the_same_after_writing_and_reading(tmp_path, found, card):
    written = write_card(tmp_path / "out" / "card.json", card, found)

    assert [path.name for path in written] == ["card.json", "card.md", "card.rows.jsonl"]
    assert read_card(written[0]) == card
    assert [json.loads(line) for line in written[2].read_text().splitlines()] == found.rows


def test_the_page_has_every_score_setting_and_reason(card):
    page = card_markdown(card)

    assert "| wer | 0.25 | (0 to 0.5) | 1 | edits / words |" in page
    assert "| fad_clap_infinity | -0.01 |  | 1 | distance |" in page
    assert "- per: espeak-ng is missing" in page
    assert "| clap | model clap, revision abc |" in page
    assert card["songs"]["digest"] in page and card["versions"]["torch"] in page


@pytest.mark.parametrize("content", ["{}", "[]", '{"kind": "songgen-hf metric card", "format": 9}'])
def test_another_file_is_no_card(tmp_path, content):
    (tmp_path / "card.json").write_text(content)

    with pytest.raises(ValueError, match="no metric card"):
        read_card(tmp_path / "card.json")


def test_the_commands_measure_and_compare(tmp_path, folder, capsys):
    settings = ["--draws", "5", "--quiet", "--cache", str(tmp_path / "cache")]
    cards = [str(tmp_path / name) for name in ("one.json", "two.json", "three.json")]

    assert main(["evaluate", "songs", str(folder), "--out", cards[0], *settings, "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert main(["evaluate", "songs", str(folder), "--out", cards[1], *settings]) == 0
    assert "# songs: metrics of 1 songs" in capsys.readouterr().out
    more = ["--no-normalize"]
    assert main(["evaluate", "songs", str(folder), "--out", cards[2], *settings, *more]) == 0
    capsys.readouterr()

    assert facts["scores"]["audio_seconds"]["value"] == 0.5
    assert facts["command"].startswith("songgen-hf evaluate songs ")
    assert main(["evaluate", "compare", cards[0], cards[1]]) == 0
    line = "| audio_seconds | 0.5 (0.5 to 0.5) | 0.5 (0.5 to 0.5) | +0 |"
    assert line in capsys.readouterr().out
    assert main(["evaluate", "compare", cards[0], cards[2]]) == 2
    assert "settings differ: loudness -14.0 and none" in capsys.readouterr().err
    assert main(["evaluate", "compare", *cards, "--despite-settings"]) == 0
    assert "- loudness -14.0 and none" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "card.txt"], "the card must end in .json: got card.txt"),
        (["--out", "card.json", "--clap-hop", "0"], "clap_hop must be more than 0 seconds: got 0"),
        (["--out", "card.json", "--draws", "0"], "draws must be at least 1: got 0"),
    ],
)
def test_wrong_options_are_errors(folder, capsys, arguments, message):
    assert main(["evaluate", "songs", str(folder), *arguments]) == 2
    assert message in capsys.readouterr().err

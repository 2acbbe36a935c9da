"""Protocols of papers: settings, overriding flags, figures beside ours, and what is missing."""

import json
import shlex

import numpy as np
import pytest
import soundfile

from songgen_hf.cli import build_parser, main
from songgen_hf.evaluation.songs.options import SongsOptions
from songgen_hf.evaluation.songs.protocols import (
    apply_protocol,
    command_line,
    departures,
    missing,
    protocol_markdown,
    published_protocols,
    read_protocol,
)
from songgen_hf.evaluation.songs.scores import UNITS

MINE = """\
title: Mine
source: here
command: songs
prompts: 2
seeds: 2
settings: {loudness: -20.0, clap: owner/model, draws: 5}
figures: {theirs: {loudness: -19.0, per: 0.4}}
reasons: {per: another recognizer}
"""


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(MINE)
    return str(path)


@pytest.fixture
def folder(tmp_path):
    """Two songs of a second."""
    path = tmp_path / "songs"
    path.mkdir()
    for name in "ab":
        soundfile.write(path / f"{name}.wav", 0.3 * np.sin(np.arange(16000) / 9), 16000)
    return str(path)


@pytest.mark.parametrize("name", published_protocols())
def test_a_published_protocol_can_be_run_and_shown(name):
    protocol = read_protocol(name)

    build_parser().parse_args(shlex.split(command_line(protocol))[1:])
    page = protocol_markdown(protocol)
    assert page.startswith(f"# {protocol.title}") and command_line(protocol) in page
    assert all(line in page and "\n" not in line for line in missing(protocol))
    assert protocol.reasons or not protocol.figures
    scored = {score for one in protocol.figures.values() for score in one}
    ratings = {f"aesthetics_{axis}" for axis in ("ce", "cu", "pc", "pq")}
    assert scored <= protocol.reasons.keys() | ratings


def test_the_protocol_of_songgen_is_that_of_the_paper():
    protocol = read_protocol("songgen")

    assert (protocol.prompts, protocol.seeds, protocol.settings["loudness"]) == (326, 5, -14.0)
    assert protocol.figures["SongGen mixed pro"]["per"] == 0.4058, "a share, as in the card"
    lines = missing(protocol)
    assert any("LiuZH-19/MusicCaps_Test_Song" in line for line in lines)
    assert any(line.startswith("model distil-whisper/distil-large-v3: hf") for line in lines)


def test_the_columns_of_songgen_are_named_like_its_metrics():
    protocol = read_protocol("songgen")

    scored = {score for one in protocol.figures.values() for score in one}
    others = {"fad_vggish", "clamp3"}  # a distance has the unit of its features
    assert scored - others <= UNITS.keys() and "singer_similarity_resemblyzer" in scored
    assert {"resemblyzer", "aesthetics"} <= protocol.settings.keys()


@pytest.mark.debian
def test_the_protocol_of_songgen_mini_scores_phonemes_offline(tmp_path, folder, capsys):
    for name in "ab":
        (tmp_path / "songs" / f"{name}.txt").write_text("the river sings")
    out = tmp_path / "card.json"
    words = ["evaluate", "songs", folder, "--out", str(out), "--protocol", "mini", "--quiet"]

    assert main(words) == 0

    card = json.loads(out.read_text())
    assert card["settings"]["recognizer"]["model"] == "recognizer-mini"
    assert 0.7 < card["scores"]["per"]["value"] and card["protocol"]["overridden"] == {}
    assert not any(line.startswith("model") for line in missing(read_protocol("mini")))


def test_given_options_override_a_protocol_and_the_record_says_so(mine, tmp_path):
    options = SongsOptions(generated="x", out=tmp_path / "c.json", clap="none", loudness=-14.0)

    found, record = apply_protocol(options, read_protocol(mine), {"clap", "loudness", "device"})

    assert (found.clap, found.loudness, found.draws) == (None, -14.0, 5)
    assert record["overridden"] == {
        "clap": {"protocol": "owner/model", "here": None},
        "loudness": {"protocol": -20.0, "here": -14.0},
    }


def test_a_flag_that_equals_the_default_overrides_a_protocol_too(mine, tmp_path, folder, capsys):
    out = tmp_path / "card.json"
    words = ["evaluate", "songs", folder, "--out", str(out), "--protocol", mine, "--quiet"]

    assert main([*words, "--loudness", "-14.0", "--clap", "none"]) == 0

    card = json.loads(out.read_text())
    assert card["settings"]["loudness"] == -14 and card["settings"]["draws"] == 5
    assert card["protocol"]["overridden"].keys() == {"loudness", "clap"}
    assert card["protocol"]["departures"] == ["1 seeds, 2 in the protocol"]
    page = capsys.readouterr().out
    assert "| metric | value | 95 % interval | songs | unit | paper: theirs |" in page
    assert "| LUFS | -19.0 |" in page and "| per | not measured |  |  |  | 0.4 |" in page
    assert "- loudness: -14.0, in the protocol -20.0\n- 1 seeds, 2 in the protocol" in page
    assert "- per: another recognizer" in page


def test_departures_count_prompts_and_seeds(mine):
    protocol = read_protocol(mine)

    assert departures(protocol, {"num_prompts": 2, "seeds": [0, 4]}) == []
    assert departures(protocol, {"num_prompts": 9, "seeds": None}) == [
        "9 prompts, 2 in the protocol",
        "1 seeds, 2 in the protocol",
    ]


def test_a_model_in_a_folder_is_not_missing(tmp_path):
    path = tmp_path / "here.yaml"
    path.write_text(
        f"title: a\nsource: b\ncommand: songs\nsettings: {{clap: '{tmp_path}', tagger: no/where}}"
    )

    (line,) = missing(read_protocol(str(path)))

    assert (
        line == "model no/where: hf download no/where, or --tagger with a folder, or --tagger none"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("title: Mine\n", ""), "is no protocol: got no title, expected command,"),
        (("seeds:", "sedes:"), "is no protocol: got unknown sedes"),
        (("command: songs", "command: sing"), "got command 'sing', expected songs, masked, codec"),
        (("draws:", "drawn:"), "got unknown setting 'drawn'"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path, change, message):
    path = tmp_path / "mine.yaml"
    path.write_text(MINE.replace(*change))

    with pytest.raises(ValueError, match=message) as refused:
        read_protocol(str(path))
    assert "\n" not in str(refused.value)


def test_unknown_and_other_protocols_are_errors(tmp_path, folder, capsys):
    words = ["evaluate", "songs", folder, "--out", str(tmp_path / "card.json"), "--protocol"]

    assert main([*words, "songgan"]) == 2
    assert "got protocol 'songgan', expected audiogen, mini, resgen" in capsys.readouterr().err
    assert main([*words, "resgen"]) == 2
    assert "run songgen-hf evaluate protocol resgen" in capsys.readouterr().err


def test_the_command_lists_and_shows_protocols(capsys):
    assert main(["evaluate", "protocol"]) == 0
    assert "songgen: SongGen (Liu et al., 2025)" in capsys.readouterr().out
    assert main(["evaluate", "protocol", "resgen", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["command_line"].endswith(
        "--num-inference-steps 18 28 48 64 100 --every-combination"
    )

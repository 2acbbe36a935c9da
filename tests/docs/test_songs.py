"""The songs of the pages: their files exist, and captions say what docs/songs.py made."""

import html
import json
import re
import runpy
import shlex

import pytest
import soundfile

from ..tools.documentation.blocks import ROOT
from ..tools.documentation.commands import parse_songgen

MOST_BYTES = 1_500_000
REMEDY = "write the pages again: python docs/songs.py --pages"


@pytest.fixture(scope="module")
def songs():
    """The functions and tables of the script that makes the songs."""
    return runpy.run_path(str(ROOT / "docs" / "songs.py"), run_name="songs")


@pytest.fixture(scope="module")
def facts(songs):
    """What was measured of each song."""
    return json.loads(songs["FACTS"].read_text(encoding="utf-8"))


def players(path) -> list[str]:
    """The sound files of the players and links of a page."""
    text = path.read_text(encoding="utf-8")
    return [
        html.unescape(found)
        for found in re.findall(r"""(?:src="|\()([^"()]+\.(?:mp3|ogg))""", text)
    ]


def test_every_sound_of_a_page_exists():
    found = {page: players(page) for page in (ROOT / "docs").rglob("*.md")}

    assert sum(map(len, found.values())) > 20
    for page, files in found.items():
        assert [file for file in files if not (page.parent / file).is_file()] == [], page


def test_every_song_of_the_script_is_on_one_page_with_its_facts(songs, facts):
    texts = {page: page.read_text(encoding="utf-8") for page in songs["PAGES"]}
    places = [match["name"] for text in texts.values() for match in songs["PLACE"].finditer(text)]

    assert sorted(places) == sorted(facts) == sorted([*songs["SONGS"], songs["TRUE"]])
    for page, text in texts.items():
        assert text == songs["filled"](text, facts), f"{page.name}: {REMEDY}"


@pytest.mark.slow
def test_the_facts_are_those_of_the_files_and_commands(songs, facts):
    for name, fact in facts.items():
        length = soundfile.info(songs["AUDIO"] / fact["files"][0]).duration
        assert length == pytest.approx(fact["seconds"], abs=0.2), name
        if name in songs["SONGS"]:
            assert fact["commands"] == [songs["SONGS"][name].command(name)], (
                f"generate {name} again"
            )
        for command in fact["commands"]:
            parse_songgen(shlex.split(command))


def test_no_other_file_lies_beside_the_songs_and_they_are_small(songs, facts):
    files = {path.name: path.stat().st_size for path in songs["AUDIO"].iterdir()}

    assert set(files) == {file for fact in facts.values() for file in fact["files"]}
    assert sum(files.values()) < MOST_BYTES


def test_a_place_is_filled_and_filled_again_without_a_change(songs, facts):
    page = "before\n\n<!-- song: river -->\n<!-- end of the song -->\n\nafter\n"

    once = songs["filled"](page, facts)
    assert "river.mp3" in once and f"seed {facts['river']['seed']}" in once
    assert songs["filled"](once, facts) == once
    assert once.startswith("before\n") and once.endswith("after\n")

"""Tests of the report and of the dataset card of prepared clips."""

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile
import yaml
from PIL import Image

from songgen_hf.data.preparation.clips_card import render_clips_card
from songgen_hf.data.preparation.filtering import PRESETS, filter_clips
from songgen_hf.data.preparation.report import funnel, report
from songgen_hf.data.preparation.report_pictures import histogram, png

from .sounds import SAMPLING_RATE, song

PAPER, HQ = PRESETS["paper"], PRESETS["hq"]


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Twelve clips of one song of which four are dropped for three reasons."""
    path = tmp_path_factory.mktemp("songs") / "song.flac"
    soundfile.write(path, song(0), SAMPLING_RATE)
    rows = [
        {
            "id": f"clip-{index:02d}",
            "recording_id": f"song-{index // 4}",
            "path": str(path),
            "clip_start": 0.25 * index,
            "clip_seconds": 3.0,
            "audio_seconds": 3.0,
            "bandwidth": 15000.0 if index % 4 else 4000.0,
            "silent_share": 0.1 if index < 10 else 0.9,
            "vocal_energy": 300.0 + 200 * index,
            "caption": "A <calm> song & more",
            "language": "en",
            "fingerprint": b"\0" * 100,
            "error": None,
        }
        for index in range(11)
    ]
    return [*rows, {"id": "song-9", "recording_id": "song-9", "error": "cannot read 'x.mp3'"}]


class Page(HTMLParser):
    """The elements of a page, with a check that all are closed in order."""

    def __init__(self, text: str):
        super().__init__()
        self.elements: list[tuple[str, dict]] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.elements if name == tag]


def test_the_funnel_counts_each_clip_at_the_first_step_that_it_fails(clips):
    steps = funnel(filter_clips(clips))

    assert steps == [
        ("all clips", 12),
        ("after: readable", 11),
        ("after: silence", 10),
        ("after: bandwidth", 7),
        ("high quality", 4),
    ]
    assert steps[-2][1] == sum(row["kept"] for row in filter_clips(clips))


def test_the_page_is_complete_in_itself_and_well_formed(clips):
    text = report(filter_clips(clips), samples=3)
    page = Page(text)

    sources = [one["src"] for tag in ("img", "audio") for one in page.all(tag)]
    assert sources and all(source.startswith("data:") for source in sources)
    assert not re.search(r"https?://|<script|<link|url\(|@import", text)
    assert text.startswith("<!DOCTYPE html>") and page.all("html") == [{"lang": "en"}]


def test_every_picture_and_player_has_a_text(clips):
    page = Page(report(filter_clips(clips), samples=3))

    assert all(len(one["alt"]) > 20 for one in page.all("img"))
    assert all(one["aria-label"] and "controls" in one for one in page.all("audio"))
    graphics = page.all("svg")
    assert len(graphics) == 5  # the scores that a clip has
    assert all(one["role"] == "img" and "median" in one["aria-label"] for one in graphics)
    assert all(one.get("scope") in ("row", "col") for one in page.all("th"))


@pytest.mark.slow
def test_the_same_arguments_give_the_same_bytes_and_a_seed_other_samples(clips):
    first = report(filter_clips(clips), samples=2)

    assert report(filter_clips(clips), samples=2) == first
    assert report(filter_clips(clips), samples=2, seed=1) != first


@pytest.mark.slow
def test_samples_can_be_seen_and_heard_and_dropped_ones_have_different_reasons(clips):
    text = report(filter_clips(clips), samples=3)

    dropped = text.partition("<h2>Dropped clips</h2>")[2]
    assert dropped.count("<article>") == 3
    for reason in ("bandwidth: 4000 Hz is below", "silence: 0.9 of", "error: cannot read"):
        assert reason in dropped
    assert "The audio cannot be played." in dropped
    assert "A &lt;calm&gt; song &amp; more" in text
    picture = re.search(r'src="data:image/png;base64,([^"]+)"', text)[1]
    assert Image.open(io.BytesIO(base64.b64decode(picture))).size[0] > 300
    sound = re.search(r'src="data:audio/mpeg;base64,([^"]+)"', text)[1]
    waveform, rate = soundfile.read(io.BytesIO(base64.b64decode(sound)))
    assert rate == SAMPLING_RATE and len(waveform) / rate == pytest.approx(3, abs=0.1)


def test_other_thresholds_draw_another_report_of_the_same_table(clips):
    loose = replace(PAPER, min_bandwidth=3000.0)
    text = report(filter_clips(clips, loose), loose, title="Album & more", samples=0)

    assert "<title>Album &amp; more</title>" in text
    assert "at least 3,000" in text and "after: bandwidth" not in text
    assert Page(text).all("audio") == []


def test_a_report_of_no_clips_and_one_without_dropped_clips_can_be_drawn(clips):
    assert "Every clip is kept." in report(filter_clips([clips[1]]), samples=1)
    assert "There are none." in report([], samples=1)


def test_a_histogram_has_a_line_for_each_threshold_and_a_bar_for_each_score():
    drawn = histogram(
        [1.0, 2.0], [9.0], [("at least", 1.5), ("high quality", 5.0)], title="loudness", unit=" dB"
    )

    assert drawn.count('class="kept"') == 2 and drawn.count('class="dropped"') == 1
    assert drawn.count('class="bound"') == 2 and "high quality 5" in drawn
    assert "2 kept and 1 dropped clips, from 1 to 9 dB, median 2 dB." in drawn
    places = [float(x) for x in re.findall(r'class="bound" x1="([\d.]+)"', drawn)]
    assert places == sorted(places)
    assert "nan" not in histogram([0.0], [], [], title="same")
    energies = histogram([0.0, 5000.0], [], [("at least", 200.0)], title="e", logarithmic=True)
    assert ">1,000<" in energies and ">10<" in energies


def test_a_png_has_the_colors_of_its_palette():
    palette = np.array([[0, 0, 0], [200, 10, 5]], dtype=np.uint8)
    picture = Image.open(io.BytesIO(png(np.array([[0, 1], [1, 1], [0, 0]], np.uint8), palette)))

    assert picture.size == (2, 3)
    assert picture.convert("RGB").getpixel((1, 0)) == (200, 10, 5)
    assert picture.convert("RGB").getpixel((1, 2)) == (0, 0, 0)


def test_the_dataset_card_states_counts_thresholds_and_terms(clips):
    rows = filter_clips(clips)

    card = render_clips_card(
        rows, PAPER, HQ, ["data/train-00000.parquet"], name="me/songs", license="cc0-1.0"
    )

    metadata = yaml.safe_load(card.split("---")[1])
    assert (metadata["license"], metadata["language"]) == ("cc0-1.0", ["en"])
    assert metadata["configs"][0]["data_files"] == [
        {"split": "train", "path": "data/train-*.parquet"}
    ]
    assert "| after: bandwidth | 7 |" in card and "| high quality | 4 |" in card
    assert "| `vocal_energy` | at least 200 | at least 1000 |" in card
    assert "`loudness`" not in card and "0.01 hours are kept" in card
    assert 'load_dataset("me/songs", split="train")' in card

"""A browser on the page of a running Space with the package's own models.

Playwright controls Debian's chromium; axe-core checks the accessibility of the page.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from ..tools.accessibility import serious
from ..tools.chromium import browser

__all__ = ["browser"]

pytestmark = [
    pytest.mark.debian,
    pytest.mark.slow,
    # gradio's usage statistics call deprecated functions of pandas 3.
    pytest.mark.filterwarnings("ignore:.*(no_silent_downcasting|The copy keyword)"),
]
SONG_MILLISECONDS = 120_000
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def own_space(space_folder, tiny_checkpoint):
    """A running Space with the package's own models and short songs.

    If the package contains no two-track model, a tiny one is used in its place.
    """
    from songgen_hf.space.app import build_demo
    from songgen_hf.space.limits import Limits
    from songgen_hf.space.loading import default_settings, load_pipelines

    from ..tools.serving import launched

    pipelines = load_pipelines()
    if "two tracks" not in pipelines:
        pipelines |= load_pipelines([tiny_checkpoint("interleaving_A_V")])
    limits = Limits(seconds=3.0, upload_bytes=500_000, hub_adapters=False)
    with launched(
        lambda: build_demo(pipelines, limits=limits, defaults=default_settings())
    ) as demo:
        yield demo


class Visit:
    """A page in the browser, with the errors that it reported."""

    def __init__(self, page, address):
        self.page = page
        self.address = address
        self.errors: list[str] = []
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("console", self._console)

    def _console(self, message):
        if message.type == "error":
            self.errors.append(message.text)

    def open(self, query=""):
        """Open the page of the Space and wait until it is ready."""
        self.page.goto(f"{self.address}{query}")
        self.page.wait_for_selector("#sing")
        self.page.wait_for_selector(".sg-empty, .sg-song")
        return self

    def write(self, lyrics="the river runs", text="a folk song", seconds=2):
        """Fill in the form."""
        self.page.fill("#lyrics textarea", lyrics)
        self.page.fill("#description textarea", text)
        self.number("Length (seconds)", seconds)

    def number(self, label, value):
        """Type a number into the field of a slider."""
        field = self.page.get_by_label(f"number input for {label}")
        field.fill(str(value))
        field.press("Tab")

    def sing(self):
        """Press Sing, wait for the song and return its id."""
        before = self.shown()
        self.page.click("#sing")
        self.page.wait_for_selector(".sg-done", timeout=SONG_MILLISECONDS)
        self.page.wait_for_function(
            "before => document.querySelector('.sg-song').dataset.song !== before", arg=before
        )
        return self.shown()

    def shown(self):
        """The id of the song that is shown."""
        return self.page.evaluate("document.querySelector('.sg-song')?.dataset.song ?? null")

    def samples(self, track="mix"):
        """The samples of a track, as its player gets them."""
        address = self.page.get_attribute(f"[data-key$=':{track}'] audio", "src")
        answer = self.page.request.get(f"{self.address}{address}")
        assert answer.ok
        path = Path(self.folder) / f"{track}.wav"
        path.write_bytes(answer.body())
        return soundfile.read(path, dtype="int16")[0]


@pytest.fixture
def visit(browser, own_space, tmp_path):
    """A page in a context of its own, which must report no errors."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    visit = Visit(context.new_page(), own_space.local_url)
    visit.folder = tmp_path
    yield visit
    context.close()
    assert visit.errors == []


def test_a_song_can_be_generated_played_and_downloaded(visit):
    page = visit.open().page
    page.get_by_role("button", name="River").click()
    page.wait_for_function("document.querySelector('#lyrics textarea').value.includes('silver')")
    assert page.get_by_role("checkbox", name="folk").is_checked()
    visit.number("Length (seconds)", 2)

    visit.sing()

    sound = visit.samples()
    assert len(sound) > 8000 and np.abs(sound).max() > 100
    page.get_by_role("button", name="Play the mix").click()
    page.wait_for_function("document.querySelector('.sg-track audio').currentTime > 0.2")
    page.get_by_role("button", name="Pause the mix").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the mix").click()
    assert download.value.suggested_filename.endswith(".wav")
    with page.expect_download() as download:
        page.get_by_role("link", name="Settings (JSON)").click()
    sidecar = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
    assert sidecar["provenance"]["ai_generated"] is True
    picture = page.locator(".sg-wave img")
    assert picture.evaluate("image => image.naturalWidth") > 100
    assert "Mel spectrogram" in picture.get_attribute("alt")
    assert serious(page) == []


def test_the_balance_slider_remixes_a_song_of_two_tracks(visit):
    page = visit.open().page
    visit.write()
    page.get_by_label("Two tracks", exact=True).check()
    song = visit.sing()
    assert page.locator(".sg-track").count() == 3
    before = visit.samples()

    slider = page.locator("#balance input[type=range]")
    slider.focus()
    for _ in range(40):
        slider.press("ArrowLeft")
    slider.dispatch_event("pointerup")
    page.wait_for_function(
        "document.querySelector('.sg-track h3 span').textContent.includes('-100')"
    )

    assert visit.shown() == song
    mixed, band = visit.samples(), visit.samples("band")
    assert not np.array_equal(mixed[:1000], before[:1000])
    np.testing.assert_allclose(mixed, band[: len(mixed)], atol=2)
    assert serious(page) == []


def test_the_mode_few_steps_shows_its_own_controls(visit):
    page = visit.open().page
    visit.write()
    page.get_by_role("button", name="More control").click()
    page.get_by_label("Few steps", exact=True).check()
    visit.number("Steps", 4)
    assert page.get_by_label("number input for Top-k").count() == 0

    visit.sing()

    assert page.locator(".sg-track").count() == 3 and "steps=4" in page.url
    assert len(visit.samples("vocal")) > 8000
    assert serious(page) == []
    page.get_by_label("Mixed", exact=True).check()
    page.get_by_label("number input for Top-k").wait_for()
    assert page.get_by_label("number input for Steps").count() == 0


def test_a_link_restores_the_settings_that_give_the_same_song(visit, browser, own_space, tmp_path):
    page = visit.open().page
    visit.write(lyrics="one & two\n<b>three</b>", text="a sad jazz song, sung by a male voice")
    page.fill("#seed textarea, #seed input", "4711")
    page.get_by_role("button", name="More control").click()
    visit.number("Guidance", 1.5)
    visit.number("Temperature", 0.8)
    visit.number("Top-k", 40)
    visit.sing()
    first = visit.samples()
    address = page.url
    assert "seed=4711" in address

    other = browser.new_context().new_page()
    visitor = Visit(other, own_space.local_url)
    visitor.folder = tmp_path
    visitor.open(address.removeprefix(own_space.local_url))
    other.wait_for_selector(".sg-note")
    assert other.input_value("#lyrics textarea") == "one & two\n<b>three</b>"
    assert other.input_value("#seed textarea, #seed input") == "4711"
    assert other.get_by_role("checkbox", name="jazz").is_checked()
    assert other.get_by_role("checkbox", name="male", exact=True).is_checked()
    visitor.sing()

    np.testing.assert_array_equal(visitor.samples(), first)
    assert other.locator(".sg-song b").count() == page.locator(".sg-song b").count()
    assert visitor.errors == []
    other.context.close()


def test_again_gives_the_same_song_and_new_gives_another_one(visit):
    page = visit.open().page
    visit.write()
    visit.sing()
    first = visit.samples()
    song = visit.shown()

    page.click("#again")
    page.wait_for_function("s => document.querySelector('.sg-song').dataset.song !== s", arg=song,
                           timeout=SONG_MILLISECONDS)  # fmt: skip
    page.wait_for_selector(".sg-done", timeout=SONG_MILLISECONDS)
    np.testing.assert_array_equal(visit.samples(), first)
    song = visit.shown()
    page.click("#new")
    page.wait_for_function("s => document.querySelector('.sg-song').dataset.song !== s", arg=song,
                           timeout=SONG_MILLISECONDS)  # fmt: skip
    assert not np.array_equal(visit.samples()[:4000], first[:4000])
    assert page.locator(".sg-history li").count() == 3


def test_the_history_shows_songs_and_restores_their_settings(visit):
    page = visit.open().page
    visit.write(lyrics="first words")
    first = visit.sing()
    visit.write(lyrics="second words")
    second = visit.sing()
    assert first != second

    page.locator(".sg-history").get_by_role("button", name="first words").first.click()
    page.wait_for_function("s => document.querySelector('.sg-song').dataset.song === s", arg=first)
    page.get_by_role("button", name="Restore the settings of first words").click()

    page.wait_for_function("document.querySelector('#lyrics textarea').value === 'first words'")
    assert page.input_value("#seed textarea, #seed input").isdigit()


def test_the_stop_button_ends_the_generation(visit, own_space):
    from ..tools.waiting import wait_until

    page = visit.open().page
    visit.write(seconds=3)
    page.get_by_role("button", name="More control").click()
    visit.number("Variations", 4)
    page.click("#sing")
    page.wait_for_selector("[role=progressbar]")
    wait_until(lambda: own_space.service.generator.running == 1)

    page.click("#stop")

    wait_until(lambda: own_space.service.generator.running == 0, seconds=120)
    page.locator("#status").get_by_text("Stopped.").wait_for()
    page.wait_for_timeout(1500)
    assert page.locator("#status").get_by_text("Stopped.").is_visible()
    assert page.locator("#sing").is_enabled()


def test_leaving_the_page_ends_the_generation_and_deletes_the_songs(browser, own_space):
    from ..tools.waiting import wait_until

    context = browser.new_context()
    visit = Visit(context.new_page(), own_space.local_url).open()
    visit.write()
    folder = own_space.service.store.root / visit.sing()
    assert folder.is_dir()
    visit.page.click("#sing")
    wait_until(lambda: own_space.service.generator.running == 1)

    context.close()

    wait_until(lambda: own_space.service.generator.running == 0, seconds=120)
    wait_until(lambda: not folder.exists(), seconds=60)


def test_an_empty_form_shows_a_visible_error(visit):
    page = visit.open().page

    page.click("#sing")

    alert = page.get_by_role("alert").filter(has_text="nothing to sing")
    alert.wait_for()
    assert page.locator("#sing").is_enabled()
    assert serious(page) == []


def test_an_invalid_recording_shows_an_error_and_the_page_remains_usable(visit, tmp_path):
    (tmp_path / "voice.wav").write_bytes(b"PK\x03\x04" + bytes(3000))
    page = visit.open().page
    visit.write()
    page.get_by_role("button", name="Reference voice").click()
    page.locator("#voice input[type=file]").set_input_files(tmp_path / "voice.wav")
    page.locator("#voice audio, #voice [data-testid*=waveform], #voice button").first.wait_for()
    page.wait_for_timeout(1500)
    visit.errors.clear()  # the browser itself reports that it cannot decode the file

    page.click("#sing")

    page.get_by_role("alert").filter(has_text="annot read the reference voice").wait_for()
    assert page.locator("#sing").is_enabled()
    visit.errors.clear()


def test_html_in_lyrics_is_shown_as_text(visit):
    page = visit.open().page
    words = "<img src=x onerror=\"document.title='owned'\"> <b>la</b>"
    visit.write(lyrics=words)

    visit.sing()

    assert page.locator(".sg-song h2").inner_text() == words
    assert page.title() != "owned"
    assert page.locator(".sg-song h2 *, .sg-history b, .sg-history img").count() == 0


def test_the_page_fits_the_screen_of_a_phone(visit):
    page = visit.page
    page.set_viewport_size(PHONE)
    visit.open()
    visit.write()
    assert page.locator("#sing").is_visible()
    box = page.locator("#sing").bounding_box()
    assert box is not None and box["y"] + box["height"] <= PHONE["height"]

    visit.sing()

    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    box = page.locator(".sg-play").first.bounding_box()
    assert box is not None and box["width"] >= 40 and box["height"] >= 40
    page.wait_for_function(
        "document.querySelector('.sg-song').getBoundingClientRect().top < innerHeight"
    )
    assert serious(page) == []


def test_all_controls_can_be_reached_with_the_keyboard(visit):
    page = visit.open().page
    visit.write()
    page.focus("#lyrics textarea")
    page.keyboard.press("Shift+Enter")
    page.wait_for_selector(".sg-done", timeout=SONG_MILLISECONDS)

    reached = set()
    page.evaluate("document.body.focus()")
    for _ in range(140):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "document.activeElement.getAttribute('aria-label') || "
                "document.activeElement.innerText || document.activeElement.name || ''"
            ).strip()
        )
    for name in ("Sing", "Again", "New", "Reference voice", "More control", "River", "folk",
                 "Download the mix of the river runs", "Copy link to these settings",
                 "Play the mix of the river runs"):  # fmt: skip
        # The text of an accordion's button also contains its arrow.
        assert any(text.startswith(name) for text in reached), name
    page.get_by_role("button", name="Play the mix").focus()
    page.keyboard.press("Space")
    page.wait_for_function("!document.querySelector('.sg-track audio').paused")
    page.get_by_label("Position in the mix").focus()
    page.keyboard.press("End")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_light_and_the_dark_theme_are_accessible(browser, own_space, scheme):
    context = browser.new_context(color_scheme=scheme)
    visit = Visit(context.new_page(), own_space.local_url).open()
    visit.page.get_by_role("button", name="More control").click()
    visit.page.get_by_role("button", name="Reference voice").click()
    visit.page.wait_for_timeout(700)

    assert serious(visit.page) == []
    assert visit.errors == []
    context.close()

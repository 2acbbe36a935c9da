"""A browser on the page of a running Space with the package's own models.

Playwright controls Debian's chromium; axe-core checks the accessibility of the page. One song is
sung frame by frame and serves many tests; other songs are sung in two steps.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from songgen_hf.pipelines.editing import CROSSFADE_SECONDS

from ..tools.accessibility import overlapping, serious
from .browser_visit import BROWSER_TESTS, OTHER_THEME, PHONE, SCREEN, SONG_MILLISECONDS, SUNG, Visit

pytestmark = BROWSER_TESTS
RATE = 16000
LATENCY = 0.15  # seconds by which a word may light up early or late


@pytest.fixture(scope="module")
def sung(context, own_space, tmp_path_factory):
    """A page with a song of two tracks that was sung frame by frame.

    ``early`` is what the page showed as soon as there was sound.
    """
    folder = tmp_path_factory.mktemp("sung")
    visit = Visit(context.new_page(), own_space.local_url, folder).open("?steps=2")
    visit.page.wait_for_selector(".sg-note")  # the settings of the link, for edits in few steps
    visit.write(lyrics="the silver river runs", seconds=3.5, mode="Two tracks")
    visit.page.fill("#seed textarea, #seed input", "7")
    visit.page.evaluate(  # a song may be complete before the page is asked for the time left
        """() => new MutationObserver(() => {
          window.timeLeftShown ||= document.querySelector('#status').textContent.includes('left');
        }).observe(document.body, {childList: true, characterData: true, subtree: true})"""
    )
    visit.page.click("#sing")
    handle = visit.page.wait_for_function(
        """() => window.songgen.state && window.songgen.state.position > 0.05 && {
          ...window.songgen.state, done: Boolean(document.querySelector('.sg-done')),
          live: document.querySelector('.sg-song').dataset.live,
          drawn: [...document.querySelectorAll('.sg-lane canvas')].map((canvas) =>
            canvas.getContext('2d').getImageData(0, 0, 20, canvas.height).data.some(Boolean)) }""",
        timeout=SONG_MILLISECONDS,
    )
    visit.early = handle.json_value()
    visit.page.wait_for_function(SUNG, arg=None, timeout=SONG_MILLISECONDS)
    assert visit.page.evaluate("window.timeLeftShown")
    visit.song = visit.shown()
    yield visit
    visit.page.close()
    assert visit.errors == []


@pytest.fixture
def song(sung):
    """The visit of ``sung``, which shows its song, paused at the beginning."""
    page = sung.page
    if sung.shown() != sung.song:
        page.locator(f".sg-history [data-action=show][data-song='{sung.song}']").click()
        page.wait_for_selector(f".sg-song[data-song='{sung.song}']")
    pause = page.get_by_role("button", name="Pause the silver")
    if pause.count():
        pause.click()
    return sung


def test_sound_starts_before_the_song_is_complete(sung):
    early = sung.early

    assert not early["done"] and not early["complete"] and early["live"] == "yes"
    assert early["clock"] > early["position"] > 0
    assert early["song"] == sung.song
    assert early["drawn"] == [True, True]


def test_the_song_goes_on_with_its_own_files(song):
    song.page.wait_for_function("window.songgen.state.complete")

    assert song.state()["end"] == pytest.approx(len(song.samples()) / RATE, abs=0.01)
    assert np.abs(song.samples()).max() > 100
    assert serious(song.page) == []


def test_words_light_up_at_their_times(song):
    page = song.page
    times = page.eval_on_selector_all(
        ".sg-words button", "all => all.map(w => [Number(w.dataset.start), Number(w.dataset.end)])"
    )
    assert len(times) >= 2

    # The page is looked at from before the click: the first word may last as long as a click takes.
    page.evaluate(
        """() => {
          const seen = [];
          let played = false;
          window.litWords = new Promise((resolve) => {
            const look = () => {
              const word = document.querySelector('.sg-words .sg-sung');
              const { position, playing } = window.songgen.state;
              if (playing) seen.push([position, word ? Number(word.dataset.start) : -1]);
              if (played && !playing) resolve(seen);
              else setTimeout(look, 10);
              played = played || playing;
            };
            look();
          });
        }"""
    )
    # The button would go on where the song was heard until then, which may be after a word begins.
    page.locator(".sg-words button").first.click()
    seen = page.evaluate("window.litWords")

    for start, end in times:
        lit = [position for position, word in seen if word == start]
        if end - start < 0.05:  # shorter than a picture of the screen
            continue
        assert lit and abs(min(lit) - start) < LATENCY and max(lit) < end + LATENCY, (start, end)


def test_a_press_on_a_word_plays_from_it(song):
    page = song.page
    word = page.locator(".sg-words button").nth(1)

    word.click()

    page.wait_for_function("window.songgen.state.playing")
    start = float(word.get_attribute("data-start"))
    assert start - 0.01 <= song.state()["position"] < start + 1


def test_a_track_can_be_muted_and_played_alone(song):
    page = song.page
    page.get_by_role("button", name="Play the silver").click()
    page.get_by_role("button", name="Mute the Vocal").click()
    page.wait_for_function("window.songgen.state.levels.vocal < 0.01")
    assert song.state()["levels"]["band"] > 0.9

    page.get_by_role("button", name="Mute the Vocal").click()
    page.get_by_role("button", name="Play the Vocal alone").click()

    page.wait_for_function("window.songgen.state.levels.band < 0.01")
    page.get_by_role("button", name="Play the Vocal alone").click()
    page.wait_for_function("window.songgen.state.levels.band > 0.9")


def test_the_files_of_a_song_can_be_downloaded(song):
    page = song.page
    contents = {}
    for name in ("Download the mix", "Settings (JSON)", "Lyrics (LRC)", "Subtitles (VTT)"):
        with page.expect_download() as download:
            page.get_by_role("link", name=name).click()
        contents[name] = Path(download.value.path()).read_bytes()

    assert contents["Download the mix"].startswith(b"RIFF")
    sidecar = json.loads(contents["Settings (JSON)"])
    assert sidecar["provenance"]["ai_generated"] is True and sidecar["seed"] == 7
    assert contents["Lyrics (LRC)"].startswith(b"[00:")
    assert contents["Subtitles (VTT)"].startswith(b"WEBVTT")


def test_the_balance_slider_remixes_a_song_of_two_tracks(song):
    before = song.samples()
    slider = song.page.locator("#balance input[type=range]")
    slider.focus()
    for _ in range(40):
        slider.press("ArrowLeft")
    slider.dispatch_event("pointerup")
    song.page.locator(".sg-song-head").get_by_text("balance -100").wait_for()

    mixed, band = song.samples(), song.samples("band")
    assert not np.array_equal(mixed[:RATE], before[:RATE])
    inside = len(mixed) - RATE // 20  # a longer track fades out where it is cut
    np.testing.assert_allclose(mixed[:inside], band[:inside], atol=2)


def test_a_stretch_is_sung_again_and_the_rest_keeps_its_samples(song):
    from playwright.sync_api import TimeoutError

    page = song.page
    before = {track: song.samples(track) for track in ("vocal", "band")}
    lanes = page.locator(".sg-lanes")
    lanes.scroll_into_view_if_needed()
    box = lanes.bounding_box()
    page.mouse.move(box["x"] + 0.4 * box["width"], box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 30, steps=4)
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 30)
    page.mouse.up()
    page.locator("#edit-block #redo").wait_for()
    page.wait_for_function("Number(document.querySelector('#edit-to input').value) > 0")
    start, end = (float(page.input_value(f"#edit-{one} input")) for one in ("from", "to"))
    assert start == pytest.approx(1.4, abs=0.05) and end == pytest.approx(2.1, abs=0.05)
    page.locator("#edit-track").get_by_label("Vocal").check()
    page.locator("#edit-mode").get_by_label("In few steps").check()

    song.press("#redo")

    page.set_viewport_size(PHONE)  # whose list of songs has long facts now
    assert overlapping(page) == []
    page.set_viewport_size(SCREEN)
    after = {track: song.samples(track) for track in before}
    np.testing.assert_array_equal(after["band"], before["band"])
    changed = np.flatnonzero(after["vocal"] != before["vocal"]) / RATE
    assert len(changed) and changed.min() > start - CROSSFADE_SECONDS - 0.02
    assert changed.max() < end + CROSSFADE_SECONDS + 0.02
    takes = page.locator(".sg-takes [aria-pressed]")
    assert takes.count() == 3 and "score" in takes.nth(1).inner_text()
    assert serious(page) == []
    # A and B at the same place while playing, and back.
    for attempt in range(4):
        page.locator(".sg-song .sg-play").click()
        page.wait_for_function("window.songgen.state.position > 0.05")
        at = song.state()["position"]
        takes.nth(0).click()
        try:
            handle = page.wait_for_function(
                """s => window.songgen.state.song === s && window.songgen.state.playing
                  && { at: window.songgen.state.position }""",
                arg=song.song,
                timeout=10_000,
            )
        except TimeoutError:  # on a slow machine the song of 3.5 s had ended before the click
            assert attempt < 3
            takes.nth(1).click()
            page.wait_for_function("s => window.songgen.state.song !== s", arg=song.song)
        else:
            assert handle.json_value()["at"] >= at
            break
    takes.nth(1).click()
    page.wait_for_function("s => window.songgen.state.song !== s", arg=song.song)
    page.get_by_role("button", name="Undo").click()
    page.wait_for_selector(f".sg-song[data-song='{song.song}']")


def test_other_words_are_sung_to_the_same_band(song):
    page = song.page
    band = song.samples("band")
    song.unfold("Edit this song", "Lyrics of the whole song")
    page.get_by_label("Lyrics of the whole song").fill("come and dance with me")
    page.locator("#edit-mode").get_by_label("In few steps").check()

    song.press("#new-words")

    np.testing.assert_array_equal(song.samples("band"), band)
    assert page.locator(".sg-song h2").inner_text() == "come and dance with me"


def test_a_song_is_continued(song):
    page = song.page
    before = song.samples("vocal")
    song.unfold("Edit this song", "number input for Seconds to add")
    song.number("Seconds to add", 1)
    page.locator("#edit-mode").get_by_label("In few steps").check()

    song.press("#go-on")

    vocal = song.samples("vocal")
    assert len(vocal) > len(before)
    inside = len(before) - round((CROSSFADE_SECONDS + 0.03) * RATE)
    np.testing.assert_array_equal(vocal[:inside], before[:inside])


LYRICS = "[intro 0.6s]\n[verse 1.2s]\nthe silver river\n[chorus 0.8s]\nla\n[chorus 0.8s]"


def test_a_whole_song_is_planned_sung_by_sections_and_redone(visit):
    page = visit.open().page
    visit.write(lyrics=LYRICS)
    page.locator("#plan").get_by_text("These lyrics have tags").wait_for()
    page.get_by_label("Whole song, section by section").check()
    page.wait_for_function("document.querySelectorAll('#plan .sg-section').length === 4")
    page.get_by_label("number input for Length (seconds)").wait_for(state="detached")
    visit.number("Context (seconds)", 0.5)

    page.click("#sing")

    live = page.locator(".sg-song[data-live] .sg-section")
    live.first.wait_for()
    page.wait_for_function("window.songgen.state && window.songgen.state.position > 0.05",
                           timeout=SONG_MILLISECONDS)  # fmt: skip
    early = page.evaluate(
        "() => [...document.querySelectorAll('.sg-song .sg-section')].map(one => one.dataset.state)"
    )
    page.wait_for_function(SUNG, arg=None, timeout=SONG_MILLISECONDS)
    assert early[0] in ("sung", "singing") and early[-1] in ("waiting", "singing", "sung")
    song, before = visit.shown(), visit.samples()
    assert len(before) == pytest.approx(3.4 * RATE) and "whole=1" in page.url
    assert page.locator("#edit-block").is_visible() is False
    pause = page.get_by_role("button", name="Pause the silver river")
    if pause.count():  # a word that lights up meanwhile has no colors that can be compared
        pause.click()
    for _ in ("light", "dark"):
        assert serious(page) == [] and overlapping(page) == []
        page.get_by_role("button", name=OTHER_THEME).click()
        page.wait_for_timeout(500)  # colors change within some time
    page.get_by_role("button", name="Play from Chorus 1").click()
    page.wait_for_function("window.songgen.state.position > 1.79")
    page.get_by_role("button", name="Sing Verse again").click()
    page.wait_for_function(SUNG, arg=song, timeout=SONG_MILLISECONDS)
    changed = np.flatnonzero(visit.samples() != before) / RATE
    assert len(changed) and 0.6 <= changed.min() and changed.max() <= 1.8
    assert "Verse again" in page.locator(".sg-song-head").inner_text()
    page.set_viewport_size(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert overlapping(page) == []
    page.get_by_role("button", name="Undo").click()
    page.wait_for_selector(f".sg-song[data-song='{song}']")


def test_the_stop_button_keeps_what_was_sung(visit, own_space):
    from ..tools.waiting import wait_until

    page = visit.open().page
    visit.write(seconds=12, mode="Two tracks")
    page.click("#sing")
    page.wait_for_function("window.songgen.state && window.songgen.state.end > 0.5")

    page.click(".sg-song [data-sg=stop]")

    page.locator("#status").get_by_text("Stopped. What was sung until then is kept.").wait_for()
    wait_until(lambda: own_space.service.generator.running == 0, seconds=120)
    page.wait_for_selector(".sg-song:not([data-live])")
    assert 0.4 * RATE < len(visit.samples()) < 11.9 * RATE
    page.wait_for_timeout(500)
    assert page.locator("#status").get_by_text("Stopped.").is_visible()
    assert page.locator("#sing").is_enabled()
    page.wait_for_function("window.songgen.state.position > 0 || !window.songgen.state.playing")


def test_a_band_is_uploaded_and_sung_over(visit, tmp_path):
    page = visit.open().page
    visit.write(seconds=2)
    time = np.arange(2 * RATE) / RATE
    band = 0.3 * np.sin(2 * np.pi * 220 * time) * np.exp(-4 * (time % 0.5))
    soundfile.write(tmp_path / "band.wav", band, RATE)
    page.get_by_role("button", name="Sing over a recording").click()
    page.locator("#over input[type=file]").set_input_files(tmp_path / "band.wav")
    page.locator("#over [data-testid*=waveform], #over audio").first.wait_for(state="attached")

    visit.press("#over-button")

    uploaded = soundfile.read(tmp_path / "band.wav", dtype="int16")[0]
    np.testing.assert_allclose(visit.samples("band")[: len(uploaded)], uploaded, atol=1)
    assert np.abs(visit.samples("vocal")).max() > 100
    assert "to a recording" in page.locator(".sg-song-head").inner_text()


def test_a_link_restores_the_settings_that_give_the_same_song(visit, context, own_space, tmp_path):
    page = visit.open().page
    visit.write(lyrics="one & two\n<b>three</b>", text="a sad jazz song, sung by a male voice")
    page.fill("#seed textarea, #seed input", "4711")
    visit.number("Guidance", 1.5)
    visit.number("Guidance of the lyrics", 2)
    visit.number("Temperature", 0.8)
    visit.press()
    first = visit.samples()
    address = page.url
    assert "seed=4711" in address and "guidance_lyrics=2" in address and "steps=2" in address

    visitor = Visit(context.new_page(), own_space.local_url, tmp_path)
    visitor.open(address.removeprefix(own_space.local_url))
    other = visitor.page
    other.wait_for_selector(".sg-note")
    assert other.input_value("#lyrics textarea") == "one & two\n<b>three</b>"
    assert other.input_value("#seed textarea, #seed input") == "4711"
    assert other.get_by_role("checkbox", name="jazz").is_checked()
    visitor.press()

    np.testing.assert_array_equal(visitor.samples(), first)
    assert (
        other.locator(".sg-song b:not([class])").count()
        == page.locator(".sg-song b:not([class])").count()
    )
    assert visitor.errors == []
    other.close()


def test_a_link_with_impossible_settings_says_so_at_once(visit):
    page = visit.open("?text=pop&seconds=900&mode=opera&top_k=20").page

    told = page.get_by_role("alert").filter(has_text="This link asks for")

    told.wait_for()
    assert "length must be a number from 1 to 5: got 900" in told.inner_text()
    assert "The mode is 'opera'" in told.inner_text()
    assert page.input_value("#description textarea") == "pop"


def test_again_new_and_the_history(visit):
    page = visit.open().page
    visit.write(lyrics="first words")
    visit.press()
    first = visit.samples()
    visit.press("#again")
    np.testing.assert_array_equal(visit.samples(), first)
    page.fill("#lyrics textarea", "<img src=x onerror=\"document.title='owned'\"> <b>la</b>")
    visit.press("#new")

    assert not np.array_equal(visit.samples()[:4000], first[:4000])
    assert page.locator(".sg-history li").count() == 3
    assert page.locator(".sg-song h2").inner_text().startswith("<img src=x")
    assert page.title() != "owned" and page.locator(".sg-song h2 *").count() == 0
    page.get_by_role("button", name="Restore the settings of first words").first.click()
    page.wait_for_function("document.querySelector('#lyrics textarea').value === 'first words'")
    assert page.input_value("#seed textarea, #seed input").isdigit()


def test_the_best_of_two_takes_is_shown_with_scores(visit):
    page = visit.open().page
    visit.write()
    visit.number("Best of", 2)

    visit.press()

    takes = page.locator(".sg-takes [aria-pressed]")
    assert takes.count() == 2
    assert all("score" in text for text in takes.all_inner_texts())


def test_leaving_the_page_ends_the_generation_and_deletes_the_songs(context, own_space, tmp_path):
    from ..tools.waiting import wait_until

    visit = Visit(context.new_page(), own_space.local_url, tmp_path).open()
    visit.write()
    folder = own_space.service.store.root / visit.press()
    assert folder.is_dir()
    visit.write(seconds=4, mode="Two tracks")
    visit.page.click("#sing")
    visit.page.wait_for_selector(".sg-song[data-live]")
    live = own_space.service.store.root / visit.shown()
    assert live.is_dir()

    visit.page.close()

    wait_until(lambda: own_space.service.generator.running == 0, seconds=120)
    wait_until(lambda: not folder.exists() and not live.exists(), seconds=60)


def test_an_empty_form_shows_a_visible_error(visit):
    page = visit.open().page

    page.click("#sing")

    page.get_by_role("alert").filter(has_text="nothing to sing").wait_for()
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

    page.click("#sing")

    page.get_by_role("alert").filter(has_text="annot read the reference voice").wait_for()
    assert page.locator("#sing").is_enabled()
    visit.errors.clear()  # the browser itself reports that it cannot decode the file

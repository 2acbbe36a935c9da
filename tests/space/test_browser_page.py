"""What the page of a Space looks like in a browser, and how it is used without a mouse.

Playwright controls Debian's chromium; axe-core checks the accessibility of the page.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from songgen_hf.space.strings import STRINGS

from ..tools.accessibility import overlapping, serious
from .browser_visit import BROWSER_TESTS, OTHER_THEME, PHONE, SCREEN, SONG_MILLISECONDS, SUNG, Visit

pytestmark = BROWSER_TESTS
RATE = 16000


def test_the_page_fits_the_screen_of_a_phone(visit):
    page = visit.page
    page.set_viewport_size(PHONE)
    visit.open()
    box = page.locator("#sing").bounding_box()
    assert box["y"] + box["height"] <= PHONE["height"]
    visit.write()

    visit.press()

    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    box = page.locator(".sg-play").first.bounding_box()
    assert box["width"] >= 40 and box["height"] >= 40
    page.wait_for_function(
        "document.querySelector('.sg-song').getBoundingClientRect().top < innerHeight"
    )
    assert serious(page) == []


@pytest.mark.parametrize("size", [SCREEN, PHONE], ids=["screen", "phone"])
def test_the_buttons_cover_nothing_and_chosen_chips_are_visible(visit, size):
    page = visit.page
    page.set_viewport_size(size)
    visit.open("?text=a+calm+waltz,+led+by+violin,+sung+by+a+male+voice")
    page.wait_for_selector(".sg-note")
    page.wait_for_timeout(300)

    covered = page.evaluate(
        """() => [...document.querySelectorAll('#ask input, #ask textarea, #ask button')]
          .filter((one) => {
            const box = (one.closest('label') || one).getBoundingClientRect();
            const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
            const top = document.elementFromPoint(x, y);
            return x < innerWidth && y < innerHeight && top && top.closest('#actions')
              && !one.closest('#actions');
          }).length"""
    )
    hidden = page.evaluate(
        """() => [...document.querySelectorAll('.sg-chip-row label:has(input:checked)')]
          .filter((label) => {
            const [row, box] = [label.parentElement, label].map((e) => e.getBoundingClientRect());
            return box.left < row.left || box.right > row.right - 34;
          }).length"""
    )

    assert page.locator("#sing").is_visible()
    assert (covered, hidden) == (0, 0)
    assert page.locator(".sg-chip-row input:checked").count() >= 2


def test_a_song_can_be_sung_and_played_with_the_keyboard_alone(visit):
    page = visit.open().page
    stops = []
    while len(stops) < 26:
        page.keyboard.press("Tab")
        stops.append(page.evaluate("document.activeElement.id || document.activeElement.name"))
        if page.evaluate("Boolean(document.activeElement.closest('#lyrics'))"):
            page.keyboard.type("the river")
        if page.evaluate("Boolean(document.activeElement.closest('.sg-chip-genre'))"):
            page.keyboard.press("ArrowRight")
            page.keyboard.press("Space")
        if stops[-1] == "sing":
            break
    assert stops[-1] == "sing" and len(stops) <= 25, stops
    page.wait_for_function("document.querySelector('#description textarea').value.includes('song')")
    tab_to(page, "#mode")
    page.keyboard.press("ArrowRight")
    page.locator("#mode label:has(input:checked)").get_by_text("Few steps").wait_for()
    tab_to(page, "#sing", "Shift+Tab")

    page.keyboard.press("Enter")

    page.wait_for_function(SUNG, arg=None, timeout=SONG_MILLISECONDS)
    tab_to(page, ".sg-song .sg-play")
    if page.evaluate("window.songgen.state.playing"):
        page.keyboard.press("Space")
    page.keyboard.press("Space")
    page.wait_for_function("window.songgen.state.position > 0")
    tab_to(page, ".sg-lanes input")
    page.keyboard.press("Home")


def tab_to(page, selector, key="Tab"):
    """Press Tab until the focus is in an element."""
    for _ in range(60):
        page.keyboard.press(key)
        if page.evaluate("one => Boolean(document.activeElement.closest(one))", selector):
            return
    raise AssertionError(f"{key} does not lead to {selector}")


def test_the_page_speaks_german(browser, own_space, tmp_path):
    context = browser.new_context(locale="de-DE")
    visit = Visit(context.new_page(), own_space.local_url, tmp_path).open()
    page = visit.page
    page.get_by_role("button", name="Singen", exact=True).wait_for()
    page.get_by_role("button", name="Weitere Einstellungen").click()
    page.get_by_role("button", name="Zu einer Aufnahme singen").click()
    page.wait_for_timeout(500)
    text = page.locator("#columns").inner_text().split("\n")
    english = {en for en, de in STRINGS.values() if en != de}

    assert not english.intersection(line.strip() for line in text)
    assert page.evaluate("document.documentElement.lang") == "de"
    assert serious(page) == [] and visit.errors == []
    page.get_by_role("link", name="English").click()
    page.get_by_role("button", name="Sing", exact=True).wait_for()
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_light_and_the_dark_theme_are_accessible(browser, own_space, tmp_path, scheme):
    context = browser.new_context(color_scheme=scheme)
    visit = Visit(context.new_page(), own_space.local_url, tmp_path).open()
    for name in ("More control", "Reference voice", "Sing over a recording"):
        visit.page.get_by_role("button", name=name).click()
    visit.page.wait_for_timeout(700)

    assert serious(visit.page) == [] and overlapping(visit.page) == []
    assert visit.errors == []
    context.close()


@pytest.fixture
def adapting(context, pipelines, space_folder, tmp_path):
    """A page of a Space with the tab Adapt, and an adapter that was trained for 50 steps."""
    from songgen_hf.space.adaptations import Adaptations
    from songgen_hf.space.app import build_demo

    from ..tools.serving import launched

    mine = tmp_path / "adapters" / "mine"
    base = Path(pipelines["two tracks"].model.name_or_path).name
    for step in (0, 50):
        folder = mine / "run" / "samples" / f"step-{step:07d}"
        folder.mkdir(parents=True)
        soundfile.write(folder / "0.flac", np.zeros(RATE), RATE)
    (mine / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base}))
    (mine / "adapter_model.safetensors").write_bytes(b"")
    adaptations = Adaptations(tmp_path / "adapters")
    with launched(lambda: build_demo(pipelines, adapt=adaptations)) as demo:
        visit = Visit(context.new_page(), demo.local_url, tmp_path)
        yield visit
        visit.page.close()
    assert visit.errors == []


def test_the_tab_adapt_plays_songs_and_chooses_an_adapter(adapting):
    page = adapting.open().page
    assert serious(page) == []
    page.get_by_role("tab", name="Adapt").click()
    page.get_by_label("Name of the adapter").fill("mine")
    page.keyboard.press("Enter")
    page.get_by_text("After 50 steps").wait_for()
    assert page.locator("#adapt-samples audio").count() == 2
    page.click("#adapt-look")
    page.get_by_role("alert").filter(has_text="There are no recordings").wait_for()
    assert not page.locator("#adapt-train").is_enabled()
    for _ in ("light", "dark"):
        assert serious(page) == [] and overlapping(page) == []
        page.get_by_role("button", name=OTHER_THEME).click()
        page.wait_for_timeout(500)  # colors change within some time
    page.set_viewport_size(PHONE)
    assert overlapping(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]

    page.click("#adapt-use")

    page.locator("#status").get_by_text("The adapter mine is chosen").wait_for()
    assert page.locator("#mode").get_by_label("Two tracks").is_checked()
    adapting.unfold("More control", "number input for Top-k")
    assert page.get_by_label("Adapter (LoRA)").input_value() == "mine"

"""A browser on the page of a listening test, opened from the disk and used with the keyboard."""

import json
from pathlib import Path

import pytest

from songgen_hf.cli import main
from songgen_hf.evaluation.listening_test.options import ListeningOptions
from songgen_hf.evaluation.listening_test.page import write_page

from ...tools.chromium import browser

__all__ = ["browser"]

pytestmark = [pytest.mark.debian, pytest.mark.slow]


class Listener:
    """A visit to a page, with the errors and the requests that it made."""

    def __init__(self, context, written):
        self.page = context.new_page()
        self.page.set_default_timeout(20_000)
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on(
            "console",
            lambda message: message.type == "error" and self.errors.append(message.text),
        )
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(written.page.resolve().as_uri())

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)

    def play(self, key="Space"):
        """Start a song and wait until it plays."""
        before = self.page.evaluate("heard.size")
        self.press(key)
        self.page.wait_for_function("before => heard.size > before", arg=before)

    def status(self):
        return self.page.locator("#status").inner_text()

    def heading(self):
        return self.page.locator("#heading").inner_text()

    def votes(self):
        """The content of the downloaded votes, and their path."""
        with self.page.expect_download() as download:
            self.page.get_by_role("button", name="Download votes").click()
        path = Path(download.value.path())
        return json.loads(path.read_text(encoding="utf-8")), path


@pytest.fixture
def visit(browser):
    """Opens pages in a context of its own; they must report no errors and use no network."""
    context = browser.new_context(accept_downloads=True)
    visits = []

    def opened(written):
        visits.append(Listener(context, written))
        return visits[-1]

    yield opened
    context.close()
    for visit in visits:
        assert visit.errors == []
        assert all(url.startswith(("file:", "blob:")) for url in visit.requests)


def write(tmp_path, folders, **more):
    return write_page(ListeningOptions(songs=folders[:2], out=tmp_path / "page", **more))


def test_a_test_is_answered_with_the_keyboard_and_its_votes_are_read(
    visit, tmp_path, folders, capsys
):
    written = write(tmp_path, folders, count=3)
    listener = visit(written)
    assert listener.heading() == "Question 1 of 3"

    listener.press("1")
    assert listener.status() == "Play A first."
    listener.play()
    listener.press("1")
    assert listener.status() == "Play B first."
    listener.play("ArrowDown")
    assert listener.page.evaluate("players[0].audio.paused")
    listener.press("a")
    assert listener.status() == "Your answer: A."
    listener.press("ArrowRight")
    assert listener.heading() == "Question 2 of 3"
    listener.play()
    listener.play("ArrowDown")
    listener.press("1", "2")  # the second answer replaces the first one
    listener.press("ArrowRight")
    listener.play()
    listener.play("ArrowDown")
    listener.press("0")
    assert "All questions are answered" in listener.status()
    listener.page.fill("#listener", "Anna B.")
    votes, path = listener.votes()

    trials = json.loads(written.key.read_text(encoding="utf-8"))["trials"]
    assert votes["listener"] == "Anna B." and votes["page"] == written.page_id
    assert list(votes["votes"].values()) == ["a", "b", "tie"]
    assert votes["votes"].keys() == trials.keys()
    assert main(["evaluate", "votes", str(path), "--key", str(written.key), "--json"]) == 0
    (pair,) = json.loads(capsys.readouterr().out)["pairs"]
    chosen = [trials[name]["systems"]["ab".index(one)] for name, one in
              list(votes["votes"].items())[:2]]  # fmt: skip
    assert (pair["first_wins"], pair["second_wins"], pair["ties"]) == (
        chosen.count("ours"), chosen.count("theirs"), 1,
    )  # fmt: skip


def test_answers_survive_a_reload(visit, tmp_path, folders):
    written = write(tmp_path, folders, design="mos", count=3)
    listener = visit(written)
    listener.play()
    listener.press("4", "ArrowRight")
    assert listener.heading() == "Question 2 of 3"
    code = listener.page.input_value("#listener")

    listener.page.reload()  # another page may still read what was stored before

    assert listener.heading() == "Question 2 of 3"
    assert listener.page.input_value("#listener") == code
    assert listener.page.locator("#answered").inner_text() == "1 of 3 answered"
    listener.press("ArrowLeft")
    chosen = listener.page.get_by_role("button", name="4 Good")
    assert chosen.get_attribute("aria-pressed") == "true"
    listener.press("2")  # an answer can be changed without listening again
    votes, _ = listener.votes()
    assert list(votes["votes"].values()) == [2] and votes["listener"] == code


def test_the_buttons_do_what_the_keys_do(visit, tmp_path, folders):
    listener = visit(write(tmp_path, folders, design="abx", count=2))
    page = listener.page
    for name in "ABX":
        page.get_by_role("button", name=f"Play {name}").click()
        page.wait_for_function("n => heard.size === n", arg="ABX".index(name) + 1)
    page.get_by_role("group").get_by_role("button", name="B", exact=True).click()
    assert listener.status() == "Your answer: B."
    assert page.get_by_role("button", name="No preference").count() == 0
    page.get_by_role("button", name="Next").click()
    assert listener.heading() == "Question 2 of 2"
    assert page.evaluate("document.activeElement.id") == "heading"
    page.get_by_label("Position in X").focus()
    page.keyboard.press("ArrowRight")
    assert listener.heading() == "Question 2 of 2", "arrows move the slider that has the focus"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_accessible(browser, tmp_path, folders, scheme):
    from ...tools.accessibility import serious

    context = browser.new_context(
        color_scheme=scheme, viewport={"width": 390, "height": 844}, bypass_csp=True
    )
    listener = Listener(context, write(tmp_path, folders))
    listener.play()
    listener.play("ArrowDown")
    listener.press("2")

    assert serious(listener.page) == []
    width = listener.page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390
    context.close()

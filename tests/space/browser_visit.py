"""A visit of a Space in a browser: what the tests of its page have in common."""

from pathlib import Path

import pytest
import soundfile

BROWSER_TESTS = [
    pytest.mark.debian,
    pytest.mark.slow,
    pytest.mark.xdist_group("space-browser"),
    # gradio's usage statistics call deprecated functions of pandas 3.
    pytest.mark.filterwarnings("ignore:.*(no_silent_downcasting|The copy keyword)"),
]
SCREEN = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
OTHER_THEME = "Switch between light and dark"
SONG_MILLISECONDS = 180_000
SUNG = """before => {
  const problem = document.querySelector('#status [role=alert]');
  if (problem) throw new Error(problem.innerText);
  const song = document.querySelector('.sg-song');
  return song && song.dataset.song !== before && !song.dataset.live
    && document.querySelector('.sg-done');
}"""


class Visit:
    """A page in the browser, with the errors that it reported."""

    def __init__(self, page, address, folder):
        self.page = page
        self.address = address
        self.folder = Path(folder)
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
        # The rows of chips have one Tab stop as soon as the script has seen them.
        self.page.wait_for_selector(".sg-chip-row input[tabindex='-1']", state="attached")
        return self

    def write(self, lyrics="the river runs", text="a folk song", seconds=2, mode="Few steps"):
        """Fill in the form; a song in two steps takes no time."""
        self.page.fill("#lyrics textarea", lyrics)
        self.page.fill("#description textarea", text)
        self.page.locator("#mode").get_by_label(mode, exact=True).check()
        self.number("Length (seconds)", seconds)
        if mode == "Few steps":
            self.unfold("More control", "number input for Steps")
            self.number("Steps", 2)

    def unfold(self, title, label):
        """Open a part of the page unless the field with a label is visible."""
        field = self.page.get_by_label(label)
        if not field.count() or not field.first.is_visible():
            self.page.get_by_role("button", name=title).click()
            field.first.wait_for()

    def number(self, label, value):
        """Type a number into the field of a slider."""
        field = self.page.get_by_label(f"number input for {label}", exact=True)
        field.fill(str(value))
        field.press("Tab")

    def press(self, button="#sing"):
        """Press a button that asks for a song, wait for the song and return its id."""
        before = self.shown()
        self.page.click(button)
        self.page.wait_for_function(SUNG, arg=before, timeout=SONG_MILLISECONDS)
        return self.shown()

    def shown(self):
        """The id of the song that is shown."""
        return self.page.evaluate("document.querySelector('.sg-song')?.dataset.song ?? null")

    def state(self):
        """Where the player is: position, end, clock of the sound, and whether it plays."""
        return self.page.evaluate("window.songgen.state")

    def samples(self, track="mix"):
        """The samples of a track, as its link downloads them."""
        address = self.page.get_attribute(f".sg-downloads [data-name={track}]", "href")
        answer = self.page.request.get(f"{self.address}{address}")
        assert answer.ok
        path = self.folder / f"{track}.wav"
        path.write_bytes(answer.body())
        return soundfile.read(path, dtype="int16")[0]


@pytest.fixture(scope="session")
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
    limits = Limits(seconds=5.0, upload_bytes=500_000, hub_adapters=False)
    with launched(
        lambda: build_demo(pipelines, limits=limits, defaults=default_settings())
    ) as demo:
        yield demo


@pytest.fixture(scope="module")
def context(browser):
    """The context of most pages, which load gradio's files only once."""
    context = browser.new_context(viewport=SCREEN, accept_downloads=True)
    yield context
    context.close()


@pytest.fixture
def visit(context, own_space, tmp_path):
    """A page with a session of its own, which must report no errors."""
    visit = Visit(context.new_page(), own_space.local_url, tmp_path)
    yield visit
    visit.page.close()
    assert visit.errors == []

"""A visit of the Space in a browser: the steps that tests of the page have in common."""

from pathlib import Path

import soundfile

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

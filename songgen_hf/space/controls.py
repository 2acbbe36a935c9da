"""The right side of the page: the controls of a finished song.

Each control is a class that draws its blocks, updates them when a song is shown and handles their
events. Further controls are passed to ``build_demo(controls=[*CONTROLS, MyControl])``; the rest of
the page does not depend on them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ..optional import require
from . import markup, song_markup
from .edits import BOTH, TRACKS
from .error_messages import tell
from .form import Form, Texts, restored
from .song_files import Song
from .song_service import SongService
from .strings import ENGLISH, Say

if TYPE_CHECKING:
    import gradio as gr
else:
    gr = require("gradio", "space")

PRIVATE: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
_CHOOSE = """element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-action]');
  if (button) trigger('choose', {song: button.dataset.song, action: button.dataset.action});
  const again = event.target.closest('[data-resing]');
  if (again) trigger('resing', {song: again.dataset.song, section: again.dataset.resing});
});"""


class Control:
    """Base class of the controls, which draws nothing.

    Args:
        service: generates, remixes and stores the songs.
        texts: where the words of its blocks are kept; see :class:`songgen_hf.space.form.Texts`.
    """

    outputs: Sequence[Any] = ()
    """The components that ``view`` updates."""

    def __init__(self, service: SongService, texts: Texts | None = None):
        self.service = service
        self.texts = Texts() if texts is None else texts

    def draw(self) -> None:
        """Create the blocks of the control; called within the right column of the page."""

    def view(self, song: Song | None, songs: Sequence[Song], say: Say = ENGLISH) -> list[Any]:
        """Return one update for each of ``outputs`` when a song is shown.

        Args:
            song: the song that is shown; None for none.
            songs: all songs of the session, the newest first.
            say: words of the page.
        """
        return []

    def wire(self, page: "Page") -> None:
        """Connect the events of the blocks to functions."""


@dataclass
class Page:
    """The parts of the page that controls connect to.

    Args:
        service: generates, remixes and stores the songs.
        form: the left side of the page.
        status: HTML component with the progress or the last message.
        current: state component with the id of the song that is shown.
        feed: HTML component that tells the player of the sound of a song that is generated.
        stage: HTML component of the song.
        controls: the controls, in their order on the page.
        sings: connects an event to a function that generates songs, with its inputs; set by the
            app before the controls are wired.
    """

    service: SongService
    form: Form
    status: Any
    current: Any
    feed: Any = None
    stage: Any = None
    controls: list[Control] = field(default_factory=list)
    sings: Callable[[Any, Callable[..., Iterator[Any]], list[Any]], None] | None = None

    @property
    def outputs(self) -> list[Any]:
        """Status, current song, feed, stage, and the outputs of every control."""
        outputs = [output for control in self.controls for output in control.outputs]
        return [self.status, self.current, self.feed, self.stage, *outputs]

    def show(self, session: str, song: Song | None, status: Any) -> list[Any]:
        """Return the updates of ``outputs`` that show a song and a status."""
        say = self.service.say(session)
        songs = self.service.store.songs(session)
        views = [update for control in self.controls for update in control.view(song, songs, say)]
        card = markup.empty_stage(say)
        if song is not None:
            family = [one for one in reversed(songs) if one.family == song.family]
            card = song_markup.song_view(song, family, say)
        return [status, song.id if song else None, gr.skip(), card, *views]

    def unchanged(self, status: Any, feed: Any = None, stage: Any = None) -> list[Any]:
        """Return the updates of ``outputs`` that change the status, and perhaps a live song."""
        live = [gr.skip() if one is None else one for one in (feed, stage)]
        rest = self.outputs[4:]
        return [status, gr.skip(), *live, *(gr.skip() for _ in rest)]

    def chooses(self, html: Any) -> None:
        """Make the buttons of an HTML component show songs, or restore their settings."""
        form = self.form

        def choose(event: gr.EventData, request: gr.Request) -> list[Any]:
            unchanged = [gr.skip() for _ in form.everything]
            chosen = event._data if isinstance(event._data, dict) else {}
            session = session_of(request)
            say = self.service.say(session)
            try:
                song = self.service.store.song(session, str(chosen.get("song")))
            except ValueError as error:
                return [*self.unchanged(markup.problem(tell(error, say), say)), *unchanged]
            if chosen.get("action") != "restore":
                return [*self.show(session, song, ""), *unchanged]
            message = say("restored")
            if song.with_voice:
                message += f" {say('restored_voice')}"
            return [*self.show(session, song, markup.note(message)), *restored(song.settings)]

        html.choose(choose, None, [*self.outputs, *form.everything], queue=False, **PRIVATE)


def choosing_html(value: str, elem_id: str) -> Any:
    """An HTML component whose buttons with ``data-action`` trigger ``choose``."""
    return gr.HTML(value, elem_id=elem_id, js_on_load=_CHOOSE)


class Balance(Control):
    """Changes the balance of vocal and band in the mix of a two-track song."""

    def draw(self) -> None:
        with gr.Column(visible=False, elem_id="balance-block") as self.group:
            self.slider = self.texts.draw(
                gr.Slider,
                {"label": "balance", "info": "balance_fact"},
                minimum=-100, maximum=100, value=0, step=5, elem_id="balance",
            )  # fmt: skip
        self.outputs = [self.group, self.slider]

    def view(self, song: Song | None, songs: Sequence[Song], say: Say = ENGLISH) -> list[Any]:
        balanced = song is not None and song.has_two_tracks
        return [gr.update(visible=balanced), song.balance if song and balanced else 0]

    def wire(self, page: Page) -> None:
        def rebalance(song_id: str | None, balance: float, request: gr.Request) -> list[Any]:
            session = session_of(request)
            try:
                song = page.service.remix(session, song_id or "", balance)
            except (ValueError, TypeError) as error:
                say = page.service.say(session)
                return page.unchanged(markup.problem(tell(error, say), say))
            return page.show(session, song, "")

        self.slider.release(
            rebalance, [page.current, self.slider], page.outputs, queue=False, **PRIVATE
        )


class EditPanel(Control):
    """Sings a stretch again, other words to the same band, or the continuation of a song."""

    def draw(self) -> None:
        texts, limits = self.texts, self.service.limits
        modes = self.service.generator.modes
        with texts.draw(
            gr.Accordion, {"label": "edit"}, open=False, visible=False, elem_id="edit-block"
        ) as self.group:
            texts.draw(gr.HTML, {"value": lambda say: markup.hint(say("edit_fact"))})
            with gr.Row(elem_classes="sg-pair"):
                number = {"minimum": 0, "precision": 2, "min_width": 110}
                self.start = texts.draw(
                    gr.Number, {"label": "from"}, value=0, elem_id="edit-from", **number
                )
                self.end = texts.draw(
                    gr.Number, {"label": "to"}, value=0, elem_id="edit-to", **number
                )
            self.track = texts.draw(
                gr.Radio,
                {
                    "label": "redo_track",
                    "choices": lambda say: [(say(f"redo:{one}"), one) for one in (*TRACKS, BOTH)],
                },
                value=BOTH, elem_id="edit-track", elem_classes="sg-choice",
            )  # fmt: skip
            with gr.Row(elem_classes="sg-pair"):
                self.mode = texts.draw(
                    gr.Radio,
                    {
                        "label": "edit_mode",
                        "choices": lambda say: [(say(f"how:{mode}"), mode) for mode in modes],
                    },
                    value=modes[0], elem_id="edit-mode", elem_classes="sg-choice",
                )  # fmt: skip
                self.takes = texts.draw(
                    gr.Slider, {"label": "num_takes"},
                    minimum=1, maximum=limits.takes, value=min(2, limits.takes), step=1,
                )  # fmt: skip
            self.lyrics = texts.draw(
                gr.Textbox, {"label": "edit_lyrics"}, lines=3, max_lines=14, elem_id="edit-lyrics"
            )
            self.redo = texts.draw(gr.Button, {"value": "redo"}, size="md", elem_id="redo")
            self.words = texts.draw(
                gr.Button, {"value": "new_words"}, size="md", elem_id="new-words"
            )
            with gr.Row(elem_classes="sg-pair"):
                self.more = texts.draw(
                    gr.Slider, {"label": "add_seconds"},
                    minimum=1, maximum=limits.seconds, value=min(4, limits.seconds), step=0.5,
                )  # fmt: skip
                self.go_on = texts.draw(
                    gr.Button, {"value": "continue"}, size="md", elem_id="go-on"
                )
        self.outputs = [self.group, self.start, self.end, self.track, self.mode, self.lyrics,
                        self.words]  # fmt: skip

    def view(self, song: Song | None, songs: Sequence[Song], say: Say = ENGLISH) -> list[Any]:
        if song is None or song.settings.whole:  # its cards are edited
            return [gr.update(visible=False), *(gr.skip() for _ in self.outputs[1:])]
        modes = self.service.generator.modes_like(song)
        choices = [(say(f"how:{mode}"), mode) for mode in modes]
        mode = song.settings.mode if song.settings.mode in modes else modes[0]
        two = song.has_two_tracks
        return [
            gr.update(visible=True),
            gr.skip(),
            gr.skip(),
            gr.update(visible=True) if two else gr.update(visible=False, value=BOTH),
            gr.update(choices=choices, value=mode),
            song.settings.lyrics,
            gr.update(visible=two),
        ]

    def wire(self, page: Page) -> None:
        service = page.service
        shared = [page.current, self.lyrics, self.mode, page.form.voice]

        def given(request: Any, song_id: Any, lyrics: Any, mode: Any, voice: Any) -> Any:
            """The session, the song, the settings of its edit, and its voice."""
            session = session_of(request)
            song = service.store.song(session, str(song_id))
            settings = replace(song.settings, lyrics=lyrics, mode=mode, seed=None)
            return session, song, settings, voice if song.with_voice else None

        def redo(request: Any, *values: Any) -> Iterator[Any]:
            *first, start, end, track, takes = values
            session, song, settings, voice = given(request, *first)
            if not end:  # nothing is chosen: everything
                start, end = 0, song.seconds
            yield from service.redo(
                session, song.id, settings, start=start, end=end, track=track, takes=takes,
                voice=voice,
            )  # fmt: skip

        def new_words(request: Any, *values: Any) -> Iterator[Any]:
            *first, takes = values
            session, song, settings, voice = given(request, *first)
            yield from service.new_words(session, song.id, settings, takes=takes, voice=voice)

        def go_on(request: Any, *values: Any) -> Iterator[Any]:
            *first, seconds = values
            session, song, settings, voice = given(request, *first)
            settings = replace(settings, seconds=seconds)
            yield from service.go_on(session, song.id, settings, voice=voice)

        assert page.sings is not None
        stretch = [self.start, self.end, self.track, self.takes]
        page.sings(self.redo.click, redo, [*shared, *stretch])
        page.sings(self.words.click, new_words, [*shared, self.takes])
        page.sings(self.go_on.click, go_on, [*shared, self.more])


class History(Control):
    """Lists the songs of the session, to show one again or to restore its settings."""

    def draw(self) -> None:
        self.html = choosing_html("", "history")
        self.outputs = [self.html]

    def view(self, song: Song | None, songs: Sequence[Song], say: Say = ENGLISH) -> list[Any]:
        return [markup.history_view(songs, song.id if song else None, say)]

    def wire(self, page: Page) -> None:
        page.chooses(self.html)


CONTROLS: tuple[type[Control], ...] = (Balance, EditPanel, History)


def session_of(request: Any) -> str:
    """The session of a request; requests without a session share the name "none"."""
    return str(getattr(request, "session_hash", None) or "none")


__all__ = [
    "CONTROLS",
    "PRIVATE",
    "Balance",
    "Control",
    "EditPanel",
    "History",
    "Page",
    "choosing_html",
    "session_of",
]

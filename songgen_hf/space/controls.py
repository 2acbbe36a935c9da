"""The right side of the page: what is done with a song. Each control is one class: the block that
it draws, what that block shows of a song, and the function it calls.

A later control (continue, redo a part, hear it while it is sung) is one more class, given to
``build_demo(controls=[*CONTROLS, Continue])``; nothing else has to know of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..optional import require
from . import markup
from .form import Form, restored
from .song_files import Song
from .song_service import SongService, told

if TYPE_CHECKING:
    import gradio as gr
else:
    gr = require("gradio", "space")

PRIVATE: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


class Control:
    """What a control may do; by default nothing.

    Args:
        desk: where songs are sung, re-mixed and kept.
    """

    outputs: Sequence[Any] = ()
    """The components that ``view`` updates."""

    def __init__(self, desk: SongService):
        self.desk = desk

    def draw(self) -> None:
        """Create the block; called within the page's right column."""

    def view(self, song: Song | None, songs: Sequence[Song]) -> list[Any]:
        """Updates of ``outputs`` when a song is shown.

        Args:
            song: the one shown; None for none.
            songs: the session's, the newest first.
        """
        return []

    def wire(self, page: "Page") -> None:
        """Connect the block's events to functions."""


@dataclass
class Page:
    """What controls connect to.

    Args:
        desk: of the Space.
        form: the left side.
        status: HTML that says what is going on.
        current: state with the id of the song shown.
        controls: in the page's order.
    """

    desk: SongService
    form: Form
    status: Any
    current: Any
    controls: list[Control] = field(default_factory=list)

    @property
    def outputs(self) -> list[Any]:
        """Status, the song shown, and what every control shows of it."""
        return [
            self.status,
            self.current,
            *(o for control in self.controls for o in control.outputs),
        ]

    def show(self, session: str, song: Song | None, status: str) -> list[Any]:
        """Updates of ``outputs``."""
        songs = self.desk.shelf.songs(session)
        views = [update for control in self.controls for update in control.view(song, songs)]
        return [status, song.id if song else None, *views]

    def unchanged(self, status: str) -> list[Any]:
        """Updates of ``outputs`` that change the status only."""
        return [status, *(gr.skip() for _ in self.outputs[1:])]


class Players(Control):
    """The song: players, pictures, downloads, link."""

    def draw(self) -> None:
        self.html = gr.HTML(markup.empty_stage(), elem_id="song", js_on_load=None)
        self.outputs = [self.html]

    def view(self, song: Song | None, songs: Sequence[Song]) -> list[Any]:
        return [markup.song_view(song) if song else markup.empty_stage()]


class Balance(Control):
    """Vocal against band: mixes the two tracks anew, without singing."""

    def draw(self) -> None:
        with gr.Column(visible=False, elem_id="balance-block") as self.group:
            self.slider = gr.Slider(
                -100, 100, value=0, step=5, label="Balance",
                info="Band alone at −100, vocal alone at 100. Mixed anew, not sung anew.",
                elem_id="balance",
            )  # fmt: skip
        self.outputs = [self.group, self.slider]

    def view(self, song: Song | None, songs: Sequence[Song]) -> list[Any]:
        balanced = song is not None and song.has_parts
        return [gr.update(visible=balanced), song.balance if song and balanced else 0]

    def wire(self, page: Page) -> None:
        def rebalance(song_id: str | None, balance: float, request: gr.Request) -> list[Any]:
            session = session_of(request)
            try:
                song = page.desk.remix(session, song_id or "", balance)
            except (ValueError, TypeError) as error:
                return page.unchanged(markup.problem(told(error)))
            return page.show(session, song, "")

        self.slider.release(
            rebalance, [page.current, self.slider], page.outputs, queue=False, **PRIVATE
        )


class History(Control):
    """The songs of this session: show one, or restore its settings."""

    def draw(self) -> None:
        self.html = gr.HTML(
            "",
            elem_id="history",
            js_on_load="element.addEventListener('click', (event) => {"
            "const button = event.target.closest('[data-action]');"
            "if (button) trigger('choose', {song: button.dataset.song,"
            " action: button.dataset.action}); });",
        )
        self.outputs = [self.html]

    def view(self, song: Song | None, songs: Sequence[Song]) -> list[Any]:
        return [markup.history_view(songs, song.id if song else None)]

    def wire(self, page: Page) -> None:
        form = page.form

        def choose(event: gr.EventData, request: gr.Request) -> list[Any]:
            unchanged = [gr.skip() for _ in form.everything]
            chosen = event._data if isinstance(event._data, dict) else {}
            session = session_of(request)
            try:
                song = page.desk.shelf.song(session, str(chosen.get("song")))
            except ValueError as error:
                return [*page.unchanged(markup.problem(told(error))), *unchanged]
            if chosen.get("action") != "restore":
                return [*page.show(session, song, ""), *unchanged]
            said = "The settings of this song are back in the form."
            if song.voiced:
                said += " Its reference voice is not: add it again to sing the same song."
            return [*page.show(session, song, markup.note(said)), *restored(song.settings)]

        self.html.choose(choose, None, [*page.outputs, *form.everything], queue=False, **PRIVATE)


CONTROLS: tuple[type[Control], ...] = (Players, Balance, History)


def session_of(request: Any) -> str:
    """The session of a request; requests without one share a name that nothing is shown for."""
    return str(getattr(request, "session_hash", None) or "none")


__all__ = ["CONTROLS", "Balance", "Control", "History", "Page", "Players", "session_of"]

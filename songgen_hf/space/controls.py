"""The right side of the page: the controls of a finished song.

Each control is a class that draws its blocks, updates them when a song is shown and handles their
events. Further controls are passed to ``build_demo(controls=[*CONTROLS, MyControl])``; the rest of
the page does not depend on them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..optional import require
from . import markup
from .form import Form, restored
from .song_files import Song
from .song_service import SongService, error_message

if TYPE_CHECKING:
    import gradio as gr
else:
    gr = require("gradio", "space")

PRIVATE: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


class Control:
    """Base class of the controls, which draws nothing.

    Args:
        service: generates, remixes and stores the songs.
    """

    outputs: Sequence[Any] = ()
    """The components that ``view`` updates."""

    def __init__(self, service: SongService):
        self.service = service

    def draw(self) -> None:
        """Create the blocks of the control; called within the right column of the page."""

    def view(self, song: Song | None, songs: Sequence[Song]) -> list[Any]:
        """Return one update for each of ``outputs`` when a song is shown.

        Args:
            song: the song that is shown; None for none.
            songs: all songs of the session, the newest first.
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
        controls: the controls, in their order on the page.
    """

    service: SongService
    form: Form
    status: Any
    current: Any
    controls: list[Control] = field(default_factory=list)

    @property
    def outputs(self) -> list[Any]:
        """The status, the state with the current song, and the outputs of every control."""
        outputs = [output for control in self.controls for output in control.outputs]
        return [self.status, self.current, *outputs]

    def show(self, session: str, song: Song | None, status: str) -> list[Any]:
        """Return the updates of ``outputs`` that show a song and a status."""
        songs = self.service.store.songs(session)
        views = [update for control in self.controls for update in control.view(song, songs)]
        return [status, song.id if song else None, *views]

    def unchanged(self, status: str) -> list[Any]:
        """Return the updates of ``outputs`` that change the status only."""
        return [status, *(gr.skip() for _ in self.outputs[1:])]


class Players(Control):
    """Shows the song: players with pictures, downloads and the link to its settings."""

    def draw(self) -> None:
        self.html = gr.HTML(markup.empty_stage(), elem_id="song", js_on_load=None)
        self.outputs = [self.html]

    def view(self, song: Song | None, songs: Sequence[Song]) -> list[Any]:
        return [markup.song_view(song) if song else markup.empty_stage()]


class Balance(Control):
    """Changes the balance of vocal and band in the mix of a two-track song."""

    def draw(self) -> None:
        with gr.Column(visible=False, elem_id="balance-block") as self.group:
            self.slider = gr.Slider(
                -100, 100, value=0, step=5, label="Balance",
                info="−100 plays the band alone, 100 the vocal alone. The song is not sung again.",
                elem_id="balance",
            )  # fmt: skip
        self.outputs = [self.group, self.slider]

    def view(self, song: Song | None, songs: Sequence[Song]) -> list[Any]:
        balanced = song is not None and song.has_two_tracks
        return [gr.update(visible=balanced), song.balance if song and balanced else 0]

    def wire(self, page: Page) -> None:
        def rebalance(song_id: str | None, balance: float, request: gr.Request) -> list[Any]:
            session = session_of(request)
            try:
                song = page.service.remix(session, song_id or "", balance)
            except (ValueError, TypeError) as error:
                return page.unchanged(markup.problem(error_message(error)))
            return page.show(session, song, "")

        self.slider.release(
            rebalance, [page.current, self.slider], page.outputs, queue=False, **PRIVATE
        )


class History(Control):
    """Lists the songs of the session, to show one again or to restore its settings."""

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
                song = page.service.store.song(session, str(chosen.get("song")))
            except ValueError as error:
                return [*page.unchanged(markup.problem(error_message(error))), *unchanged]
            if chosen.get("action") != "restore":
                return [*page.show(session, song, ""), *unchanged]
            message = "The settings of this song are back in the form."
            if song.with_voice:
                message += (
                    " The reference voice cannot be restored: add it again to sing the same song."
                )
            return [*page.show(session, song, markup.note(message)), *restored(song.settings)]

        self.html.choose(choose, None, [*page.outputs, *form.everything], queue=False, **PRIVATE)


CONTROLS: tuple[type[Control], ...] = (Players, Balance, History)


def session_of(request: Any) -> str:
    """The session of a request; requests without a session share the name "none"."""
    return str(getattr(request, "session_hash", None) or "none")


__all__ = ["CONTROLS", "Balance", "Control", "History", "Page", "Players", "session_of"]

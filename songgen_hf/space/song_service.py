"""The functions of the Space behind the page and the API: generate, remix and delete songs."""

import logging
import re
from collections.abc import Generator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from ..provenance import library_versions, provenance
from .adapters import Adapters
from .generation import GeneratedSong, Progress, SongGenerator
from .limits import Limits
from .session_store import SessionStore
from .settings import VOICE_KEY, Settings
from .song_files import Song, remix, write_song_files
from .voice import read_voice

logger = logging.getLogger(__name__)

INTERNAL_ERROR = (
    "Something went wrong on the server, not with your request. Please try again; if it happens "
    "again, tell the owner of this Space, who finds the details in the log."
)
_ROOT = r"(?:/|[A-Za-z]:[/\\])"
_PATH = re.compile(
    rf"(?<=['\"]){_ROOT}[^'\"]+(?=['\"])"
    rf"|(?<![\w.:/\\]){_ROOT}[^\s'\"<>|,;:()]*[^\s'\"<>|,;:().]"
)
"""An absolute path, in quotes or a word; not an address on the web, nor the id of a model."""


class SongService:
    """Handles the requests of all sessions.

    Args:
        generator: the models.
        store: where songs are kept.
        adapters: the adapters that visitors may choose.
        limits: limits of a request.
        defaults: settings of an empty form.
    """

    def __init__(
        self,
        generator: SongGenerator,
        store: SessionStore,
        *,
        adapters: Adapters,
        limits: Limits,
        defaults: Settings,
    ):
        self.generator = generator
        self.store = store
        self.adapters = adapters
        self.limits = limits
        self.defaults = defaults
        self._requests: dict[str, int] = {}  # session -> number of its requests
        self._stopped: dict[str, int] = {}  # session -> number of its last stopped request

    def begin_request(self, session: str) -> None:
        """Announce a request for songs, which earlier calls of ``stop`` do not affect."""
        self._requests[session] = self._requests.get(session, 0) + 1

    def stop(self, session: str) -> None:
        """Stop all requests of a session, running or waiting, at the next step of the model.

        The page also makes gradio cancel the requests, but a slow browser may not know yet what
        there is to cancel.
        """
        self._stopped[session] = self._requests.get(session, 0)

    def end_session(self, session: str) -> None:
        """Delete a session and its songs."""
        self._requests.pop(session, None)
        self._stopped.pop(session, None)
        self.store.delete_session(session)

    def generate(
        self, session: str, settings: Settings, voice: str | Path | None = None
    ) -> Generator[Progress | Song, None, None]:
        """Generate the songs of a request; close the iterator, or call :meth:`stop`, to stop.

        Args:
            session: session that gets the songs.
            settings: settings as the visitor entered them.
            voice: file with the reference voice.
        Raises:
            ValueError, TypeError: for an error that the visitor can correct.
        """
        number = self._requests.get(session, 0)
        self.store.open_session(session)
        settings = settings.checked(self.limits, modes=self.generator.modes)
        recording = read_voice(voice, settings.voice_start, self.limits)
        adapters = self.adapters.resolve(settings.adapter, settings.adapter_weight)
        fitting = self.generator.mode_of_base(self.adapters.base(settings.adapter))
        if adapters and fitting not in (None, settings.mode):
            raise ValueError(
                f"the adapter {settings.adapter!r} was trained for the mode {fitting!r}, not for "
                f"{settings.mode!r}: choose that mode, or no adapter"
            )
        with closing(self.generator.generate(settings, recording, adapters)) as items:
            for item in items:
                if number <= self._stopped.get(session, -1):
                    return
                if isinstance(item, GeneratedSong):
                    yield self._save(session, item, settings, recording is not None, adapters)
                else:
                    yield item

    def remix(self, session: str, song_id: str, balance: float) -> Song:
        """Change the balance of vocal and accompaniment in a song of a session.

        Raises:
            ValueError, TypeError: for an error that the visitor can correct.
        """
        song = remix(self.store.song(session, song_id), balance)
        self.store.replace(session, song)
        return song

    def _save(
        self,
        session: str,
        generated: GeneratedSong,
        settings: Settings,
        with_voice: bool,
        adapters: dict[str, float],
    ) -> Song:
        """Write the files of a song and add it to its session."""
        options = {key: value for key, value in asdict(settings).items() if key != "variations"}
        record = provenance(
            self.generator.model(settings.mode),
            seed=generated.seed,
            options={**options, "seed": generated.seed, VOICE_KEY: with_voice},
            adapters=adapters,
        )
        song = write_song_files(
            self.store.new_folder(),
            generated,
            settings,
            record,
            with_voice=with_voice,
            versions=library_versions(),
        )
        self.store.add(session, song)
        return song


def error_message(error: BaseException) -> str:
    """The message for a visitor: the error if the visitor can correct it, else INTERNAL_ERROR.

    The message is plain text. Of an absolute path, only the last name is left.
    """
    if isinstance(error, ValueError | TypeError):
        message = _PATH.sub(lambda path: re.split(r"[/\\]", path[0].rstrip("/\\"))[-1], str(error))
        message = " ".join(message.split()).rstrip(".")
        return f"{message[:1].upper()}{message[1:]}."
    logger.error("a request failed", exc_info=error)
    return INTERNAL_ERROR


__all__ = ["INTERNAL_ERROR", "SongService", "error_message"]

"""What the page and the API do, without any of their looks: sing, re-mix, remember, forget."""

import logging
from collections.abc import Generator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from ..provenance import library_versions, provenance
from .adapters import Adapters
from .generation import Progress, Singer, SungSong
from .limits import Limits
from .session_store import SessionStore
from .settings import VOICE_KEY, Settings
from .song_files import Song, remix, write_song_files
from .voice import read_voice

logger = logging.getLogger(__name__)

BROKEN = (
    "Something broke on our side, not on yours. Try once more; if it happens again, tell whoever "
    "runs this Space: the log says what it was."
)


class SongService:
    """Takes requests of sessions and hands out songs.

    Args:
        singer: the models.
        shelf: where songs are kept.
        adapters: that may be picked.
        limits: of a request.
        defaults: settings of an empty page.
    """

    def __init__(
        self,
        singer: Singer,
        shelf: SessionStore,
        *,
        adapters: Adapters,
        limits: Limits,
        defaults: Settings,
    ):
        self.singer = singer
        self.shelf = shelf
        self.adapters = adapters
        self.limits = limits
        self.defaults = defaults
        self._asked: dict[str, int] = {}
        self._stopped: dict[str, int] = {}

    def expect(self, session: str) -> None:
        """A session is about to ask for songs: what it has stopped before is not meant."""
        self._asked[session] = self._asked.get(session, 0) + 1

    def stop(self, session: str) -> None:
        """End what a session has asked for so far, sung or still waiting, at the next step.

        The page has gradio cancel it too, but a browser that is slow enough does not know yet what
        there is to cancel.
        """
        self._stopped[session] = self._asked.get(session, 0)

    def leave(self, session: str) -> None:
        """Forget a session and its songs."""
        self._asked.pop(session, None)
        self._stopped.pop(session, None)
        self.shelf.forget(session)

    def sing(
        self, session: str, settings: Settings, voice: str | Path | None = None
    ) -> Generator[Progress | Song, None, None]:
        """Sing; close the iterator to stop. After :meth:`stop` it ends with fewer songs.

        Args:
            session: whose history the songs go to.
            settings: as they were given.
            voice: file of the reference voice.
        Raises:
            ValueError, TypeError: for what the visitor can put right.
        """
        number = self._asked.get(session, 0)
        self.shelf.welcome(session)
        settings = settings.checked(self.limits, modes=self.singer.modes)
        recording = read_voice(voice, settings.voice_start, self.limits)
        adapters = self.adapters.resolve(settings.adapter, settings.adapter_weight)
        with closing(self.singer.sing(settings, recording, adapters)) as items:
            for item in items:
                if number <= self._stopped.get(session, -1):
                    return
                if isinstance(item, SungSong):
                    yield self._keep(session, item, settings, recording is not None, adapters)
                else:
                    yield item

    def remix(self, session: str, song_id: str, balance: float) -> Song:
        """A song of a session with another balance of vocal and band.

        Raises:
            ValueError, TypeError: for what the visitor can put right.
        """
        song = remix(self.shelf.song(session, song_id), balance)
        self.shelf.replace(session, song)
        return song

    def _keep(
        self,
        session: str,
        sung: SungSong,
        settings: Settings,
        voiced: bool,
        adapters: dict[str, float],
    ) -> Song:
        """Write a song and put it into the history."""
        options = {key: value for key, value in asdict(settings).items() if key != "variations"}
        record = provenance(
            self.singer.model(settings.mode),
            seed=sung.seed,
            options={**options, "seed": sung.seed, VOICE_KEY: voiced},
            adapters=adapters,
        )
        song = write_song_files(
            self.shelf.new_folder(),
            sung,
            settings,
            record,
            voiced=voiced,
            versions=library_versions(),
        )
        self.shelf.add(session, song)
        return song


def told(error: BaseException) -> str:
    """What a visitor is told of an error: what they can put right, else that it is not theirs."""
    if isinstance(error, ValueError | TypeError):
        message = " ".join(str(error).split())
        return f"{message[:1].upper()}{message[1:]}."
    logger.error("a request failed", exc_info=error)
    return BROKEN


__all__ = ["BROKEN", "SongService", "told"]

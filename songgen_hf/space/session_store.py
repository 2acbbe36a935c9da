"""The songs of each session, in a folder that is deleted when the visitor leaves.

All songs are stored in one temporary folder inside the upload folder of gradio, from which gradio
serves files. The API gives a visitor only the songs of the visitor's own session, and the names of
the songs' folders cannot be guessed.
"""

import secrets
import shutil
import tempfile
import time
import weakref
from pathlib import Path
from threading import Event, Lock, Thread

from .song_files import Song


class SessionStore:
    """The songs of each session.

    Args:
        folder: folder in which the temporary folder is created.
        songs_per_session: number of songs that a session keeps; older ones are deleted.
        keep_seconds: age at which a song is deleted.
    """

    def __init__(self, folder: Path | str, *, songs_per_session: int, keep_seconds: float):
        self.songs_per_session = songs_per_session
        self.keep_seconds = keep_seconds
        Path(folder).mkdir(parents=True, exist_ok=True)
        self.root = Path(tempfile.mkdtemp(prefix="songgen-space-", dir=folder))
        self._songs: dict[str, list[Song]] = {}
        self._created: dict[str, float] = {}  # song id -> time
        self._ended: dict[str, float] = {}  # session -> time
        self._lock = Lock()
        self._closed = Event()
        self._finalizer = weakref.finalize(self, shutil.rmtree, self.root, ignore_errors=True)

    def new_folder(self) -> Path:
        """Create an empty folder for one song, with a name that cannot be guessed."""
        folder = self.root / secrets.token_hex(16)
        folder.mkdir()
        with self._lock:
            self._created[folder.name] = time.monotonic()
        return folder

    def open_session(self, session: str) -> None:
        """Mark a session as open, also if it was deleted before."""
        with self._lock:
            self._ended.pop(session, None)

    def add(self, session: str, song: Song) -> None:
        """Add a song to a session; delete the song instead if the session was deleted."""
        with self._lock:
            surplus = [song]
            if session not in self._ended:
                songs = self._songs.setdefault(session, [])
                songs.insert(0, song)
                surplus = songs[self.songs_per_session :]
                del songs[self.songs_per_session :]
        for old in surplus:
            self.delete_song(old.id)
        self.delete_expired()

    def replace(self, session: str, song: Song) -> None:
        """Replace the song of a session that has the same id."""
        with self._lock:
            songs = self._songs.get(session, [])
            for index, old in enumerate(songs):
                if old.id == song.id:
                    songs[index] = song

    def songs(self, session: str) -> list[Song]:
        """The songs of a session, the newest first."""
        with self._lock:
            return list(self._songs.get(session, []))

    def song(self, session: str, song_id: str) -> Song:
        """The song of a session with the given id.

        Raises:
            ValueError: if the session does not have the song, or no longer has it.
        """
        for song in self.songs(session):
            if song.id == song_id:
                return song
        raise ValueError(
            "this song is no longer here: songs are deleted when you leave the page, after "
            f"{self.keep_seconds / 60:.0f} minutes, or after {self.songs_per_session} more songs; "
            "sing it again with its seed"
        )

    def delete_session(self, session: str) -> None:
        """Delete a session with all its songs."""
        with self._lock:
            self._ended[session] = time.monotonic()
            songs = self._songs.pop(session, [])
        for song in songs:
            self.delete_song(song.id)
        self.delete_expired()

    def delete_song(self, song_id: str) -> None:
        """Delete the folder of a song."""
        with self._lock:
            self._created.pop(song_id, None)
        shutil.rmtree(self.root / song_id, ignore_errors=True)

    def delete_expired(self) -> None:
        """Delete the songs that are older than ``keep_seconds``."""
        oldest = time.monotonic() - self.keep_seconds
        with self._lock:
            self._ended = {name: at for name, at in self._ended.items() if at >= oldest}
            expired = {song_id for song_id, at in self._created.items() if at < oldest}
            for session in list(self._songs):
                kept = [song for song in self._songs[session] if song.id not in expired]
                if kept:
                    self._songs[session] = kept
                else:
                    del self._songs[session]
        for song_id in expired:
            self.delete_song(song_id)

    def start_cleanup(self) -> None:
        """Start a thread that deletes expired songs until the store is closed."""

        def work() -> None:
            while not self._closed.wait(max(1.0, self.keep_seconds / 4)):
                self.delete_expired()

        Thread(target=work, daemon=True, name="session-cleanup").start()

    def close(self) -> None:
        """Delete all songs and stop the cleanup thread."""
        self._closed.set()
        self._finalizer()


__all__ = ["SessionStore"]

"""Who sang what: the songs of every visitor, in a folder that is deleted when the visitor leaves.

All of it lies in one temporary folder inside gradio's own, which is what gradio serves files from.
A visitor only ever sees songs of their own session; folder names cannot be guessed.
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
    """Songs by session.

    Args:
        folder: where the temporary folder is made.
        songs_each: songs of a session; older ones are deleted.
        keep_seconds: songs older than this are deleted when anybody sings or leaves.
    """

    def __init__(self, folder: Path | str, *, songs_each: int, keep_seconds: float):
        self.songs_each = songs_each
        self.keep_seconds = keep_seconds
        Path(folder).mkdir(parents=True, exist_ok=True)
        self.root = Path(tempfile.mkdtemp(prefix="songgen-space-", dir=folder))
        self._songs: dict[str, list[Song]] = {}
        self._made: dict[str, float] = {}  # song id -> time
        self._left: dict[str, float] = {}  # session -> time
        self._lock = Lock()
        self._closed = Event()
        self._finalizer = weakref.finalize(self, shutil.rmtree, self.root, ignore_errors=True)

    def new_folder(self) -> Path:
        """An empty folder for one song, with a name that nobody can guess."""
        folder = self.root / secrets.token_hex(16)
        folder.mkdir()
        with self._lock:
            self._made[folder.name] = time.monotonic()
        return folder

    def welcome(self, session: str) -> None:
        """A session that asks for something is there, also if it had left before."""
        with self._lock:
            self._left.pop(session, None)

    def add(self, session: str, song: Song) -> None:
        """Put a song on top of a session's history; if the session has left, delete it instead."""
        with self._lock:
            surplus = [song]
            if session not in self._left:
                songs = self._songs.setdefault(session, [])
                songs.insert(0, song)
                surplus = songs[self.songs_each :]
                del songs[self.songs_each :]
        for old in surplus:
            self.discard(old.id)
        self.sweep()

    def replace(self, session: str, song: Song) -> None:
        """Put a song in the place of the one with its id."""
        with self._lock:
            songs = self._songs.get(session, [])
            for place, old in enumerate(songs):
                if old.id == song.id:
                    songs[place] = song

    def songs(self, session: str) -> list[Song]:
        """The history of a session, the newest song first."""
        with self._lock:
            return list(self._songs.get(session, []))

    def song(self, session: str, song_id: str) -> Song:
        """A song of a session.

        Raises:
            ValueError: if the session has no such song, or no longer.
        """
        for song in self.songs(session):
            if song.id == song_id:
                return song
        raise ValueError(
            "this song is no longer here: songs are deleted when you leave the page, after "
            f"{self.keep_seconds / 60:.0f} minutes, or after {self.songs_each} more; sing it again "
            "with its seed"
        )

    def forget(self, session: str) -> None:
        """Delete all songs of a session."""
        with self._lock:
            self._left[session] = time.monotonic()
            songs = self._songs.pop(session, [])
        for song in songs:
            self.discard(song.id)
        self.sweep()

    def discard(self, song_id: str) -> None:
        """Delete the folder of a song."""
        with self._lock:
            self._made.pop(song_id, None)
        shutil.rmtree(self.root / song_id, ignore_errors=True)

    def sweep(self) -> None:
        """Delete the songs that are too old."""
        oldest = time.monotonic() - self.keep_seconds
        with self._lock:
            self._left = {name: at for name, at in self._left.items() if at >= oldest}
            expired = {song_id for song_id, made in self._made.items() if made < oldest}
            for session in list(self._songs):
                kept = [song for song in self._songs[session] if song.id not in expired]
                if kept:
                    self._songs[session] = kept
                else:
                    del self._songs[session]
        for song_id in expired:
            self.discard(song_id)

    def start_sweeping(self) -> None:
        """Sweep from time to time, also while nobody comes, until the shelf is closed."""

        def work() -> None:
            while not self._closed.wait(max(1.0, self.keep_seconds / 4)):
                self.sweep()

        Thread(target=work, daemon=True, name="sweeper").start()

    def close(self) -> None:
        """Delete everything."""
        self._closed.set()
        self._finalizer()


__all__ = ["SessionStore"]

"""The generated songs of the last minutes, in memory: nothing is written to disk."""

import math
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

from ..pipelines.song import Song
from .errors import song_not_found


@dataclass(frozen=True)
class StoredSong:
    """A song that can be fetched and edited.

    Args:
        id: identifier that cannot be guessed.
        owner: who may fetch it: the name of an API key, or "" where there are no keys.
        model: name of the model in the service.
        song: the song of the pipeline, without its other takes.
        loudness: integrated loudness of its sound files in LUFS; None leaves it.
        created: seconds since 1970.
    """

    id: str
    owner: str
    model: str
    song: Song
    loudness: float | None = None
    created: float = field(default_factory=time.time)

    @property
    def seconds(self) -> float:
        """Duration of the song."""
        return float(self.song["audio"].shape[-1] / self.song["sampling_rate"])


def new_id() -> str:
    """Return an identifier of a song that cannot be guessed."""
    return f"song-{secrets.token_hex(16)}"


class SongStore:
    """The last songs of all clients.

    Args:
        songs: number of songs that are kept.
        audio_seconds: how long they last together at most; the last one is kept in any case.
        keep_seconds: age at which a song is forgotten.
        now: returns the present time in seconds.
    """

    def __init__(
        self,
        *,
        songs: int,
        keep_seconds: float,
        audio_seconds: float = math.inf,
        now: Callable[[], float] = time.monotonic,
    ):
        self.songs = songs
        self.audio_seconds = audio_seconds
        self.keep_seconds = keep_seconds
        self._now = now
        self._kept: OrderedDict[str, tuple[float, StoredSong]] = OrderedDict()
        self._lock = Lock()

    def __len__(self) -> int:
        with self._lock:
            self._forget_old()
            return len(self._kept)

    def add(self, stored: StoredSong) -> None:
        """Keep a song; the oldest one is forgotten if there are too many."""
        with self._lock:
            self._kept[stored.id] = (self._now(), stored)
            self._forget_old()

    def get(self, song_id: str, owner: str) -> StoredSong:
        """Return a song of an owner.

        Raises:
            ServiceError: 404 if there is none, or if it is another owner's.
        """
        with self._lock:
            self._forget_old()
            _, stored = self._kept.get(song_id, (0.0, None))
        if stored is None or stored.owner != owner:
            raise song_not_found(song_id)
        return stored

    def delete(self, song_id: str, owner: str) -> None:
        """Forget a song of an owner; errors as of :meth:`get`."""
        self.get(song_id, owner)
        with self._lock:
            self._kept.pop(song_id, None)

    def clear(self) -> None:
        """Forget all songs."""
        with self._lock:
            self._kept.clear()

    def _forget_old(self) -> None:
        oldest = self._now() - self.keep_seconds
        seconds = sum(stored.seconds for _, stored in self._kept.values())
        while self._kept:
            created, stored = next(iter(self._kept.values()))
            fits = len(self._kept) == 1 or seconds <= self.audio_seconds
            if created >= oldest and len(self._kept) <= self.songs and fits:
                return
            self._kept.popitem(last=False)
            seconds -= stored.seconds


__all__ = ["SongStore", "StoredSong", "new_id"]

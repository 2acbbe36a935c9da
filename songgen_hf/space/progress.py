"""The progress of a request: which of its songs is sung, how much is done, and the time left."""

import time
from dataclasses import dataclass

_STEPS_BEFORE_ESTIMATE = 5


@dataclass(frozen=True)
class Progress:
    """Progress of a request.

    Args:
        song: number of the song that is being generated, from 1.
        songs: number of requested songs.
        done: fraction of the whole request that is done, from 0 to 1.
        seconds_left: upper estimate of the time for the rest of the request; None before the first
            steps were timed.
        waiting: whether another request has to finish first.
    """

    song: int = 1
    songs: int = 1
    done: float = 0.0
    seconds_left: float | None = None
    waiting: bool = True


class ProgressTimer:
    """Turns the steps of the model into progress and remaining time; used by two threads."""

    def __init__(self, songs: int):
        self.songs = songs
        self.song = 0
        self.seconds_per_step: float | None = None
        self._waiting = True
        self._done, self._total = 0, 0
        self._started = (0, 0.0)  # step and time of the first report

    def start_song(self, song: int) -> None:
        """Note that the song with an index begins."""
        self.song, self._waiting = song, False
        self._done, self._started = 0, (0, 0.0)

    def record(self, done: int, total: int | None) -> None:
        """Note the number of finished steps, and that of all."""
        now = time.monotonic()
        if not self._started[1]:
            self._started = (done, now)
        self._done, self._total = done, total or done
        steps = done - self._started[0]
        if steps >= _STEPS_BEFORE_ESTIMATE:
            self.seconds_per_step = (now - self._started[1]) / steps

    def progress(self) -> Progress:
        """Return the progress of the request."""
        fraction = self._done / self._total if self._total else 0.0
        left = None
        if self.seconds_per_step is not None:
            steps = self._total - self._done + (self.songs - self.song - 1) * self._total
            left = steps * self.seconds_per_step
        done = (self.song + fraction) / self.songs
        return Progress(self.song + 1, self.songs, min(1.0, done), left, self._waiting)


__all__ = ["Progress", "ProgressTimer"]

"""The limits of the service: those of a Space, with the time and the size of a request."""

from dataclasses import dataclass

from ..space.limits import Limits


@dataclass(frozen=True)
class ServiceLimits(Limits):
    """Limits of the service; the others are those of :class:`~songgen_hf.space.limits.Limits`.

    Args:
        variations: number of takes of one request (``best_of``).
        whole_seconds: length of the longest whole song.
        listeners: names of listeners that may rank takes, beside recognizer-mini.
        waiting: requests that may wait for a place; further ones are refused.
        concurrency: songs that one process generates at the same time.
        songs: number of songs that are kept; the oldest are forgotten, also as soon as all last
            longer than so many songs of ``seconds``.
        timeout: seconds after which a request is given up, waiting included.
        body_bytes: size of the largest request, with its recordings.
        idle_seconds: how long a client may be silent while it sends or receives.
    """

    songs: int = 64
    whole_seconds: float = 300.0
    listeners: tuple[str, ...] = ()
    timeout: float = 600.0
    body_bytes: int = 64 * 2**20
    idle_seconds: float = 60.0


__all__ = ["ServiceLimits"]

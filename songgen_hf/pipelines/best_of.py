"""Best of N: a request is generated with several seeds, and its takes are ranked by listeners.

The listeners are handed over as a function (see ``checkpoints/take_listeners.py``); what needs no
network is checked here. The file travels to the Hub with the pipelines and imports only the files
beside it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .song_requests import seed_after
from .swapped_tracks import SURE_MARGIN
from .takes import best_take

Take = dict[str, Any]
Listener = Callable[[Mapping[str, Any]], dict[str, float]]
"""Function of a take that returns parts of its score."""
DrawTakes = Callable[..., list[list[Take]]]
BEST_OF_BY = ("song", "line")
"""What ``best_of`` ranks takes of: whole songs, or one line after the other."""

WEIGHTS = {
    "phoneme_error_rate": -1.0,
    "word_error_rate": -1.0,
    "clap": 1.0,
    "harmony": 0.5,
    "swapped": -1.0,
    "silent_share": -1.0,
    "clipped_share": -1.0,
}
"""Weight of each part of a score."""
SILENCE = 1e-3
"""Level (root mean square, -60 dBFS) below which a block of a song is silent."""
BLOCK_SECONDS = 0.02


def check_best_of(
    best_of: Any, rank_by: Any, num_return_sequences: Any, best_of_by: Any = "song"
) -> None:
    """Check the arguments ``best_of``, ``rank_by`` and ``best_of_by`` of a call.

    Raises:
        ValueError: for a ``best_of`` that is no integer from 1 up or is given together with
            ``num_return_sequences``, for ``rank_by`` or ``best_of_by`` alone, or for an unknown
            ``best_of_by``.
    """
    if best_of_by not in BEST_OF_BY:
        expected = " or ".join(map(repr, BEST_OF_BY))
        raise ValueError(f"best_of_by is {best_of_by!r}: expected {expected}")
    if best_of is None:
        if rank_by is not None:
            raise ValueError(f"rank_by is {rank_by!r}, but there is nothing to rank: give best_of")
        if best_of_by != "song":
            raise ValueError(
                f"best_of_by is {best_of_by!r}, but there is nothing to rank: give best_of"
            )
        return
    if type(best_of) is not int or best_of < 1:
        raise ValueError(f"best_of must be an integer of at least 1: got {best_of!r}")
    if num_return_sequences not in (None, 1):
        raise ValueError(
            "best_of and num_return_sequences were both given: all takes are in the song that is "
            "returned; give one"
        )


def checked_listener(
    take_listener: Callable[..., Listener] | None, best_of: int
) -> Callable[..., Listener]:
    """Return the function that makes listeners.

    Raises:
        ValueError: if there is none.
    """
    if take_listener is None:
        raise ValueError(
            f"best_of is {best_of}, but this pipeline has no listener that ranks takes: load it "
            'with songgen-hf (pipeline("text-to-song", model=...))'
        )
    return take_listener


def best_songs(
    requests: dict[str, Any] | list[dict[str, Any]] | Iterator[dict[str, Any]],
    draw: DrawTakes,
    *,
    best_of: int,
    batch_size: int | None,
    take_listener: Callable[[Mapping[str, Any]], Listener],
) -> Any:
    """Generate ``best_of`` takes of each request and return the best, with all under ``takes``.

    Args:
        requests: checked requests: one, a list or an iterator.
        draw: called as ``draw(requests, count)``; returns for each request the songs of ``count``
            seeds from that of the request up.
        best_of: number of takes of each request.
        batch_size: number of songs that are generated together; None for the takes of a request.
        take_listener: function of a request that returns its listener; called before anything is
            generated.
    Returns:
        One song, a list or an iterator, as the requests are. A song is its best take with the key
        ``takes``: all takes, best first, each with ``score`` and its ``score_parts``. Takes of
        equal scores are in the order of their seeds.
    """
    if isinstance(requests, dict):
        requests, one = [requests], True
    elif isinstance(requests, list):
        one = False
    else:
        return (
            best_songs(
                request, draw, best_of=best_of, batch_size=batch_size, take_listener=take_listener
            )
            for request in requests
        )
    listeners = [take_listener(request) for request in requests]
    together = best_of if batch_size is None else batch_size
    group = max(1, together // best_of)
    songs: list[Take] = []
    for first in range(0, len(requests), group):
        takes = draw_together(draw, requests[first : first + group], best_of, together)
        songs += [
            rank_takes(own, listener)
            for own, listener in zip(takes, listeners[first : first + group], strict=True)
        ]
    return songs[0] if one else songs


def draw_together(
    draw: DrawTakes,
    requests: Sequence[dict[str, Any]],
    best_of: int,
    together: int,
    **settings: Any,
) -> list[list[Take]]:
    """Generate ``best_of`` takes of each request, at most ``together`` of each at a time."""
    takes: list[list[Take]] = [[] for _ in requests]
    for done in range(0, best_of, together):
        shifted = [{**request, "seed": seed_after(request["seed"], done)} for request in requests]
        drawn = draw(shifted, min(together, best_of - done), **settings)
        for own, new in zip(takes, drawn, strict=True):
            own += new
    return takes


def rank_takes(takes: list[Take], listener: Listener) -> Take:
    """Add ``score`` and ``score_parts`` to takes, and return the best with all under ``takes``."""
    for take in takes:
        parts = {**listener(take), **signal_parts(take)}
        margin = take.pop("swap_margin", None)
        if margin is not None:
            parts["swapped"] = float(margin > SURE_MARGIN)
        take["score_parts"] = parts
        take["score"] = sum(WEIGHTS[name] * value for name, value in parts.items())
    return best_take(takes)


def signal_parts(take: Mapping[str, Any]) -> dict[str, float]:
    """Measure the silent and the clipped share of a take.

    Returns:
        ``silent_share``: the share of blocks of 20 ms of the mixture below -60 dBFS, 1 for an empty
        one; ``clipped_share``: the share of samples outside of [-1, 1].
    """
    audio = np.asarray(take["audio"])
    block = max(1, round(BLOCK_SECONDS * take["sampling_rate"]))
    count = audio.shape[-1] // block
    if not count:
        return {"silent_share": 1.0, "clipped_share": 0.0}
    blocks = audio[..., : count * block].reshape(-1, count, block)
    levels = np.sqrt(np.square(blocks).mean(axis=(0, 2)))
    return {
        "silent_share": float((levels < SILENCE).mean()),
        "clipped_share": float((np.abs(audio) > 1.0).mean()),
    }


__all__ = [
    "BEST_OF_BY",
    "WEIGHTS",
    "best_songs",
    "check_best_of",
    "checked_listener",
    "draw_together",
    "rank_takes",
    "signal_parts",
]

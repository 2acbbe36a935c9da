"""Best of N: a request is generated with several seeds, and its takes are ranked by listeners.

The listeners are handed over as a function (see ``checkpoints/take_listeners.py``); what needs no
network is checked here. The file travels to the Hub with the pipelines and imports only the files
beside it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .swapped_tracks import SURE_MARGIN

Take = dict[str, Any]
Listener = Callable[[Mapping[str, Any]], dict[str, float]]
"""Function of a take that returns parts of its score."""
DrawTakes = Callable[[list[dict[str, Any]], int], list[list[Take]]]

WEIGHTS = {
    "phoneme_error_rate": -1.0,
    "word_error_rate": -1.0,
    "clap": 1.0,
    "swapped": -1.0,
    "silent_share": -1.0,
    "clipped_share": -1.0,
}
"""Weight of each part of a score."""
SILENCE = 1e-3
"""Level (root mean square, -60 dBFS) below which a block of a song is silent."""
BLOCK_SECONDS = 0.02


def check_best_of(best_of: Any, rank_by: Any, num_return_sequences: Any) -> None:
    """Check the arguments ``best_of`` and ``rank_by`` of a call.

    Raises:
        ValueError: for a ``best_of`` that is no integer from 1 up or is given together with
            ``num_return_sequences``, or for ``rank_by`` alone.
    """
    if best_of is None:
        if rank_by is not None:
            raise ValueError(f"rank_by is {rank_by!r}, but there is nothing to rank: give best_of")
        return
    if type(best_of) is not int or best_of < 1:
        raise ValueError(f"best_of must be an integer of at least 1: got {best_of!r}")
    if num_return_sequences not in (None, 1):
        raise ValueError(
            "best_of and num_return_sequences were both given: all takes are in the song that is "
            "returned; give one"
        )


def best_songs(
    requests: dict[str, Any] | list[dict[str, Any]] | Iterator[dict[str, Any]],
    draw: DrawTakes,
    *,
    best_of: int,
    rank_by: str | Sequence[str] | None,
    batch_size: int | None,
    take_listener: Callable[..., Listener] | None,
    device: Any = "cpu",
) -> Any:
    """Generate ``best_of`` takes of each request and return the best, with all under ``takes``.

    Args:
        requests: checked requests: one, a list or an iterator.
        draw: called as ``draw(requests, count)``; returns for each request the songs of ``count``
            seeds from that of the request up.
        best_of: number of takes of each request.
        rank_by: names of listeners; None for the default one.
        batch_size: number of songs that are generated together; None for the takes of a request.
        take_listener: called as ``take_listener(request, rank_by, device=)`` before anything is
            generated.
        device: device of the listeners.
    Returns:
        One song, a list or an iterator, as the requests are. A song is its best take with the key
        ``takes``: all takes, best first, each with ``score`` and its ``score_parts``. Takes of
        equal scores are in the order of their seeds.
    Raises:
        ValueError: if there is no ``take_listener``, or the listeners are unknown.
    """
    if take_listener is None:
        raise ValueError(
            f"best_of is {best_of}, but this pipeline has no listener that ranks takes: load it "
            'with songgen-hf (pipeline("text-to-song", model=...))'
        )
    if isinstance(requests, dict):
        requests, one = [requests], True
    elif isinstance(requests, list):
        one = False
    else:
        return (
            best_songs(
                request, draw, best_of=best_of, rank_by=rank_by, batch_size=batch_size,
                take_listener=take_listener, device=device,
            )
            for request in requests
        )  # fmt: skip
    listeners = [take_listener(request, rank_by, device=str(device)) for request in requests]
    together = best_of if batch_size is None else batch_size
    group = max(1, together // best_of)
    songs: list[Take] = []
    for first in range(0, len(requests), group):
        part = requests[first : first + group]
        takes: list[list[Take]] = [[] for _ in part]
        for done in range(0, best_of, together):
            shifted = [{**request, "seed": request["seed"] + done} for request in part]
            for own, new in zip(takes, draw(shifted, min(together, best_of - done)), strict=True):
                own += new
        songs += [
            rank_takes(own, listener)
            for own, listener in zip(takes, listeners[first : first + group], strict=True)
        ]
    return songs[0] if one else songs


def rank_takes(takes: list[Take], listener: Listener) -> Take:
    """Add ``score`` and ``score_parts`` to takes, and return the best with all under ``takes``."""
    for take in takes:
        parts = {**listener(take), **signal_parts(take)}
        margin = take.pop("swap_margin", None)
        if margin is not None:
            parts["swapped"] = float(margin > SURE_MARGIN)
        take["score_parts"] = parts
        take["score"] = sum(WEIGHTS[name] * value for name, value in parts.items())
    ranked = sorted(takes, key=lambda take: -take["score"])
    best = ranked[0].copy()
    best["takes"] = ranked
    return best


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


__all__ = ["WEIGHTS", "best_songs", "check_best_of", "rank_takes", "signal_parts"]

"""Requests of the song pipelines: their keys, checks, seeds, and the processor's call.

The file travels to the Hub with the pipeline and imports nothing of this package.
"""

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

REQUEST_KEYS = (
    "text",
    "lyrics",
    "reference_voice",
    "voice_start",
    "audio_prompt",
    "language",
    "seed",
)
MODES = ("autoregressive", "masked")
MAX_SEED = 2**63 - 1


def check_mode(mode: Any) -> str:
    """The mode, checked.

    Raises:
        ValueError: unless it is one of ``MODES``.
    """
    if mode not in MODES:
        raise ValueError(f"mode is {mode!r}: expected {' or '.join(map(repr, MODES))}")
    return str(mode)


def make_request(
    item: Any, shared: Mapping[str, Any], seed: int, keys: Iterable[str] = REQUEST_KEYS
) -> dict[str, Any]:
    """One checked request: an input's own keys over the call's arguments.

    Args:
        item: a text, or a mapping of some of ``keys``.
        shared: the call's arguments.
        seed: where the input has none.
        keys: that an input can have.
    """
    own = {"text": item} if isinstance(item, str) else item
    if not isinstance(own, Mapping):
        raise TypeError(f"an input must be a string or a request dict: got {type(item).__name__}")
    unknown = [str(key) for key in own if key not in keys]
    if unknown:
        raise ValueError(
            f"unknown key in a request: got {', '.join(unknown)}, "
            f"expected some of {', '.join(keys)}"
        )
    request = {**shared, **own}
    if not isinstance(request.get("text"), str):
        raise TypeError(
            f'text must be a string ("" for none): got {type(request.get("text")).__name__}'
        )
    if not isinstance(request["lyrics"], str | None):
        raise TypeError(f"lyrics must be a string or None: got {type(request['lyrics']).__name__}")
    request["seed"] = seed if request.get("seed") is None else check_seed(request["seed"])
    return request


def processed(processor: Any, requests: Sequence[Mapping[str, Any]]) -> Any:
    """Model inputs of checked requests, a row each: words and voices, without audio prompts."""
    names = ("text", "lyrics", "reference_voice", "voice_start", "language")
    columns = {name: [request[name] for request in requests] for name in names}
    return processor(**columns, return_tensors="pt")


def lazy_requests(
    inputs: Any, shared: Mapping[str, Any], seed: int | list[int] | None, songs_each: int
) -> Iterator[dict[str, Any]]:
    """Requests of a generator or dataset, one at a time."""
    if isinstance(seed, list | tuple):
        raise ValueError(
            "a list of seeds needs a list of inputs: give one seed, or one in each request dict"
        )
    for name, value in shared.items():
        if isinstance(value, list):
            raise ValueError(
                f"a list for {name} needs a list of inputs: give request dicts with the key {name}"
            )
    items = (
        iter(inputs) if isinstance(inputs, Iterable) else (inputs[i] for i in range(len(inputs)))
    )
    first = None if seed is None else check_seed(seed)
    return (
        make_request(item, shared, drawn_seed() if first is None else first + i * songs_each)
        for i, item in enumerate(items)
    )


def one_each(name: str, value: Any, count: int) -> list[Any]:
    """An argument as one value for each input."""
    if not isinstance(value, list):
        return [value] * count
    if len(value) != count:
        raise ValueError(
            f"{name} must have one entry for each of the {count} texts: got {len(value)}"
        )
    return value


def one_seed_each(seed: Any, count: int, songs_each: int) -> list[int]:
    """The first seed of each input."""
    if seed is None:
        return [drawn_seed() for _ in range(count)]
    if isinstance(seed, list | tuple):
        if len(seed) != count:
            raise ValueError(
                f"seed must be one integer or one for each of the {count} inputs: got {len(seed)}"
            )
        return [check_seed(value) for value in seed]
    first = check_seed(seed)
    return [first + i * songs_each for i in range(count)]


def check_seed(seed: Any) -> int:
    """The seed as int; ValueError or TypeError unless it is one that a torch generator takes."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise TypeError(f"seed must be an integer: got {seed!r}")
    if not 0 <= seed <= MAX_SEED:
        raise ValueError(f"seed must be between 0 and 2**63 - 1: got {seed}")
    return int(seed)


def drawn_seed() -> int:
    """A seed from the operating system, short enough to write down."""
    return secrets.randbelow(2**31)


__all__ = [
    "MAX_SEED",
    "MODES",
    "REQUEST_KEYS",
    "check_mode",
    "check_seed",
    "drawn_seed",
    "lazy_requests",
    "make_request",
    "one_each",
    "one_seed_each",
    "processed",
]

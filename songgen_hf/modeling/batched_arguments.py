"""Reads the arguments of the processor: lists hold one value for each song of a batch."""

from collections.abc import Sequence
from typing import Any

_AUDIO_ARGUMENTS = ("reference_voice", "audio")


def common_batch_size(**arguments: Any) -> int:
    """Return the common length of the lists among the arguments; 1 without a list."""
    sizes = {name: len(value) for name, value in arguments.items() if _is_batch(value, name)}
    if len(set(sizes.values())) > 1:
        found = ", ".join(f"{name}: {size}" for name, size in sizes.items())
        raise ValueError(
            f"the lists of one batch must have the same length, got {found}; "
            "pass a value that all songs share without a list"
        )
    size = next(iter(sizes.values()), 1)
    if size == 0:
        raise ValueError(f"an empty batch: {', '.join(sizes)} has no items; give at least one")
    return size


def _is_batch(value: Any, name: str) -> bool:
    """Whether the value holds one item per song, as lists do; a tuple of audio is one song's."""
    if isinstance(value, tuple):
        return name not in _AUDIO_ARGUMENTS
    if isinstance(value, list) and name in _AUDIO_ARGUMENTS:
        if value and isinstance(value[0], int | float):
            raise TypeError(
                f"{name} must be a recording, for a batch a list of them: got the number "
                f"{value[0]!r}; pass a waveform as (array, rate)"
            )
    return isinstance(value, list)


def one_per_song(value: Any, batch_size: int, name: str) -> list:
    """Return an argument as one value for each song of the batch."""
    if not _is_batch(value, name):
        return [value] * batch_size
    if len(value) != batch_size:
        raise ValueError(f"{name} has {len(value)} items for a batch of {batch_size}")
    return list(value)


def check_strings(values: Sequence[Any], name: str) -> None:
    for value in values:
        if value is not None and not isinstance(value, str):
            raise TypeError(
                f"{name} must be a string or a list of strings, got {type(value).__name__}"
            )
        try:
            (value or "").encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"{name} holds a character that is not text (a lone surrogate, at position "
                f"{error.start}): remove it"
            ) from error


__all__ = ["check_strings", "common_batch_size", "one_per_song"]

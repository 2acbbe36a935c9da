"""Checks the settings of one call of the masked pipeline that hold for all its songs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from .song_requests import MAX_SEED, check_length, plain

DEFAULT_STEPS = 28
DEFAULT_MAX_SECONDS = 30.0
LONGEST_SONG = 300.0
"""Longest song in seconds: the attention of all frames to all frames needs memory for it."""
MAX_STEPS = 1000
OUTPUT_TYPES = ("audio", "codes")
TENSORS = ("codes", "visible")
"""Names of the tensors that a callback can get and replace."""


@dataclass(frozen=True)
class MaskedSettings:
    """Arguments of a call that hold for all its songs.

    Args:
        max_seconds: upper bound of the predicted length, without an audio prompt.
        min_seconds: lower bound of the predicted length, without an audio prompt.
        num_inference_steps: number of steps, with one run of the transformer each.
        scheduler: settings of the scheduler to replace; those that are None stay unchanged.
        generator: random generator that gives the seeds, or a list with one for each song.
        num_return_sequences: number of songs for each input.
        batch_size: number of songs that are generated together; None for all.
        output_type: one of ``OUTPUT_TYPES``.
        raw: whether the edges of songs stay as they were decoded.
        callback: function that is called after each step.
        callback_tensors: names of the ``TENSORS`` that the callback gets.
        progress: whether to show a progress bar, or a function that is called with (number of steps
            done, total number of steps).
        keep_margin: whether songs of two tracks have the key ``swap_margin``.
        timestamps: whether songs have the times of their words.
        check_tracks: whether tracks are exchanged where they have changed places.
    """

    max_seconds: float | None = None
    min_seconds: float | None = None
    num_inference_steps: int = DEFAULT_STEPS
    scheduler: dict[str, Any] = field(default_factory=dict)
    generator: torch.Generator | list[torch.Generator] | None = None
    num_return_sequences: int = 1
    batch_size: int | None = None
    output_type: str = "audio"
    raw: bool = False
    callback: Callable[..., dict[str, Any] | None] | None = None
    callback_tensors: Sequence[str] = TENSORS
    progress: bool | Callable[[int, int | None], None] = True
    keep_margin: bool = False
    timestamps: bool = False
    check_tracks: bool = False

    def __post_init__(self) -> None:
        for name in ("num_inference_steps", "num_return_sequences", "batch_size"):
            value = plain(getattr(self, name))
            object.__setattr__(self, name, value)
            if name == "batch_size" and value is None:
                continue
            if type(value) is not int or value < 1:
                raise ValueError(f"{name} must be an integer of at least 1: got {value!r}")
        if self.num_inference_steps > MAX_STEPS:
            raise ValueError(
                f"num_inference_steps must be at most {MAX_STEPS}: got {self.num_inference_steps}"
            )
        if self.output_type not in OUTPUT_TYPES:
            raise ValueError(
                f"output_type is {self.output_type!r}: expected {', '.join(OUTPUT_TYPES)}"
            )
        if self.check_tracks and self.output_type != "audio":
            raise ValueError("check_tracks needs audio to listen to: leave output_type out")
        if self.callback is not None and not callable(self.callback):
            raise TypeError(f"callback_on_step_end must be a function: got {self.callback!r}")
        if unknown := set(self.callback_tensors) - set(TENSORS):
            raise ValueError(
                f"callback_on_step_end_tensor_inputs has {', '.join(sorted(unknown))}: expected "
                f"some of {', '.join(TENSORS)}"
            )
        check_length(None, self.min_seconds, self.max_seconds, longest=LONGEST_SONG)
        if self.min_seconds is not None and self.min_seconds > self.longest:
            raise ValueError(
                f"the shortest song must not exceed the longest: got {self.min_seconds:g} and "
                f"{self.longest:g} seconds"
            )

    @property
    def longest(self) -> float:
        """Length, in seconds, of the longest song whose length is predicted."""
        return DEFAULT_MAX_SECONDS if self.max_seconds is None else self.max_seconds

    @property
    def facts(self) -> dict[str, Any]:
        """The settings that a song depends on."""
        names = ("num_inference_steps", "min_seconds", "max_seconds")
        return {**{name: getattr(self, name) for name in names}, **self.scheduler}

    def seeds(self, requests: Sequence[dict[str, Any]]) -> list[int]:
        """Return the seed of each song: that of its request, or one from the given generators."""
        given = self.generator
        if given is None:
            return [request["seed"] for request in requests]
        sources = given if isinstance(given, list | tuple) else [given] * len(requests)
        if not all(isinstance(source, torch.Generator) for source in sources):
            raise TypeError(
                "generator must be a torch.Generator, or a list with one for each song: got "
                f"{given!r}"
            )
        if len(sources) != len(requests):
            raise ValueError(
                f"generator has {len(sources)} entries for {len(requests)} songs: "
                "give one, or one for each song"
            )
        return [_next_seed(source) for source in sources]

    def new_frames(self, seconds: Any, *, expected: int, frame_rate: float) -> int:
        """Return the number of frames to generate, at least one.

        Args:
            seconds: length to generate; None for the predicted length, within the bounds.
            expected: predicted number of frames.
            frame_rate: frames per second of the codec.
        """
        if seconds is not None:
            check_length(seconds, self.min_seconds, self.max_seconds, longest=LONGEST_SONG)
            return max(1, round(seconds * frame_rate))
        least = 0 if self.min_seconds is None else round(self.min_seconds * frame_rate)
        return max(1, least, min(expected, round(self.longest * frame_rate)))


def _next_seed(generator: torch.Generator) -> int:
    """The seed of a generator that has drawn nothing yet, else one that it draws.

    A number is drawn in either case, so that the next song has another seed.
    """
    first = generator.initial_seed()
    unused = torch.Generator(generator.device).manual_seed(first)
    is_unused = torch.equal(generator.get_state(), unused.get_state())
    drawn = torch.randint(2**31, (), generator=generator, device=generator.device)
    return first if is_unused and first <= MAX_SEED else int(drawn)


__all__ = [
    "DEFAULT_MAX_SECONDS",
    "DEFAULT_STEPS",
    "OUTPUT_TYPES",
    "TENSORS",
    "MaskedSettings",
]

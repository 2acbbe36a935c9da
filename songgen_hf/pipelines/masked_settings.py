"""How masked songs are sampled: the settings of one call, checked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

DEFAULT_STEPS = 28
DEFAULT_MAX_SECONDS = 30.0
OUTPUT_TYPES = ("audio", "codes")
SCHEDULER_SETTINGS = ("guidance_scale", "temperature", "top_p", "reveal", "schedule")
TENSORS = ("codes", "visible")
"""What a callback can see and replace."""


@dataclass(frozen=True)
class MaskedSettings:
    """The arguments of a call that hold for all its songs.

    Args:
        max_seconds, min_seconds: bounds of the expected length, an audio prompt excluded.
        num_inference_steps: passes of the transformer.
        scheduler: what replaces settings of the scheduler; None replaces nothing.
        generator: instead of seeds: one, or one for each song.
        num_return_sequences: songs for each input.
        batch_size: songs at once; None for all.
        output_type: one of ``OUTPUT_TYPES``.
        callback: called after each step.
        callback_tensors: which of ``TENSORS`` it gets.
        progress: whether to show a bar, or a function to call with (steps done, steps in all).
    """

    max_seconds: float | None = None
    min_seconds: float | None = None
    num_inference_steps: int = DEFAULT_STEPS
    scheduler: dict[str, Any] = field(default_factory=dict)
    generator: torch.Generator | list[torch.Generator] | None = None
    num_return_sequences: int = 1
    batch_size: int | None = None
    output_type: str = "audio"
    callback: Callable[..., dict[str, Any] | None] | None = None
    callback_tensors: Sequence[str] = TENSORS
    progress: bool | Callable[[int, int | None], None] = True

    def __post_init__(self) -> None:
        for name in ("num_inference_steps", "num_return_sequences", "batch_size"):
            value = getattr(self, name)
            if name == "batch_size" and value is None:
                continue
            if type(value) is not int or value < 1:
                raise ValueError(f"{name} must be an integer of at least 1: got {value!r}")
        if self.output_type not in OUTPUT_TYPES:
            raise ValueError(
                f"output_type is {self.output_type!r}: expected {', '.join(OUTPUT_TYPES)}"
            )
        if unknown := set(self.callback_tensors) - set(TENSORS):
            raise ValueError(
                f"callback_on_step_end_tensor_inputs has {', '.join(sorted(unknown))}: expected "
                f"some of {', '.join(TENSORS)}"
            )
        for bound in ("min_seconds", "max_seconds"):
            check_seconds(bound, getattr(self, bound))
        if self.min_seconds is not None and self.min_seconds > self.longest:
            raise ValueError(
                f"the shortest song must not exceed the longest: got {self.min_seconds:g} and "
                f"{self.longest:g} seconds"
            )

    @property
    def longest(self) -> float:
        """Seconds of the longest song of no given length."""
        return DEFAULT_MAX_SECONDS if self.max_seconds is None else self.max_seconds

    def generators(self, requests: Sequence[dict[str, Any]], device: Any) -> list[torch.Generator]:
        """One random stream for each song; what was given takes the place of the seeds."""
        given = self.generator
        if given is None:
            seeds = [request["seed"] for request in requests]
            return [torch.Generator(device=device).manual_seed(seed) for seed in seeds]
        sources = [given] * len(requests) if isinstance(given, torch.Generator) else list(given)
        if len(sources) != len(requests):
            raise ValueError(
                f"generator has {len(sources)} entries for {len(requests)} songs: give one, or one "
                "for each"
            )
        return sources

    def new_frames(self, seconds: Any, *, expected: int, frame_rate: float) -> int:
        """Frames to sing, at least one.

        Args:
            seconds: their length; None for what is expected, within the bounds.
            expected: frames.
            frame_rate: frames a second.
        """
        if seconds is not None:
            check_seconds("seconds", seconds)
            if self.min_seconds is not None or self.max_seconds is not None:
                raise ValueError("seconds is the length: leave min_seconds and max_seconds out")
            return max(1, round(seconds * frame_rate))
        least = 0 if self.min_seconds is None else round(self.min_seconds * frame_rate)
        return max(1, least, min(expected, round(self.longest * frame_rate)))


def check_seconds(name: str, value: Any) -> None:
    """ValueError or TypeError unless None or a duration."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number of seconds: got {value!r}")
    if not 0 < value < float("inf"):
        raise ValueError(f"{name} must be above 0 and finite: got {value!r}")


__all__ = [
    "DEFAULT_MAX_SECONDS",
    "DEFAULT_STEPS",
    "OUTPUT_TYPES",
    "SCHEDULER_SETTINGS",
    "TENSORS",
    "MaskedSettings",
]

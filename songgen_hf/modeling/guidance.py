"""Classifier-free guidance: a scale for each condition, and the rows of the batch that it needs.

Joint guidance (Ho & Salimans, arXiv 2207.12598) is ``null + s (all - null)``. With a scale for each
condition the conditions are added one after another, as InstructPix2Pix adds image and instruction
(arXiv 2211.09800, section 3.2.1)::

    null + s_text (text - null) + s_lyrics (text, lyrics - text) + s_voice (all - text, lyrics)

Equal scales leave joint guidance. A row of the batch is needed only where two neighbors differ: one
for the null conditions if ``s_text`` is not 1, one for the text alone if ``s_text`` and
``s_lyrics`` differ, one for text and lyrics if ``s_lyrics`` and ``s_voice`` differ.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import LogitsProcessor

from .voice_encoder import has_voice

CONDITIONS = ("text", "lyrics", "voice")
"""The conditions in the order in which guidance adds them."""
SCHEDULES = ("linear", "cosine")

Branch = tuple[str, ...]
"""Conditions that a row of the batch keeps; the others are empty in it."""


@dataclass(frozen=True)
class Guidance:
    """Scales of guidance, see :meth:`of`.

    Args:
        scales: (first, last) for each of ``CONDITIONS``.
        schedule: "linear" or "cosine".
        interval: share of the steps in which the scales hold, (start, end); elsewhere they are 1.
    """

    scales: tuple[tuple[float, float], ...] = ((1.0, 1.0),) * len(CONDITIONS)
    schedule: str = "linear"
    interval: tuple[float, float] = (0.0, 1.0)

    @classmethod
    def of(cls, scale: Any = None, schedule: str | None = None, interval: Any = None) -> "Guidance":
        """Read the arguments of a call or of a configuration.

        Args:
            scale: a number from 0 up, 1 for no guidance; two numbers for the first and the last
                step; or a mapping from some of "text", "lyrics" and "voice" to either, where a
                condition that is left out has the scale 1. None for no guidance.
            schedule: how a scale moves from its first to its last number: "linear", or "cosine",
                slowly at both ends. None for "linear".
            interval: (start, end), shares of the steps from 0 to 1 between which guidance is on
                (arXiv 2404.07724); None for all steps.

        Raises:
            TypeError: if a scale is no number.
            ValueError: for a number out of range, an unknown condition or schedule.
        """
        scale, interval = plain_numbers(scale), plain_numbers(interval)
        if isinstance(scale, Mapping):
            if unknown := [name for name in scale if name not in CONDITIONS]:
                raise ValueError(
                    f"guidance_scale has a scale for {unknown[0]!r}: expected some of "
                    f"{', '.join(CONDITIONS)}"
                )
            scales = tuple(
                _ends(scale[name], f"guidance_scale of {name}") if name in scale else (1.0, 1.0)
                for name in CONDITIONS
            )
        else:
            scales = (_ends(1.0 if scale is None else scale, "guidance_scale"),) * len(CONDITIONS)
        schedule = "linear" if schedule is None else schedule
        if schedule not in SCHEDULES:
            raise ValueError(
                f"guidance_schedule is {schedule!r}: expected {' or '.join(map(repr, SCHEDULES))}"
            )
        return cls(scales, schedule, _interval(interval))

    @classmethod
    def of_call(cls, config: Any, **course: Any) -> "Guidance":
        """Read a generation configuration, and the course that a call has in place of its own.

        Args:
            config: a configuration with ``guidance_scale``.
            course: ``guidance_schedule`` and ``guidance_interval`` of the call.
        Raises:
            TypeError, ValueError: as :meth:`of` and :func:`check_course`.
        """
        names = ("guidance_schedule", "guidance_interval")
        own = {name: getattr(config, name, None) for name in names}
        given = {name: value for name, value in course.items() if value is not None}
        guidance = cls.of(config.guidance_scale, *(own | given).values())
        check_course(guidance, given)
        return guidance

    def branches(self, given: Sequence[str] = CONDITIONS) -> tuple[Branch, ...]:
        """Return the conditions of the batch rows that are needed beside those with all of them.

        Args:
            given: conditions that the call has; the others are empty in every row.
        """
        return tuple(kept for kept, weights in self._terms(given)[:-1] if any(weights))

    def weights(self, share: float, given: Sequence[str] = CONDITIONS) -> list[float]:
        """Return the weight of the rows with all conditions, then of each of ``branches``.

        Args:
            share: share of the steps that are done, from 0 at the first step to 1 at the last.
        """
        start, end = self.interval
        inside = start <= share <= end
        terms = self._terms(given)
        everything = terms.pop()
        needed = [everything, *(term for term in terms if any(term[1]))]
        if not inside:
            return [1.0] + [0.0] * (len(needed) - 1)
        done = share if self.schedule == "linear" else (1 - math.cos(math.pi * share)) / 2
        # The weights of the parts sum to 1; those of terms are (first, last, 1 for the null row).
        return [first + (last - first) * done for _, (first, last) in needed]

    def _terms(self, given: Sequence[str]) -> list[tuple[Branch, tuple[float, float]]]:
        """The null row, then a row with one more condition each, with first and last weights."""
        names = [name for name in CONDITIONS if name in given]
        ends = [(1.0, 1.0), *(self.scales[CONDITIONS.index(name)] for name in names), (0.0, 0.0)]
        return [
            (tuple(names[:i]), (ends[i][0] - ends[i + 1][0], ends[i][1] - ends[i + 1][1]))
            for i in range(len(names) + 1)
        ]


class GuidanceLogitsProcessor(LogitsProcessor):
    """Mixes the log-probabilities of a batch whose rows repeat with fewer conditions.

    The scores are [(1 + branches) * B * rows, V], those with all conditions first.

    Args:
        guidance: the scales.
        given: conditions that the call has.
        num_steps: length of the longest sequence, in steps of the decoder.
        first_step: step at which generation begins.
    """

    def __init__(
        self, guidance: Guidance, given: Sequence[str], *, num_steps: int, first_step: int = 1
    ):
        self.guidance, self.given = guidance, tuple(given)
        self.first_step = first_step
        self.last = max(1, num_steps - 1 - first_step)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        share = min(1.0, (input_ids.shape[1] - self.first_step) / self.last)
        weights = self.guidance.weights(share, self.given)
        parts = torch.log_softmax(scores, dim=-1).chunk(len(weights))
        mixed = parts[0] * weights[0]
        for weight, part in zip(weights[1:], parts[1:], strict=True):
            if weight:
                mixed = mixed + weight * part
        return mixed


def given_conditions(
    inputs: Mapping[str, Any], null_lyrics_ids: Sequence[int] = ()
) -> tuple[str, ...]:
    """Return which of ``CONDITIONS`` the inputs of the conditioner have; an empty text is one.

    Args:
        inputs: the inputs.
        null_lyrics_ids: ids of empty lyrics.
    """
    voice, lyrics = inputs.get("voice_values"), inputs.get("lyrics_ids")
    if lyrics is not None and lyrics.shape[1] >= len(null_lyrics_ids) > 0:
        mask = inputs.get("lyrics_attention_mask")
        mask = torch.ones_like(lyrics) if mask is None else mask
        ids = torch.tensor([*null_lyrics_ids], device=lyrics.device)
        words = (lyrics[:, : len(ids)] != ids).any(dim=1) | (mask.sum(dim=1) != len(ids))
        lyrics = lyrics if bool(words.any()) else None
    given = {
        "text": True,
        "lyrics": lyrics is not None,
        "voice": voice is not None and bool(has_voice(voice).any()),
    }
    return tuple(name for name, there in given.items() if there)


def check_negative(inputs: Mapping[str, Any], branches: Sequence[Branch]) -> None:
    """Raise ValueError if inputs have a negative text that no branch of guidance reads."""
    if inputs.get("negative_input_ids") is not None and all("text" in kept for kept in branches):
        raise ValueError(
            "a negative text has no effect without guidance of the text: pass a guidance_scale, or "
            "one of text, above 1"
        )


def check_course(guidance: Guidance, given: Mapping[str, Any]) -> None:
    """Raise ValueError if the arguments of a call have a course of guidance, which is off."""
    names = [n for n in ("guidance_schedule", "guidance_interval") if given.get(n) is not None]
    if names and not guidance.branches():
        raise ValueError(
            f"{names[0]} has no effect without guidance: pass a guidance_scale above 1, or leave "
            f"{names[0]} out"
        )


def plain_numbers(value: Any) -> Any:
    """Return numbers of numpy and torch, in sequences and mappings too, as those of Python."""
    if isinstance(value, np.ndarray | np.generic | Tensor):
        return value.tolist()
    if isinstance(value, list | tuple):
        return type(value)(map(plain_numbers, value))
    if isinstance(value, Mapping):
        return {name: plain_numbers(one) for name, one in value.items()}
    return value


def _ends(value: Any, name: str) -> tuple[float, float]:
    """The numbers of the first and of the last step."""
    ends: list[Any] = list(value) if isinstance(value, list | tuple) else [value]
    if not ends or not all(
        isinstance(end, int | float) and not isinstance(end, bool) for end in ends
    ):
        raise TypeError(
            f"{name} must be a number, or two for the first and the last step: got {value!r}"
        )
    if len(ends) > 2 or not all(0 <= end < math.inf for end in ends):
        raise ValueError(
            f"{name} is {value!r}: expected a number of at least 0 (1.0 is off), or those of the "
            "first and the last step"
        )
    return float(ends[0]), float(ends[-1])


def _interval(value: Any) -> tuple[float, float]:
    """A checked interval of shares."""
    if value is None:
        return 0.0, 1.0
    ends: list[Any] = list(value) if isinstance(value, list | tuple) else [value]
    if (
        len(ends) != 2
        or not all(isinstance(end, int | float) and not isinstance(end, bool) for end in ends)
        or not 0 <= ends[0] < ends[1] <= 1
    ):
        raise ValueError(
            f"guidance_interval is {value!r}: expected (start, end), shares of the steps between "
            "0 and 1, the start below the end"
        )
    return float(ends[0]), float(ends[1])


__all__ = [
    "CONDITIONS",
    "SCHEDULES",
    "Branch",
    "Guidance",
    "GuidanceLogitsProcessor",
    "check_course",
    "check_negative",
    "given_conditions",
    "plain_numbers",
]

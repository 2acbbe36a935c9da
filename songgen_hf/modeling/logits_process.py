"""Logits processors that enforce the token pattern and sample each song with its own seed.

The shapes are those of ``generate()``: scores [B * rows, V] and history [B * rows, L].
"""

import inspect
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList

from .patterns import FREE, CodebookPattern, known_end


class CodebookPatternLogitsProcessor(LogitsProcessor):
    """Enforces the token pattern, and that a codebook ends only after all lower codebooks.

    In a forced cell (begin of sequence, known code, padding) all other ids are forbidden. In a free
    cell the end of sequence is forbidden until all lower codebooks of the row's group have ended; a
    group is the song, or the track if each track has its own rows. Without a delay the end of the
    lowest codebook ends the others in the next step. The processor runs first, so that warpers get
    legal ids only, and again last, so that none of them replaces a forced id.

    A step costs the same at every length: of a history that is longer than that of the last call,
    only the added columns are read, so its beginning must be the same. Any other history is read
    from its start.

    Args:
        pattern: the token pattern.
        max_steps: largest length of the sequence, begin-of-sequence step included.
        num_frames: frames of a track, prompt included, after which its cells are padding.
        min_frames: frames of a track, prompt included, within which no codebook may end.
        bos_token_id, pad_token_id, eos_token_id: special ids.
        known_codes: [B, tracks, K, S] codes of the songs, -1 where a code is to be generated. No
            codebook ends before the last known frame.

    Raises:
        ValueError: if ``max_steps`` or ``num_frames`` is too small for one frame or known codes,
            or if ``min_frames`` exceeds ``num_frames``.
    """

    def __init__(
        self,
        pattern: CodebookPattern,
        *,
        max_steps: int,
        num_frames: int,
        min_frames: int = 0,
        bos_token_id: int,
        pad_token_id: int,
        eos_token_id: int,
        known_codes: Tensor | None = None,
        device: torch.device | None = None,
    ):
        ends = torch.zeros(1, dtype=torch.int64) if known_codes is None else known_end(known_codes)
        needed = max(1, int(ends.max()))
        shortest = pattern.num_steps(needed)
        if max_steps < shortest or num_frames < needed:
            raise ValueError(
                f"max_length is too short for one frame: got {max_steps} steps and room for "
                f"{num_frames} frames, but {pattern.name} with {pattern.num_codebooks} codebooks "
                f"needs at least {shortest} steps for {needed} frame(s); "
                "raise max_length or pass max_new_frames instead"
            )
        if min_frames > num_frames:
            raise ValueError(
                f"the shortest song must not exceed the longest: got {min_frames} and {num_frames} "
                "frames, prompt included; lower min_new_frames or raise the maximum"
            )
        self.num_rows = pattern.num_rows
        self.rows_per_group = pattern.num_codebooks
        self.end_together = pattern.delay == 0
        self.eos_token_id = eos_token_id
        forced = pattern.forced_ids(
            max_steps, num_frames, bos_token_id, pad_token_id, device, known_codes
        )
        frame = pattern.cells(max_steps, device)[1]
        shortest_songs = ends.to(frame.device).clamp(min=min_frames)[:, None, None]
        too_early = (frame >= 0) & (frame < shortest_songs)
        # One table for each step, so that reading one copies nothing.
        self.forced_ids = forced.permute(2, 0, 1).contiguous()
        """int64 [steps, B or 1, rows]: the forced ids, or ``FREE``."""
        self.too_early = too_early.permute(2, 0, 1).contiguous()
        """bool [steps, B or 1, rows]: cells in which no codebook may end."""
        self.has_forced = (self.forced_ids != FREE).flatten(1).any(dim=1).tolist()
        """Whether a step has any forced cell."""
        self._history = torch.empty(0, 0)
        self._ended = torch.empty(0)
        self._may_not_end = torch.empty(0)

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        step = input_ids.shape[1]
        if input_ids is not self._history:
            self._read(input_ids)
        scores = scores.clone()
        end = scores[:, self.eos_token_id]
        scores[:, self.eos_token_id] = end.masked_fill(self._may_not_end, -torch.inf)
        if not self.end_together and not self.has_forced[step]:
            return scores

        forced = self.forced_ids[step].expand(len(self._ended), -1)
        if self.end_together:
            forced = torch.where(self._ended[:, :1], self.eos_token_id, forced)
        forced = forced.reshape(-1, 1)  # [B * rows, 1]
        only_forced = torch.full_like(scores, -torch.inf).scatter_(1, forced.clamp(min=0), 0.0)
        return torch.where(forced == FREE, scores, only_forced)

    def _read(self, input_ids: Tensor) -> None:
        """Read the columns of a history that follow those of the last call."""
        step, read = input_ids.shape[1], self._history.shape[1]
        num_songs = input_ids.shape[0] // self.num_rows
        if step <= read or len(input_ids) != len(self._history):
            read = 0
        # Only free cells count: the id of the end is also that of padding.
        is_end = (input_ids[:, read:] == self.eos_token_id).view(num_songs, self.num_rows, -1)
        free = self.forced_ids[read:step] == FREE
        ended = (is_end & free.permute(1, 2, 0)).any(dim=2)
        self._ended = ended if read == 0 else self._ended | ended  # [B, rows]
        self._history = input_ids

        group = self._ended.view(-1, self.rows_per_group)
        lower_have_ended = group.int().cumprod(dim=1).roll(1, dims=1)
        lower_have_ended[:, 0] = 1
        may_not_end = (lower_have_ended.view(num_songs, -1) == 0) | self.too_early[step]
        self._may_not_end = may_not_end.view(-1)  # [B * rows]


class StepProcessors(LogitsProcessorList):
    """Applies its processors, and looks once for those that take more than history and scores.

    The list of transformers reads the signatures of all of them at every step.
    """

    def __call__(self, input_ids: Tensor, scores: Tensor, **kwargs: Any) -> Tensor:
        if not self._are_plain:
            return super().__call__(input_ids, scores, **kwargs)
        for processor in self:
            scores = processor(input_ids, scores)
        return scores

    @cached_property
    def _are_plain(self) -> bool:
        return all(len(inspect.signature(one.__call__).parameters) == 2 for one in self)


def song_seeds(seed: int | list[int] | Tensor, num_songs: int) -> list[int]:
    """Return a seed for each song: those given, or counting up from one.

    Raises:
        ValueError: if a list has another number of seeds.
    """
    if isinstance(seed, int) and not isinstance(seed, bool):
        return [seed + i for i in range(num_songs)]
    seeds = [int(one) for one in seed]
    if len(seeds) != num_songs:
        raise ValueError(
            "seed must be one int or one int for each song: got "
            f"{len(seeds)} seeds for {num_songs} songs (batch size times num_return_sequences)"
        )
    return seeds


class SeededSamplingLogitsProcessor(LogitsProcessor):
    """Samples with one random generator per song, so that a song does not depend on its batch.

    ``generate()`` has no generator argument. Adding Gumbel noise to log-probabilities and taking
    the largest is a draw from them (the Gumbel-max trick). Only the drawn id is left, for the loop
    of transformers to take. This processor must run last.

    Args:
        seeds: one seed for each song.
        num_rows: number of rows of a song.
        device: device of the generators.
    """

    def __init__(self, seeds: Sequence[int], num_rows: int, device: torch.device | None = None):
        self.num_rows = num_rows
        self.generators = [
            torch.Generator(device=device or "cpu").manual_seed(seed) for seed in seeds
        ]

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        shape = (self.num_rows, scores.shape[-1])
        noise = torch.cat(
            [
                torch.empty(shape, device=generator.device).exponential_(generator=generator)
                for generator in self.generators
            ]
        ).to(scores.device)
        # The negative logarithm of exponential noise is Gumbel noise.
        drawn = (scores.float() - noise.log()).argmax(dim=-1, keepdim=True)
        return torch.full_like(scores, -torch.inf).scatter_(1, drawn, 0.0)


__all__ = [
    "CodebookPatternLogitsProcessor",
    "SeededSamplingLogitsProcessor",
    "StepProcessors",
    "song_seeds",
]

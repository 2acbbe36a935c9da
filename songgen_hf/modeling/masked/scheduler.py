"""Which codes of a song are revealed at each of a few steps (ResGen, arXiv 2412.10208).

A song begins masked. At every step the model proposes all masked codes at once, and the scheduler
keeps some of them: as many as a schedule says, chosen at random or by confidence. Within a frame
the visible codebooks are always the coarsest ones, so one number per track and frame says what is
known. Training masks songs by the same law (:func:`mask_at_random`).

This module knows nothing of networks: a model's output is asked for proposals.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from .noise import Generators, song_noise

try:
    from diffusers.configuration_utils import ConfigMixin, register_to_config
    from diffusers.schedulers.scheduling_utils import SchedulerMixin
    from diffusers.utils import BaseOutput
except ImportError as error:
    raise ImportError(
        "masked songs need the package diffusers: pip install 'songgen-hf[diffusers]'"
    ) from error

MaskSchedule = Literal["circle", "cosine", "linear", "exp"]
Reveal = Literal["random", "confidence"]
EXP_RATE = 5.0
"""How late the schedule "exp" reveals; the paper names the schedule and gives no formula."""


@dataclass
class MaskedRVQSchedulerOutput(BaseOutput):
    """What a step leaves.

    Args:
        codes: [B, N, K, T] int64, the revealed ones written; hidden ones as they came.
        visible: [B, N, T] int64, codebooks that are known now.
        candidates: [B, N, K, T] int64, the whole song as this step saw it.
    """

    codes: Tensor
    visible: Tensor
    candidates: Tensor


class MaskedRVQScheduler(SchedulerMixin, ConfigMixin):
    """Reveals a song coarse codebooks first, in ``num_inference_steps`` steps.

    Args:
        schedule: share of the codes still masked at r of the way, from 1 to 0: "circle"
            sqrt(1 - r^2), "cosine" cos(pi r / 2), "linear" 1 - r, or "exp", which reveals few
            codes early and most of them late.
        reveal: "confidence" keeps the codes whose log-probability, summed from the first masked
            codebook down, is largest after Gumbel noise; "random" any.
        choice_temperature: factor on that noise, constant over the steps as in the paper.
        anneal_choice: let it fall linearly to nearly 0 over the steps instead (MaskGIT).
        guidance_scale: weight of the conditions, 1.0 is off: a number, or the first and the last
            step's with a line between them.
        top_p: propose from this much probability.
        temperature: of the proposals.
        accompaniment_lead: share of the steps, in [0, 1), that the accompaniment is ahead of the
            vocal; 0 for one count over both tracks. Both then have fewer steps of their own.
    """

    order = 1

    @register_to_config
    def __init__(
        self,
        schedule: MaskSchedule = "circle",
        reveal: Reveal = "confidence",
        choice_temperature: float = 28.0,
        anneal_choice: bool = False,
        guidance_scale: float | Sequence[float] = 1.0,
        top_p: float = 1.0,
        temperature: float = 1.0,
        accompaniment_lead: float = 0.0,
    ):
        _check_choice("schedule", schedule, get_args(MaskSchedule))
        _check_choice("reveal", reveal, get_args(Reveal))
        guidance_range(guidance_scale)
        if not 0 < top_p <= 1:
            raise ValueError(f"top_p is {top_p}: expected more than 0 and at most 1")
        if not 0 <= temperature < math.inf or not 0 <= choice_temperature < math.inf:
            raise ValueError(
                f"temperature is {temperature} and choice_temperature {choice_temperature}: "
                "expected finite numbers of at least 0"
            )
        if not 0 <= accompaniment_lead < 1:
            raise ValueError(
                f"accompaniment_lead is {accompaniment_lead}: expected a share of the steps, from "
                "0 to below 1"
            )
        self.num_inference_steps: int | None = None
        self.timesteps: Tensor | None = None
        self._totals: Tensor | None = None

    def set_timesteps(
        self, num_inference_steps: int, device: torch.device | str | None = None
    ) -> None:
        """Begin songs of so many steps.

        ``timesteps`` then counts down to 0: the steps that are left after each.
        """
        steps = num_inference_steps
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
            raise ValueError(
                f"num_inference_steps must be an integer of at least 1: got {num_inference_steps!r}"
            )
        self.num_inference_steps = steps
        self.timesteps = torch.arange(steps, device=device).flip(0)
        self._totals = None

    def num_masked(self, step: int, total: int) -> int:
        """Codes of ``total`` that are still masked when ``step`` steps are done.

        ``ceil(gamma(step / num_inference_steps) * total)`` without rounding errors: ``total`` at
        0, 0 at the last.
        """
        return num_masked(self.config.schedule, Fraction(step, self._steps), total)

    def guidance_weight(self, step: int) -> float:
        """The weight w of ``conditional + w * (conditional - unconditional)`` at step 0, 1, ...

        It is the guidance scale of that step less 1; a single step takes the last one's.
        """
        first, last = guidance_range(self.config.guidance_scale)
        share = step / (self._steps - 1) if self._steps > 1 else 1.0
        return first + (last - first) * share - 1.0

    @property
    def uses_guidance(self) -> bool:
        """Whether any step needs what the model says without conditions."""
        return guidance_range(self.config.guidance_scale) != (1.0, 1.0)

    @torch.no_grad()
    def step(
        self,
        model_output: Any,
        timestep: int | Tensor,
        codes: Tensor,
        visible: Tensor,
        *,
        frame_mask: Tensor | None = None,
        generator: Generators = None,
        return_dict: bool = True,
    ) -> MaskedRVQSchedulerOutput | tuple[Tensor, Tensor, Tensor]:
        """Reveal what this step may reveal.

        What was masked when the first step after ``set_timesteps`` came is the whole that the
        schedule divides, so that a song that begins with known codes takes all its steps too.

        Args:
            model_output: has a ``distribution`` that proposes codes.
            timestep: one of ``timesteps``.
            codes: [B, N, K, T] int64.
            visible: [B, N, T] int64, the first codebooks of each frame that are known, 0 to K.
            frame_mask: [B, T], True where the frame belongs to the song; all by default. Other
                frames come back as they were.
            generator: one, or one for each song: then a song does not depend on its batch mates.
            return_dict: False for the fields as a tuple.
        Raises:
            ValueError: for a timestep or shapes that do not fit.
        """
        if frame_mask is None:
            frame_mask = torch.ones_like(codes[:, 0, 0], dtype=torch.bool)
        _check_shapes(codes, visible, frame_mask)
        done = self._steps - int(timestep)
        if not 1 <= done <= self._steps:
            raise ValueError(
                f"timestep is {int(timestep)}: expected one of {self._steps - 1} to 0, as "
                "scheduler.timesteps has them"
            )
        proposal = model_output.distribution.propose(
            visible,
            codes,
            top_p=self.config.top_p,
            temperature=self.config.temperature,
            generator=generator,
            frame_mask=frame_mask,
        )
        depths = torch.arange(codes.shape[2], device=codes.device)[:, None]  # [K, 1]
        masked = (depths >= visible[:, :, None]) & frame_mask[:, None, None]  # [B, N, K, T]
        allowance = self._num_revealed(masked, done)
        if self.config.reveal == "confidence":
            scores = proposal.scores.masked_fill(~masked, 0.0).cumsum(dim=2)
            temperature = self.config.choice_temperature
            if self.config.anneal_choice:
                temperature = temperature * (1 - done / (self._steps + 1))
        else:
            scores, temperature = torch.zeros_like(masked, dtype=torch.float32), 1.0
        if temperature > 0:
            shape = (*visible.shape, codes.shape[2])  # [B, N, T, K]
            noise = song_noise(
                shape, "gumbel", generator=generator, frame_mask=frame_mask, device=codes.device
            )
            scores = scores + temperature * noise.transpose(2, 3)
        revealed = _count_winners(scores, masked, allowance)
        now_visible = visible + revealed
        written = (depths < now_visible[:, :, None]) & masked
        after = torch.where(written, proposal.codes, codes)
        if not return_dict:
            return after, now_visible, proposal.codes
        return MaskedRVQSchedulerOutput(after, now_visible, proposal.codes)

    @property
    def _steps(self) -> int:
        if self.num_inference_steps is None:
            raise ValueError("the scheduler has no steps yet: call set_timesteps first")
        return self.num_inference_steps

    def _num_revealed(self, masked: Tensor, done: int) -> Tensor:
        """Codes to reveal now, [B] for each song or [B, N] for each track of it."""
        lead = min(round(self.config.accompaniment_lead * self._steps), self._steps - 1)
        by_track = bool(lead) and masked.shape[1] > 1
        counts = masked.sum(dim=(2, 3)) if by_track else masked.sum(dim=(1, 2, 3))
        if self._totals is None:
            self._totals = counts.cpu()
        if self._totals.shape != counts.shape:
            raise ValueError(
                f"this step is of {list(counts.shape)} songs (and tracks), the first one was of "
                f"{list(self._totals.shape)}: call set_timesteps before other songs"
            )
        remaining = []
        own_steps = self._steps - lead
        for index, total in enumerate(self._totals.flatten().tolist()):
            share = Fraction(done, self._steps)
            if by_track:
                behind = lead if index % masked.shape[1] else 0
                share = Fraction(min(max(done - behind, 0), own_steps), own_steps)
            remaining.append(num_masked(self.config.schedule, share, total))
        left = torch.tensor(remaining, device=masked.device).view(counts.shape)
        return (counts - left).clamp(min=0)


def num_masked(schedule: MaskSchedule, share: Fraction | float, total: int) -> int:
    """``ceil(gamma(share) * total)``: codes that are masked at ``share`` of the way.

    For a Fraction no rounding error can add or lose a code.
    """
    _check_choice("schedule", schedule, get_args(MaskSchedule))
    if not 0 <= share <= 1:
        raise ValueError(f"share is {share}: expected 0 (all masked) to 1 (nothing masked)")
    if total < 0:
        raise ValueError(f"total is {total}: expected a number of codes")
    share = Fraction(share)
    above, below = share.numerator, share.denominator
    if schedule == "linear":
        return -(-total * (below - above) // below)
    if schedule == "circle":
        # The smallest n with (n * below)^2 >= total^2 * (below^2 - above^2).
        square = -(-(total**2) * (below**2 - above**2) // below**2)
        return math.isqrt(square - 1) + 1 if square else 0
    if share in (0, 1):
        return total if share == 0 else 0
    if schedule == "cosine":
        if share == Fraction(2, 3):  # the one rational value at a rational angle (Niven)
            return -(-total // 2)
        return math.ceil(math.cos(math.pi * above / (2 * below)) * total)
    left = -math.expm1(-EXP_RATE * (below - above) / below) / -math.expm1(-EXP_RATE)
    return math.ceil(left * total)


def guidance_range(scale: float | Sequence[float]) -> tuple[float, float]:
    """The guidance scale at the first and at the last step; ValueError unless finite and >= 0."""
    ends = [scale] if isinstance(scale, int | float) else list(scale)
    numbers = all(isinstance(end, int | float) and not isinstance(end, bool) for end in ends)
    if not numbers or len(ends) not in (1, 2) or not all(0 <= end < math.inf for end in ends):
        raise ValueError(
            f"guidance_scale is {scale!r}: expected a number of at least 0 (1.0 is off), or the "
            "first and the last step's"
        )
    return float(ends[0]), float(ends[-1])


def mask_at_random(
    codes: Tensor,
    frame_mask: Tensor | None = None,
    schedule: MaskSchedule = "circle",
    generator: Generators = None,
    *,
    track_probability: float = 0.0,
    span_probability: float = 0.0,
) -> Tensor:
    """Hide a random part of each song, for training (ResGen, algorithm 1).

    Of a song's L * K codes, ``ceil(gamma(r) * L * K)`` with r uniform in [0, 1) are drawn without
    replacement; a frame in which k were drawn loses its k finest (a multivariate hypergeometric
    law over frames). What people ask for is given whole at times: one track, or a stretch of
    frames; the count is then over the rest.

    Args:
        codes: [B, N, K, T]; only the shape and the device matter.
        frame_mask: [B, T], True where the frame belongs to the song; all by default.
        schedule: gamma.
        generator: one, or one for each song.
        track_probability: how often one of two tracks is given whole.
        span_probability: how often a stretch of frames is given whole in all tracks; in half of
            these songs it is their beginning.
    Returns:
        visible: [B, N, T] int64, 0 to K; 0 in padding.
    """
    batch_size, num_tracks, num_codebooks, num_frames = codes.shape
    if frame_mask is None:
        frame_mask = torch.ones_like(codes[:, 0, 0], dtype=torch.bool)
    lengths = frame_mask.sum(dim=1)
    # r, then: is a track given, which, is a span given, from the beginning, how long, where.
    draws = song_noise((batch_size, 1, 7), "uniform", generator=generator)[:, 0].to(codes.device)
    given = torch.zeros(
        batch_size, num_tracks, num_frames, dtype=torch.bool, device=codes.device
    )  # [B, N, T]
    if num_tracks > 1:
        which = (draws[:, 2] * num_tracks).long()
        is_given = draws[:, 1] < track_probability
        given |= (is_given[:, None] & (torch.arange(num_tracks).to(which) == which[:, None]))[
            ..., None
        ]
    span = draws[:, 5] * lengths
    start = torch.where(draws[:, 4] < 0.5, 0.0, draws[:, 6] * (lengths - span)).floor()
    frames = torch.arange(num_frames, device=codes.device)
    inside = (frames >= start[:, None]) & (frames < (start + span).floor()[:, None])
    given |= (inside & (draws[:, 3] < span_probability)[:, None])[:, None]

    free = (frame_mask[:, None] & ~given)[:, :, None].expand_as(codes)
    totals = free.sum(dim=(1, 2, 3)).tolist()
    hidden = [
        num_masked(schedule, share, total)
        for share, total in zip(draws[:, 0].tolist(), totals, strict=True)
    ]
    shape = (batch_size, num_tracks, num_frames, num_codebooks)
    noise = song_noise(
        shape, "uniform", generator=generator, frame_mask=frame_mask, device=codes.device
    )
    lost = _count_winners(noise.transpose(2, 3), free, torch.tensor(hidden, device=codes.device))
    return (num_codebooks - lost) * frame_mask[:, None]


def _count_winners(scores: Tensor, eligible: Tensor, allowance: Tensor) -> Tensor:
    """How many of the best-scored eligible codes lie in each frame.

    Only the count matters, so that noise on single codes never leaves a gap above a known one.

    Args:
        scores: [B, N, K, T].
        eligible: [B, N, K, T] bool.
        allowance: [B] winners of each song, or [B, N] of each track.
    Returns:
        [B, N, T] int64.
    """
    groups = scores.float().masked_fill(~eligible, -torch.inf).flatten(allowance.ndim)
    order = groups.argsort(dim=-1, descending=True, stable=True)
    ranks = torch.empty_like(order)
    places = torch.arange(order.shape[-1], device=order.device).expand_as(order)
    ranks.scatter_(-1, order, places)
    won = (ranks < allowance[..., None]).view(scores.shape) & eligible
    return won.sum(dim=2)


def _check_shapes(codes: Tensor, visible: Tensor, frame_mask: Tensor) -> None:
    batch_size, num_tracks, num_codebooks, num_frames = codes.shape
    expected = [batch_size, num_tracks, num_frames]
    if list(visible.shape) != expected:
        raise ValueError(
            f"visible has shape {list(visible.shape)}, expected {expected} for codes of shape "
            f"{list(codes.shape)} [songs, tracks, codebooks, frames]"
        )
    if list(frame_mask.shape) != [batch_size, num_frames]:
        raise ValueError(
            f"frame_mask has shape {list(frame_mask.shape)}, expected {[batch_size, num_frames]}"
        )
    if visible.numel() and not 0 <= int(visible.min()) <= int(visible.max()) <= num_codebooks:
        raise ValueError(
            f"visible holds {int(visible.min())} to {int(visible.max())}, expected 0 to "
            f"{num_codebooks} codebooks"
        )


def _check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ValueError(f"{name} is {value!r}: expected {', '.join(choices)}")


__all__ = [
    "MaskSchedule",
    "MaskedRVQScheduler",
    "MaskedRVQSchedulerOutput",
    "Reveal",
    "guidance_range",
    "mask_at_random",
    "num_masked",
]

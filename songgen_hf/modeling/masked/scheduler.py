"""The scheduler determines how many and which codes are revealed at each step of a masked song.

Generation begins with all codes masked (ResGen, arXiv 2412.10208). At every step the model proposes
all masked codes at once, and the scheduler keeps some of them: their number follows from a
schedule, and they are selected at random or by confidence. Within a frame the visible codebooks are
always the coarsest ones, so that one number per track and frame describes what is known. Training
masks songs by the same rule (:func:`mask_at_random`).

The module depends on no network; it calls ``propose`` of the distribution in a model's output.
"""

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from ..guidance import Guidance, plain_numbers
from .noise import Generators, song_noise
from .schedules import MaskSchedule, check_choice, num_masked

try:
    from diffusers.configuration_utils import ConfigMixin, register_to_config
    from diffusers.schedulers.scheduling_utils import SchedulerMixin
    from diffusers.utils import BaseOutput
except ImportError as error:
    raise ImportError(
        "masked songs need the package diffusers: pip install 'songgen-hf[diffusers]'"
    ) from error

Reveal = Literal["random", "confidence"]
GUMBEL_DEVIATION = math.pi / math.sqrt(6)
"""Standard deviation of Gumbel noise."""


@dataclass
class MaskedRVQSchedulerOutput(BaseOutput):
    """Output of :meth:`MaskedRVQScheduler.step`.

    Args:
        codes: [B, N, K, T] int64, with the codes that the step has revealed; hidden codes are
            unchanged.
        visible: [B, N, T] int64, number of known codebooks after the step.
        candidates: [B, N, K, T] int64, the proposals of this step for the whole song.
    """

    codes: Tensor
    visible: Tensor
    candidates: Tensor


class MaskedRVQScheduler(SchedulerMixin, ConfigMixin):
    """Scheduler that reveals a song in ``num_inference_steps`` steps, coarse codebooks first.

    Args:
        schedule: share of the codes that are masked when a share r of the steps is done: "circle"
            sqrt(1 - r^2), "cosine" cos(pi r / 2), "linear" 1 - r, or "exp", which reveals few
            codes early and most of them late.
        reveal: "confidence" reveals the codes with the largest sum of log-probabilities, from the
            first masked codebook of the frame on, after Gumbel noise is added; "random" reveals any
            codes.
        choice_temperature: standard deviation of the Gumbel noise, relative to that of the summed
            scores between the frames of the song at each depth, so that it means the same for both
            heads. At 0.4 the noisy order has a rank correlation of about 0.9 with the clean one,
            at ``inf`` none. It is constant over the steps as in the paper, whose factor is absolute
            (28 for images).
        anneal_choice: whether the factor decreases linearly to nearly 0 over the steps (MaskGIT).
        guidance_scale, guidance_schedule, guidance_interval: classifier-free guidance, see
            ``Guidance.of``; a scale of 1.0 is none.
        top_p: total probability of the most probable codes or components to propose from.
        temperature: sampling temperature of the proposals.
        accompaniment_lead: share of the steps, in [0, 1), by which the accompaniment is revealed
            before the vocal. Each track is then revealed in fewer steps and counted on its own; 0
            counts the codes of both tracks together.
    """

    order = 1

    @register_to_config
    def __init__(
        self,
        schedule: MaskSchedule = "circle",
        reveal: Reveal = "confidence",
        choice_temperature: float = 0.4,
        anneal_choice: bool = False,
        guidance_scale: float | Sequence[float] | Mapping[str, Any] = 1.0,
        top_p: float = 1.0,
        temperature: float = 1.0,
        accompaniment_lead: float = 0.0,
        guidance_schedule: str = "linear",
        guidance_interval: Sequence[float] | None = None,
    ):
        check_choice("schedule", schedule, get_args(MaskSchedule))
        check_choice("reveal", reveal, get_args(Reveal))
        Guidance.of(guidance_scale, guidance_schedule, guidance_interval)
        numbers: dict[str, Any] = plain_numbers(
            {
                "temperature": temperature,
                "choice_temperature": choice_temperature,
                "top_p": top_p,
                "accompaniment_lead": accompaniment_lead,
            }
        )
        for name, value in numbers.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise TypeError(f"{name} must be a number: got {value!r}")
        guidance = {"guidance_scale": guidance_scale, "guidance_interval": guidance_interval}
        self.register_to_config(**numbers, **plain_numbers(guidance))
        if not 0 < top_p <= 1:
            raise ValueError(f"top_p is {top_p}: expected more than 0 and at most 1")
        if not 0 <= temperature < math.inf or not choice_temperature >= 0:
            raise ValueError(
                f"temperature is {temperature} and choice_temperature {choice_temperature}: "
                "expected numbers of at least 0, the first one finite"
            )
        if not 0 <= accompaniment_lead < 1:
            raise ValueError(
                f"accompaniment_lead is {accompaniment_lead}: "
                "expected a share of the steps, from 0 to below 1"
            )
        self.num_inference_steps: int | None = None
        self.timesteps: Tensor | None = None
        self._totals: Tensor | None = None

    @classmethod
    def from_config(cls, config: Any = None, *arguments: Any, **settings: Any) -> Any:
        """Create a scheduler from a configuration, some of whose settings can be replaced.

        Raises:
            ValueError: for a setting that there is not, which diffusers would leave out.
        """
        known = list(inspect.signature(cls).parameters)
        if unknown := sorted(settings.keys() - {*known, "return_unused_kwargs"}):
            raise ValueError(
                f"{cls.__name__} has no {', '.join(unknown)}: expected some of {', '.join(known)}"
            )
        return super().from_config(config, *arguments, **settings)

    def set_timesteps(
        self, num_inference_steps: int, device: torch.device | str | None = None
    ) -> None:
        """Set the number of steps and begin new songs.

        ``timesteps`` holds the number of steps that remain after each step, down to 0.

        Raises:
            ValueError: for a number below 1, or if none of the steps lies in the interval of
                guidance.
        """
        steps = num_inference_steps
        if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
            raise ValueError(
                f"num_inference_steps must be an integer of at least 1: got {num_inference_steps!r}"
            )
        self.num_inference_steps = steps
        self.timesteps = torch.arange(steps, device=device).flip(0)
        self._totals = None
        start, end = self.guidance.interval
        inside = any(start <= self.share_of_steps(step) <= end for step in range(steps))
        if self.guidance.branches() and not inside:
            raise ValueError(
                f"guidance_interval is {(start, end)}: none of {steps} steps lies in it (the first "
                "is at 0, the last, or a single one, at 1); give more steps or another interval"
            )

    def num_masked(self, step: int, total: int) -> int:
        """Return how many of ``total`` codes are masked when ``step`` steps are done.

        It is ``ceil(gamma(step / num_inference_steps) * total)`` without rounding errors: ``total``
        at the beginning and 0 at the end.
        """
        return num_masked(self.config.schedule, Fraction(step, self._steps), total)

    @property
    def guidance(self) -> Guidance:
        """The scales of guidance and their course over the steps."""
        config = self.config
        return Guidance.of(
            config.guidance_scale, config.guidance_schedule, config.guidance_interval
        )

    def share_of_steps(self, step: int) -> float:
        """Return where a step lies between the first (0) and the last (1); a single step is last.

        Steps count from 0.
        """
        return step / (self._steps - 1) if self._steps > 1 else 1.0

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
        """Reveal the codes that the schedule allows at one step.

        The schedule divides the codes that are masked at the first step after ``set_timesteps``, so
        that a song with known codes takes all steps too.

        Args:
            model_output: output of the model, with a ``distribution`` that proposes codes.
            timestep: one of ``timesteps``.
            codes: [B, N, K, T] int64.
            visible: [B, N, T] int64, number of known codebooks of each frame, 0 to K.
            frame_mask: [B, T], True where the frame belongs to the song; all frames by default.
                Other frames are returned unchanged.
            generator: a random generator, or one for each song, so that a song does not depend on
                its batch.
            return_dict: False returns the fields of the output as a tuple.
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
            scores, temperature = torch.zeros_like(masked, dtype=torch.float32), math.inf
        if temperature > 0:
            shape = (*visible.shape, codes.shape[2])  # [B, N, T, K]
            noise = song_noise(
                shape, "gumbel", generator=generator, frame_mask=frame_mask, device=codes.device
            ).transpose(2, 3)
            if temperature == math.inf:
                scores = noise
            else:
                factor = temperature / GUMBEL_DEVIATION * spread_of_scores(scores, masked)
                scores = scores + factor * noise
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
        """Return the number of codes to reveal at this step, [B] per song or [B, N] per track."""
        lead = min(round(self.config.accompaniment_lead * self._steps), self._steps - 1)
        by_track = bool(lead) and masked.shape[1] > 1
        counts = masked.sum(dim=(2, 3)) if by_track else masked.sum(dim=(1, 2, 3))
        if self._totals is None:
            self._totals = counts.cpu()
        if self._totals.shape != counts.shape:
            raise ValueError(
                f"this step has {list(counts.shape)} songs (and tracks), the first step had "
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


def spread_of_scores(scores: Tensor, masked: Tensor) -> Tensor:
    """Standard deviation of the scores of a song between its frames, at each depth.

    Args:
        scores: [B, N, K, T].
        masked: [B, N, K, T] bool, the codes that count.
    Returns:
        [B, 1, K, 1]; 0 where fewer than two codes count.
    """
    counted = masked.float()
    number = counted.sum(dim=(1, 3), keepdim=True).clamp(min=1)
    mean = (scores * counted).sum(dim=(1, 3), keepdim=True) / number
    square = ((scores - mean) * counted).square().sum(dim=(1, 3), keepdim=True) / number
    return square.sqrt()


def mask_at_random(
    codes: Tensor,
    frame_mask: Tensor | None = None,
    schedule: MaskSchedule = "circle",
    generator: Generators = None,
    *,
    track_probability: float = 0.0,
    span_probability: float = 0.0,
) -> Tensor:
    """Mask a random part of each song for training (ResGen, algorithm 1).

    Of the L * K codes of a song, ``ceil(gamma(r) * L * K)`` with r uniform in [0, 1) are drawn
    without replacement; in a frame with k drawn codes the k finest codebooks are masked (a
    multivariate hypergeometric distribution over frames). In some songs one track or a range of
    frames stays visible, as in the edits that users make, and codes are drawn from the rest.

    Args:
        codes: [B, N, K, T]; only the shape and the device are used.
        frame_mask: [B, T], True where the frame belongs to the song; all frames by default.
        schedule: gamma.
        generator: a random generator, or one for each song.
        track_probability: probability that one of two tracks stays visible.
        span_probability: probability that a range of frames stays visible in all tracks; in half of
            these songs it is the beginning.
    Returns:
        visible: [B, N, T] int64, 0 to K; 0 in padding.
    """
    batch_size, num_tracks, num_codebooks, num_frames = codes.shape
    if frame_mask is None:
        frame_mask = torch.ones_like(codes[:, 0, 0], dtype=torch.bool)
    lengths = frame_mask.sum(dim=1)
    # r; is a track visible, which one; is a range visible, from the beginning, how long, where.
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
    """Count, in each frame, the eligible codes with the largest scores of the song or the track.

    The number is enough, because the visible codebooks of a frame are always the coarsest ones,
    also with noise on the scores of single codes.

    Args:
        scores: [B, N, K, T].
        eligible: [B, N, K, T] bool.
        allowance: [B] codes to select in each song, or [B, N] in each track.
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


__all__ = [
    "MaskSchedule",
    "MaskedRVQScheduler",
    "MaskedRVQSchedulerOutput",
    "Reveal",
    "mask_at_random",
    "num_masked",
    "spread_of_scores",
]

"""One step of masked training as a module: conditions, masked model, losses.

The frozen conditioner of the song model is part of the module, so that the library moves and wraps
both together. Nothing here depends on data and optimizers.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ...modeling.conditioning import SongGenConditioner
from ...modeling.configuration_songgen import SongGenConfig
from ...modeling.masked.model import MaskedSongModel
from ...pipelines.masked_song import encode_conditions
from ..auxiliary.frame_labels import FrameLabelHeads
from ..auxiliary.losses import AuxiliaryLosses
from ..auxiliary.scheduled_sampling import hide_codes, sample_visible_codes
from .options import MaskedObjectiveOptions


class MaskedStep(nn.Module):
    """A masked model with its losses, called with a batch of ``MaskedSongCollator``.

    Args:
        transformer: the masked model, which is trained.
        conditioner: the conditioner of the song model; frozen, never in training mode.
        objective: weights of the losses.
    Raises:
        ValueError: if codebooks are weighted for a head that has one loss for all of them.
    """

    def __init__(
        self,
        transformer: MaskedSongModel,
        conditioner: SongGenConditioner,
        objective: MaskedObjectiveOptions,
    ):
        super().__init__()
        sizes: Any = transformer.config
        head = sizes.head
        if objective.codebook_decay != 1 and head != "softmax":
            raise ValueError(
                f"a {head} head has one loss for all codebooks: got codebook_decay "
                f"{objective.codebook_decay}, expected 1; leave --codebook-decay out or train "
                "--head softmax"
            )
        self.transformer = transformer.requires_grad_(True)
        # A weight without a gradient would stop DDP.
        transformer.length_head.requires_grad_(objective.length_weight > 0)
        self.conditioner = conditioner.requires_grad_(False).eval()
        self.objective = objective
        self.sound_heads: FrameLabelHeads | None = None  # set by the trainer

    @property
    def config(self) -> SongGenConfig:
        """The configuration of the song model: its rates, codebooks and tracks."""
        return self.conditioner.config

    def train(self, mode: bool = True) -> "MaskedStep":
        """Set the training mode of all but the conditioner, which stays in evaluation mode."""
        super().train(mode)
        self.conditioner.eval()
        return self

    def gradient_checkpointing_enable(self, **_: Any) -> None:
        """Recompute the layers in the backward pass; called by the library."""
        self.transformer.enable_gradient_checkpointing()

    def forward(
        self,
        codes: Tensor,
        visible: Tensor,
        frame_mask: Tensor,
        lyrics_labels: Tensor | None = None,
        frame_labels: Mapping[str, Tensor] | None = None,
        sampling_seed: int | None = None,
        **conditions: Tensor,
    ) -> dict[str, Tensor]:
        """Losses of a batch.

        Args:
            codes: [B, N, K, T].
            visible: [B, N, T], number of visible codebooks of each frame.
            frame_mask: [B, T], True where the frame belongs to the song.
            lyrics_labels: [B, T], the lyrics token sung in each frame, -100 where nothing is sung.
            frame_labels: [B, T] of each kind, -100 where the label is unknown.
            sampling_seed: seed of scheduled sampling; None for true codes only.
            conditions: arguments of the conditioner.
        Returns:
            Scalars: ``objective``, which is minimized; ``masked_loss``, the loss of the codes
            without weights, and its parts (``regression`` and ``classification`` of a mixture,
            ``codebook_0`` ... of a softmax); ``length_loss``; and the auxiliary losses.
        """
        with torch.no_grad():
            states, mask = encode_conditions(self.conditioner, conditions)
        shown, trained = codes, visible
        if sampling_seed is not None:
            shown, trained = self._sample(
                codes, visible, states, mask, frame_mask, seed=sampling_seed
            )
        auxiliary = AuxiliaryLosses(self.objective, self.transformer.layers, self.sound_heads)
        with auxiliary.recorded() as recorded:
            output = self.transformer(shown, visible, states, mask, frame_mask=frame_mask)
        losses = dict(output.distribution.losses(codes, trained, frame_mask))
        losses["masked_loss"] = losses.pop("loss")
        objective = self._weighted(losses, trained, frame_mask)
        if self.objective.length_weight:
            num_frames = frame_mask.sum(dim=1)
            losses["length_loss"] = self.transformer.length_loss(states, mask, num_frames)
            objective = objective + self.objective.length_weight * losses["length_loss"]
        objective, metrics = auxiliary.add_to(
            objective,
            recorded,
            condition_mask=mask,
            num_lyrics=conditions["lyrics_ids"].shape[1],
            lyrics_labels=lyrics_labels,
            frame_labels=frame_labels,
        )
        return {"objective": objective, **losses, **metrics}

    @torch.no_grad()
    def _sample(
        self,
        codes: Tensor,
        visible: Tensor,
        states: Tensor,
        mask: Tensor,
        frame_mask: Tensor,
        *,
        seed: int,
    ) -> tuple[Tensor, Tensor]:
        """Codes with samples from the model among them, and ``visible`` for the loss, where frames
        with a wrong visible code count as complete, so that they are not trained on."""
        generator = torch.Generator(codes.device).manual_seed(seed)
        num_codebooks = codes.shape[2]
        share = self.objective.scheduled_sampling
        earlier = hide_codes(visible, share, num_codebooks, generator)
        output = self.transformer(codes, earlier, states, mask, frame_mask=frame_mask)
        mixed, wrong = sample_visible_codes(
            codes, visible, earlier, output.distribution, generator=generator
        )
        return mixed, visible.masked_fill(wrong, num_codebooks)

    def _weighted(
        self, losses: Mapping[str, Tensor], visible: Tensor, frame_mask: Tensor
    ) -> Tensor:
        """The weighted loss of the codes, divided by the number of choices among codes in it, so
        that it is comparable to the other losses: a softmax has one choice for each codebook, a
        mixture one in all."""
        if "regression" in losses:
            weight = self.objective.regression_weight
            return weight * losses["regression"] + losses["classification"]
        number = self.transformer.config.num_codebooks
        depth = torch.arange(number, device=visible.device)
        weights = self.objective.codebook_decay ** depth.float()
        if self.objective.codebook_decay == 1:
            return losses["masked_loss"] / number
        hidden = (visible[..., None] <= depth) & frame_mask[:, None, :, None]  # [B, N, T, K]
        counts = hidden.sum(dim=(0, 1, 2))
        parts = torch.stack([losses[f"codebook_{k}"] for k in range(number)])
        # The loss of a position is the sum over its hidden codes; the finest one is among them.
        return (parts * counts * weights).sum() / counts[-1].clamp(min=1) / weights.sum()


__all__ = ["MaskedStep"]

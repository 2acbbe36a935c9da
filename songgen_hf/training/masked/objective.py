"""One step of masked training as a module: conditions, masked model, losses.

The conditioner of the song model is frozen; it runs within the module, so that the library moves
and wraps both together. Knows nothing of data and optimizers.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ...modeling.conditioning import SongGenConditioner
from ...modeling.configuration_songgen import SongGenConfig
from ...modeling.masked.model import MaskedSongModel
from ...pipelines.masked_song import encode_conditions
from ..auxiliary.frame_labels import SoundHeads, sound_layer, watched_layer
from ..auxiliary.guided_attention import alignment_loss, watched_attention
from ..auxiliary.scheduled_sampling import hide_more, with_own_codes
from .options import MaskedObjectiveOptions


class MaskedStep(nn.Module):
    """What is called with a batch of ``MaskedSongCollator``.

    Args:
        transformer: the masked model, which is trained.
        conditioner: of the song model; frozen, never in training mode.
        objective: factors of the losses.
        sound_heads: read from a layer what sounds; of the training alone.
    Raises:
        ValueError: if codebooks are to be weighed for a head that has one loss for all.
    """

    def __init__(
        self,
        transformer: MaskedSongModel,
        conditioner: SongGenConditioner,
        objective: MaskedObjectiveOptions,
        *,
        sound_heads: SoundHeads | None = None,
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
        self.sound_heads = sound_heads

    @property
    def config(self) -> SongGenConfig:
        """Of the song model: its rates, codebooks and tracks."""
        return self.conditioner.config

    def train(self, mode: bool = True) -> "MaskedStep":
        """As of every module, but the conditioner stays as it will be when songs are made."""
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
        lyrics_targets: Tensor | None = None,
        sound_targets: Mapping[str, Tensor] | None = None,
        draw_seed: int | None = None,
        **conditions: Tensor,
    ) -> dict[str, Tensor]:
        """Losses of a batch.

        Args:
            codes: [B, N, K, T].
            visible: [B, N, T], codebooks that the model sees.
            frame_mask: [B, T], True where the frame belongs to the song.
            lyrics_targets: [B, T] sung lyrics tokens, -100 where nothing is sung.
            sound_targets: [B, T] of each kind of the sound heads, -100 where it is not known.
            draw_seed: of the codes that the model draws itself, ``own_codes`` of those it sees;
                without it all are true.
            conditions: arguments of the conditioner.
        Returns:
            Scalars: ``objective``, which is minimized; ``masked_loss``, which is that of a frame's
            codes without weights, with its parts (``regression`` and ``classification`` of a
            mixture, ``codebook_0`` ... of a softmax); ``length_loss``; with ``lyrics_targets``,
            ``alignment_loss`` and ``alignment_accuracy``; with ``sound_targets``, their losses.
        """
        with torch.no_grad():
            states, mask = encode_conditions(self.conditioner, conditions)
        shown, judged = codes, visible
        if draw_seed is not None:
            shown, judged = self._draw(codes, visible, states, mask, frame_mask, seed=draw_seed)
        layers: Any = self.transformer.layers
        told = [] if lyrics_targets is None else self.alignment_layers()
        with (
            watched_attention(layers[i] for i in told) as attention,
            watched_layer(layers[sound_layer(len(layers))]) as outputs,
        ):
            output = self.transformer(shown, visible, states, mask, frame_mask=frame_mask)
        losses = dict(output.distribution.losses(codes, judged, frame_mask))
        losses["masked_loss"] = losses.pop("loss")
        objective = self._weighed(losses, judged, frame_mask)
        options = self.objective
        if options.length_weight:
            num_frames = frame_mask.sum(dim=1)
            losses["length_loss"] = self.transformer.length_loss(states, mask, num_frames)
            objective = objective + options.length_weight * losses["length_loss"]
        if lyrics_targets is not None:
            num_lyrics = conditions["lyrics_ids"].shape[1]
            pairs = [
                alignment_loss(*seen, mask, lyrics_targets, num_lyrics)
                for seen in attention[: len(told)]
            ]
            loss, accuracy = (torch.stack(values).mean() for values in zip(*pairs, strict=True))
            losses |= {"alignment_loss": loss, "alignment_accuracy": accuracy}
            objective = objective + options.guided_attention_weight * loss
        if sound_targets is not None and self.sound_heads is not None:
            sounds, heard = self.sound_heads(outputs[0], sound_targets)
            losses |= {"sound_loss": sounds, **heard}
            objective = objective + options.frame_label_weight * sounds
        return {"objective": objective, **losses}

    @torch.no_grad()
    def _draw(
        self,
        codes: Tensor,
        visible: Tensor,
        states: Tensor,
        mask: Tensor,
        frame_mask: Tensor,
        *,
        seed: int,
    ) -> tuple[Tensor, Tensor]:
        """Codes of which the model has drawn some itself, and ``visible`` where it is to learn: a
        frame that shows a wrong code counts as whole."""
        generator = torch.Generator(codes.device).manual_seed(seed)
        num_codebooks = codes.shape[2]
        earlier = hide_more(visible, self.objective.scheduled_sampling, num_codebooks, generator)
        output = self.transformer(codes, earlier, states, mask, frame_mask=frame_mask)
        drawn, wrong = with_own_codes(
            codes, visible, earlier, output.distribution, generator=generator
        )
        return drawn, visible.masked_fill(wrong, num_codebooks)

    def alignment_layers(self) -> list[int]:
        """Layers whose cross-attention is told what is sung: the middle two unless named."""
        number = len(self.transformer.layers)
        return self.objective.guided_attention_layers or sorted({(number - 1) // 2, number // 2})

    def _weighed(self, losses: Mapping[str, Tensor], visible: Tensor, frame_mask: Tensor) -> Tensor:
        """The loss of the codes with each part's factor, of the size of one choice among codes, as
        the other losses are: a softmax has one such choice for each codebook, a mixture one."""
        if "regression" in losses:
            weight = self.objective.regression_weight
            return weight * losses["regression"] + losses["classification"]
        number = self.transformer.config.num_codebooks
        depth = torch.arange(number, device=visible.device)
        factors = self.objective.codebook_decay ** depth.float()
        if self.objective.codebook_decay == 1:
            return losses["masked_loss"] / number
        hidden = (visible[..., None] <= depth) & frame_mask[:, None, :, None]  # [B, N, T, K]
        counts = hidden.sum(dim=(0, 1, 2))
        parts = torch.stack([losses[f"codebook_{k}"] for k in range(number)])
        # A position's loss is the sum over its hidden codes; all hide the finest codebook.
        return (parts * counts * factors).sum() / counts[-1].clamp(min=1) / factors.sum()


__all__ = ["MaskedStep"]

"""The auxiliary losses of a training step, computed from recordings of a model's layers."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..options import AuxiliaryOptions
from .frame_labels import FrameLabelHeads, frame_label_layer, recorded_output
from .guided_attention import (
    guided_attention_loss,
    prepended_attention_loss,
    recorded_attention,
)


@dataclass
class AuxiliaryLosses:
    """Guided attention and frame labels for a stack of decoder layers.

    Args:
        options: weights of the losses.
        layers: the layers, a ``ModuleList``.
        heads: heads that predict frame labels, if there are any.
        prepended: whether the layers read lyrics before the song, by self-attention.
    """

    options: AuxiliaryOptions
    layers: Any
    heads: FrameLabelHeads | None = None
    prepended: bool = False

    @property
    def guided_layers(self) -> list[int]:
        """Indices of the layers whose attention is guided: the middle two by default."""
        if not self.options.guided_attention_weight:
            return []
        number = len(self.layers)
        return self.options.guided_attention_layers or sorted({(number - 1) // 2, number // 2})

    @contextmanager
    def recorded(self) -> Iterator[tuple[list[Any], list[Tensor]]]:
        """Record what the losses need of a forward pass within the block."""
        labeled = self.layers[frame_label_layer(len(self.layers))]
        with (
            recorded_attention(
                (self.layers[index] for index in self.guided_layers),
                name="self_attn" if self.prepended else "encoder_attn",
            ) as attention,
            recorded_output(labeled) as states,
        ):
            yield attention, states

    def add_to(
        self,
        objective: Tensor,
        recorded: tuple[list[Any], list[Tensor]],
        *,
        condition_mask: Tensor,
        num_lyrics: int,
        lyrics_labels: Tensor | None = None,
        frame_labels: Mapping[str, Tensor] | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Add the weighted losses to an objective.

        Args:
            objective: scalar to add to.
            recorded: what :meth:`recorded` yielded.
            condition_mask: [B, E], 0 hides a condition; [B, P] of the lyrics if they are prepended.
            num_lyrics: P, number of lyrics states, the last ones of the conditions.
            lyrics_labels: [B, L], the lyrics token sung in each step, -100 where nothing is sung.
            frame_labels: [B, L] of each kind, -100 where the label is unknown.
        Returns:
            The objective, and losses and accuracies by name.
        """
        attention, states = recorded
        metrics: dict[str, Tensor] = {}
        if lyrics_labels is not None:
            pairs = [
                prepended_attention_loss(module, queries, condition_mask, lyrics_labels)
                if self.prepended
                else guided_attention_loss(
                    module, queries, conditions, condition_mask, lyrics_labels, num_lyrics
                )
                for module, queries, conditions in attention
            ]
            loss, accuracy = (torch.stack(values).mean() for values in zip(*pairs, strict=True))
            objective = objective + self.options.guided_attention_weight * loss
            metrics |= {"alignment_loss": loss, "alignment_accuracy": accuracy}
        if frame_labels is not None and self.heads is not None:
            length = next(iter(frame_labels.values())).shape[1]
            loss, label_metrics = self.heads(states[0][:, -length:], frame_labels)
            objective = objective + self.options.frame_label_weight * loss
            metrics |= {"sound_loss": loss, **label_metrics}
        return objective, metrics


__all__ = ["AuxiliaryLosses"]

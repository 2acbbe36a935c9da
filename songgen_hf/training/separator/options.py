"""Options of training a separator."""

from __future__ import annotations

from dataclasses import dataclass

from ..codec.options import WaveformRunOptions
from ..option_parsing import check_range, option


@dataclass
class SeparatorTrainingOptions(WaveformRunOptions):
    """Options of ``songgen-hf train separator``.

    Raises:
        ValueError: if a number is out of its range.
    """

    steps: int = option(3000, "optimizer steps")
    learning_rate: float = option(5e-3, "highest learning rate of Muon and AdamW")
    warmup_steps: int = option(20, "steps of linear warm-up")
    max_grad_norm: float = option(1.0, "largest norm of the gradients; larger ones are clipped")
    save_every: int = option(200, "steps between checkpoints")
    evaluate_every: int = option(200, "steps between evaluations")
    evaluation_crops: int = option(64, "mixtures of an evaluation")
    crop_seconds: float = option(4.0, "length of a mixture")
    hidden_size: int = option(240, "channels of every layer")
    dilations: list[int] = option([1, 2, 4, 8, 16, 2], "dilations of the layers over time")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "crop_seconds", "hidden_size", open_low=True)
        if not self.dilations or min(self.dilations) < 1:
            raise ValueError(f"dilations are {self.dilations}, expected numbers of 1 or more")


__all__ = ["SeparatorTrainingOptions"]

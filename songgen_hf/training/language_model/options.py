"""Options of training the autoregressive song model and its LoRA adapters."""

from dataclasses import dataclass

from ..option_parsing import check_range, option
from ..options import AuxiliaryOptions, DataOptions, ModelOptions, SongGenTrainingArguments
from .objective import VOCAL_LOSS_WEIGHT


@dataclass
class ObjectiveOptions(AuxiliaryOptions):
    """What is minimized."""

    codebook_weighting: bool = option(True, "weigh codebooks by the curriculum")
    vocal_loss_weight: float = option(
        VOCAL_LOSS_WEIGHT, "weight of the loss of the vocal heads (mixed_pro)"
    )
    vocal_track_weight: float = option(
        1.0, "weight of the vocal's codes; those of the accompaniment have 1 (interleaved patterns)"
    )
    fine_accompaniment_weight: float = option(
        1.0,
        "factor of the second half of the accompaniment's codebooks (interleaved patterns)",
    )
    sung_frame_weight: float = option(
        1.0,
        "factor of the vocal's (or the mixture's) codes in sung frames, for songs with timed words "
        "and phonemes",
    )
    mask_after_errors: bool = option(
        False,
        "leave finer codes of a frame out of the loss where a coarser one in the input is wrong "
        "(scheduled_sampling, history_corruption, foreign_history): they do not follow from it",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        names = ("vocal_track_weight", "fine_accompaniment_weight", "sung_frame_weight")
        check_range(self, *names, open_low=True)

    @property
    def weighs_labels(self) -> bool:
        """Whether labels of one row have different weights."""
        weights = (self.vocal_track_weight, self.fine_accompaniment_weight, self.sung_frame_weight)
        return weights != (1.0, 1.0, 1.0)


@dataclass
class LoraOptions:
    """What an adapter consists of.

    Raises:
        ValueError: if a number is out of range.
    """

    lora_rank: int = option(8, "rank of the adapter")
    lora_alpha: float = option(16.0, "the adapter is scaled by alpha / rank")
    lora_dropout: float = option(0.0, "dropout before the adapter")
    use_dora: bool = option(False, "DoRA: train magnitudes, too")
    lora_heads: bool = option(False, "adapt the output heads, too")
    lyrics_tokens: list[str] = option(
        [], "lyrics tokens whose embedding is trained, such as a language: [ja]"
    )
    lora_plus_ratio: float | None = option(
        None, "LoRA+: learning rate of the B matrices over that of the A matrices"
    )

    max_drift: float | None = option(
        None,
        "stop when the adapted model's distributions differ from those of the base model by so "
        "many nats a code on evaluation songs; measured at each evaluation, 0.3 is a clear change",
    )

    def __post_init__(self) -> None:
        if self.max_drift is not None:
            check_range(self, "max_drift", open_low=True)
        check_range(self, "lora_rank", low=1)
        if self.lora_plus_ratio is not None:
            check_range(self, "lora_plus_ratio", open_low=True)


LANGUAGE_MODEL_OPTIONS = (ModelOptions, DataOptions, ObjectiveOptions, SongGenTrainingArguments)
LORA_OPTIONS = (ModelOptions, DataOptions, ObjectiveOptions, LoraOptions, SongGenTrainingArguments)

__all__ = ["LANGUAGE_MODEL_OPTIONS", "LORA_OPTIONS", "LoraOptions", "ObjectiveOptions"]

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

    def __post_init__(self) -> None:
        check_range(self, "lora_rank", low=1)
        if self.lora_plus_ratio is not None:
            check_range(self, "lora_plus_ratio", open_low=True)


LANGUAGE_MODEL_OPTIONS = (ModelOptions, DataOptions, ObjectiveOptions, SongGenTrainingArguments)
LORA_OPTIONS = (ModelOptions, DataOptions, ObjectiveOptions, LoraOptions, SongGenTrainingArguments)

__all__ = ["LANGUAGE_MODEL_OPTIONS", "LORA_OPTIONS", "LoraOptions", "ObjectiveOptions"]

"""Options of training the conditioner separately."""

from dataclasses import dataclass

from ..option_parsing import check_range, option
from ..options import DatasetOptions, ModelOptions


@dataclass
class ConditionerOptions(DatasetOptions):
    """Options of ``songgen-hf train conditioner``.

    Raises:
        ValueError: if a number is out of its range.
    """

    output_dir: str | None = option(None, "new folder of the model")
    max_steps: int = option(3000, "optimizer steps")
    batch_size: int = option(64, "captions of each step")
    lyrics_batch_size: int = option(16, "lyrics of each step")
    learning_rate: float = option(1e-3, "highest learning rate of AdamW")
    warmup_steps: int = option(100, "steps of linear warm-up")
    weight_decay: float = option(0.0, "weight decay of AdamW")
    max_grad_norm: float = option(1.0, "largest norm of the gradients; larger ones are clipped")
    eval_steps: int = option(1000, "steps between evaluations")
    logging_steps: int = option(50, "steps between lines of metrics")
    written_captions: float = option(
        0.75,
        "share of captions that are newly written with the templates of the corpus, about "
        "attributes drawn from its songs; 0 for a dataset without the corpus' columns",
    )
    spoken_words: int = option(
        0,
        "different words of text alone whose spelling is learned, too, as espeak-ng speaks them "
        "(50000 take minutes); needs songs with phonemes",
    )
    anchor_weight: float = option(
        0.0,
        "weight of the change of the states of captions and of songs' lyrics, relative to their "
        "mean square; above 0, such as 10, a trained decoder goes on reading them while tempi or "
        "--spoken-words are learned",
    )
    unsaid_weight: float = option(0.2, "weight of attributes that a caption does not name")
    mixed_precision: str = option("no", "no or bf16, which is twice as fast")
    seed: int = option(456, "seed of batches, captions and heads")

    def __post_init__(self) -> None:
        counts = ("max_steps", "batch_size", "lyrics_batch_size", "eval_steps", "logging_steps")
        check_range(self, *counts, "learning_rate", "max_grad_norm", open_low=True)
        check_range(self, "unsaid_weight", "written_captions", high=1)
        check_range(self, "spoken_words", "anchor_weight")
        if self.mixed_precision not in ("no", "bf16"):
            raise ValueError(f"mixed_precision is {self.mixed_precision!r}, expected no or bf16")


CONDITIONER_OPTIONS = (ModelOptions, ConditionerOptions)

__all__ = ["CONDITIONER_OPTIONS", "ConditionerOptions"]

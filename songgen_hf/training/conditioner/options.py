"""What can be set where the conditioner is taught alone."""

from dataclasses import dataclass, field

from ..options import ModelOptions


@dataclass
class ConditionerOptions:
    """Options of ``songgen-hf train conditioner``.

    Raises:
        ValueError: if a number is out of its range.
    """

    dataset: str | None = field(
        default=None,
        metadata={
            "help": "parquet that knows its songs, as prepare codes writes it: a folder, ..."
        },
    )
    output_dir: str | None = field(default=None, metadata={"help": "new folder of the model"})
    train_split: str = field(default="train", metadata={"help": "split to train on"})
    eval_split: str | None = field(default=None, metadata={"help": "split to evaluate on"})
    max_steps: int = field(default=3000, metadata={"help": "optimizer steps"})
    batch_size: int = field(default=64, metadata={"help": "captions a step"})
    lyrics_batch_size: int = field(default=16, metadata={"help": "lyrics a step"})
    learning_rate: float = field(default=1e-3, metadata={"help": "highest, of AdamW"})
    warmup_steps: int = field(default=100, metadata={"help": "steps of linear warm-up"})
    weight_decay: float = field(default=0.0, metadata={"help": "of AdamW"})
    max_grad_norm: float = field(default=1.0, metadata={"help": "gradients are clipped to it"})
    eval_steps: int = field(default=1000, metadata={"help": "steps between evaluations"})
    logging_steps: int = field(default=50, metadata={"help": "steps between lines of metrics"})
    written_captions: float = field(
        default=0.75,
        metadata={
            "help": "share of captions that are written anew in the corpus' phrasings, of facts "
            "drawn from its songs; 0 for a dataset without the corpus' columns"
        },
    )
    unsaid_weight: float = field(
        default=0.2,
        metadata={
            "help": "weight of facts that a caption does not name, at least not by that name"
        },
    )
    mixed_precision: str = field(default="no", metadata={"help": "no or bf16, twice as fast"})
    seed: int = field(default=456, metadata={"help": "of batches, captions and heads"})

    def __post_init__(self) -> None:
        counts = ("max_steps", "batch_size", "lyrics_batch_size", "eval_steps", "logging_steps")
        for name in (*counts, "learning_rate", "max_grad_norm"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}, expected more than 0")
        for name in ("unsaid_weight", "written_captions"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is {getattr(self, name)}, expected 0 to 1")
        if self.mixed_precision not in ("no", "bf16"):
            raise ValueError(f"mixed_precision is {self.mixed_precision!r}, expected no or bf16")


CONDITIONER_OPTIONS = (ModelOptions, ConditionerOptions)


__all__ = ["CONDITIONER_OPTIONS", "ConditionerOptions"]

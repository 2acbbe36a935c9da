"""Options of training a masked song model, beside those that all kinds of training share."""

from dataclasses import dataclass

from ..option_parsing import check_range, option
from ..options import AuxiliaryOptions, DataOptions, SongGenTrainingArguments

HEADS = ("softmax", "mixture")
SCHEDULES = ("circle", "cosine", "linear", "exp")


@dataclass
class MaskedModelOptions:
    """The song model that the masked model belongs to, and the sizes of the masked model.

    Raises:
        ValueError: for an unknown head.
    """

    model: str | None = option(
        None,
        "song model (a directory, a Hub id or songgen-mini) whose conditioner and codec are used "
        "unchanged; or a masked model to train further, which keeps its sizes",
    )
    head: str | None = option(
        None,
        "softmax: logits of every codebook; mixture: a mixture of Gaussians over the sum of the "
        "masked code vectors (ResGen); default that of the masked model that is trained further, "
        "else softmax; a head of another kind replaces the trained one with random weights",
    )
    hidden_size: int | None = option(None, "width of the layers; default the song model's")
    num_layers: int | None = option(None, "number of layers; default the song model's")
    num_heads: int | None = option(None, "attention heads of each layer; default the song model's")
    ffn_dim: int | None = option(
        None, "width inside the feed-forward networks; default the song model's"
    )
    num_components: int | None = option(
        None, "Gaussians of each frame (mixture head); default one for each code"
    )
    mean_rank: int = option(64, "rank of the Gaussians' means (mixture head)")
    warm_start: bool = option(
        False,
        "start the layers from those of the song model's decoder where their sizes agree; they are "
        "trained on the conditions already",
    )

    def __post_init__(self) -> None:
        if self.head not in (None, *HEADS):
            raise ValueError(
                f"unknown head: got {self.head!r}, expected {' or '.join(HEADS)}; change --head"
            )


@dataclass
class MaskedObjectiveOptions(AuxiliaryOptions):
    """What is masked in training, and what is minimized.

    Raises:
        ValueError: if a value is out of range.
    """

    mask_schedule: str = option(
        "circle", f"how much is masked: {', '.join(SCHEDULES)}; sampling may use another"
    )
    track_probability: float = option(
        0.2, "probability that one of two tracks is not masked (two tracks only)"
    )
    span_probability: float = option(0.2, "probability that a span of the song is not masked")
    codebook_decay: float = option(
        1.0,
        "ratio of each codebook's weight to that of the one before it (softmax head); 1: equal "
        "weights, as in the paper",
    )
    regression_weight: float = option(
        0.03,
        "weight of the regression beside the classification (mixture head); at the paper's 1 it "
        "outweighs the choice of the component, although it does not decide which code is chosen",
    )
    length_weight: float = option(0.1, "weight of the loss of the predicted length")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mask_schedule not in SCHEDULES:
            raise ValueError(
                f"unknown mask_schedule: got {self.mask_schedule!r}, expected "
                f"{', '.join(SCHEDULES)}; change --mask-schedule"
            )
        check_range(self, "track_probability", "span_probability", high=1)
        check_range(self, "codebook_decay", high=1, open_low=True)
        check_range(self, "regression_weight", "length_weight")


@dataclass
class MaskedTrainingArguments(SongGenTrainingArguments):
    """Training arguments with the codes themselves as labels."""

    label_names: list[str] | None = option(["codes"], "must stay as it is")


MASKED_OPTIONS = (MaskedModelOptions, DataOptions, MaskedObjectiveOptions, MaskedTrainingArguments)

__all__ = [
    "HEADS",
    "MASKED_OPTIONS",
    "SCHEDULES",
    "MaskedModelOptions",
    "MaskedObjectiveOptions",
    "MaskedTrainingArguments",
]

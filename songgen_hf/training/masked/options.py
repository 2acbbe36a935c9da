"""Options of a run that trains a masked model; data and the library's arguments are those of all
runs, see ``options.py``."""

from dataclasses import dataclass, field

from ..options import AuxiliaryOptions, DataOptions, SongGenTrainingArguments

HEADS = ("softmax", "mixture")
SCHEDULES = ("circle", "cosine", "linear", "exp")


@dataclass
class MaskedModelOptions:
    """Whose conditions the masked model reads, and how large it is."""

    model: str | None = field(
        default=None,
        metadata={
            "help": "song model (a directory, a Hub id or songgen-mini) whose conditioner and "
            "codec are taken as they are; or a masked model to train further, whose sizes win"
        },
    )
    head: str | None = field(
        default=None,
        metadata={
            "help": "softmax: logits of every depth; mixture: a mixture of Gaussians on the sum of "
            "the masked code vectors (ResGen); default that of the masked model which is trained "
            "further, else softmax; another than that is put in its place and begins anew"
        },
    )
    hidden_size: int | None = field(
        default=None, metadata={"help": "width of the layers; default the song model's"}
    )
    num_layers: int | None = field(
        default=None, metadata={"help": "layers; default as many as the song model's"}
    )
    num_heads: int | None = field(
        default=None, metadata={"help": "attention heads of a layer; default the song model's"}
    )
    ffn_dim: int | None = field(
        default=None,
        metadata={"help": "width inside the feed-forward parts; default the song model's"},
    )
    num_components: int | None = field(
        default=None,
        metadata={"help": "Gaussians of a frame (mixture head); default one for each code"},
    )
    mean_rank: int = field(
        default=64, metadata={"help": "rank of the Gaussians' means (mixture head)"}
    )
    warm_start: bool = field(
        default=False,
        metadata={
            "help": "start the layers from those of the song model's decoder, where their sizes "
            "agree; they know the conditions already"
        },
    )

    def __post_init__(self) -> None:
        if self.head not in (None, *HEADS):
            raise ValueError(
                f"unknown head: got {self.head!r}, expected {' or '.join(HEADS)}; change --head"
            )


@dataclass
class MaskedObjectiveOptions(AuxiliaryOptions):
    """What is masked in training, and what is minimized."""

    mask_schedule: str = field(
        default="circle",
        metadata={"help": f"how much is masked: {', '.join(SCHEDULES)}; sampling may use another"},
    )
    track_probability: float = field(
        default=0.2,
        metadata={"help": "probability that one of two tracks is given whole (two tracks only)"},
    )
    span_probability: float = field(
        default=0.2,
        metadata={"help": "probability that a stretch of the song is given whole"},
    )
    own_codes: float = field(
        default=0.0,
        metadata={
            "help": "part of the visible codes that the model has drawn itself, so that it learns "
            "to go on from its mistakes; costs a third of a step; 0: off"
        },
    )
    codebook_decay: float = field(
        default=1.0,
        metadata={
            "help": "factor of each codebook's loss over that of the one before it (softmax head); "
            "1: all codes count alike, as in the paper"
        },
    )
    regression_weight: float = field(
        default=0.03,
        metadata={
            "help": "factor of the regression beside the classification (mixture head), which at "
            "the paper's 1 drowns the choice of the component; it says how well a vector of many "
            "dimensions is met, not which code is sung"
        },
    )
    length_weight: float = field(
        default=0.1, metadata={"help": "factor of the loss of the predicted length"}
    )

    def __post_init__(self) -> None:
        if self.mask_schedule not in SCHEDULES:
            raise ValueError(
                f"unknown mask_schedule: got {self.mask_schedule!r}, expected "
                f"{', '.join(SCHEDULES)}; change --mask-schedule"
            )
        for name in ("track_probability", "span_probability", "own_codes"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(
                    f"{name} must be in [0, 1]: got {getattr(self, name)}; change "
                    f"--{name.replace('_', '-')}"
                )
        if not 0 < self.codebook_decay <= 1:
            raise ValueError(
                f"codebook_decay must be above 0 and at most 1: got {self.codebook_decay}; change "
                "--codebook-decay"
            )
        names = ("regression_weight", "alignment_weight", "sound_weight", "length_weight")
        for name in names:
            if getattr(self, name) < 0:
                raise ValueError(
                    f"{name} must be 0 or more: got {getattr(self, name)}; change "
                    f"--{name.replace('_', '-')}"
                )


@dataclass
class MaskedTrainingArguments(SongGenTrainingArguments):
    """The arguments of every run; the labels of a masked model are the codes themselves."""

    label_names: list[str] | None = field(
        default_factory=lambda: ["codes"], metadata={"help": "must stay as it is"}
    )


MASKED_OPTIONS = (
    MaskedModelOptions,
    DataOptions,
    MaskedObjectiveOptions,
    MaskedTrainingArguments,
)

__all__ = [
    "HEADS",
    "MASKED_OPTIONS",
    "SCHEDULES",
    "MaskedModelOptions",
    "MaskedObjectiveOptions",
    "MaskedTrainingArguments",
]

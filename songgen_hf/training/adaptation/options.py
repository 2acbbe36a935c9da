"""Options of adapting a song model to recordings, without torch, so that help is fast."""

from dataclasses import dataclass, field
from pathlib import Path

from ...data.preparation.option_checks import check_at_least, check_positive


@dataclass(frozen=True)
class AdaptOptions:
    """What to adapt to which recordings.

    Args:
        source: recordings, in any form that songgen-hf prepare songs takes.
        out: folder of the adapter; a started one is continued.
        model: model to adapt: a folder, a Hub id or an embedded model (default: the default model).
        steps: optimizer steps; more than before trains further.
        batch_size: clips of a step.
        learning_rate: highest learning rate.
        rank: rank of the adapter.
        every: steps between evaluations, of which each writes songs to samples/.
        samples: songs of each evaluation; those of step 0 are sung without the adapter.
        sample_seconds: longest duration of these songs.
        max_drift: stop when the model has moved so far from its base, in nats a code.
        config: how to prepare, as for songgen-hf prepare songs.
        changes: options of stages, as for songgen-hf prepare songs.
        seed: seed of the training and of the samples of the report.
        workers: processes of the preparation.
    Raises:
        ValueError: if a number is out of range.
    """

    source: str = field(metadata={"positional": True})
    out: Path
    model: str | None = None
    steps: int = 300
    batch_size: int = 4
    learning_rate: float = 1e-3
    rank: int = 8
    every: int = 50
    samples: int = 2
    sample_seconds: float = 12.0
    max_drift: float = 0.5
    config: str = "small"
    changes: tuple[str, ...] = field(
        default=(), metadata={"flag": "--set", "metavar": "STAGE.OPTION=VALUE", "nargs": "+"}
    )
    seed: int = 0
    workers: int = 1

    def __post_init__(self) -> None:
        check_at_least(self, 1, "steps", "batch_size", "rank", "every", "workers")
        check_at_least(self, 0, "samples")
        check_positive(self, "learning_rate", "sample_seconds", "max_drift")


__all__ = ["AdaptOptions"]

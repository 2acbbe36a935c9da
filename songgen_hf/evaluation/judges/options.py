"""What can be set when judges are trained; knows no torch, so that a command's help is quick."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class JudgeTrainingOptions:
    """What decides the weights.

    Args:
        seed: of weights, crops and augmentation.
        recognizer_steps: of the phoneme recognizer.
        recognizer_batch: crops of one or two lines a step.
        classifier_steps: of the song classifier.
        classifier_batch: crops a step.
        classifier_seconds: of its crops.
        coded_songs: as many of the songs are also heard through a codec, if one is given.
        codec: digest of that codec's weights, empty without one.
        learning_rate: at its peak; warm-up, then a half cosine to zero.
        bf16: whether matrix products are in bfloat16, which halves the time on newer CPUs.
        save_every: steps between checkpoints.
    Raises:
        ValueError: for numbers that are not positive.
    """

    seed: int = 0
    recognizer_steps: int = 1600
    recognizer_batch: int = 16
    classifier_steps: int = 2600
    classifier_batch: int = 24
    classifier_seconds: float = 6.0
    coded_songs: int = 400
    codec: str = ""
    learning_rate: float = 2e-3
    bf16: bool = True
    save_every: int = 200

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if name not in ("seed", "bf16", "codec") and value <= 0:
                raise ValueError(f"got {name} {value}, expected a positive number")


__all__ = ["JudgeTrainingOptions"]

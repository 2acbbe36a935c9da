"""Options of training the judges, without torch, so that a command's help is fast."""

from __future__ import annotations

from dataclasses import asdict, dataclass

_NO_NUMBERS = ("seed", "bf16", "codec", "data_files", "second_data_files")


@dataclass(frozen=True)
class JudgeTrainingOptions:
    """Options of ``songgen-hf evaluate judges``.

    Args:
        seed: seed of weights, crops and augmentation.
        recognizer_steps: optimizer steps of the phoneme recognizer.
        recognizer_batch: crops of one or two lines in each of its steps.
        classifier_steps: optimizer steps of the song classifier.
        classifier_batch: crops in each of its steps.
        classifier_seconds: duration of its crops.
        coded_songs: number of songs that are also used after a codec, if one is given.
        codec: digest of that codec's weights, empty without one.
        data_files: digest of the files of the training songs, empty before they are read.
        second_data_files: the same for the songs of the second recognizer, empty without one.
        learning_rate: highest learning rate; linear warm-up, then a cosine to zero.
        bf16: compute matrix products in bfloat16, which takes half the time on newer CPUs, and
            several times as long on those without instructions for it.
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
    data_files: str = ""
    second_data_files: str = ""
    learning_rate: float = 2e-3
    bf16: bool = True
    save_every: int = 200

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if name not in _NO_NUMBERS and value <= 0:
                raise ValueError(f"got {name} {value}, expected a positive number")


__all__ = ["JudgeTrainingOptions"]

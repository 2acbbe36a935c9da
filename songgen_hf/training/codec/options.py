"""Options of training codec and semantic teacher. Defaults are X-Codec's published recipe."""

from __future__ import annotations

from dataclasses import dataclass

from ..option_parsing import check_range, option
from .discriminator import CHANNELS, HOP_LENGTHS
from .waveform_crops import STEM_COLUMNS


@dataclass
class WaveformRunOptions:
    """Options of every run of a ``WaveformTrainer``.

    Raises:
        ValueError: if a number is out of its range.
    """

    data: str = option("", "parquet file, or folder of parquet or sound files, to train on")
    out: str = option(
        "", "folder for checkpoints, metrics and the trained model; a run in it is resumed"
    )
    validation_data: str | None = option(
        None, "parquet file or folder to evaluate on; none by default"
    )
    data_files: str | None = option(
        None,
        "digest of the files of the data; a run records it, and refuses other files under the same "
        "name when it is resumed",
    )
    steps: int = option(400_000, "optimizer steps")
    max_minutes: float | None = option(None, "stop with a checkpoint after so many minutes")
    batch_size: int = option(8, "crops of each step in each process")
    learning_rate: float = option(2e-4, "highest learning rate of AdamW")
    warmup_steps: int = option(0, "steps of linear warm-up")
    max_grad_norm: float = option(2.0, "largest norm of the gradients; larger ones are clipped")
    mixed_precision: str = option("no", "no, bf16 or fp16")
    seed: int = option(2333, "seed of crops, weights, codebook counts and revived codes")
    save_every: int = option(5000, "steps between checkpoints")
    keep_checkpoints: int = option(2, "number of checkpoints to keep")
    evaluate_every: int = option(5000, "steps between evaluations")
    evaluation_crops: int = option(32, "crops of an evaluation")
    log_every: int = option(50, "steps between lines of metrics.jsonl")
    report_to: str = option("none", "where losses are plotted: none, tensorboard or trackio")
    allow_changed_options: bool = option(
        False, "resume although options or data differ from those of the earlier part of the run"
    )

    def __post_init__(self) -> None:
        check_range(self, "steps", "batch_size", open_low=True)
        check_range(self, "save_every", "evaluate_every", "log_every", open_low=True)
        check_range(self, "evaluation_crops", "keep_checkpoints", open_low=True)
        check_range(self, "learning_rate", "max_grad_norm", open_low=True)
        if self.max_minutes is not None:
            check_range(self, "max_minutes", open_low=True)

    def free_on_resume(self) -> set[str]:
        """Names of options that may change on resumption, as they change no computed number."""
        free = {"out", "max_minutes", "save_every", "evaluate_every", "log_every", "report_to"}
        return free | {"keep_checkpoints", "allow_changed_options"}


@dataclass
class WaveformTrainingOptions(WaveformRunOptions):
    """Options that training codec and semantic teacher have in common.

    Raises:
        ValueError: if a number is out of its range.
    """

    columns: list[str] = option(list(STEM_COLUMNS), "parquet columns that hold sounds")
    preset: str = option("mini", "sizes of the model: mini or full")
    crop_frames: int = option(150, "frames of a crop, 50 per second")
    schedule: str = option(
        "exponential", "exponential (decay_rate every decay_steps) or cosine (to zero at steps)"
    )
    decay_rate: float = option(0.999, "factor of the exponential schedule")
    decay_steps: int = option(1000, "steps after which the factor applies once")
    labels: list[str] = option(
        ["phoneme"],
        "kinds of frame labels of a rendered corpus that label_weight asks for: phoneme, beat, "
        "tempo, lead_instrument, gender, genre, voice_id",
    )
    label_weight: float = option(
        0.0, "weight of telling the labels of each frame linearly; the heads are discarded"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, "crop_frames", "decay_steps", open_low=True)
        check_range(self, "label_weight")
        if self.schedule not in ("exponential", "cosine"):
            raise ValueError(f"schedule is {self.schedule!r}, expected exponential or cosine")

    def free_on_resume(self) -> set[str]:
        """Names of options that may change on resumption, as they change no computed number."""
        free = super().free_on_resume()
        return free if self.schedule == "cosine" else free | {"steps"}


@dataclass
class CodecTrainingOptions(WaveformTrainingOptions):
    """Options of ``songgen-hf train codec``.

    Raises:
        ValueError: if a number is out of its range, or options contradict each other.
    """

    codec: str | None = option(
        None, "codec folder or Hub repository to start from, instead of random weights"
    )
    decoder_only: bool = option(
        False,
        "train only what turns codes into sound: the codes of --codec stay the same to the bit, so "
        "models and datasets made with them remain valid",
    )
    teacher: str | None = option(
        None, "HuBERT-like model (folder or Hub repository) that becomes the semantic model"
    )
    semantics: bool = option(
        True, "--no-semantics trains the acoustic baseline: no teacher and no semantic loss"
    )
    codebook_counts: list[int] = option(
        [1, 2, 3, 4, 8],
        "numbers of codebooks, one of which is drawn for each step; repeat a number to make it "
        "likelier",
    )
    quantizer_start: int = option(
        0, "step at which the codebooks start (by k-means); before it, no quantization"
    )
    kmeans_crops: int = option(64, "crops of the k-means start, in each process")
    kmeans_iterations: int = option(50, "iterations of the k-means start")
    codebook_decay: float = option(0.99, "decay of the codebooks' moving averages")
    dead_count: float = option(2.0, "codes with a smaller moving count are revived")
    dead_fraction: float = option(
        0.1, "codes above this fraction of the mean count are not revived"
    )
    revival_reach: float = option(
        0.1, "place of a revived code between a code in use (0) and a vector of the batch (1)"
    )
    move_all_codebooks: bool = option(True, "update codebooks in steps that do not use them, too")
    stft_weight: float = option(1.0, "weight of the multi-resolution STFT loss")
    sub_band_weight: float = option(1.0, "weight of the STFT loss in sub-bands")
    mel_weight: float = option(0.0, "weight of the multi-resolution mel loss (45 in other codecs)")
    waveform_weight: float = option(
        0.0, "weight of the relative error of the samples, which aligns phases in short runs"
    )
    commitment_weight: float = option(1.0, "weight of the commitment loss")
    semantic_weight: float = option(100.0, "weight of the semantic loss")
    first_semantic_weight: float = option(
        0.0,
        "weight of the semantic loss of the first codebook alone, which distills the teacher into "
        "it",
    )
    adversarial_weight: float = option(1.0, "weight of the adversarial loss")
    feature_weight: float = option(20.0, "weight of feature matching")
    discriminator_start: int = option(
        0, "step at which the discriminator starts; the number of steps or more: never"
    )
    discriminator_hops: list[int] = option(
        list(HOP_LENGTHS), "STFT hops of the discriminator in samples"
    )
    discriminator_channels: list[int] = option(
        list(CHANNELS), "channels of the discriminator at each hop"
    )
    discriminator_mels: int | None = option(
        None, "largest number of mel bands of the discriminator; none: one for each STFT bin"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.codebook_counts or min(self.codebook_counts) < 1:
            raise ValueError(
                f"codebook_counts is {self.codebook_counts}, expected counts of 1 or more"
            )
        if self.decoder_only and (self.codec is None or self.teacher is not None):
            raise ValueError(
                f"decoder_only keeps the codes of a codec: got --codec {self.codec} and --teacher "
                f"{self.teacher}, expected a codec and no teacher"
            )
        if self.decoder_only and (self.label_weight or self.first_semantic_weight):
            raise ValueError(
                "decoder_only keeps the codes of a codec: got a label_weight or a "
                "first_semantic_weight, which shape the first code; leave them out"
            )
        if not self.semantics and self.teacher is not None:
            raise ValueError(
                "a teacher is given without semantics: leave out --teacher or --no-semantics"
            )


@dataclass
class TeacherTrainingOptions(WaveformTrainingOptions):
    """Options of ``songgen-hf train teacher``."""

    steps: int = option(325_000, "optimizer steps")
    learning_rate: float = option(3e-4, "highest learning rate of AdamW")
    warmup_steps: int = option(32_000, "steps of linear warm-up")
    schedule: str = option("cosine", "exponential or cosine, as for the codec")
    part: str = option(
        "semantic",
        "which HuBERT of the preset: semantic (of the codec) or voice (of the song model)",
    )
    sampling_rate: int | None = option(None, "sampling rate in Hz; default that of the part")
    baseline: str | None = option(
        None,
        "codec whose first codebook gives the labels, as in the paper; default k-means of log mels",
    )
    num_clusters: int = option(256, "clusters of the k-means")
    num_mels: int = option(40, "mel bands of the k-means")
    kmeans_crops: int = option(256, "crops of the k-means")
    mask_chance: float = option(0.08, "probability that a masked span begins at a frame")
    mask_frames: int = option(10, "frames of a masked span")
    visible_weight: float = option(0.0, "weight of the loss over frames that are not masked")


__all__ = [
    "CodecTrainingOptions",
    "TeacherTrainingOptions",
    "WaveformRunOptions",
    "WaveformTrainingOptions",
]

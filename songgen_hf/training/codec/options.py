"""What can be set in codec and teacher training. Defaults are the published recipe of X-Codec."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .waveform_crops import STEM_COLUMNS


def option(default: Any, help_text: str) -> Any:
    """A dataclass field with its line of help."""
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata={"help": help_text})
    return field(default=default, metadata={"help": help_text})


@dataclass
class WaveformTrainingOptions:
    """What training on waveforms has in common.

    Raises:
        ValueError: if a number is out of its range.
    """

    data: str = option("", "parquet file, or folder of parquet or sound files, to train on")
    out: str = option(
        "", "folder for checkpoints, metrics and the trained model; a run in it is resumed"
    )
    validation_data: str | None = option(None, "the same for evaluation; by default none is done")
    columns: list[str] = option(list(STEM_COLUMNS), "parquet columns that hold sounds")
    preset: str = option("mini", "sizes of the model: mini or full")
    steps: int = option(400_000, "optimizer steps")
    max_minutes: float | None = option(None, "stop with a checkpoint after so many minutes")
    batch_size: int = option(8, "crops a step in each process")
    crop_frames: int = option(150, "frames of a crop, 50 a second")
    learning_rate: float = option(2e-4, "of AdamW")
    warmup_steps: int = option(0, "steps over which the learning rate rises from zero")
    schedule: str = option(
        "exponential", "exponential (decay_rate every decay_steps) or cosine (to zero at steps)"
    )
    decay_rate: float = option(0.999, "factor of the exponential schedule")
    decay_steps: int = option(1000, "steps after which it applies once")
    max_grad_norm: float = option(2.0, "gradients are clipped to this norm")
    mixed_precision: str = option("no", "no, bf16 or fp16, as accelerate takes it")
    seed: int = option(2333, "of crops, weights, codebook counts and revived codes")
    save_every: int = option(5000, "steps between checkpoints")
    keep_checkpoints: int = option(2, "checkpoints kept")
    evaluate_every: int = option(5000, "steps between evaluations")
    evaluation_crops: int = option(32, "crops of an evaluation")
    log_every: int = option(50, "steps between lines of metrics.jsonl")
    report_to: str = option("none", "none, tensorboard or trackio")

    def __post_init__(self) -> None:
        counts = (
            "steps",
            "batch_size",
            "crop_frames",
            "save_every",
            "evaluate_every",
            "evaluation_crops",
        )
        for name in (
            *counts,
            "log_every",
            "keep_checkpoints",
            "decay_steps",
            "learning_rate",
            "max_grad_norm",
        ):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}, expected more than 0")
        if self.schedule not in ("exponential", "cosine"):
            raise ValueError(f"schedule is {self.schedule!r}, expected exponential or cosine")
        if self.max_minutes is not None and self.max_minutes <= 0:
            raise ValueError(f"max_minutes is {self.max_minutes}, expected more than 0, or none")

    def free_on_resume(self) -> set[str]:
        """Names of options that may change on resumption, as they change no computed number."""
        free = {
            "out",
            "steps",
            "max_minutes",
            "save_every",
            "evaluate_every",
            "log_every",
            "keep_checkpoints",
            "report_to",
        }
        return free - {"steps"} if self.schedule == "cosine" else free

    def require_paths(self) -> None:
        """Raise ValueError unless data and out are given."""
        for name in ("data", "out"):
            if not getattr(self, name):
                raise ValueError(f"{name} is not given: set --{name}")


@dataclass
class CodecTrainingOptions(WaveformTrainingOptions):
    """Options of ``songgen-hf train codec``."""

    codec: str | None = option(
        None, "codec folder or Hub repository to start from, instead of random weights"
    )
    decoder_only: bool = option(
        False,
        "train what turns codes into sound and nothing else: the codes of --codec stay as they "
        "are, to the bit, and so do the models and datasets made with them",
    )
    teacher: str | None = option(
        None, "HuBERT-like model (folder or Hub repository) for the semantic half"
    )
    semantics: bool = option(
        True, "without it, the acoustic baseline: no teacher, no semantic loss"
    )
    codebook_counts: list[int] = option(
        [1, 2, 3, 4, 8],
        "codebooks used in a step, drawn with equal chance; repeat a number to weigh it",
    )
    quantizer_start: int = option(
        0, "step at which the codebooks start (by k-means); before it, no quantization"
    )
    kmeans_crops: int = option(64, "crops whose latents the k-means start sees, in each process")
    kmeans_iterations: int = option(50, "iterations of the k-means start")
    codebook_decay: float = option(0.99, "of the codebooks' moving averages")
    dead_count: float = option(2.0, "a code with a smaller moving count is revived ...")
    dead_fraction: float = option(0.1, "... if it is also below this part of the mean count")
    revival_reach: float = option(
        0.1, "a revived code lies so far (0 to 1) from a code in use toward a vector of the batch"
    )
    move_all_codebooks: bool = option(True, "codebooks that a step does not use move in it too")
    stft_weight: float = option(1.0, "weight of the multi-resolution STFT loss")
    sub_band_weight: float = option(1.0, "weight of the STFT loss in sub-bands")
    mel_weight: float = option(0.0, "weight of the multi-resolution mel loss (45 in other codecs)")
    waveform_weight: float = option(
        0.0, "weight of the relative error of samples, which brings phases in step in short runs"
    )
    commitment_weight: float = option(1.0, "weight of the commitment loss")
    semantic_weight: float = option(100.0, "weight of the semantic loss")
    adversarial_weight: float = option(1.0, "weight of the adversarial loss")
    feature_weight: float = option(20.0, "weight of feature matching")
    discriminator_start: int = option(
        0, "step at which the discriminator starts; steps or more = never"
    )
    discriminator_hops: list[int] = option(
        [32, 64, 128, 256, 512, 1024], "its STFT hops in samples"
    )
    discriminator_channels: list[int] = option(
        [64, 128, 256, 512, 512, 512], "its channels at each hop"
    )
    discriminator_mels: int | None = option(
        None, "its mel bands at most; none = as many as the STFT has"
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
        if not self.semantics and self.teacher is not None:
            raise ValueError(
                "a teacher is given without semantics: leave one of --teacher and --no-semantics "
                "out"
            )


@dataclass
class TeacherTrainingOptions(WaveformTrainingOptions):
    """Options of ``songgen-hf train teacher``; defaults of the general-audio HuBERT if known."""

    learning_rate: float = option(3e-4, "of AdamW")
    steps: int = option(325_000, "optimizer steps")
    warmup_steps: int = option(32_000, "steps over which the learning rate rises from zero")
    schedule: str = option(
        "cosine", "exponential (decay_rate every decay_steps) or cosine (to zero at steps)"
    )
    part: str = option(
        "semantic",
        "which HuBERT of the preset: semantic (of the codec) or voice (of the song model)",
    )
    sampling_rate: int | None = option(None, "Hz; by default what the part hears")
    baseline: str | None = option(
        None,
        "codec whose first codebook gives the targets (the paper's way); by default k-means of log "
        "mels",
    )
    num_clusters: int = option(256, "clusters of the k-means targets")
    num_mels: int = option(40, "mel bands of the k-means targets")
    kmeans_crops: int = option(256, "crops that the k-means sees")
    mask_chance: float = option(0.08, "chance of a frame to begin a masked span")
    mask_frames: int = option(10, "frames of a masked span")
    visible_weight: float = option(0.0, "weight of the loss over frames that are not masked")


__all__ = [
    "CodecTrainingOptions",
    "TeacherTrainingOptions",
    "WaveformTrainingOptions",
    "option",
]

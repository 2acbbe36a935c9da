"""Options that several kinds of training share: which model, which songs, which arguments."""

from dataclasses import dataclass

import torch
from transformers import TrainingArguments

from ..data.tables import source_digest
from .option_parsing import check_range, option
from .precision import warn_of_slow_bfloat16


@dataclass
class ModelOptions:
    """Which model is trained, and which parts of it."""

    model: str | None = option(None, "checkpoint to start from: a directory or a Hub id")
    preset: str | None = option(None, "start from an untrained model instead: mini or full")
    track_pattern: str | None = option(
        None,
        "token pattern to train; a checkpoint of another pattern is converted (a dual-track model "
        "starts from a mixed one this way)",
    )
    track_embeddings: bool = option(
        False,
        "tell each step of an interleaved pattern which track it writes; a checkpoint without the "
        "vectors for it gets them as zeros",
    )
    rotary_positions: bool = option(
        False, "rotary instead of sinusoidal positions, in the decoder of an untrained model"
    )
    config_overrides: list[str] = option(
        [],
        "values of the configuration of an untrained model, such as decoder.num_hidden_layers=3, "
        "lyrics_cross_attention=false (lyrics are prepended) or use_lyrics_encoder=false",
    )
    codec: str | None = option(None, "codec checkpoint that replaces the codec of the model")
    conditioner: str | None = option(
        None,
        "song model whose conditioner (text, lyrics and voice encoders) replaces that of the "
        "model, such as one that train conditioner wrote",
    )
    voice_encoder: str | None = option(
        None, "HuBERT-like checkpoint that encodes the reference voice of an untrained model"
    )
    lyrics_tokenizer: str | None = option(
        None,
        "fast tokenizer, such as T5's, that splits the lyrics of an untrained model in place of "
        "single characters: a folder or a Hub id",
    )
    attention: str | None = option(
        None,
        "attention of the decoder: sdpa, eager, flash_attention_2, ...; on a CPU in bf16 eager is "
        "faster for short sequences",
    )
    freeze: list[str] = option(
        [],
        "parts not to train: text_encoder, text, lyrics (the last two are what train conditioner "
        "trains), conditions, embeddings, and of the decoder's layers self_attention, "
        "cross_attention, feed_forward; the codec and the voice network are never trained",
    )


@dataclass
class DatasetOptions:
    """Which songs are read."""

    dataset: str | None = option(
        None,
        "codes parquet: a folder, a file or a Hub id; or a folder of packed codes",
    )
    dataset_files: str | None = option(
        None,
        "digest of the files of a local dataset; a run records it, and refuses other files under "
        "the same name when it is resumed",
    )
    train_split: str = option("train", "split to train on")
    eval_split: str | None = option(
        None, "split to evaluate on; training of song models needs --eval-strategy, too"
    )

    def record_files(self) -> None:
        """Record the digest of the files of a local dataset in ``dataset_files``.

        Raises:
            ValueError: if it has the digest of other files.
        """
        if self.dataset is not None:
            self.dataset_files = source_digest(self.dataset, recorded=self.dataset_files)


@dataclass
class DataOptions(DatasetOptions):
    """Which songs are read, and which of their conditions and codes the model is given.

    Raises:
        ValueError: if a probability is out of range.
    """

    max_train_songs: int | None = option(None, "use only so many songs, from the first")
    max_eval_songs: int | None = option(None, "use only so many songs, from the first")
    min_seconds: float = option(0.0, "leave out shorter songs")
    max_seconds: float | None = option(None, "leave out longer songs")
    voice_column: str | None = option(
        "vocal", "audio column from which 3 s of reference voice are drawn; none if absent"
    )
    text_dropout: float = option(0.0, "probability of leaving out the text")
    lyrics_dropout: float = option(0.0, "probability of leaving out the lyrics")
    voice_dropout: float = option(0.0, "probability of leaving out the reference voice")
    joint_dropout: float = option(
        0.0, "probability of leaving out all three, which trains the null branch of guidance"
    )
    history_corruption: float = option(
        0.0,
        "share of the decoder's input that is replaced by codes from elsewhere in the song, so "
        "that the model learns to follow the lyrics instead of its own mistakes",
    )
    foreign_history: float = option(
        0.0,
        "probability that the decoder's input has the accompaniment of another song up to a random "
        "frame, so that the model learns to follow the description instead of the input",
    )

    def __post_init__(self) -> None:
        dropouts = ("text_dropout", "lyrics_dropout", "voice_dropout", "joint_dropout")
        check_range(self, *dropouts, "history_corruption", "foreign_history", high=1)


@dataclass
class AuxiliaryOptions:
    """Training methods beside the loss of the codes, most of them for songs with annotations.

    Raises:
        ValueError: if a number is out of range.
    """

    guided_attention_weight: float = option(
        0.0,
        "weight of the loss that guides attention to the lyrics token that is sung, for songs with "
        "timed words and phonemes; 0: off",
    )
    guided_attention_layers: list[int] = option(
        [], "layers whose first attention head is guided; default the middle two"
    )
    frame_label_weight: float = option(
        0.0,
        "weight of the loss of heads that predict phoneme, beat, tempo, lead instrument, gender, "
        "genre and singer of each frame from the states of a layer, for songs that have such "
        "labels; 0: off",
    )
    scheduled_sampling: float = option(
        0.0,
        "share of the input codes (of a masked model: of the visible codes) that are replaced by "
        "samples from the model, so that it learns to continue after its own mistakes; a step "
        "takes a third longer; 0: off",
    )

    def __post_init__(self) -> None:
        check_range(self, "guided_attention_weight", "frame_label_weight")
        check_range(self, "scheduled_sampling", high=1)


@dataclass
class SongGenTrainingArguments(TrainingArguments):
    """Training arguments of transformers with defaults for songs, and additional ones.

    Raises:
        ValueError: if an argument is missing or out of range.
    """

    output_dir: str | None = option(None, "folder of the checkpoints and of the trained model")
    seed: int = option(456, "seed of the run")
    adam_beta2: float = option(0.99, "beta2 of AdamW")
    weight_decay: float = option(1e-4, "weight decay of AdamW")
    lr_scheduler_type: str = option("cosine", "learning rate schedule")
    report_to: None | str | list[str] = option(
        "none", "where losses are plotted: none, tensorboard, trackio"
    )
    train_sampling_strategy: str = option(
        "group_by_length", "group_by_length, random or sequential order of the songs"
    )
    remove_unused_columns: bool = option(False, "must stay off")
    label_names: list[str] | None = option(["labels"], "must stay as it is")
    prediction_loss_only: bool = option(True, "must stay on")
    logging_nan_inf_filter: bool = option(False, "must stay off")
    ddp_find_unused_parameters: bool | None = option(False, "see DistributedDataParallel")
    save_total_limit: int | None = option(3, "number of checkpoints to keep")
    ema_decay: float = option(
        0.0, "decay of the moving average of the weights, which is saved at the end; 0: none"
    )
    optimizer: str = option(
        "adamw", "adamw (or what --optim names), or muon for the matrices of the layers"
    )
    ema_every: int = option(1, "optimizer steps between updates of the moving average")
    allow_changed_options: bool = option(
        False, "resume although options differ from those of the checkpoint"
    )
    max_shard_size: float | None = option(
        None,
        "greatest size of a file of a checkpoint or of the trained model, in megabytes; larger "
        "weights are written as shards, other large files in parts",
    )
    sample_songs: int = option(0, "songs to generate at each evaluation, written to samples/")
    sample_seconds: float = option(10.0, "longest duration of these songs")
    sample_guidance: float = option(1.0, "guidance scale of these songs")

    def __post_init__(self) -> None:
        if not self.output_dir:
            raise ValueError("no output_dir given: say where to write with --output-dir")
        if not 0 <= self.ema_decay < 1 or self.ema_every < 1:
            raise ValueError(
                f"the EMA needs 0 <= ema_decay < 1 and ema_every >= 1: got {self.ema_decay} and "
                f"{self.ema_every}"
            )
        if self.optimizer not in ("adamw", "muon"):
            raise ValueError(f"unknown optimizer: got {self.optimizer!r}, expected adamw or muon")
        if self.max_shard_size is not None:
            check_range(self, "max_shard_size", open_low=True)
        if not torch.accelerator.is_available():
            self.use_cpu = True  # the library refuses bf16 on a CPU that was not asked for
        if self.use_cpu and self.bf16:
            warn_of_slow_bfloat16("--bf16 false")
        super().__post_init__()
        # With pinned memory, copies to the device do not wait for the work that is queued there.
        self.accelerator_config.non_blocking = self.dataloader_pin_memory


FREE_ON_RESUME = frozenset(
    """
    allow_changed_options attention codec dataloader_num_workers dataloader_prefetch_factor dataset
    disable_tqdm eval_on_start eval_split eval_steps eval_strategy logging_steps logging_strategy
    max_eval_songs max_shard_size model output_dir per_device_eval_batch_size preset report_to
    resume_from_checkpoint run_name sample_guidance sample_seconds sample_songs save_steps
    save_strategy save_total_limit voice_encoder
    """.split()
)
"""Options that may change on resumption, as they change no computed number."""

__all__ = [
    "FREE_ON_RESUME",
    "AuxiliaryOptions",
    "DataOptions",
    "DatasetOptions",
    "ModelOptions",
    "SongGenTrainingArguments",
]

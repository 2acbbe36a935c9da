"""A training run of an autoregressive song model, from options to a saved model."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...checkpoints.digests import codes_digest
from ...data.preparation.codes import DESCRIPTION_FILE
from ...modeling.checkpoint_files import reading
from ...modeling.modeling_songgen import SongGenForConditionalGeneration
from ...modeling.processing_songgen import SongGenProcessor
from ..auxiliary.frame_labels import HEADS_FILE
from ..ema import EMA_FILE
from ..option_parsing import (
    RESOLVED_FILE,
    check_unchanged,
    dump_options,
    read_yaml,
    resolved_values,
)
from ..options import FREE_ON_RESUME, DataOptions, ModelOptions, SongGenTrainingArguments
from .dataset import SongDataset, read_songs
from .freezing import freeze
from .initialization import load_model
from .options import ObjectiveOptions
from .packed_songs import PackedSongs
from .samples import SampleSongs
from .song_trainer import SongTrainer, is_complete, last_checkpoint
from .trainer import SongGenTrainer

logger = logging.getLogger(__name__)


def train_language_model(
    model_options: ModelOptions,
    data_options: DataOptions,
    objective: ObjectiveOptions,
    args: SongGenTrainingArguments,
) -> SongGenTrainer:
    """Train a song model, and write model and processor to ``args.output_dir``.

    Returns:
        The trainer; its model has the saved weights (their average, if one is kept).
    Raises:
        ValueError, OSError: if options, data or checkpoint cannot be used.
    """
    options = (model_options, data_options, objective, args)
    checkpoint = checkpoint_to_resume(options)
    resolved = dump_options(options)
    if checkpoint is None:
        model, processor = load_model(model_options, seed=args.seed)
    else:
        resumed = ModelOptions(model=str(checkpoint), attention=model_options.attention)
        model, processor = load_model(resumed, seed=args.seed)
    if getattr(model.config, "trained", True) is False:
        model.config.trained = True
    num_trained = freeze(model, model_options.freeze)
    logger.info("training %s of %s weights", f"{num_trained:,}", f"{model.num_parameters():,}")
    train_songs, eval_songs = load_songs(data_options, model, processor, args)
    trainer = SongGenTrainer(
        model,
        args,
        processor=processor,
        train_dataset=train_songs,
        eval_dataset=eval_songs,
        objective=objective,
        resolved_options=resolved,
        callbacks=[SampleSongs(eval_songs or train_songs, processor)] if args.sample_songs else [],
    )
    train_and_save(trainer, checkpoint)
    return trainer


def checkpoint_to_resume(options: Sequence[Any], *, sizes: Sequence[str] = ()) -> Path | None:
    """The checkpoint to resume from: ``resume_from_checkpoint``, the newest one for "auto".

    Records the digest of the dataset's files in the options first.

    Args:
        options: all options of the run; the training arguments come last.
        sizes: names of the first options that become those of the checkpoint where they are None.
    Raises:
        ValueError: if it is no complete checkpoint, if it belongs to a run with other options, or
            if the output folder holds a run that is not to be resumed.
    """
    args = options[-1]
    for each in options:
        if isinstance(each, DataOptions):
            each.record_files()
    output_dir = Path(args.output_dir or "")
    newest = last_checkpoint(output_dir)
    named = args.resume_from_checkpoint
    if named is None:
        if newest is not None:
            raise ValueError(
                f"{output_dir} holds a run up to {newest.name}: pass --resume-from-checkpoint auto "
                "to resume it, or choose another --output-dir"
            )
        return None
    checkpoint = newest if named == "auto" else Path(named)
    if checkpoint is None:
        return None
    if not is_complete(checkpoint):
        raise ValueError(
            f"{named} is no complete checkpoint; --resume-from-checkpoint auto finds one"
        )
    path, changed = checkpoint / RESOLVED_FILE, args.allow_changed_options
    recorded = read_yaml(path) if path.is_file() or not changed else {}
    for name in sizes:
        if getattr(options[0], name) is None:
            setattr(options[0], name, recorded.get(name))
    if not changed:
        check_unchanged(
            recorded,
            resolved_values(options),
            free=FREE_ON_RESUME,
            run=checkpoint,
            remedy="choose another --output-dir, or pass --allow-changed-options",
        )
    return checkpoint


def load_songs(
    options: DataOptions,
    model: SongGenForConditionalGeneration,
    processor: SongGenProcessor,
    args: SongGenTrainingArguments,
) -> tuple[SongDataset, SongDataset | None]:
    """Training songs and, if asked for, evaluation songs.

    Raises:
        ValueError: if no dataset is named, or it does not fit the model.
    """
    if options.dataset is None:
        raise ValueError("no dataset given: name a codes parquet with --dataset")
    check_codec(Path(options.dataset), model)
    seed = args.seed if args.data_seed is None else args.data_seed

    def load(split: str, limit: int | None, training: bool) -> SongDataset:
        rows = read_songs(options.dataset or "", split)
        if isinstance(rows, PackedSongs):
            rows.check(processor)
        if limit is not None:
            rows = rows.select(range(min(limit, len(rows))))
        return SongDataset(
            rows,
            model.config,
            options,
            seed=seed,
            training=training,
            voice_seconds=processor.voice_seconds,
        )

    train_songs = load(options.train_split, options.max_train_songs, True)
    if options.eval_split is None:
        return train_songs, None
    return train_songs, load(options.eval_split, options.max_eval_songs, False)


def check_codec(dataset: Path, model: SongGenForConditionalGeneration) -> None:
    """Refuse codes of another codec than the model's, if the dataset names its codec.

    Raises:
        ValueError: naming what differs.
    """
    path = dataset / DESCRIPTION_FILE
    if not path.is_file():
        return
    with reading(path):
        made_with = dict(json.loads(path.read_text(encoding="utf-8")))
    decoder: Any = model.config.decoder
    expected = {
        "sampling_rate": model.config.sampling_rate,
        "frame_rate": model.config.frame_rate,
        "num_codebooks": decoder.num_codebooks,
        "codebook_size": decoder.codebook_size,
        "codec_weights": codes_digest(model.audio_encoder),
    }
    for name, value in expected.items():
        if made_with.get(name) != value:
            raise ValueError(
                f"the codes of {dataset} were made by another codec than the model's: {name} is "
                f"{made_with.get(name)!r}, the model's {value!r}; give the model that codec with "
                "--codec, or prepare the codes with the model's"
            )


def train_and_save(trainer: SongTrainer, checkpoint: Path | None) -> None:
    """Train, and write the model (the average of its weights, if one is kept).

    Several processes leave their group at the end.

    Args:
        trainer: the trainer of the run.
        checkpoint: where to resume; None to start from the beginning.
    Raises:
        ValueError: if the loss became infinite or no number.
    """
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    trainer.check_finite()
    output_dir = Path(trainer.args.output_dir or "")
    if trainer.average is not None:
        trainer.average.copy_to(trainer.accelerator.unwrap_model(trainer.model))
    trainer.save_model(str(output_dir))
    trainer.save_state()
    for name in (EMA_FILE, HEADS_FILE):  # needed in checkpoints only
        (output_dir / name).unlink(missing_ok=True)
    # Processes that end while others still write would close their connections.
    trainer.accelerator.wait_for_everyone()
    trainer.accelerator.end_training()


__all__ = ["checkpoint_to_resume", "load_songs", "train_and_save", "train_language_model"]

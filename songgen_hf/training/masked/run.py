"""A training run of a masked song model, from options to a saved pipeline."""

import logging
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig

from ...checkpoints.loading import resolve_checkpoint
from ...modeling.masked.model import MaskedSongModel
from ...modeling.masked.scheduler import MaskedRVQScheduler
from ...pipelines.masked_folders import MASKED_MODEL_TYPE
from ...pipelines.masked_song import MaskedSongPipeline
from ..language_model.initialization import load_model
from ..language_model.run import checkpoint_to_resume, load_songs, train_and_save
from ..option_parsing import dump_options
from ..options import DataOptions, ModelOptions
from ..seeding import seeded
from .dataset import MaskedSongs
from .options import HEADS, MaskedModelOptions, MaskedObjectiveOptions, MaskedTrainingArguments
from .samples import SampleMaskedSongs
from .trainer import MaskedSongTrainer

logger = logging.getLogger(__name__)

SIZES = ("hidden_size", "num_layers", "num_heads", "ffn_dim", "num_components")
"""Options that are sizes of a new model."""


def train_masked_model(
    model_options: MaskedModelOptions,
    data_options: DataOptions,
    objective: MaskedObjectiveOptions,
    args: MaskedTrainingArguments,
) -> MaskedSongTrainer:
    """Train a masked model, and write a :class:`MaskedSongPipeline` to ``args.output_dir``.

    Returns:
        The trainer; its model has the saved weights (their average, if one is kept).
    Raises:
        ValueError, OSError: if options, data or checkpoint cannot be used.
    """
    for name in ("history_corruption", "foreign_history"):
        if value := getattr(data_options, name):
            raise ValueError(
                f"{name} changes the input of an autoregressive model: got {value} for a masked "
                f"model, leave --{name.replace('_', '-')} out"
            )
    options = (model_options, data_options, objective, args)
    checkpoint = checkpoint_to_resume(options, sizes=("head", *SIZES))
    if checkpoint is None:
        pipe = load_masked(model_options, seed=args.seed)
    else:
        pipe = read_pipeline(str(checkpoint))
    head = pipe.transformer.config.head
    if model_options.head not in (None, head):
        raise ValueError(
            f"{checkpoint} has a {head} head, --head is {model_options.head}: leave it out, or "
            f"train further under the new head with --model {checkpoint} and another --output-dir"
        )
    model_options.head = head
    resolved = dump_options(options)
    train_songs, eval_songs = load_masked_songs(data_options, pipe, objective, args)
    trainer = MaskedSongTrainer(
        pipe,
        args,
        train_dataset=train_songs,
        eval_dataset=eval_songs,
        objective=objective,
        resolved_options=resolved,
        callbacks=[SampleMaskedSongs(pipe, eval_songs or train_songs)] if args.sample_songs else [],
    )
    num_trained = sum(weight.numel() for weight in pipe.transformer.parameters())
    logger.info("training %s weights", f"{num_trained:,}")
    train_and_save(trainer, checkpoint)
    return trainer


def load_masked(options: MaskedModelOptions, *, seed: int = 0) -> MaskedSongPipeline:
    """A masked model in float32: a trained one, or a new one with the parts of a song model.

    Args:
        options: which model, and the sizes of a new one.
        seed: seed of the weights of a new one.
    Raises:
        ValueError: if no model is named.
        OSError: if it cannot be read.
    """
    if options.model is None:
        raise ValueError(
            "no model given: name the song model whose conditioner and codec the masked model uses "
            "with --model, such as songgen-mini"
        )
    name = resolve_checkpoint(options.model)
    if AutoConfig.from_pretrained(name).model_type == MASKED_MODEL_TYPE:
        pipe = read_pipeline(name)
        if options.head not in (None, pipe.transformer.config.head):
            transformer = with_other_head(pipe.transformer, pipe.codec, options, seed=seed)
            pipe.register_modules(transformer=transformer)
        return pipe
    song_model, processor = load_model(ModelOptions(model=name))
    transformer = new_transformer(options, song_model, seed=seed)
    if options.warm_start:
        copied = start_from_decoder(transformer, song_model.decoder.model)
        if not copied:
            decoder: Any = song_model.config.decoder
            raise ValueError(
                "no layer of the song model fits the masked model: got hidden_size "
                f"{options.hidden_size}, expected {decoder.hidden_size}; use the sizes of the "
                "decoder or leave --warm-start out"
            )
        logger.info("%d weights are copied from the decoder of the song model", len(copied))
    return MaskedSongPipeline.from_song_model(
        song_model, processor, transformer, MaskedRVQScheduler()
    )


def read_pipeline(name: str) -> MaskedSongPipeline:
    """A trained masked model in float32."""
    return MaskedSongPipeline.from_pretrained(name, dtype=torch.float32)


def new_transformer(
    options: MaskedModelOptions, song_model: Any, *, seed: int = 0
) -> MaskedSongModel:
    """A masked model with random weights for the codes and conditions of a song model.

    Args:
        options: sizes of the masked model.
        song_model: the song model, whose codec gives the codebooks.
        seed: seed of the weights.
    Raises:
        ValueError: if the song model prepends its lyrics.
    """
    chosen = {name: getattr(options, name) for name in SIZES}
    sizes = {name: size for name, size in chosen.items() if size is not None}
    with seeded(seed):
        return MaskedSongModel.from_song_model(
            song_model, head=options.head or HEADS[0], mean_rank=options.mean_rank, **sizes
        )


def with_other_head(
    transformer: MaskedSongModel, codec: Any, options: MaskedModelOptions, *, seed: int = 0
) -> MaskedSongModel:
    """A copy of a trained masked model with a new head.

    Args:
        transformer: the trained model.
        codec: the codec of the model, whose code vectors are the initial means of a mixture.
        options: kind and sizes of the head.
        seed: seed of the head's weights.
    """
    sizes = {
        **transformer.config,
        "head": options.head,
        "num_components": options.num_components or codec.config.codebook_size,
        "mean_rank": options.mean_rank,
    }
    with seeded(seed):
        other = MaskedSongModel.from_config(sizes)
    other.set_codebooks(codec)
    trained = transformer.state_dict()
    kept = {name: weight for name, weight in trained.items() if not name.startswith("lm_heads.")}
    other.load_state_dict(kept, strict=False)
    logger.info("the masked model gets a new %s head", options.head)
    return other


@torch.no_grad()
def start_from_decoder(transformer: MaskedSongModel, decoder: nn.Module) -> list[str]:
    """Copy weights from the layers of a song model's decoder to those of a masked model.

    Weights of the same names and shapes are copied; others stay random. The decoder has learned to
    read lyrics and conditions; training replaces its causal attention (diffusion language models
    start in the same way, arXiv 2410.17891).

    Returns:
        Names of the weights that were copied.
    """
    found = dict(decoder.layers.named_parameters())  # type: ignore[union-attr]
    copied = []
    for name, weight in transformer.layers.named_parameters():
        if name in found and found[name].shape == weight.shape:
            weight.copy_(found[name])
            copied.append(name)
    return copied


def load_masked_songs(
    options: DataOptions,
    pipe: MaskedSongPipeline,
    objective: MaskedObjectiveOptions,
    args: MaskedTrainingArguments,
) -> tuple[MaskedSongs, MaskedSongs | None]:
    """Training songs and, if asked for, evaluation songs, with their masks.

    Raises:
        ValueError: if no dataset is named, or it does not fit the model.
    """
    parts: Any = SimpleNamespace(config=pipe.conditioner.config, audio_encoder=pipe.codec)
    train_songs, eval_songs = load_songs(options, parts, pipe.processor, args)
    masked = MaskedSongs(train_songs, objective)
    return masked, None if eval_songs is None else MaskedSongs(eval_songs, objective)


__all__ = [
    "load_masked",
    "load_masked_songs",
    "new_transformer",
    "read_pipeline",
    "start_from_decoder",
    "train_masked_model",
    "with_other_head",
]

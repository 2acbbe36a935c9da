"""Low-rank adapters (LoRA) for the attention of the decoder, with PEFT.

In Python::

    model, processor = load_model(ModelOptions(model="my-model"))
    adapted = add_lora(model, LoraOptions(lora_rank=8), processor)
    SongGenTrainer(adapted, args, processor=processor, train_dataset=songs).train()
    adapted.save_pretrained("my-adapter")
    model = load_model(ModelOptions(model="my-model"))[0]
    load_adapters(model, {"my-adapter": 1.0})
"""

import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import nn

from ...modeling.modeling_songgen import SongGenForConditionalGeneration
from ...modeling.processing_songgen import SongGenProcessor
from ...optional import require
from ...pipelines.adapters import load_adapters, quiet_peft
from ...publishing.cards import write_adapter_card
from ..option_parsing import dump_options
from ..options import DataOptions, ModelOptions, SongGenTrainingArguments
from ..seeding import seeded
from .drift import DriftLimit
from .initialization import load_model
from .options import LoraOptions, ObjectiveOptions
from .run import checkpoint_to_resume, load_songs, train_and_save
from .samples import SampleSongs
from .trainer import SongGenTrainer

logger = logging.getLogger(__name__)

ATTENTION = r"decoder\.model\.layers\.\d+\.(self_attn|encoder_attn)\.(q|k|v|out)_proj"
"""Names from the decoder on, as the last parts occur in the text encoder and the codec, too."""
HEADS = r"decoder\.(lm_heads|vocal_lm_heads)"


def add_lora(
    model: SongGenForConditionalGeneration,
    options: LoraOptions,
    processor: SongGenProcessor,
    *,
    seed: int = 0,
) -> Any:
    """Wrap a model so that only an adapter is trained; untrained, the adapter has no effect.

    Args:
        model: changed in place.
        options: options of the adapter.
        processor: processor of the model, for ``lyrics_tokens``.
        seed: seed of the adapter's initial weights.
    Returns:
        A ``peft.PeftModel``; ``save_pretrained`` writes the adapter only.
    Raises:
        ValueError: if the processor does not have a lyrics token.
        ImportError: without PEFT.
    """
    peft = require("peft", "train")
    targets = f"({ATTENTION}|{HEADS})" if options.lora_heads else ATTENTION
    config = peft.LoraConfig(
        # Every task type would replace hooks of generate() by those of PEFT.
        task_type=None,
        r=options.lora_rank,
        lora_alpha=options.lora_alpha,
        lora_dropout=options.lora_dropout,
        use_dora=options.use_dora,
        target_modules=targets,
        trainable_token_indices=lyrics_token_ids(options.lyrics_tokens, processor) or None,
    )
    with seeded(seed), quiet_peft():
        adapted = peft.get_peft_model(model, config)
    # The card of PEFT is a template to be filled in.
    adapted.create_or_update_model_card = partial(write_adapter_card, adapted)
    return adapted


def lyrics_token_ids(tokens: list[str], processor: SongGenProcessor) -> dict[str, list[int]]:
    """The ids of lyrics tokens, by the name of the embedding that they belong to.

    Raises:
        ValueError: for a token that the lyrics tokenizer does not have.
    """
    vocabulary = processor.lyrics_tokenizer.get_vocab()
    for token in tokens:
        if token not in vocabulary:
            raise ValueError(
                f"the lyrics tokenizer has no token {token!r}; languages look like [en], [es], [ja]"
            )
    return {"lyrics_embedding": [vocabulary[token] for token in tokens]} if tokens else {}


class LoraTrainer(SongGenTrainer):
    """The trainer of song models with the optimizer of LoRA+.

    Args:
        lora_plus_ratio: learning rate of B matrices over that of A matrices; None for equal rates.
    """

    def __init__(self, model: nn.Module, *args: Any, lora_plus_ratio: float | None, **kwargs: Any):
        self.lora_plus_ratio = lora_plus_ratio
        super().__init__(model, *args, **kwargs)
        self.model.create_or_update_model_card = self.write_card

    def write_card(self, folder: str) -> None:
        """Write the card of the adapter, which PEFT asks for when it is saved."""
        write_adapter_card(self.model, folder, data=self._training_facts())

    def _training_facts(self) -> str:
        """The songs that the adapter was trained on, and how, in two sentences."""
        args, songs, config = self.args, self.train_dataset, self.model.active_peft_config
        own = songs.mixture_epochs < 0
        minutes = songs.lengths[own].sum() / self.song_config.frame_rate / 60
        batch = args.train_batch_size * args.gradient_accumulation_steps * args.world_size
        return (
            f"Songs or clips of songs: {own.sum()}, {minutes:.1f} minutes in all. Training: "
            f"{self.state.global_step} steps of {batch} of them, learning rate "
            f"{args.learning_rate:g}, LoRA alpha {config.lora_alpha:g}, dropout "
            f"{config.lora_dropout:g}, seed {args.seed}."
        )

    def create_optimizer(self, model: Any = None) -> Any:
        """The trainer's optimizer, or AdamW with the learning rates of LoRA+."""
        if self.lora_plus_ratio is None or self.optimizer is not None:
            return super().create_optimizer(model)
        optimizers = require("peft.optimizers", "train")
        kind, settings = self.get_optimizer_cls_and_kwargs(self.args, self.model)
        self.optimizer = optimizers.create_loraplus_optimizer(
            self.model,
            kind,
            loraplus_lr_ratio=self.lora_plus_ratio,
            loraplus_weight_decay=self.args.weight_decay,
            **settings,
        )
        return self.optimizer


def train_lora(
    model_options: ModelOptions,
    data_options: DataOptions,
    objective: ObjectiveOptions,
    lora: LoraOptions,
    args: SongGenTrainingArguments,
    *,
    callbacks: Sequence[Any] = (),
) -> LoraTrainer:
    """Train an adapter and write it, with the processor, to ``args.output_dir``.

    Args:
        model_options, data_options, objective, lora, args: options of the run.
        callbacks: additional callbacks of the trainer.
    Raises:
        ValueError, OSError: if options, data or checkpoint cannot be used.
        ImportError: without PEFT.
    """
    if model_options.freeze:
        raise ValueError("only the adapter is trained: leave --freeze out")
    if args.ema_decay:
        raise ValueError("no average of an adapter is kept: leave --ema-decay out")
    options = (model_options, data_options, objective, lora, args)
    checkpoint = checkpoint_to_resume(options)
    model, processor = load_model(model_options, seed=args.seed)
    adapted = add_lora(model, lora, processor, seed=args.seed)
    trained, total = adapted.get_nb_trainable_parameters()
    logger.info("the adapter has %s weights, %.2f %% of all", f"{trained:,}", 100 * trained / total)
    train_songs, eval_songs = load_songs(data_options, model, processor, args)
    callbacks = list(callbacks)
    if args.sample_songs:
        callbacks.append(SampleSongs(eval_songs or train_songs, processor))
    if lora.max_drift is not None:
        if eval_songs is None:
            raise ValueError(
                "max_drift is measured on evaluation songs: add --eval-split and --eval-strategy"
            )
        callbacks.append(DriftLimit(eval_songs, processor, lora.max_drift))
    trainer = LoraTrainer(
        adapted,
        args,
        processor=processor,
        train_dataset=train_songs,
        eval_dataset=eval_songs,
        objective=objective,
        resolved_options=dump_options(options),
        callbacks=callbacks,
        lora_plus_ratio=lora.lora_plus_ratio,
    )
    train_and_save(trainer, checkpoint)
    return trainer


__all__ = ["ATTENTION", "LoraOptions", "LoraTrainer", "add_lora", "load_adapters", "train_lora"]

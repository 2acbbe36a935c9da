"""The trainer of all token patterns: the library's loop with our objective, order and checks.

Runs under ``accelerate launch`` on CPU, one GPU, DDP or FSDP. A loss is a mean over all counted
targets of an optimizer step, whatever the number of processes and accumulated batches.
"""

import logging
import math
import shutil
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.data import SequentialSampler
from transformers import Trainer, TrainerCallback
from transformers.trainer import TRAINER_STATE_NAME, TRAINING_ARGS_NAME
from transformers.trainer_callback import ProgressCallback

from ...modeling.patterns import shift_right
from ...modeling.processing_songgen import SongGenProcessor
from ..auxiliary.frame_labels import (
    SOUND_HEADS_FILE,
    SoundClasses,
    SoundHeads,
    sound_layer,
    watched_layer,
)
from ..auxiliary.guided_attention import alignment_loss, watched_attention
from ..auxiliary.scheduled_sampling import with_own_history
from ..ema import WeightAverage
from ..optimizers import MuonWithAdamW
from ..option_parsing import RESOLVED_FILE
from ..options import SongGenTrainingArguments
from .collator import SongCollator, counted_positions
from .dataset import SongDataset, SongSampler
from .objective import Objective, codebook_weights, song_objective
from .options import ObjectiveOptions

logger = logging.getLogger(__name__)


class SongGenTrainer(Trainer):
    """Trains :class:`SongGenForConditionalGeneration`, or a PEFT model around it.

    Args:
        model: with the parts that are not trained frozen.
        args: training arguments.
        train_dataset, eval_dataset: songs.
        processor: saved with every checkpoint. It is not the library's ``processing_class``, which
            would overwrite the special ids of the model.
        objective: what is minimized.
        resolved_options: YAML text written beside every checkpoint.
        callbacks: more callbacks.
    Raises:
        ValueError: if an average of the weights is asked for under FSDP, which shards them.
    """

    # compute_loss divides by all counted targets of the optimizer step itself.
    loss_is_scaled_for_ga = True
    args: SongGenTrainingArguments
    optimizer: Any

    def __init__(
        self,
        model: nn.Module,
        args: SongGenTrainingArguments,
        *,
        processor: SongGenProcessor,
        train_dataset: SongDataset | None = None,
        eval_dataset: SongDataset | None = None,
        objective: ObjectiveOptions | None = None,
        resolved_options: str = "",
        callbacks: list[TrainerCallback] | None = None,
    ):
        self.song_config = base_model(model).config
        self.processor = processor
        self.objective = objective or ObjectiveOptions()
        self.resolved_options = resolved_options
        self._sums: dict[str, dict[str, Tensor]] = {"train": {}, "eval": {}}
        self._counts: dict[str, int] = defaultdict(int)
        self._sampler: SongSampler | None = None
        self._batches = 0  # of the optimizer step under way
        sounds = None
        if self.objective.frame_label_weight and train_dataset is not None:
            sounds = SoundClasses.of_rows(train_dataset.rows)
            width = self.song_config.decoder.hidden_size
            # Part of the model while it is trained, for optimizers and processes to find them.
            model.sound_heads = SoundHeads(sounds.sizes(), width, seed=args.seed)
        super().__init__(
            model=model,
            args=args,
            data_collator=SongCollator(
                self.song_config,
                processor,
                align_lyrics=self.objective.guided_attention_weight > 0,
                sounds=sounds,
            ),
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            callbacks=[_EveryStep(self), *(callbacks or [])],
        )
        if self.pop_callback(ProgressCallback) is not None:
            self.add_callback(_Progress())
        self.average: WeightAverage | None = None
        if args.ema_decay:
            if self.is_fsdp_enabled:
                raise ValueError("an EMA needs whole weights, FSDP shards them: pass --ema-decay 0")
            self.average = WeightAverage(model, args.ema_decay)

    def _get_train_sampler(self, train_dataset: Any = None) -> SongSampler:
        dataset = train_dataset if train_dataset is not None else self.train_dataset
        args = self.args
        self._sampler = SongSampler(
            dataset.lengths,
            args.train_batch_size * args.gradient_accumulation_steps * args.world_size,
            seed=args.seed if args.data_seed is None else args.data_seed,
            strategy=args.train_sampling_strategy,
        )
        return self._sampler

    def _get_eval_sampler(self, eval_dataset: Any) -> SequentialSampler:
        return SequentialSampler(eval_dataset)

    def _get_num_items_in_batch(self, batch_samples: list, device: torch.device) -> Tensor:
        """Counted targets of a row, over all accumulated batches and processes."""
        total = sum((self._counted(batch["labels"]) for batch in batch_samples), torch.tensor(0))
        if self.args.world_size > 1:
            total = self.accelerator.reduce(total.to(device), reduction="sum")
        return total.to(device)

    def _counted(self, labels: Tensor) -> Tensor:
        decoder = self.song_config.decoder
        return counted_positions(
            labels, bos_token_id=decoder.bos_token_id, pad_token_id=decoder.pad_token_id
        )

    def compute_loss(  # type: ignore[override]
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | None = None,
    ) -> Any:
        """The objective while training, the plain mean of the codebook losses otherwise.

        Raises:
            ValueError: if the loss is not finite.
        """
        inputs = dict(inputs)
        targets, sounds = inputs.pop("lyrics_targets", None), inputs.pop("sound_targets", None)
        base = base_model(self.model)
        if model.training and self.objective.scheduled_sampling:
            inputs["decoder_input_ids"] = self._own_history(model, inputs)
        layers = base.decoder.model.layers
        with (
            watched_attention(layers[i] for i in self._alignment_layers()) as attention,
            watched_layer(layers[sound_layer(len(layers))]) as states,
        ):
            outputs = model(**inputs)
        decoder = self.song_config.decoder
        step = self.state.global_step if model.training else 0
        objective = song_objective(
            outputs.codebook_losses,
            codebook_weights(step, max(1, self.state.max_steps), decoder.num_codebooks),
            vocal_codebook_losses=outputs.vocal_codebook_losses,
            codebook_weighting=self.objective.codebook_weighting,
            vocal_loss_weight=self.objective.vocal_loss_weight,
        )
        if targets is not None:
            pairs = [
                alignment_loss(
                    *seen, outputs.encoder_attention_mask, targets, inputs["lyrics_ids"].shape[1]
                )
                for seen in attention
            ]
            objective.add_alignment(
                *(torch.stack(values).mean() for values in zip(*pairs, strict=True)),
                weight=self.objective.guided_attention_weight,
            )
        if sounds is not None:
            steps = inputs["labels"].shape[1]
            heads = self.model.sound_heads
            objective.add_sounds(
                *heads(states[0][:, -steps:], sounds), weight=self.objective.frame_label_weight
            )
        share = torch.ones_like(objective.value)
        if model.training and num_items_in_batch is not None:
            # DDP and FSDP average the gradients of the processes, hence world_size.
            counted = self._counted(inputs["labels"]).to(share)
            share = counted * self.args.world_size / num_items_in_batch
        self._collect("train" if model.training else "eval", objective, share)
        loss = objective.value * share if model.training else objective.loss
        if not torch.isfinite(loss):
            raise ValueError(
                f"the loss became {loss.item()} at step {self.state.global_step}: lower "
                "--learning-rate or --max-grad-norm and resume from the last checkpoint"
            )
        return (loss, outputs) if return_outputs else loss

    @torch.no_grad()
    def _own_history(self, model: nn.Module, inputs: dict[str, Any]) -> Tensor:
        """The decoder's input [B, rows, L] with part of the past drawn from the model."""
        labels = inputs["labels"]
        ids = inputs.get("decoder_input_ids")
        if ids is None:
            config = self.song_config
            ids = shift_right(labels, config.decoder_start_token_id, config.pad_token_id)
        given = {name: value for name, value in inputs.items() if "labels" not in name}
        logits = model(**given | {"decoder_input_ids": ids}).logits
        return with_own_history(
            ids,
            logits.unflatten(0, (len(ids), -1))[:, :, -ids.shape[-1] :],
            self.objective.scheduled_sampling,
            codebook_size=self.song_config.decoder.codebook_size,
            generator=torch.Generator(ids.device).manual_seed(self._draw_seed()),
        )

    def _draw_seed(self) -> int:
        """A new seed for each batch, from the run's, the step and the process."""
        seed = (self.args.seed, self.state.global_step, self._batches, self.args.process_index)
        words = np.random.SeedSequence(seed).generate_state(1, np.uint64)
        self._batches += 1
        return int(words[0] >> np.uint64(1))

    def _alignment_layers(self) -> list[int]:
        """Decoder layers whose cross-attention is told what is sung; none without that loss."""
        if not self.objective.guided_attention_weight:
            return []
        number = self.song_config.decoder.num_hidden_layers
        return self.objective.guided_attention_layers or sorted({(number - 1) // 2, number // 2})

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """The library's optimizer, or Muon with AdamW."""
        if self.args.optimizer == "adamw" or self.optimizer is not None:
            return super().create_optimizer(model)
        optimizer = MuonWithAdamW(
            (self.model if model is None else model).named_parameters(),
            self.args.learning_rate,
            betas=(self.args.adam_beta1, self.args.adam_beta2),
            eps=self.args.adam_epsilon,
            weight_decay=self.args.weight_decay,
        )
        self.optimizer = optimizer
        return optimizer

    def _collect(self, split: str, objective: Objective, share: Tensor) -> None:
        sums = self._sums[split]
        for name, value in objective.metrics().items():
            sums[name] = sums.get(name, 0) + value.float() * share.detach()
        self._counts[split] += 1

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the means of what :meth:`compute_loss` collected since the last time."""
        split = "eval" if any(name.startswith("eval_") for name in logs) else "train"
        sums = self._sums[split]
        if sums and ("loss" in logs or split == "eval"):
            steps = self._counts["step"] if split == "train" else self._counts["eval"]
            values = torch.stack(list(sums.values()))
            if self.args.world_size > 1:
                values = self.accelerator.reduce(values, reduction="mean")
            prefix = "eval_" if split == "eval" else ""
            means = (values / max(1, steps)).tolist()
            logs |= {prefix + name: mean for name, mean in zip(sums, means, strict=True)}
            self._sums[split] = {}
            self._counts[split] = 0
            if split == "train":
                self._counts["step"] = 0
        super().log(logs, start_time)

    def after_step(self, step: int) -> None:
        """Called after every optimizer step."""
        self._counts["step"] += 1
        self._batches = 0
        if self.average is not None and step % self.args.ema_every == 0:
            self.average.update(self.accelerator.unwrap_model(self.model))

    def before_epoch(self, epoch: int) -> None:
        """Called before every epoch: libraries lose the sampler under several wrappers."""
        if self._sampler is not None:
            self._sampler.set_epoch(epoch)

    def _save(self, output_dir: str | None = None, state_dict: dict | None = None) -> None:
        folder = Path(output_dir or self.args.output_dir or "")
        heads = self.model._modules.pop("sound_heads", None)  # no part of what is published
        if state_dict is not None:
            state_dict = {k: v for k, v in state_dict.items() if not k.startswith("sound_heads.")}
        try:
            super()._save(output_dir, state_dict)
        finally:
            if heads is not None:
                self.model.sound_heads = heads
        if self.args.should_save:
            if heads is not None:
                save_file(heads.state_dict(), folder / SOUND_HEADS_FILE)
            self.processor.save_pretrained(folder)
            # A pickle that nobody reads, with paths of this machine.
            (folder / TRAINING_ARGS_NAME).unlink(missing_ok=True)
            if self.resolved_options:
                (folder / RESOLVED_FILE).write_text(self.resolved_options, encoding="utf-8")

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)
        path = Path(resume_from_checkpoint) / SOUND_HEADS_FILE
        if hasattr(self.model, "sound_heads") and path.is_file():
            self.model.sound_heads.load_state_dict(load_file(path))

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        if self.average is not None and self.args.should_save:
            self.average.save(Path(output_dir))

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if self.average is not None and checkpoint is not None:
            self.average.load(Path(checkpoint))

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Save whole or not at all: what a full disk cut short is removed.

        Raises:
            OSError: if it could not be written.
        """
        try:
            super()._save_checkpoint(model, trial)
        except (OSError, RuntimeError, SafetensorError) as error:
            folder = Path(self.args.output_dir or "") / f"checkpoint-{self.state.global_step}"
            if not (folder / TRAINER_STATE_NAME).is_file():
                shutil.rmtree(folder, ignore_errors=True)
            raise OSError(
                f"cannot write {folder} ({error}): make room and resume; earlier checkpoints stand"
            ) from error


class _EveryStep(TrainerCallback):
    """Tells the trainer of epochs and steps."""

    def __init__(self, trainer: SongGenTrainer):
        self.trainer = trainer

    def on_epoch_begin(self, args, state, control, **kwargs):  # type: ignore[no-untyped-def]
        self.trainer.before_epoch(math.floor((state.epoch or 0) + 1e-6))

    def on_step_end(self, args, state, control, **kwargs):  # type: ignore[no-untyped-def]
        self.trainer.after_step(state.global_step)


class _Progress(ProgressCallback):
    """The library's progress bar; a line of totals at each logging, codebooks in the plots."""

    def on_log(self, args, state, control, logs=None, **kwargs):  # type: ignore[no-untyped-def]
        totals = {name: value for name, value in (logs or {}).items() if "codebook" not in name}
        super().on_log(args, state, control, logs=totals, **kwargs)


def base_model(model: Any) -> Any:
    """The song model itself, out of a PEFT wrapper."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def last_checkpoint(output_dir: Path) -> Path | None:
    """The newest complete checkpoint of a run; incomplete ones are passed over."""
    complete = [
        (int(folder.name.rpartition("-")[2]), folder)
        for folder in output_dir.glob("checkpoint-*")
        if folder.name.rpartition("-")[2].isdigit() and (folder / TRAINER_STATE_NAME).is_file()
    ]
    return max(complete)[1] if complete else None


__all__ = ["SongGenTrainer", "base_model", "last_checkpoint"]

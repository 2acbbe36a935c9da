"""The Trainer that autoregressive and masked song models share: order of songs and checkpoints.

It runs under ``accelerate launch`` on a CPU, one GPU, or several with DDP or FSDP. A loss is a mean
over all counted positions of an optimizer step, so it does not depend on the number of processes
and accumulated batches.
"""

import json
import math
import shutil
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import SequentialSampler
from transformers import Trainer, TrainerCallback
from transformers.trainer import TRAINER_STATE_NAME, TRAINING_ARGS_NAME
from transformers.trainer_callback import PrinterCallback, ProgressCallback

from ...modeling.processing_songgen import SongGenProcessor
from ..attention import use_unread_masks
from ..auxiliary.frame_labels import HEADS_FILE, FrameLabelHeads, FrameLabels
from ..ema import WeightAverage
from ..file_parts import joined_files, split_files
from ..optimizers import MuonWithAdamW
from ..option_parsing import RESOLVED_FILE
from ..options import SongGenTrainingArguments
from .collator import SongCollator
from .dataset import SongSampler
from .objective import Objective
from .options import ObjectiveOptions

_LONGEST_REASON = 120
"""Characters of an error of a library that a message repeats."""


class SongTrainer(Trainer):
    """Trains a song model; a subclass defines its losses and how it is saved.

    Args:
        model: the model, with the parts that are not trained frozen; or a PEFT model around it.
        args: training arguments.
        processor: processor of the model. It is not the library's ``processing_class``, which would
            overwrite the special ids of the model.
        objective: what is minimized.
        train_dataset, eval_dataset: songs, with ``lengths`` and ``rows``.
        resolved_options: YAML text that is written beside every checkpoint.
        callbacks: additional callbacks.
    Raises:
        ValueError: if an average of the weights is asked for under FSDP, which shards them.
    """

    # compute_loss divides by all counted positions of the optimizer step itself.
    loss_is_scaled_for_ga = True
    args: SongGenTrainingArguments
    optimizer: Any
    make_collator: type[SongCollator] = SongCollator

    def __init__(
        self,
        model: Any,
        args: SongGenTrainingArguments,
        *,
        processor: SongGenProcessor,
        objective: Any = None,
        train_dataset: Any = None,
        eval_dataset: Any = None,
        resolved_options: str = "",
        callbacks: list[TrainerCallback] | None = None,
    ):
        self.processor, self.song_config = processor, base_model(model).config
        self.objective = objective or ObjectiveOptions()
        self.resolved_options = resolved_options
        # Sums of metrics on the device, by their names: they are read when they are logged.
        self._sums: dict[str, dict[tuple[str, ...], Tensor]] = {"train": {}, "eval": {}}
        self._counts: dict[str, int] = defaultdict(int)
        self._sampler: SongSampler | None = None
        self._batches = 0  # of the current optimizer step
        labels = None
        if self.objective.frame_label_weight and train_dataset is not None:
            labels = FrameLabels.from_rows(train_dataset.rows)
            # A part of the model during training, so that optimizers and processes find it; earlier
            # checkpoints of the average hold its weights under this name.
            width = self.states_width(model)
            model.sound_heads = FrameLabelHeads(labels.sizes(), width, seed=args.seed)
        use_unread_masks(base_model(model))
        guided = self.objective.guided_attention_weight > 0
        super().__init__(
            model=model,
            args=args,
            data_collator=self.make_collator(
                self.song_config, processor, align_lyrics=guided, frame_labels=labels
            ),
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            callbacks=[_EveryStep(self), *(callbacks or [])],
        )
        for shown, shorter in ((ProgressCallback, _Progress), (PrinterCallback, _Printer)):
            if self.pop_callback(shown) is not None:
                self.add_callback(shorter())
        self.average: WeightAverage | None = None
        if args.ema_decay:
            if self.is_fsdp_enabled:
                raise ValueError("an EMA needs whole weights, FSDP shards them: pass --ema-decay 0")
            self.average = WeightAverage(model, args.ema_decay)

    def states_width(self, model: Any) -> int:
        """Width of the states that the heads of frame labels read."""
        return self.song_config.decoder.hidden_size

    def counted(self, batch: Mapping[str, Any]) -> Tensor:
        """Number of positions of a batch over which its loss is a mean."""
        raise NotImplementedError

    def losses(self, model: Any, inputs: dict[str, Any]) -> tuple[Objective, Any]:
        """The objective of a batch, and the model's outputs."""
        raise NotImplementedError

    @property
    def frame_label_heads(self) -> FrameLabelHeads | None:
        """The heads that predict frame labels, if there are any."""
        return getattr(self.model, "sound_heads", None)

    def _get_train_sampler(self, train_dataset: Any = None) -> SongSampler:
        dataset = train_dataset if train_dataset is not None else self.train_dataset
        args = self.args
        self._sampler = SongSampler(
            dataset.lengths,
            args.train_batch_size * args.gradient_accumulation_steps * args.world_size,
            seed=args.seed if args.data_seed is None else args.data_seed,
            strategy=args.train_sampling_strategy,
            mixture_epochs=dataset.mixture_epochs,
        )
        return self._sampler

    def _get_eval_sampler(self, eval_dataset: Any) -> SequentialSampler:
        return SequentialSampler(eval_dataset)

    def _get_num_items_in_batch(self, batch_samples: list, device: torch.device) -> Tensor:
        """Counted positions of all accumulated batches and processes."""
        total = sum((self.counted(batch) for batch in batch_samples), torch.tensor(0))
        if self.args.world_size > 1:
            total = self.accelerator.reduce(total.to(device), reduction="sum")
        return total.clamp(min=1).to(device)

    def compute_loss(  # type: ignore[override]
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | None = None,
    ) -> Any:
        """The objective in training, the loss without weights in evaluation.

        Nothing here waits for the device; :meth:`check_finite` reads the sums from time to time.
        """
        objective, outputs = self.losses(model, dict(inputs))
        share = torch.ones_like(objective.value)
        if model.training and num_items_in_batch is not None:
            # DDP and FSDP average the gradients of the processes, hence world_size.
            counted = self.counted(inputs).to(share)
            share = counted * self.args.world_size / num_items_in_batch
        split = "train" if model.training else "eval"
        found = {"objective": objective.value, **objective.metrics}
        values = torch.stack([value.detach().float() for value in found.values()]) * share.detach()
        sums, names = self._sums[split], tuple(found)
        sums[names] = sums[names] + values if names in sums else values
        self._counts[split] += 1
        loss = objective.value * share if model.training else objective.loss
        return (loss, outputs) if return_outputs else loss

    def check_finite(self, values: Iterable[float] | None = None) -> None:
        """Raise ValueError if a metric since the last log is not finite.

        Args:
            values: the metrics; by default the sums of this process.
        """
        if values is None:
            values = [value for sums in self._sums["train"].values() for value in sums.tolist()]
        wrong = [value for value in values if not math.isfinite(value)]
        if wrong:
            raise ValueError(
                f"the loss became {wrong[0]} by step {self.state.global_step}: lower "
                "--learning-rate or --max-grad-norm and resume from the last checkpoint"
            )

    def sampling_seed(self) -> int:
        """A new seed for each batch; it follows from the run's seed, the step and the process."""
        seed = (self.args.seed, self.state.global_step, self._batches, self.args.process_index)
        words = np.random.SeedSequence(seed).generate_state(1, np.uint64)
        self._batches += 1
        return int(words[0] >> np.uint64(1))

    def named_weights(self, model: nn.Module) -> Iterable[tuple[str, nn.Parameter]]:
        """Names and weights of a model for ``MuonWithAdamW``, which chooses by name."""
        return model.named_parameters()

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """The library's optimizer, or Muon with AdamW."""
        if self.args.optimizer == "adamw" or self.optimizer is not None:
            return super().create_optimizer(model)
        self.optimizer = MuonWithAdamW(
            self.named_weights(self.model if model is None else model),
            self.args.learning_rate,
            betas=(self.args.adam_beta1, self.args.adam_beta2),
            eps=self.args.adam_epsilon,
            weight_decay=self.args.weight_decay,
        )
        return self.optimizer

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log, with the means of the metrics that were collected since the last time."""
        split = "eval" if any(name.startswith("eval_") for name in logs) else "train"
        sums = self._sums[split]
        if sums and ("loss" in logs or split == "eval"):
            steps = self._counts["step"] if split == "train" else self._counts["eval"]
            names = [name for group in sums for name in group]
            values = torch.cat(list(sums.values()))
            if self.args.world_size > 1:
                values = self.accelerator.reduce(values, reduction="mean")
            prefix = "eval_" if split == "eval" else ""
            means = (values / max(1, steps)).tolist()
            self.check_finite(means)
            logs |= {prefix + name: mean for name, mean in zip(names, means, strict=True)}
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

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        """Train an epoch, unless the resumed run has reached its end.

        The library would take another step first, in every call that resumes a finished run.
        """
        if self.state.global_step < self.state.max_steps and not self.control.should_training_stop:
            super()._run_epoch(*args, **kwargs)

    def before_epoch(self, epoch: int) -> None:
        """Called before every epoch, since accelerate loses the sampler under several wrappers."""
        if self._sampler is not None:
            self._sampler.set_epoch(epoch)

    def save_beside_model(self, folder: Path) -> None:
        """Write heads and resolved options to the folder of a saved model."""
        heads = self.frame_label_heads
        if heads is not None:
            save_file(heads.state_dict(), folder / HEADS_FILE)
        # A pickle that nothing reads, with paths of this machine.
        (folder / TRAINING_ARGS_NAME).unlink(missing_ok=True)
        if self.resolved_options:
            (folder / RESOLVED_FILE).write_text(self.resolved_options, encoding="utf-8")

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        # Files hold tied weights once.
        tied = getattr(self.model, "all_tied_weights_keys", None) or {}
        missing = [name for name in load_result.missing_keys if name not in tied]
        super()._issue_warnings_after_load(load_result._replace(missing_keys=missing))

    def load_heads(self, checkpoint: str) -> None:
        """Read the heads of a checkpoint, if it has any."""
        path = Path(checkpoint) / HEADS_FILE
        if self.frame_label_heads is not None and path.is_file():
            self.frame_label_heads.load_state_dict(load_file(path))

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        if self.average is not None and self.args.should_save:
            self.average.save(Path(output_dir))

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        with reading_to_resume(resume_from_checkpoint):
            super()._load_from_checkpoint(resume_from_checkpoint, model)
            self.load_heads(resume_from_checkpoint)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        with reading_to_resume(checkpoint):
            super()._load_rng_state(checkpoint)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint is None:
            return super()._load_optimizer_and_scheduler(checkpoint)
        asked = [
            {name: group[name] for name in ("initial_lr", "weight_decay") if name in group}
            for group in self.optimizer.param_groups
        ]
        with reading_to_resume(checkpoint), joined_files(Path(checkpoint)):
            super()._load_optimizer_and_scheduler(checkpoint)
            if self.average is not None:
                self.average.load(Path(checkpoint))
            self.accelerator.wait_for_everyone()  # before a process removes the joined files
        self._set_options(asked)

    def _set_options(self, asked: list[dict[str, float]]) -> None:
        """Give the groups of the optimizer the options of this run, not those that were saved."""
        groups, scheduler = self.optimizer.param_groups, self.lr_scheduler
        for group, options in zip(groups, asked, strict=True):
            group.update(options)
        if isinstance(scheduler, LambdaLR):
            scheduler.base_lrs = [group["initial_lr"] for group in groups]
            factors = [factor(scheduler.last_epoch) for factor in scheduler.lr_lambdas]
            for group, base, factor in zip(groups, scheduler.base_lrs, factors, strict=True):
                group["lr"] = base * factor
            scheduler._last_lr = [group["lr"] for group in groups]  # which is logged

    @property
    def max_file_bytes(self) -> int:
        """Greatest size of a saved file, in bytes; the library's limit if none is asked for."""
        megabytes = self.args.max_shard_size
        return 50 * 10**9 if megabytes is None else round(megabytes * 10**6)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Save a checkpoint, or remove what could be written of it.

        Raises:
            OSError: if it could not be written.
            ValueError: if the loss is no longer finite, which would replace good checkpoints.
        """
        self.check_finite()
        try:
            super()._save_checkpoint(model, trial)
            if self.args.should_save and self.args.max_shard_size is not None:
                folder = Path(self._get_output_dir(trial)) / f"checkpoint-{self.state.global_step}"
                split_files(folder, self.max_file_bytes)
        except (OSError, RuntimeError, SafetensorError) as error:
            folder = Path(self.args.output_dir or "") / f"checkpoint-{self.state.global_step}"
            if not is_complete(folder):
                shutil.rmtree(folder, ignore_errors=True)
            raise OSError(
                f"cannot write {folder} ({error}): make room and resume; earlier checkpoints remain"
            ) from error


class _EveryStep(TrainerCallback):
    """Calls the trainer at epochs and steps."""

    def __init__(self, trainer: SongTrainer):
        self.trainer = trainer

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.trainer.before_epoch(math.floor((state.epoch or 0) + 1e-6))

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.trainer.after_step(state.global_step)


class _ShorterLog(TrainerCallback):
    """Leaves the metrics of single codebooks out of the log lines of the next class."""

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        totals = {name: value for name, value in (logs or {}).items() if "codebook" not in name}
        super().on_log(args, state, control, logs=totals, **kwargs)


class _Progress(_ShorterLog, ProgressCallback):
    """The library's progress bar with shorter log lines."""


class _Printer(_ShorterLog, PrinterCallback):
    """The log lines of a run without a progress bar."""


def base_model(model: Any) -> Any:
    """The song model itself, without a PEFT wrapper."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


@contextmanager
def reading_to_resume(checkpoint: str | None) -> Iterator[None]:
    """Turn errors about damaged files of a checkpoint into a message of one line.

    Raises:
        ValueError: naming the checkpoint.
    """
    try:
        yield
    except (EOFError, RuntimeError, SafetensorError, UnpicklingError) as error:
        reason = " ".join(str(error).split())[:_LONGEST_REASON]
        raise ValueError(
            f"cannot resume from {checkpoint} ({reason}): give the options of its run; if a file "
            "is damaged, remove this folder, and the run goes on from the checkpoint before it"
        ) from error


def last_checkpoint(output_dir: Path) -> Path | None:
    """The newest complete checkpoint of a run, or None."""
    complete = [
        (int(folder.name.rpartition("-")[2]), folder)
        for folder in output_dir.glob("checkpoint-*")
        if folder.name.rpartition("-")[2].isdigit() and is_complete(folder)
    ]
    return max(complete)[1] if complete else None


def is_complete(checkpoint: Path) -> bool:
    """Whether a checkpoint was written to its end.

    The library writes its state last, but not at once: a run that was killed then leaves a part.
    """
    try:
        json.loads((checkpoint / TRAINER_STATE_NAME).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return False
    return True


__all__ = ["SongTrainer", "base_model", "is_complete", "last_checkpoint", "reading_to_resume"]

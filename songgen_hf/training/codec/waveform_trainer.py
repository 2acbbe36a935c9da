"""The base class of the trainers of codec, semantic teacher and separator: data, schedule, files.

All read random crops of waveforms and run under ``accelerate launch``. A run that is found in the
output folder is resumed, and gives the same results as one that was never stopped.
"""

from __future__ import annotations

import dataclasses
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ...data.tables import source_digest
from ...optional import require
from ..option_parsing import check_given
from ..precision import warn_of_slow_bfloat16
from ..resumable_run import Action, Metrics, RunFolder, cosine_rate, run_steps, warmup
from .options import WaveformRunOptions, WaveformTrainingOptions
from .waveform_crops import DATA_ENDINGS, WaveformCrops


class WaveformTrainer(ABC):
    """A training run on random crops of waveforms.

    The constructor of a subclass builds its networks, and calls :meth:`open_data` and
    :meth:`resume`.

    Args:
        options: the options of the run.
    Raises:
        ValueError: for options that do not fit the data, the model or an earlier run in the folder.
        OSError: if data or a checkpoint cannot be read.
        ImportError: if the training extra is missing.
    """

    name: ClassVar[str]
    """Label of the progress bar and subfolder of the trained model."""
    data: WaveformCrops
    hop_length: int
    num_samples: int
    done = 0
    held_out: Tensor | None = None

    def __init__(self, options: WaveformRunOptions) -> None:
        self._began = time.monotonic()
        check_given(options, "data", "out")
        digest = source_digest(options.data, recorded=options.data_files, endings=DATA_ENDINGS)
        options = dataclasses.replace(options, data_files=digest)
        self.options: Any = options
        self.accelerator = make_accelerator(options)
        self.run = RunFolder(
            options.out,
            options,
            self.accelerator,
            free=None if options.allow_changed_options else options.free_on_resume(),
            keep_checkpoints=options.keep_checkpoints,
            track=options.report_to != "none",
        )

    def resume(self) -> dict[str, Any] | None:
        """The state of the newest checkpoint, as :meth:`state` returned it; None for a new run."""
        self.done, state = self.run.resume()
        return state

    def open_data(self, sampling_rate: int, hop_length: int) -> None:
        """Find the training data, and read the crops to evaluate on."""
        options = self.options
        self.hop_length, self.num_samples = hop_length, options.crop_frames * hop_length
        self.data = WaveformCrops(
            options.data,
            sampling_rate,
            columns=options.columns,
            labels=options.labels if options.label_weight else (),
        )
        if options.validation_data is not None:
            crops = WaveformCrops(options.validation_data, sampling_rate, columns=options.columns)
            self.held_out = crops.batch(
                options.evaluation_crops, self.num_samples, seed=options.seed, step=0
            )

    def make_optimizer(self, module: nn.Module) -> torch.optim.AdamW:
        """AdamW with X-Codec's betas for the weights of a module that are trained."""
        trained = [weight for weight in module.parameters() if weight.requires_grad]
        rate = self.options.learning_rate
        return torch.optim.AdamW(trained, lr=rate, betas=(0.8, 0.99), eps=1e-6)

    def train(self) -> Path:
        """Train until the last step or the time limit; return the folder of the trained model."""
        options = self.options
        if self.done == 0:
            self._evaluate(0, {})
        run_steps(
            self.train_step,
            steps=options.steps,
            done=self.done,
            name=self.name,
            actions=[
                Action(options.log_every, self._log),
                Action(options.evaluate_every, self._evaluate),
                Action(options.save_every, self._save),
            ],
            should_stop=self._out_of_time,
            show_progress=self.accelerator.is_main_process,
        )
        folder = self.run.publish(self.export, self.name)
        # Last, because it ends the process group, which publishing waits for.
        self.accelerator.end_training()
        return folder

    @abstractmethod
    def train_step(self, step: int) -> dict[str, float | Tensor]:
        """Take one step; return its metrics, with the total as ``loss``."""

    @abstractmethod
    def evaluate(self, waveforms: Tensor) -> Metrics:
        """Metrics of what is held out, such as waveforms [N, 1, S]."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """What a checkpoint holds."""

    @abstractmethod
    def export(self, directory: Path) -> None:
        """Write the trained model to a folder."""

    def crops(self, count: int, *, step: int) -> Tensor:
        """Training crops [count, 1, S] of this process for one step, on its device."""
        crops = self.data.batch(count, self.num_samples, **self._place(count, step))
        return crops.to(self.accelerator.device)

    def labeled_crops(self, count: int, *, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The crops, and the labels [count, T] of their frames unless they have no weight."""
        if self.data.labels is None:
            return self.crops(count, step=step), {}
        crops, labels = self.data.labeled_batch(
            count, self.num_samples, hop_length=self.hop_length, **self._place(count, step)
        )
        device = self.accelerator.device
        return crops.to(device), {kind: label.to(device) for kind, label in labels.items()}

    def _place(self, count: int, step: int) -> dict[str, int]:
        first = self.accelerator.process_index * count
        return {"seed": self.options.seed, "step": step, "first": first}

    def label_sizes(self) -> dict[str, int]:
        """Number of classes of each kind of label; empty without labels."""
        return {} if self.data.labels is None else self.data.labels.sizes()

    def update(self, optimizer: Any, module: nn.Module, loss: Tensor) -> float | Tensor:
        """Update the weights of a module; return the norm of their gradients before clipping."""
        optimizer.zero_grad()
        self.accelerator.backward(loss)
        norm = self.accelerator.clip_grad_norm_(module.parameters(), self.options.max_grad_norm)
        optimizer.step()
        return norm

    def _log(self, step: int, metrics: Metrics) -> Metrics:
        values = torch.tensor([float(value) for value in metrics.values()])
        means = self.accelerator.reduce(values.to(self.accelerator.device), "mean").tolist()
        averaged = dict(zip(metrics, means, strict=True))
        self.run.log(step, averaged)
        return {"loss": averaged["loss"]}

    def _evaluate(self, step: int, metrics: Metrics) -> None:
        if self.held_out is not None and self.accelerator.is_main_process:
            self.run.log(step, self.evaluate(self.held_out))
        self.accelerator.wait_for_everyone()

    def _save(self, step: int, metrics: Metrics) -> None:
        self.run.save(step, self.state())
        self.run.publish(self.export, self.name)

    def _out_of_time(self) -> bool:
        """Whether ``max_minutes`` have passed in any process."""
        minutes = self.options.max_minutes
        late = minutes is not None and time.monotonic() - self._began > 60 * minutes
        any_late = torch.tensor(float(late), device=self.accelerator.device)
        return bool(self.accelerator.reduce(any_late, "sum") > 0)


def learning_rate(options: WaveformTrainingOptions, step: int) -> float:
    """The learning rate of a step: linear warm-up, with an exponential or a cosine decay."""
    peak, warmup_steps = options.learning_rate, options.warmup_steps
    if options.schedule == "cosine":
        return cosine_rate(step, peak=peak, steps=options.steps, warmup_steps=warmup_steps)
    decay = options.decay_rate ** (step / options.decay_steps)
    return peak * warmup(step, warmup_steps) * decay


def make_accelerator(options: WaveformRunOptions) -> Any:
    """The ``Accelerator`` of accelerate, with the precision and the tracker of a run."""
    accelerate = require("accelerate", "train")
    tracker: dict[str, Any] = {}
    if options.report_to != "none":
        require(options.report_to, "train")
        tracker = {"log_with": options.report_to, "project_dir": options.out}
    accelerator = accelerate.Accelerator(mixed_precision=options.mixed_precision, **tracker)
    if options.mixed_precision == "bf16" and accelerator.device.type == "cpu":
        warn_of_slow_bfloat16("--mixed-precision no")
    return accelerator


__all__ = ["WaveformTrainer", "learning_rate"]

"""The frame of a training run on waveforms: schedule, exact checkpoints, metrics, the clock.

Knows neither codec nor teacher: a run hands in the state to keep and gets it back.
"""

from __future__ import annotations

import json
import logging
import math
import re
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..files import new_directory, write_files
from ..optional import require
from .codec.options import FREE_ON_RESUME, WaveformTrainingOptions
from .options import RESOLVED_FILE, dump_options, read_yaml, resolved_values

logger = logging.getLogger(__name__)

STATE_FILE, METRICS_FILE = "state.pt", "metrics.jsonl"


def learning_rate(options: WaveformTrainingOptions, step: int) -> float:
    """The learning rate of one step: linear warm-up times the exponential or cosine schedule."""
    warm = min(1.0, (step + 1) / options.warmup_steps) if options.warmup_steps else 1.0
    if options.schedule == "cosine":
        shape = 0.5 * (1 + math.cos(math.pi * min(1.0, step / options.steps)))
    else:
        shape = options.decay_rate ** (step / options.decay_steps)
    return options.learning_rate * warm * shape


def make_optimizer(module: nn.Module, options: WaveformTrainingOptions) -> torch.optim.AdamW:
    """AdamW with X-Codec's betas over the parameters that train."""
    trained = [weight for weight in module.parameters() if weight.requires_grad]
    return torch.optim.AdamW(trained, lr=options.learning_rate, betas=(0.8, 0.99), eps=1e-6)


class WaveformRun:
    """A run in ``options.out``: its position, its checkpoints, its log.

    Args:
        options: of the run.
        accelerator: of the run; files are written by the main process.
    Raises:
        ValueError: if the folder holds a run with other options, or options name no data or no
            folder.
    """

    def __init__(self, options: WaveformTrainingOptions, accelerator: Any) -> None:
        options.require_paths()
        self.options, self.accelerator = options, accelerator
        self.directory = Path(options.out)
        self._began = time.monotonic()
        self._check_options()
        if accelerator.is_main_process:
            write_files({self.directory / RESOLVED_FILE: dump_options([options]).encode()})
        if options.report_to != "none":
            accelerator.init_trackers(self.directory.name)
        accelerator.wait_for_everyone()

    def _check_options(self) -> None:
        path = self.directory / RESOLVED_FILE
        if not path.is_file() or self.newest() is None:
            return
        before, now = read_yaml(path), resolved_values([self.options])
        free = set(FREE_ON_RESUME)
        if self.options.schedule == "cosine":
            free.discard("steps")
        changed = sorted(name for name in now if name not in free and before.get(name) != now[name])
        if changed:
            differences = ", ".join(
                f"{name} {before.get(name)!r} -> {now[name]!r}" for name in changed
            )
            raise ValueError(
                f"{self.directory} holds a run with other options ({differences}): set them back "
                "or give a new --out"
            )

    def newest(self) -> Path | None:
        """The newest complete checkpoint, or None."""
        found = self.directory.glob("checkpoint-*") if self.directory.is_dir() else []
        numbered = [path for path in found if re.fullmatch(r"checkpoint-\d+", path.name)]
        return max(numbered, key=lambda path: int(path.name.split("-")[1]), default=None)

    def resume(self) -> tuple[int, dict[str, Any] | None]:
        """Steps done and the state kept after them; (0, None) for a new run. The log is cut to
        these steps.
        """
        checkpoint = self.newest()
        done = 0 if checkpoint is None else int(checkpoint.name.split("-")[1])
        if self.accelerator.is_main_process:
            self._cut_log(done)
        self.accelerator.wait_for_everyone()
        if checkpoint is None:
            return 0, None
        logger.info("resuming from %s", checkpoint)
        return done, torch.load(checkpoint / STATE_FILE, map_location="cpu", weights_only=True)

    def save(self, step: int, state: Mapping[str, Any]) -> None:
        """Write a checkpoint, whole or not at all, then remove the oldest ones.

        Args:
            step: steps done.
            state: tensors, numbers and containers of them.
        Raises:
            OSError: if the disk is full; older checkpoints are kept then.
        """
        target = self.directory / f"checkpoint-{step}"
        if self.accelerator.is_main_process and not target.exists():
            with new_directory(target) as temporary:
                torch.save(dict(state), temporary / STATE_FILE)
            numbered = sorted(
                self.directory.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1])
            )
            for old in numbered[: -self.options.keep_checkpoints]:
                shutil.rmtree(old)
        self.accelerator.wait_for_everyone()

    def publish(self, export: Callable[[Path], None], name: str) -> Path:
        """Write the model for use to ``out/name``, in place of an earlier one."""
        target = self.directory / name
        if self.accelerator.is_main_process:
            fresh = self.directory / f".{name}.new"
            shutil.rmtree(fresh, ignore_errors=True)
            with new_directory(fresh) as temporary:
                export(temporary)
            shutil.rmtree(target, ignore_errors=True)
            fresh.rename(target)
        self.accelerator.wait_for_everyone()
        return target

    def log(self, step: int, metrics: Mapping[str, float | Tensor]) -> None:
        """Append one line to the log and tell the tracker.

        Raises:
            ValueError: if a number is NaN or infinite; the checkpoints written before are kept.
        """
        values = {name: float(value) for name, value in metrics.items()}
        wrong = sorted(name for name, value in values.items() if not math.isfinite(value))
        if wrong:
            raise ValueError(
                f"step {step}: {', '.join(wrong)} not finite; the last checkpoint is kept: lower "
                "--learning-rate, or "
                "look for broken sounds in the data"
            )
        if self.accelerator.is_main_process:
            with (self.directory / METRICS_FILE).open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": step, **values}) + "\n")
        if self.options.report_to != "none":
            self.accelerator.log(values, step=step)

    def averaged(self, metrics: Mapping[str, float | Tensor]) -> dict[str, float]:
        """The mean of each number over processes; every process must call it."""
        values = torch.tensor(
            [float(value) for value in metrics.values()], device=self.accelerator.device
        )
        means = self.accelerator.reduce(values, "mean").tolist()
        return dict(zip(metrics, means, strict=True))

    @property
    def out_of_time(self) -> bool:
        """Whether ``max_minutes`` are over."""
        minutes = self.options.max_minutes
        return minutes is not None and time.monotonic() - self._began > 60 * minutes

    def _cut_log(self, done: int) -> None:
        path = self.directory / METRICS_FILE
        if not path.is_file():
            return
        text = path.read_text(encoding="utf-8")
        lines = [line for line in text.splitlines() if line.endswith("}")]
        kept = [line for line in lines if json.loads(line)["step"] <= done]
        write_files({path: "".join(f"{line}\n" for line in kept).encode()})


def make_accelerator(options: WaveformTrainingOptions) -> Any:
    """accelerate's ``Accelerator`` for these options."""
    accelerate = require("accelerate", "train")
    tracked: dict[str, Any] = {}
    if options.report_to != "none":
        require(options.report_to, "train")
        tracked = {"log_with": options.report_to, "project_dir": options.out}
    return accelerate.Accelerator(mixed_precision=options.mixed_precision, **tracked)


__all__ = ["METRICS_FILE", "WaveformRun", "learning_rate", "make_accelerator", "make_optimizer"]

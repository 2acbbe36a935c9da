"""The training loop of the codec, the semantic teacher, the conditioner and the judges.

:func:`run_steps` calls a function for every step and, at regular intervals, the actions that log,
evaluate and save. :class:`RunFolder`, or :func:`save_state`, keeps what a run needs to continue
after an interruption. Nothing here depends on models or data. The song models are trained by the
``Trainer`` of transformers instead, see ``language_model/song_trainer.py``.
"""

from __future__ import annotations

import io
import json
import logging
import math
import re
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers.utils.logging import tqdm

from ..files import new_directory, write_files
from .option_parsing import RESOLVED_FILE, check_unchanged, dump_options, read_yaml, resolved_values

logger = logging.getLogger(__name__)

STATE_FILE, METRICS_FILE = "state.pt", "metrics.jsonl"
Metrics = Mapping[str, Any]
"""Name of a metric -> its value, a number or a scalar tensor."""


class Action(NamedTuple):
    """An action that a run takes at regular intervals and after its last step.

    Args:
        every: interval in steps.
        call: called with the number of completed steps and the metrics of the last one; the numbers
            that it returns, if any, are shown beside the progress bar.
    """

    every: int
    call: Callable[[int, Metrics], Mapping[str, float] | None]


def run_steps(
    train_step: Callable[[int], Metrics],
    *,
    steps: int,
    done: int = 0,
    name: str,
    actions: Sequence[Action] = (),
    should_stop: Callable[[], bool] = lambda: False,
    show_progress: bool = True,
) -> None:
    """Take the remaining steps of a run.

    Args:
        train_step: takes the step with the given number, counted from 0, and returns its metrics.
        steps: number of steps of the whole run, of which ``done`` are completed already.
        name: label of the progress bar.
        actions: actions to take after a step, in this order.
        should_stop: called after every step; True makes that step the last one.
        show_progress: show the progress bar.
    """
    with tqdm(total=steps, initial=done, desc=name, disable=not show_progress) as bar:
        for step in range(done, steps):
            metrics = train_step(step)
            bar.update()
            stopping = should_stop()
            last = stopping or step + 1 == steps
            for action in actions:
                if last or (step + 1) % action.every == 0:
                    if shown := action.call(step + 1, metrics):
                        bar.set_postfix({k: f"{v:.3f}" for k, v in shown.items()}, refresh=False)
            if stopping:
                break


def warmup(step: int, warmup_steps: int) -> float:
    """The factor of the learning rate during warm-up, which rises linearly to 1."""
    return min(1.0, (step + 1) / max(1, warmup_steps))


def cosine_rate(step: int, *, peak: float, steps: int, warmup_steps: int) -> float:
    """The learning rate of a step: linear warm-up to ``peak``, then a cosine to zero."""
    decay = 0.5 * (1 + math.cos(math.pi * min(1.0, step / steps)))
    return peak * warmup(step, warmup_steps) * decay


def set_learning_rate(rate: float, *optimizers: Any) -> None:
    """Set the learning rate of all parameter groups, times the ``rate_factor`` of a group."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = rate * group.get("rate_factor", 1.0)


def optimizer_step(optimizer: torch.optim.Optimizer, loss: Tensor, *, max_norm: float) -> None:
    """Update the weights of an optimizer, with the norm of their gradients clipped.

    Raises:
        ValueError: if the norm is NaN or infinite.
    """
    optimizer.zero_grad()
    loss.backward()
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    norm = nn.utils.clip_grad_norm_(weights, max_norm)
    if not torch.isfinite(norm):
        raise ValueError(f"the norm of the gradients is {norm}; lower the learning rate")
    optimizer.step()


class RunFolder:
    """The folder of a run: resolved options, checkpoints and a log of metrics.

    Args:
        directory: the folder, with or without an earlier part of the run.
        options: dataclass of the options, written to ``training.yaml``.
        accelerator: an ``accelerate.Accelerator``; its main process writes the files.
        free: names of options that may differ when the run is resumed; None for all of them.
        keep_checkpoints: number of checkpoints to keep, the newest ones.
        track: send metrics to the accelerator's tracker, too.
    Raises:
        ValueError: if the folder holds a run with other options.
    """

    def __init__(
        self,
        directory: Path | str,
        options: Any,
        accelerator: Any,
        *,
        free: Collection[str] | None = (),
        keep_checkpoints: int = 2,
        track: bool = False,
    ) -> None:
        self.directory, self.accelerator = Path(directory), accelerator
        self.keep_checkpoints, self.track = keep_checkpoints, track
        resolved = self.directory / RESOLVED_FILE
        if free is not None and resolved.is_file() and self._checkpoints():
            check_unchanged(
                read_yaml(resolved),
                resolved_values([options]),
                free=free,
                run=self.directory,
                remedy="choose another --out, or pass --allow-changed-options",
            )
        if accelerator.is_main_process:
            write_files({resolved: dump_options([options]).encode()})
        if track:
            accelerator.init_trackers(self.directory.name)
        accelerator.wait_for_everyone()

    def _checkpoints(self) -> list[tuple[int, Path]]:
        """Number of steps and folder of every complete checkpoint, oldest first."""
        found = self.directory.glob("checkpoint-*") if self.directory.is_dir() else []
        complete = [path for path in found if re.fullmatch(r"checkpoint-\d+", path.name)]
        return sorted((int(path.name.rpartition("-")[2]), path) for path in complete)

    def resume(self) -> tuple[int, dict[str, Any] | None]:
        """Read the newest checkpoint and remove the metrics of later steps from the log.

        Returns:
            The number of completed steps and the state that :meth:`save` was given; (0, None) for a
            new run.
        """
        checkpoints = self._checkpoints()
        done = checkpoints[-1][0] if checkpoints else 0
        log = self.directory / METRICS_FILE
        if self.accelerator.is_main_process and log.is_file():
            lines = log.read_text(encoding="utf-8").splitlines()
            complete = [line for line in lines if line.endswith("}")]
            kept = [line for line in complete if json.loads(line)["step"] <= done]
            write_files({log: "".join(f"{line}\n" for line in kept).encode()})
        self.accelerator.wait_for_everyone()
        if not checkpoints:
            return 0, None
        path = checkpoints[-1][1] / STATE_FILE
        logger.info("resuming from %s", path)
        return done, torch.load(path, map_location="cpu", weights_only=True)

    def save(self, step: int, state: Mapping[str, Any]) -> None:
        """Write a checkpoint, then remove the oldest ones.

        Args:
            step: number of completed steps.
            state: tensors, numbers and containers of them.
        Raises:
            OSError: if it cannot be written; nothing is written then, and earlier checkpoints stay.
        """
        target = self.directory / f"checkpoint-{step}"
        if self.accelerator.is_main_process and not target.exists():
            with new_directory(target) as temporary:
                torch.save(dict(state), temporary / STATE_FILE)
            for _, old in self._checkpoints()[: -self.keep_checkpoints]:
                shutil.rmtree(old)
        self.accelerator.wait_for_everyone()

    def publish(self, export: Callable[[Path], None], name: str) -> Path:
        """Let ``export`` write the trained model to the subfolder ``name``, over an earlier one."""
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

    def log(self, step: int, metrics: Metrics) -> None:
        """Append a line to the log, and send it to the tracker if there is one.

        Raises:
            ValueError: if a number is NaN or infinite; checkpoints written before are kept.
        """
        values = {name: float(value) for name, value in metrics.items()}
        wrong = sorted(name for name, value in values.items() if not math.isfinite(value))
        if wrong:
            raise ValueError(
                f"step {step}: {', '.join(wrong)} not finite; the last checkpoint is kept: lower "
                "--learning-rate, or look for broken sounds in the data"
            )
        if self.accelerator.is_main_process:
            with (self.directory / METRICS_FILE).open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": step, **values}) + "\n")
        if self.track:
            self.accelerator.log(values, step=step)


def load_state(
    path: Path, options: Mapping[str, Any], *, free: Collection[str] = ()
) -> dict[str, Any] | None:
    """The state that :func:`save_state` wrote, and ``step``; None if there is no file.

    Raises:
        ValueError: if the run had other options; those in ``free`` may differ.
    """
    if not path.is_file():
        return None
    state = torch.load(path, weights_only=True)
    saved, remedy = state["options"], "choose another --out"
    check_unchanged(saved, options, free=free, run=path, remedy=remedy)
    return state


def save_state(path: Path, options: Mapping[str, Any], step: int, state: Mapping[str, Any]) -> None:
    """Write the options of a run and its state after ``step`` steps to a single file.

    Raises:
        OSError: if it cannot be written; an earlier file stays then.
    """
    buffer = io.BytesIO()
    torch.save({"options": dict(options), "step": step, **state}, buffer)
    write_files({path: buffer.getvalue()})


__all__ = [
    "METRICS_FILE",
    "Action",
    "Metrics",
    "RunFolder",
    "cosine_rate",
    "load_state",
    "optimizer_step",
    "run_steps",
    "save_state",
    "set_learning_rate",
    "warmup",
]

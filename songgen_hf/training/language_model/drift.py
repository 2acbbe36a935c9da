"""Stops the training of an adapter before the model forgets what it knew.

The drift is the mean Kullback-Leibler divergence, in nats a code, of the adapted model's
distributions from those of the base model on songs of the evaluation split: 0 for an untrained
adapter. An adapter that is trained on a few songs for too long drifts without limit, while the loss
on its own songs keeps falling.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ...modeling.patterns import IGNORED_LABEL
from ...modeling.processing_songgen import SongGenProcessor
from .collator import SongCollator
from .dataset import SongDataset

MAX_SONGS = 8
"""Number of songs that the drift is measured on."""


class DriftLimit(TrainerCallback):
    """Measures the drift at each evaluation, and stops the training above a limit.

    Args:
        songs: songs to measure on, of which the first ``MAX_SONGS`` are used.
        processor: processor of the model.
        limit: largest drift in nats a code.
    """

    def __init__(self, songs: SongDataset, processor: SongGenProcessor, limit: float):
        self.songs, self.processor, self.limit = songs, processor, limit

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Train no further in a resumed run that was stopped by this limit."""
        drifts = [entry["eval_drift"] for entry in state.log_history if "eval_drift" in entry]
        if drifts and drifts[-1] > self.limit:
            control.should_training_stop = True

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: Any = None,
        metrics: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Measure the drift, log it, and stop the training above the limit."""
        if model is None:
            return
        drift = measure_drift(getattr(model, "module", model), self.songs, self.processor)
        state.log_history.append({"step": state.global_step, "eval_drift": drift})
        if metrics is not None:
            metrics["eval_drift"] = drift
        if drift > self.limit:
            control.should_training_stop = True


@torch.no_grad()
def measure_drift(adapted: Any, songs: SongDataset, processor: SongGenProcessor) -> float:
    """Measure how far an adapted model is from its base.

    Args:
        adapted: a ``peft.PeftModel``.
        songs: songs to measure on, of which the first ``MAX_SONGS`` are used.
        processor: processor of the model.
    Returns:
        Mean divergence in nats a code.
    """
    collate = SongCollator(adapted.config, processor)
    training = adapted.training
    adapted.eval()
    total, count = 0.0, 0
    try:
        for index in range(min(MAX_SONGS, len(songs))):
            batch = collate([songs[index]])
            inputs = {
                name: value.to(adapted.device)
                for name, value in batch.items()
                if name not in ("lyrics_labels", "frame_labels")
            }
            ours = _log_probabilities(adapted, inputs)
            with adapted.disable_adapter():
                base = _log_probabilities(adapted, inputs)
            each = F.kl_div(base, ours, log_target=True, reduction="none").sum(dim=-1)
            counted = inputs["labels"].transpose(1, 2) != IGNORED_LABEL
            total += float(each[counted].sum())
            count += int(counted.sum())
    finally:
        adapted.train(training)
    return total / max(1, count)


def _log_probabilities(model: Any, inputs: dict[str, Tensor]) -> Tensor:
    """Log probabilities [B, rows, L, V] of the labels' steps."""
    length = inputs["labels"].shape[1]
    logits = model(**inputs).logits.unflatten(0, (len(inputs["labels"]), -1))
    return logits[:, :, -length:].float().log_softmax(dim=-1)


__all__ = ["DriftLimit", "measure_drift"]

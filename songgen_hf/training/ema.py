"""Exponential moving average of the trained weights."""

from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

EMA_FILE = "ema.safetensors"


class WeightAverage:
    """The moving average of a model's trainable weights in float32.

    Args:
        model: the model; the average starts from its weights.
        decay: decay of one update, 0 <= decay < 1. The n-th update uses (1 + n) / (10 + n) where
            that is less, so that the initial weights lose their influence soon.
    """

    def __init__(self, model: nn.Module, decay: float):
        self.decay = decay
        self.updates = 0
        self.average = {
            name: weight.detach().float().clone()
            for name, weight in model.named_parameters()
            if weight.requires_grad
        }

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Update the average with the current weights of the model."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        weights = dict(model.named_parameters())
        for name, average in self.average.items():
            average.lerp_(weights[name].detach().to(average), 1 - decay)
        self.updates += 1

    @torch.no_grad()
    def copy_to(self, model: nn.Module) -> None:
        """Replace the weights of the model by the average."""
        weights = dict(model.named_parameters())
        for name, average in self.average.items():
            weights[name].copy_(average)

    def save(self, folder: Path) -> None:
        """Write the average to the folder of a checkpoint."""
        metadata = {"updates": str(self.updates)}
        average = {name: weight.contiguous() for name, weight in self.average.items()}
        save_file(average, folder / EMA_FILE, metadata=metadata)

    def load(self, folder: Path) -> None:
        """Read what :meth:`save` wrote.

        Raises:
            ValueError: if the checkpoint has no average, or an average of other weights.
        """
        path = folder / EMA_FILE
        if not path.is_file():
            raise ValueError(f"{folder} holds no {EMA_FILE}: resume with --ema-decay 0")
        with safe_open(path, framework="pt") as file:
            self.updates = int(file.metadata()["updates"])
            loaded = {name: file.get_tensor(name) for name in file.keys()}
        if loaded.keys() != self.average.keys():
            raise ValueError(
                f"{path} averages other weights than those that are trained; resume with the "
                "--freeze of the first start"
            )
        for name, average in self.average.items():
            average.copy_(loaded[name])


__all__ = ["EMA_FILE", "WeightAverage"]

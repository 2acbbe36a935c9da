"""Training of the separator on random mixtures of rendered stems."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...modeling.listening.separator import SeparatorConfig, VocalSeparator
from ..codec.waveform_trainer import WaveformTrainer
from ..optimizers import MuonWithAdamW
from ..resumable_run import Metrics, cosine_rate, set_learning_rate
from ..seeding import seed_from, seeded
from .mixtures import Mixture, Mixtures
from .options import SeparatorTrainingOptions

ERROR_FLOOR = 1e-3  # error relative to the mixture below which a song counts as separated
SILENCE = 1e-12


class SeparatorTrainer(WaveformTrainer):
    """Trains a separator; see :class:`WaveformTrainer`."""

    name = "separator"

    def __init__(self, options: SeparatorTrainingOptions) -> None:
        super().__init__(options)
        config = SeparatorConfig(hidden_size=options.hidden_size, dilations=options.dilations)
        self.rate = config.sampling_rate
        self.num_samples = round(options.crop_seconds * self.rate)
        if self.num_samples < config.window_length:
            raise ValueError(
                f"crop_seconds is {options.crop_seconds}, expected at least "
                f"{config.window_length / self.rate:g}; change --crop-seconds"
            )
        state = self.resume()
        with seeded(seed_from(options.seed)):
            network = VocalSeparator(config)
        optimizer = MuonWithAdamW(network.named_parameters(), options.learning_rate)
        if state is not None:
            network.load_state_dict(state["network"])
            optimizer.load_state_dict(state["optimizer"])
        self.network, self.optimizer = self.accelerator.prepare(network, optimizer)
        self.plain_network: VocalSeparator = self.accelerator.unwrap_model(self.network)
        self.mixtures = Mixtures(options.data, self.rate)
        if options.validation_data is not None:
            drawn = Mixtures(options.validation_data, self.rate).batch(
                options.evaluation_crops,
                self.num_samples,
                self.plain_network.spectrum_of,
                seed=options.seed,
                step=0,
                augment=False,
            )
            self.held_out = torch.stack(drawn, dim=1)

    def train_step(self, step: int) -> dict[str, float | Tensor]:
        """Take one step."""
        options = self.options
        rate = cosine_rate(
            step,
            peak=options.learning_rate,
            steps=options.steps,
            warmup_steps=options.warmup_steps,
        )
        set_learning_rate(rate, self.optimizer)
        drawn = self.mixtures.batch(
            options.batch_size,
            self.num_samples,
            self.plain_network.spectrum_of,
            seed=options.seed,
            step=step,
            first=self.accelerator.process_index * options.batch_size,
        )
        self.network.train()
        loss = self._loss(self.network, drawn)
        norm = self.update(self.optimizer, self.network, loss)
        return {"loss": loss.detach(), "gradient_norm": norm, "learning_rate": rate}

    def _loss(self, network: Any, drawn: Mixture) -> Tensor:
        mixture, vocal = (spectrum.to(self.accelerator.device) for spectrum in drawn)
        return separation_error(network(mixture), Mixture(mixture, vocal))

    @torch.no_grad()
    def evaluate(self, spectra: Tensor) -> Metrics:
        """The error of held-out songs, complex64 [N, 2, F, T]: mixtures and vocals."""
        self.plain_network.eval()
        return {"validation_loss": self._loss(self.plain_network, Mixture(*spectra.unbind(1)))}

    def state(self) -> dict[str, Any]:
        """Network and optimizer."""
        return {
            "network": self.plain_network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def export(self, directory: Path) -> None:
        """Write the network as ``VocalSeparator.from_pretrained`` reads it."""
        self.plain_network.save_pretrained(directory)


def separation_error(mask: Tensor, drawn: Mixture) -> Tensor:
    """The energy of the error of both stems, which have the same, relative to the mixture in dB.

    Args:
        mask: [B, F, T] of the vocal.
        drawn: the mixtures.
    Returns:
        The mean over the mixtures, at least -30 dB, a scalar.
    """
    error = (drawn.vocal - mask * drawn.mixture).abs().square().sum(dim=(1, 2))
    energy = drawn.mixture.abs().square().sum(dim=(1, 2)) + SILENCE
    return 10 * (error / energy + ERROR_FLOOR).log10().mean()


def train_separator(options: SeparatorTrainingOptions) -> Path:
    """Train a separator, or resume the run in ``options.out``.

    Returns:
        Folder of the network, as ``VocalSeparator.from_pretrained`` and
        ``prepare separate --separator`` read it.
    Raises:
        ValueError: for options that do not fit the data or an earlier run in the folder.
        OSError: if data or a checkpoint cannot be read.
        ImportError: if the training extra is missing.
    """
    return SeparatorTrainer(options).train()


__all__ = ["SeparatorTrainer", "separation_error", "train_separator"]

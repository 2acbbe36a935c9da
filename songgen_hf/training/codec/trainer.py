"""Training of the codec: in each step one forward pass, the discriminator's update, the codec's.

This is X-Codec's published recipe with the errors of its script corrected: the whole batch is used,
the codebooks move once a step, the teacher stays in evaluation mode, the commitment loss reaches
the encoder from every codebook, and crops are multiples of the hop.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..resumable_run import Metrics, set_learning_rate
from ..seeding import seed_from, seeded
from .discriminator import (
    Judgment,
    MultiFrequencyDiscriminator,
    adversarial_loss,
    discriminator_loss,
    feature_matching_loss,
)
from .evaluation import evaluate_codec
from .objective import CodecObjective, count_of_step, new_codec
from .options import CodecTrainingOptions
from .waveform_trainer import WaveformTrainer, learning_rate


class CodecTrainer(WaveformTrainer):
    """Trains a codec against a discriminator; see :class:`WaveformTrainer`."""

    name = "codec"

    def __init__(self, options: CodecTrainingOptions) -> None:
        super().__init__(options)
        codec = new_codec(options)
        self.open_data(codec.config.sampling_rate, codec.config.hop_length)
        objective = CodecObjective(codec, options, label_sizes=self.label_sizes())
        if options.codec is None:
            objective.quantizer.reset()
        with seeded(seed_from(f"{options.seed}/discriminator")):
            discriminator = MultiFrequencyDiscriminator(
                codec.config.sampling_rate,
                hop_lengths=options.discriminator_hops,
                channels=options.discriminator_channels,
                num_mels=options.discriminator_mels,
            )
        state = self.resume()
        if state is not None:
            objective.load_state_dict(state["objective"])
            discriminator.load_state_dict(state["discriminator"])
        optimizers = self.make_optimizer(objective), self.make_optimizer(discriminator)
        if state is not None:
            optimizers[0].load_state_dict(state["optimizer"])
            optimizers[1].load_state_dict(state["discriminator_optimizer"])
        prepared = self.accelerator.prepare(objective, discriminator, *optimizers)
        self.objective, self.discriminator, self.optimizer, self.discriminator_optimizer = prepared
        self.plain_objective: CodecObjective = self.accelerator.unwrap_model(self.objective)
        self.plain_discriminator: nn.Module = self.accelerator.unwrap_model(self.discriminator)

    def train_step(self, step: int) -> dict[str, float | Tensor]:
        """Take one step: a forward pass, the discriminator's update, the codec's update."""
        options = self.options
        rate = learning_rate(self.options, step)
        set_learning_rate(rate, self.optimizer, self.discriminator_optimizer)
        self.objective.train()
        self.discriminator.train()
        waveform, labels = self.labeled_crops(options.batch_size, step=step)
        quantize = options.decoder_only or step >= options.quantizer_start
        if quantize and not self.plain_objective.quantizer.started:
            self._start_codebooks()

        count = count_of_step(options.codebook_counts, seed=options.seed, step=step)
        result = self.objective(
            waveform,
            num_codebooks=count,
            seed=options.seed + 1000 * step,
            quantize=quantize,
            frame_labels=labels,
        )
        metrics: dict[str, float | Tensor] = {"learning_rate": rate, **result.metrics}
        loss = self.plain_objective.weighted(result.losses)
        if step >= options.discriminator_start:
            metrics["discriminator"] = self._train_discriminator(waveform, result.waveform.detach())
            losses = self._adversarial_losses(waveform, result.waveform)
            loss = loss + options.adversarial_weight * losses["adversarial"]
            loss = loss + options.feature_weight * losses["feature"]
            result.losses |= losses
        metrics["gradient_norm"] = self.update(self.optimizer, self.plain_objective, loss)
        metrics |= {"loss": loss.detach()} | {
            name: value.detach() for name, value in result.losses.items()
        }
        return metrics

    def _train_discriminator(self, real: Tensor, decoded: Tensor) -> Tensor:
        # One call for both waveforms: DDP expects one forward pass for each backward pass.
        loss = discriminator_loss(*_halves(self.discriminator(torch.cat([real, decoded]))))
        self.update(self.discriminator_optimizer, self.plain_discriminator, loss)
        return loss.detach()

    def _adversarial_losses(self, real: Tensor, decoded: Tensor) -> dict[str, Tensor]:
        self.plain_discriminator.requires_grad_(False)
        with torch.no_grad():
            expected = self.plain_discriminator(real)
        judged = self.plain_discriminator(decoded)
        self.plain_discriminator.requires_grad_(True)
        return {
            "adversarial": adversarial_loss(judged),
            "feature": feature_matching_loss(expected, judged),
        }

    def _start_codebooks(self) -> None:
        options = self.options
        # A step number beyond the last step, so that no training step uses the same crops.
        waveforms = self.crops(options.kmeans_crops, step=2**40)
        vectors = options.batch_size * options.crop_frames * self.accelerator.num_processes
        self.plain_objective.start_codebooks(waveforms, seed=options.seed, vectors_per_step=vectors)

    def evaluate(self, waveforms: Tensor) -> Metrics:
        """Distances of decoded waveforms at every bandwidth, and the usage of the codebooks."""
        return evaluate_codec(self.plain_objective.codec, waveforms)

    def state(self) -> dict[str, Any]:
        """Weights and optimizers of the codec and the discriminator."""
        return {
            "objective": self.plain_objective.state_dict(),
            "discriminator": self.plain_discriminator.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "discriminator_optimizer": self.discriminator_optimizer.state_dict(),
        }

    def export(self, directory: Path) -> None:
        """Write the codec as ``XCodecModel.from_pretrained`` reads it."""
        self.plain_objective.export(directory)


def _halves(judgments: list[Judgment]) -> tuple[list[Judgment], list[Judgment]]:
    """Split judgments of a batch [real, decoded] into those of each half."""
    halves: tuple[list[Judgment], list[Judgment]] = ([], [])
    for judgment in judgments:
        scores = judgment.score.chunk(2)
        features = [feature.chunk(2) for feature in judgment.features]
        for index, half in enumerate(halves):
            half.append(Judgment(scores[index], [pair[index] for pair in features]))
    return halves


def train_codec(options: CodecTrainingOptions) -> Path:
    """Train a codec, or resume the run in ``options.out``.

    Returns:
        Folder of the codec, as ``XCodecModel.from_pretrained`` reads it.
    Raises:
        ValueError: for options that do not fit the data, the codec or an earlier run; for a loss
            that is not finite.
        OSError: if something cannot be read or written.
        ImportError: if the training extra is missing.
    """
    return CodecTrainer(options).train()


__all__ = ["CodecTrainer", "train_codec"]

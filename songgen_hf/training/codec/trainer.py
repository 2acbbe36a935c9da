"""Train the codec: in each iteration one pass, the discriminator's step, the codec's step.

X-Codec's published recipe, with what was wrong in its script set right: the whole batch is used,
the codebooks move once an iteration, the teacher stays in evaluation mode, commitment reaches the
encoder from every codebook, crops are multiples of the hop. Runs under ``accelerate launch``; a run
resumed from its folder equals one never stopped.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from ..resumable_run import WaveformRun, learning_rate, make_accelerator, make_optimizer
from .discriminator import (
    Judgment,
    MultiFrequencyDiscriminator,
    adversarial_loss,
    discriminator_loss,
    feature_matching_loss,
)
from .evaluation import evaluate_codec
from .objective import CodecObjective, count_of_step, new_codec, seeded
from .options import CodecTrainingOptions
from .waveform_crops import WaveformCrops

CODEC_FOLDER = "codec"


class CodecTrainer:
    """A codec in training.

    Args:
        options: of the run.
    Raises:
        ValueError: for options that do not fit the data, the codec or an earlier run in the folder.
        OSError: if data or a checkpoint cannot be read.
        ImportError: if the training extra is missing.
    """

    def __init__(self, options: CodecTrainingOptions) -> None:
        self.options = options
        self.accelerator = make_accelerator(options)
        self.run = WaveformRun(options, self.accelerator)
        codec = new_codec(options)
        self.num_samples = options.crop_frames * codec.config.hop_length
        rate = codec.config.sampling_rate
        self.data = WaveformCrops(options.data, rate, columns=options.columns)
        self.held_out: Tensor | None = None
        if options.validation_data is not None:
            crops = WaveformCrops(options.validation_data, rate, columns=options.columns)
            self.held_out = crops.batch(
                options.evaluation_crops, self.num_samples, seed=options.seed, step=0
            )

        objective = CodecObjective(codec, options)
        if options.codec is None:
            objective.quantizer.reset()
        with seeded(f"{options.seed}/discriminator"):
            discriminator = MultiFrequencyDiscriminator(
                rate,
                hop_lengths=options.discriminator_hops,
                channels=options.discriminator_channels,
                num_mels=options.discriminator_mels,
            )
        self.step, state = self.run.resume()
        if state is not None:
            objective.load_state_dict(state["objective"])
            discriminator.load_state_dict(state["discriminator"])
        optimizers = make_optimizer(objective, options), make_optimizer(discriminator, options)
        if state is not None:
            optimizers[0].load_state_dict(state["optimizer"])
            optimizers[1].load_state_dict(state["discriminator_optimizer"])
        prepared = self.accelerator.prepare(objective, discriminator, *optimizers)
        self.objective, self.discriminator, self.optimizer, self.discriminator_optimizer = prepared
        self.plain_objective: CodecObjective = self.accelerator.unwrap_model(self.objective)
        self.plain_discriminator: nn.Module = self.accelerator.unwrap_model(self.discriminator)

    @property
    def codec(self) -> Any:
        """The codec, under weight norm."""
        return self.plain_objective.codec

    def train(self) -> Path:
        """Train to the last step or the last minute; return the folder of the codec."""
        options, run = self.options, self.run
        bar = tqdm(
            total=options.steps,
            initial=self.step,
            desc="codec",
            disable=not self.accelerator.is_main_process,
        )
        with bar:
            if self.step == 0:
                self._evaluate()
            while self.step < options.steps:
                metrics: Mapping[str, float | Tensor] = self.train_step()
                self.step += 1
                bar.update()
                last = self.step == options.steps
                stopping = self._should_stop()
                if self.step % options.log_every == 0 or last or stopping:
                    metrics = run.averaged(metrics)
                    run.log(self.step, metrics)
                    bar.set_postfix(loss=f"{metrics['loss']:.3f}")
                if self.step % options.evaluate_every == 0 or last or stopping:
                    self._evaluate()
                if self.step % options.save_every == 0 or last or stopping:
                    run.save(self.step, self._state())
                    run.publish(self.plain_objective.export, CODEC_FOLDER)
                if stopping:
                    break
        folder = run.publish(self.plain_objective.export, CODEC_FOLDER)
        # Only now: it ends the process group, which publishing waits for.
        self.accelerator.end_training()
        return folder

    def train_step(self) -> dict[str, float | Tensor]:
        """One iteration: a pass, the discriminator's step, the codec's step."""
        options, step = self.options, self.step
        rate = learning_rate(options, step)
        for optimizer in (self.optimizer, self.discriminator_optimizer):
            for group in optimizer.param_groups:
                group["lr"] = rate
        self.objective.train()
        self.discriminator.train()
        place = self.accelerator.process_index * options.batch_size
        waveform = self._crops(options.batch_size, seed=options.seed, step=step, first=place)
        quantize = options.decoder_only or step >= options.quantizer_start
        if quantize and not self.plain_objective.quantizer.started:
            self._start_codebooks()

        count = count_of_step(options.codebook_counts, seed=options.seed, step=step)
        result = self.objective(
            waveform, num_codebooks=count, seed=options.seed + 1000 * step, quantize=quantize
        )
        metrics: dict[str, float | Tensor] = {"learning_rate": rate}
        loss = self.plain_objective.weighted(result.losses)
        if step >= options.discriminator_start:
            metrics["discriminator"] = self._train_discriminator(waveform, result.waveform.detach())
            losses = self._adversarial_losses(waveform, result.waveform)
            loss = loss + options.adversarial_weight * losses["adversarial"]
            loss = loss + options.feature_weight * losses["feature"]
            result.losses |= losses
        metrics["gradient_norm"] = self._step(self.optimizer, self.plain_objective, loss)
        metrics |= {"loss": loss.detach()} | {
            name: value.detach() for name, value in result.losses.items()
        }
        return metrics

    def _step(self, optimizer: Any, module: nn.Module, loss: Tensor) -> float | Tensor:
        optimizer.zero_grad()
        self.accelerator.backward(loss)
        norm = self.accelerator.clip_grad_norm_(module.parameters(), self.options.max_grad_norm)
        optimizer.step()
        return norm

    def _train_discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
        # One call for both: distributed training wants one forward for one backward.
        loss = discriminator_loss(*_halves(self.discriminator(torch.cat([real, fake]))))
        self._step(self.discriminator_optimizer, self.plain_discriminator, loss)
        return loss.detach()

    def _adversarial_losses(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        self.plain_discriminator.requires_grad_(False)
        with torch.no_grad():
            seen = self.plain_discriminator(real)
        judged = self.plain_discriminator(fake)
        self.plain_discriminator.requires_grad_(True)
        return {
            "adversarial": adversarial_loss(judged),
            "feature": feature_matching_loss(seen, judged),
        }

    def _start_codebooks(self) -> None:
        options = self.options
        place = self.accelerator.process_index * options.kmeans_crops
        # Step numbers after the last: crops that no training step sees.
        waveforms = self._crops(options.kmeans_crops, seed=options.seed, step=2**40, first=place)
        vectors = options.batch_size * options.crop_frames * self.accelerator.num_processes
        self.plain_objective.start_codebooks(waveforms, seed=options.seed, vectors_per_step=vectors)

    def _crops(self, count: int, *, seed: int, step: int, first: int) -> Tensor:
        crops = self.data.batch(count, self.num_samples, seed=seed, step=step, first=first)
        return crops.to(self.accelerator.device)

    def _evaluate(self) -> None:
        if self.held_out is not None and self.accelerator.is_main_process:
            self.run.log(self.step, evaluate_codec(self.codec, self.held_out))
        self.accelerator.wait_for_everyone()

    def _should_stop(self) -> bool:
        late = torch.tensor(float(self.run.out_of_time), device=self.accelerator.device)
        return bool(self.accelerator.reduce(late, "sum") > 0)

    def _state(self) -> dict[str, Any]:
        return {
            "objective": self.plain_objective.state_dict(),
            "discriminator": self.plain_discriminator.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "discriminator_optimizer": self.discriminator_optimizer.state_dict(),
        }


def _halves(judgments: list[Judgment]) -> tuple[list[Judgment], list[Judgment]]:
    """Judgments of [real, fake] in one batch -> those of each."""
    sides: tuple[list[Judgment], list[Judgment]] = ([], [])
    for judgment in judgments:
        scores = judgment.score.chunk(2)
        features = [feature.chunk(2) for feature in judgment.features]
        for place, side in enumerate(sides):
            side.append(Judgment(scores[place], [pair[place] for pair in features]))
    return sides


def train_codec(options: CodecTrainingOptions) -> Path:
    """Train a codec, or go on with the run in ``options.out``.

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

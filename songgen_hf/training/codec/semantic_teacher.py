"""Train a small HuBERT by masked prediction: a codec's semantic half, or a voice network.

Frames are hidden in spans; the network says which cluster each hidden frame belongs to. Clusters
are k-means of log mels, or, as X-Codec's paper does for general audio, the codes of the first
codebook of an acoustic codec (train one with ``--no-semantics``). The prediction head is thrown
away; what remains is a ``HubertModel`` folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm
from transformers import HubertConfig, HubertModel

from ...modeling.configuration_xcodec import XCodecConfig
from ...modeling.modeling_xcodec import XCodecModel
from ..resumable_run import WaveformRun, learning_rate, make_accelerator, make_optimizer
from .objective import seeded
from .options import TeacherTrainingOptions
from .teacher_labels import FirstCodebook, LogMelClusters, span_mask
from .waveform_crops import WaveformCrops

TEACHER_FOLDER = "teacher"


class MaskedPrediction(nn.Module):
    """A HuBERT with a head that names the cluster of each masked frame.

    Args:
        model: the network.
        num_targets: clusters.
        visible_weight: of the cross-entropy over frames that are not masked; with none, a small
            network spends thousands of steps before it names anything but the commonest clusters.
    """

    def __init__(
        self, model: HubertModel, num_targets: int, *, visible_weight: float = 0.0
    ) -> None:
        super().__init__()
        self.model, self.visible_weight = model, visible_weight
        self.head = nn.Linear(model.config.hidden_size, num_targets)

    def forward(self, waveforms: Tensor, targets: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The loss, and the part of the masked frames named right.

        Args:
            waveforms: [B, 1, S].
            targets: [B, T] int64.
            mask: [B, T] bool, True = hidden from the network.
        Raises:
            ValueError: if the network has other frames than the targets.
        """
        padded = pad_half_frame(waveforms[:, 0], self.model.config.inputs_to_logits_ratio)
        hidden = self.model(padded, mask_time_indices=mask).last_hidden_state
        if hidden.shape[1] != targets.shape[1]:
            raise ValueError(
                f"the network has {hidden.shape[1]} frames and the targets {targets.shape[1]}: "
                "expected the same; give a baseline codec with the teacher's samples a frame"
            )
        logits = self.head(hidden)
        accuracy = (logits.argmax(dim=-1) == targets)[mask].float().mean()
        loss = F.cross_entropy(logits[mask], targets[mask])
        if self.visible_weight and not mask.all():
            loss = loss + self.visible_weight * F.cross_entropy(logits[~mask], targets[~mask])
        return loss, accuracy


def pad_half_frame(waveforms: Tensor, hop_length: int) -> Tensor:
    """[B, S] -> [B, S + hop]: as the codec hears it, which gives S / hop frames."""
    return F.pad(waveforms, (hop_length // 2, hop_length // 2))


def network_of_preset(preset: str, part: str) -> tuple[HubertConfig, int]:
    """The sizes of a preset's HuBERT and the rate in Hz that it hears.

    Args:
        preset: name of the preset.
        part: ``"semantic"`` for the codec's semantic model, ``"voice"`` for the voice network.
    Raises:
        ValueError: if either is unknown.
    """
    from ...presets.models import build_config

    config = build_config(preset)
    codec = config.audio_encoder
    assert isinstance(codec, XCodecConfig)  # the section's declared class
    networks: dict[str, tuple[Any, int]] = {
        "semantic": (codec.semantic_model_config, codec.sampling_rate),
        "voice": (config.voice_encoder, config.voice_sampling_rate),
    }
    if part not in networks:
        raise ValueError(f"part is {part!r}, expected {' or '.join(networks)}")
    sizes, rate = networks[part]
    return HubertConfig(**sizes.to_dict()), rate


class TeacherTrainer:
    """A teacher in training.

    Args:
        options: of the run.
    Raises:
        ValueError, OSError, ImportError: as :class:`CodecTrainer`.
    """

    def __init__(self, options: TeacherTrainingOptions) -> None:
        self.options = options
        self.accelerator = make_accelerator(options)
        self.run = WaveformRun(options, self.accelerator)
        config, rate = network_of_preset(options.preset, options.part)
        self.hop_length = config.inputs_to_logits_ratio
        rate = options.sampling_rate or rate
        self.num_samples = options.crop_frames * self.hop_length
        self.data = WaveformCrops(options.data, rate, columns=options.columns)
        self.held_out: Tensor | None = None
        if options.validation_data is not None:
            crops = WaveformCrops(options.validation_data, rate, columns=options.columns)
            self.held_out = crops.batch(
                options.evaluation_crops, self.num_samples, seed=options.seed, step=0
            )

        self.step, state = self.run.resume()
        self.targets = self._make_targets(rate, state)
        with seeded(options.seed):
            network = MaskedPrediction(
                HubertModel(config),
                self.targets.num_targets,
                visible_weight=options.visible_weight,
            )
        if state is not None:
            network.load_state_dict(state["network"])
        optimizer = make_optimizer(network, options)
        if state is not None:
            optimizer.load_state_dict(state["optimizer"])
        self.network, self.optimizer = self.accelerator.prepare(network, optimizer)
        self.plain_network: MaskedPrediction = self.accelerator.unwrap_model(self.network)

    def _make_targets(
        self, rate: int, state: dict[str, Any] | None
    ) -> LogMelClusters | FirstCodebook:
        options = self.options
        device = self.accelerator.device
        if options.baseline is not None:
            codec = XCodecModel.from_pretrained(options.baseline)
            if codec.config.sampling_rate != rate:
                raise ValueError(
                    f"the baseline {options.baseline} takes {codec.config.sampling_rate} Hz and "
                    f"the teacher {rate} "
                    "Hz: expected the same; leave --baseline out or train a codec at that rate"
                )
            return FirstCodebook(codec)
        clusters = LogMelClusters(
            rate, self.hop_length, num_mels=options.num_mels, num_clusters=options.num_clusters
        ).to(device)
        if state is not None:
            clusters.load_state_dict(state["targets"])
        else:
            # The same crops in every process, so that all have the same clusters.
            crops = self.data.batch(
                options.kmeans_crops, self.num_samples, seed=options.seed, step=2**40
            )
            clusters.fit(crops.to(device), seed=options.seed)
        return clusters

    def train(self) -> Path:
        """Train to the last step or the last minute; return the folder of the network."""
        options, run = self.options, self.run
        bar = tqdm(
            total=options.steps,
            initial=self.step,
            desc="teacher",
            disable=not self.accelerator.is_main_process,
        )
        with bar:
            if self.step == 0:
                self._evaluate()
            while self.step < options.steps:
                metrics: Mapping[str, float | Tensor] = self.train_step()
                self.step += 1
                bar.update()
                stopping = run.out_of_time
                last = self.step == options.steps or stopping
                if self.step % options.log_every == 0 or last:
                    metrics = run.averaged(metrics)
                    run.log(self.step, metrics)
                    bar.set_postfix(loss=f"{metrics['loss']:.3f}")
                if self.step % options.evaluate_every == 0 or last:
                    self._evaluate()
                if self.step % options.save_every == 0 or last:
                    run.save(self.step, self._state())
                    run.publish(self._export, TEACHER_FOLDER)
                if stopping:
                    break
        folder = run.publish(self._export, TEACHER_FOLDER)
        # Only now: it ends the process group, which publishing waits for.
        self.accelerator.end_training()
        return folder

    def train_step(self) -> dict[str, float | Tensor]:
        """One iteration."""
        options, step = self.options, self.step
        rate = learning_rate(options, step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        place = self.accelerator.process_index * options.batch_size
        waveforms = self.data.batch(
            options.batch_size, self.num_samples, seed=options.seed, step=step, first=place
        )
        self.network.train()
        # Dropout and dropped layers are drawn from the step's own seed: a resumed run draws the
        # same.
        with seeded(f"{options.seed}/{step}/{place}"):
            loss, accuracy = self._predict(self.network, waveforms, step=step, first=place)
        self.optimizer.zero_grad()
        self.accelerator.backward(loss)
        norm = self.accelerator.clip_grad_norm_(self.network.parameters(), options.max_grad_norm)
        self.optimizer.step()
        return {
            "loss": loss.detach(),
            "accuracy": accuracy,
            "gradient_norm": norm,
            "learning_rate": rate,
        }

    def _predict(
        self, network: nn.Module, waveforms: Tensor, *, step: int, first: int
    ) -> tuple[Tensor, Tensor]:
        options = self.options
        waveforms = waveforms.to(self.accelerator.device)
        mask = span_mask(
            len(waveforms),
            options.crop_frames,
            chance=options.mask_chance,
            span=options.mask_frames,
            seed=options.seed,
            step=step,
            first=first,
        )
        return network(waveforms, self.targets(waveforms), mask.to(waveforms.device))

    @torch.no_grad()
    def _evaluate(self) -> None:
        if self.held_out is not None and self.accelerator.is_main_process:
            self.plain_network.eval()
            loss, accuracy = self._predict(self.plain_network, self.held_out, step=2**41, first=0)
            self.run.log(self.step, {"validation_loss": loss, "validation_accuracy": accuracy})
        self.accelerator.wait_for_everyone()

    def _state(self) -> dict[str, Any]:
        return {
            "network": self.plain_network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "targets": self.targets.state_dict(),
        }

    def _export(self, directory: Path) -> None:
        self.plain_network.model.save_pretrained(directory)


def train_teacher(options: TeacherTrainingOptions) -> Path:
    """Train a teacher, or go on with the run in ``options.out``.

    Returns:
        Folder of the network, as ``HubertModel.from_pretrained`` and ``--teacher`` read it.
    Raises:
        ValueError, OSError, ImportError: as :func:`train_codec`.
    """
    return TeacherTrainer(options).train()


__all__ = [
    "MaskedPrediction",
    "TeacherTrainer",
    "network_of_preset",
    "pad_half_frame",
    "train_teacher",
]

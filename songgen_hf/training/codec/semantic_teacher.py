"""Training of a small HuBERT by masked prediction: a codec's semantic model, or a voice network.

Spans of frames are masked, and the network predicts the cluster of each masked frame. The clusters
are k-means of log mels or, as in X-Codec's paper for general audio, the codes of the first codebook
of an acoustic codec (trained with ``--no-semantics``). Where songs have labels of their frames,
linear heads on the mean of the hidden states, which the codec reads, can predict them too: the
phoneme for a semantic model, the singer for a voice network. All heads are discarded; what remains
is a folder of a ``HubertModel``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import HubertConfig, HubertModel

from ...modeling.configuration_xcodec import XCodecConfig
from ...modeling.modeling_xcodec import XCodecModel
from ...presets.models import build_config
from ..auxiliary.frame_labels import FrameLabelHeads
from ..resumable_run import Metrics, set_learning_rate
from ..seeding import seed_from, seeded
from .filter_bank import set_filter_bank
from .options import TeacherTrainingOptions
from .teacher_labels import FirstCodebook, LogMelClusters, span_mask
from .waveform_trainer import WaveformTrainer, learning_rate


class MaskedPrediction(nn.Module):
    """A HuBERT with a head that predicts the cluster of each frame.

    Args:
        model: the network.
        num_clusters: number of clusters.
        visible_weight: weight of the cross-entropy of frames that are not masked. Without it, a
            small network predicts nothing but the commonest clusters for thousands of steps.
        label_sizes: number of classes of each kind of frame label to predict as well.
        label_weight: weight of the loss of these labels.
    """

    def __init__(
        self,
        model: HubertModel,
        num_clusters: int,
        *,
        visible_weight: float = 0.0,
        label_sizes: Mapping[str, int] | None = None,
        label_weight: float = 0.0,
    ) -> None:
        super().__init__()
        self.model, self.visible_weight = model, visible_weight
        self.head = nn.Linear(model.config.hidden_size, num_clusters)
        self.label_weight = label_weight
        self.label_heads = (
            FrameLabelHeads(label_sizes, model.config.hidden_size) if label_sizes else None
        )

    def forward(
        self,
        waveforms: Tensor,
        labels: Tensor,
        mask: Tensor,
        frame_labels: Mapping[str, Tensor] | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, and the ``accuracy`` on masked frames and that of each kind of frame label.

        Args:
            waveforms: [B, 1, S].
            labels: [B, T] int64, the cluster of each frame.
            mask: [B, T] bool, True where a frame is masked.
            frame_labels: [B, T] int64 of each kind, -100 where unknown; None for their loss to be
                left out.
        Raises:
            ValueError: if the network has another number of frames than the labels.
        """
        padded = pad_half_frame(waveforms[:, 0], self.model.config.inputs_to_logits_ratio)
        output = self.model(padded, mask_time_indices=mask, output_hidden_states=True)
        hidden = output.last_hidden_state
        if hidden.shape[1] != labels.shape[1]:
            raise ValueError(
                f"the network has {hidden.shape[1]} frames and the labels {labels.shape[1]}: "
                "expected the same; give a baseline codec with the teacher's samples per frame"
            )
        logits = self.head(hidden)
        accuracy = (logits.argmax(dim=-1) == labels)[mask].float().mean()
        loss = F.cross_entropy(logits[mask], labels[mask])
        if self.visible_weight and not mask.all():
            loss = loss + self.visible_weight * F.cross_entropy(logits[~mask], labels[~mask])
        metrics = {"accuracy": accuracy}
        if self.label_heads is not None and frame_labels:
            states = torch.stack(output.hidden_states).mean(dim=0)
            label_loss, found = self.label_heads(states, frame_labels)
            loss, metrics = loss + self.label_weight * label_loss, metrics | found
        return loss, metrics


def pad_half_frame(waveforms: Tensor, hop_length: int) -> Tensor:
    """Pad [B, S] to [B, S + hop] as the codec does, which gives S / hop frames."""
    return F.pad(waveforms, (hop_length // 2, hop_length // 2))


def network_of_preset(preset: str, part: str) -> tuple[HubertConfig, int]:
    """The configuration of a preset's HuBERT and its sampling rate in Hz.

    Args:
        preset: name of the preset.
        part: ``"semantic"`` for the codec's semantic model, ``"voice"`` for the voice network.
    Raises:
        ValueError: if either is unknown.
    """
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
    # The features are the mean of all layers, so none may be left out at random; with few layers
    # all of them would be, now and then.
    return HubertConfig(**{**sizes.to_dict(), "layerdrop": 0.0}), rate


class TeacherTrainer(WaveformTrainer):
    """Trains a semantic teacher; see :class:`WaveformTrainer`."""

    name = "teacher"

    def __init__(self, options: TeacherTrainingOptions) -> None:
        super().__init__(options)
        config, rate = network_of_preset(options.preset, options.part)
        rate = options.sampling_rate or rate
        self.open_data(rate, config.inputs_to_logits_ratio)
        state = self.resume()
        self.clusters = self._make_clusters(rate, state)
        with seeded(seed_from(options.seed)):
            model = HubertModel(config)
            set_filter_bank(model, rate)
            network = MaskedPrediction(
                model,
                self.clusters.num_clusters,
                visible_weight=options.visible_weight,
                label_sizes=self.label_sizes(),
                label_weight=options.label_weight,
            )
        if state is not None:
            network.load_state_dict(state["network"])
        optimizer = self.make_optimizer(network)
        if state is not None:
            optimizer.load_state_dict(state["optimizer"])
        self.network, self.optimizer = self.accelerator.prepare(network, optimizer)
        self.plain_network: MaskedPrediction = self.accelerator.unwrap_model(self.network)

    def _make_clusters(
        self, rate: int, state: dict[str, Any] | None
    ) -> LogMelClusters | FirstCodebook:
        options = self.options
        device = self.accelerator.device
        if options.baseline is not None:
            codec = XCodecModel.from_pretrained(options.baseline)
            if codec.config.sampling_rate != rate:
                raise ValueError(
                    f"the baseline {options.baseline} takes {codec.config.sampling_rate} Hz and "
                    f"the teacher {rate} Hz: expected the same; leave --baseline out or train a "
                    "codec at that rate"
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

    def train_step(self, step: int) -> dict[str, float | Tensor]:
        """Take one step."""
        rate = learning_rate(self.options, step)
        set_learning_rate(rate, self.optimizer)
        waveforms, labels = self.labeled_crops(self.options.batch_size, step=step)
        first = self.accelerator.process_index * len(waveforms)
        self.network.train()
        # Dropout and layer drop follow from the step's seed, so that a resumed run repeats them.
        with seeded(seed_from(f"{self.options.seed}/{step}/{first}")):
            loss, metrics = self._predict(
                self.network, waveforms, step=step, first=first, frame_labels=labels
            )
        norm = self.update(self.optimizer, self.network, loss)
        taken = {"loss": loss.detach(), "gradient_norm": norm, "learning_rate": rate}
        return taken | metrics

    def _predict(
        self,
        network: nn.Module,
        waveforms: Tensor,
        *,
        step: int,
        first: int,
        frame_labels: Mapping[str, Tensor] | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
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
        clusters = self.clusters(waveforms)
        return network(waveforms, clusters, mask.to(waveforms.device), frame_labels)

    @torch.no_grad()
    def evaluate(self, waveforms: Tensor) -> Metrics:
        """Loss and accuracy, with the same frames masked at every evaluation."""
        self.plain_network.eval()
        loss, metrics = self._predict(self.plain_network, waveforms, step=2**41, first=0)
        return {"validation_loss": loss, "validation_accuracy": metrics["accuracy"]}

    def state(self) -> dict[str, Any]:
        """Network, optimizer and clusters."""
        return {
            "network": self.plain_network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "targets": self.clusters.state_dict(),
        }

    def export(self, directory: Path) -> None:
        """Write the network as ``HubertModel.from_pretrained`` reads it."""
        self.plain_network.model.save_pretrained(directory)


def train_teacher(options: TeacherTrainingOptions) -> Path:
    """Train a semantic teacher, or resume the run in ``options.out``.

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

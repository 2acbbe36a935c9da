"""The codec in training: one forward pass with gradients from waveform to waveform, and its losses.

The losses are those of X-Codec: STFT, sub-band, mel, commitment and semantic losses. The trainer
adds the adversarial ones. The semantic model is a frozen teacher in evaluation mode. Two options go
beyond X-Codec, so that the first code says what is sung: the semantic loss of the first codebook
alone (as SpeechTokenizer distills its teacher, arXiv 2308.16692, section 3.3), and linear heads
that predict labels of each frame from the vector of its first code.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoModel
from transformers.models.dac.modeling_dac import DacResidualUnit
from transformers.models.xcodec.modeling_xcodec import XcodecResidualUnit

from ...checkpoints.digests import SYNTHESIS_ONLY
from ...modeling.configuration_xcodec import XCodecConfig
from ...modeling.modeling_xcodec import ChannelsFirstLinear, XCodecModel
from ...presets.models import build_config
from ..auxiliary.frame_labels import FrameLabelHeads
from ..seeding import seed_from, seeded
from .options import CodecTrainingOptions
from .residual_vector_quantizer import ResidualVectorQuantizerTrainer
from .stft_losses import MelDistance, MultiResolutionStftLoss, RelativeErrorLoss, SubBandStftLoss

MEL_WINDOWS, MEL_BANDS = (64, 128, 256, 512, 1024, 2048), (8, 16, 32, 48, 80, 160)


@dataclass
class CodecPass:
    """The results of one forward pass.

    Args:
        waveform: [B, 1, S], decoded.
        codes: [B, K, T], or None before the codebooks start.
        losses: scalars without weights by name.
        metrics: accuracies of frame labels.
    """

    waveform: Tensor
    codes: Tensor | None
    losses: dict[str, Tensor]
    metrics: dict[str, Tensor] = field(default_factory=dict)


class CodecObjective(nn.Module):
    """A codec with the trainer of its codebooks and its losses.

    Args:
        codec: the codec, to which weight norm is added, and whose semantic model is frozen.
        options: options of the run.
        label_sizes: number of classes of each kind of frame label that the first code predicts.
    Raises:
        ValueError: if ``codebook_counts`` has a number above that of the codec's codebooks.
    """

    def __init__(
        self,
        codec: XCodecModel,
        options: CodecTrainingOptions,
        *,
        label_sizes: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__()
        config = codec.config
        if max(options.codebook_counts) > config.num_quantizers:
            raise ValueError(
                f"codebook_counts is {options.codebook_counts}, expected at most "
                f"{config.num_quantizers}, the codebooks of the codec"
            )
        if not options.semantics:
            silence_semantics(codec)
        # The weights that decide the codes, whose last bits weight norm would change.
        self.kept = {
            name: value.clone()
            for name, value in codec.state_dict().items()
            if options.decoder_only and decides_codes(name)
        }
        # The published codec was trained under it; the export fuses it.
        codec.apply_weight_norm()
        codec.semantic_model.requires_grad_(False)
        for part in (codec.encoder_semantic, codec.decoder_semantic, codec.fc1):
            part.requires_grad_(options.semantics)
        if options.decoder_only:
            codec.requires_grad_(False)
            for part in (codec.fc2, codec.acoustic_decoder):
                part.requires_grad_(True)
        self.codec, self.options = codec, options
        self.quantizer = ResidualVectorQuantizerTrainer(
            codec.quantizer,
            decay=options.codebook_decay,
            dead_count=options.dead_count,
            dead_fraction=options.dead_fraction,
            kmeans_iterations=options.kmeans_iterations,
            move_all=options.move_all_codebooks,
            revival_reach=options.revival_reach,
        )
        width = codec.fc2.in_features
        self.label_heads = FrameLabelHeads(label_sizes, width) if label_sizes else None
        rate = config.sampling_rate
        self.distances = nn.ModuleDict(
            {
                "stft": MultiResolutionStftLoss(),
                "sub_band": SubBandStftLoss(),
                "mel": MelDistance(rate, windows=MEL_WINDOWS, num_mels=MEL_BANDS),
                "waveform": RelativeErrorLoss(),
            }
        )

    def forward(
        self,
        waveform: Tensor,
        *,
        num_codebooks: int | None = None,
        seed: int = 0,
        quantize: bool = True,
        frame_labels: Mapping[str, Tensor] | None = None,
    ) -> CodecPass:
        """Encode and decode waveforms.

        Args:
            waveform: [B, 1, S], S a multiple of the hop.
            num_codebooks: number of codebooks to use; None for all.
            seed: seed of revived codes.
            quantize: use the codebooks; otherwise the latent itself is decoded.
            frame_labels: [B, T] int64 of each kind, -100 where unknown.
        Raises:
            ValueError: if S is not a multiple of the hop.
        """
        codec, options = self.codec, self.options
        if waveform.shape[-1] % codec.config.hop_length:
            raise ValueError(
                f"the crops have {waveform.shape[-1]} samples, expected a multiple of "
                f"{codec.config.hop_length}: decoded waveforms would have another length"
            )
        with torch.set_grad_enabled(torch.is_grad_enabled() and not options.decoder_only):
            features = codec.extract_features(waveform)
        latent, codes, losses = features.embeddings, None, {}
        first, metrics = latent, {}
        if quantize:
            result = self.quantizer(
                latent, num_codebooks=num_codebooks, seed=seed, update=not options.decoder_only
            )
            latent, first, codes = result.quantized, result.first, result.codes
            losses["commitment"] = result.commitment_loss
        decoded = codec.acoustic_decoder(codec.fc2(latent))
        for name, distance in self.distances.items():
            if getattr(options, f"{name}_weight"):
                losses[name] = distance(decoded, waveform)
        if options.decoder_only:
            losses.pop("commitment", None)
        elif options.semantics:
            losses["semantic"] = self._semantic_loss(latent, features.semantic_target)
            if options.first_semantic_weight:
                losses["first_semantic"] = self._semantic_loss(first, features.semantic_target)
        if self.label_heads is not None and frame_labels:
            losses["label"], metrics = self.label_heads(first.transpose(1, 2), frame_labels)
        return CodecPass(decoded, codes, losses, metrics)

    def _semantic_loss(self, latent: Tensor, target: Tensor) -> Tensor:
        recovered = self.codec.fc1(latent.transpose(1, 2)).transpose(1, 2)
        return F.mse_loss(self.codec.decoder_semantic(recovered).transpose(1, 2), target)

    def weighted(self, losses: dict[str, Tensor]) -> Tensor:
        """The weighted sum of the losses."""
        weights = {name: getattr(self.options, f"{name}_weight") for name in losses}
        return torch.stack([weights[name] * loss for name, loss in losses.items()]).sum()

    @torch.no_grad()
    def start_codebooks(
        self,
        waveforms: Tensor,
        *,
        seed: int,
        vectors_per_step: int | None = None,
        batch_size: int = 8,
    ) -> None:
        """Set the codebooks by k-means on the latents of waveforms [B, 1, S].

        The other arguments are those of ``ResidualVectorQuantizerTrainer.start``.
        """
        latents = [
            self.codec.extract_features(part).embeddings for part in waveforms.split(batch_size)
        ]
        self.quantizer.start(torch.cat(latents), seed=seed, vectors_per_step=vectors_per_step)

    def export(self, directory: Path) -> None:
        """Save the codec for inference, with ``residual_rms`` of the quantizer in its config."""
        config = copy.deepcopy(self.codec.config)
        if not self.options.decoder_only:
            config.residual_rms = self.quantizer.residual_rms()
        # A new codec, as the library's removal of weight norm changes the classes of the modules.
        with torch.device("meta"):
            codec = XCodecModel(config)
        codec.load_state_dict(fused_state(self.codec) | self.kept, assign=True)
        codec.eval().save_pretrained(directory)


def decides_codes(name: str) -> bool:
    """Whether a weight of the codec influences its codes, and not only the decoded waveforms."""
    return not name.startswith(SYNTHESIS_ONLY)


def fused_state(codec: XCodecModel) -> dict[str, Tensor]:
    """The state dict of a codec without weight norm."""
    state = codec.state_dict()
    ending = ".parametrizations.weight.original0"
    for name in [name for name in state if name.startswith("acoustic_") and name.endswith(ending)]:
        stem = name.removesuffix(ending)
        magnitude = state.pop(name)
        direction = state.pop(f"{stem}.parametrizations.weight.original1")
        state[f"{stem}.weight"] = torch._weight_norm(direction, magnitude, 0)
    return state


@torch.no_grad()
def balance_initial_weights(codec: XCodecModel, *, seed: int) -> None:
    """Initialize the weights so that signals keep their scale through every stack.

    The library's initialization, which is meant for loading, makes the acoustic latent vanish and
    the semantic loss start at 150. Here weights are normal with variance 1 / fan-in, biases are
    zero, and the last convolution of each residual unit is divided by ten, so that the unit starts
    close to the identity.
    """
    generator = torch.Generator().manual_seed(seed)
    stacks: list[Any] = [codec.acoustic_encoder, codec.acoustic_decoder]
    stacks += [codec.encoder_semantic, codec.decoder_semantic]
    layers = [*stacks, codec.fc, codec.fc1, codec.fc2]
    for module in (module for layer in layers for module in layer.modules()):
        if not isinstance(module, nn.Conv1d | nn.ConvTranspose1d | nn.Linear | ChannelsFirstLinear):
            continue
        weight = module.weight
        fan_in = weight[0].numel()
        if isinstance(module, nn.ConvTranspose1d):
            # Each output sample is reached by kernel / stride taps of every input channel.
            fan_in = weight.shape[0] * weight.shape[2] // module.stride[0]
        weight.copy_(torch.randn(weight.shape, generator=generator) / fan_in**0.5)
        if module.bias is not None:
            module.bias.zero_()
    for stack in stacks:
        for module in stack.modules():
            if isinstance(module, XcodecResidualUnit | DacResidualUnit):
                module.conv2.weight.mul_(0.1)
    # Waveforms have about this scale; a larger one takes many steps to decrease.
    decoder: Any = codec.acoustic_decoder
    if codec.is_spectral:
        decoder.start_quietly()
    else:
        decoder.conv2.weight.mul_(0.1)


def count_of_step(counts: list[int], *, seed: int, step: int) -> int:
    """The number of codebooks of one step, one of ``counts``, the same in every process."""
    return random.Random(f"{seed}/{step}").choice(counts)


def new_codec(options: CodecTrainingOptions) -> XCodecModel:
    """The codec to train, loaded or newly built, with the teacher as its semantic model.

    Raises:
        ValueError: if the preset is unknown or the teacher does not fit the codec.
        OSError: if a checkpoint cannot be read.
    """
    if options.codec is not None:
        codec = XCodecModel.from_pretrained(options.codec)
    else:
        with seeded(seed_from(options.seed)):
            codec = XCodecModel(preset_codec_config(options.preset))
        balance_initial_weights(codec, seed=options.seed)
    if options.teacher is not None:
        install_teacher(codec, options.teacher)
    return codec


def preset_codec_config(preset: str) -> XCodecConfig:
    """The configuration of the codec of a preset; ValueError for an unknown preset."""
    config = build_config(preset).audio_encoder
    assert isinstance(config, XCodecConfig)  # the section's declared class
    return config


def install_teacher(codec: XCodecModel, teacher: str) -> None:
    """Replace the semantic model of a codec by a HuBERT-like model.

    Raises:
        ValueError: if its hidden size or frame length differ from the codec's.
    """
    model = AutoModel.from_pretrained(teacher)
    config = codec.config
    stride = getattr(model.config, "inputs_to_logits_ratio", config.hop_length)
    got = (getattr(model.config, "hidden_size", None), stride)
    if got != (config.semantic_hidden_size, config.hop_length):
        raise ValueError(
            f"the teacher {teacher} has hidden size {got[0]} and {got[1]} samples per frame, "
            f"expected {config.semantic_hidden_size} and {config.hop_length} as the codec: choose "
            "another teacher or another preset"
        )
    codec.semantic_model = model.eval()
    config.semantic_model_config = model.config


@torch.no_grad()
def silence_semantics(codec: XCodecModel) -> None:
    """Make all states of the semantic model zero, so that codes depend on the acoustic half."""
    for name, weight in codec.semantic_model.named_parameters():
        # The direction of a kernel with weight norm is divided by its length, so it cannot be zero.
        if not name.endswith(("original1", "weight_v")):
            weight.zero_()


__all__ = [
    "CodecObjective",
    "CodecPass",
    "count_of_step",
    "decides_codes",
    "install_teacher",
    "new_codec",
    "preset_codec_config",
    "silence_semantics",
]

"""The X-Codec model encodes waveforms [B, 1, S] at 16 kHz as codes [B, K, T] and decodes codes.

The network is ``XcodecModel`` of transformers. This subclass adds padded batches that equal their
clips one by one, decoding in chunks or as a stream and encoding in windows with constant memory,
the original checkpoint layout, and error messages that name a remedy. It does not handle special
ids, token patterns or files: the processor resamples, and the caller removes ids that are no codes.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel as PreTrainedModel  # diffusers expects it in this module
from transformers import XcodecModel
from transformers import initialization as init
from transformers.models.xcodec.modeling_xcodec import (
    XcodecDecoderOutput,
    XcodecEncoderOutput,
    XcodecEuclideanCodebook,
    XcodecOutput,
)
from transformers.utils import ModelOutput, can_return_tuple

from .channels_last import order_channels_last
from .checkpoint_mapping import register_xcodec_mapping
from .checkpoint_names import NamedCheckpointMixin
from .configuration_xcodec import XCodecConfig
from .execution_device import execution_device
from .spectral_codec import SpectralDecoder, SpectralEncoder
from .xcodec_inputs import check_bandwidth, check_chunk_frames, check_codes, check_waveforms
from .xcodec_layout import OriginalLayoutMixin
from .xcodec_windows import (
    ATTENTION_FRAMES,
    DECODED_FRAMES,
    WindowedConvolutions,
    XCodecStreamDecoder,
    acoustic_features,
    context_frames,
    decode_in_windows,
    encode_in_windows,
)

register_xcodec_mapping(XCodecConfig.model_type)

_SPECTRAL_ARGUMENTS = {"channels": "channels", "num_layers": "layers"}


class ChannelsFirstLinear(nn.Module):
    """A linear layer over the channels of [B, D, T], with the parameters of ``layer``.

    As a convolution of width 1 it rounds as the reference does on the CPU (1e-5 instead of 1e-3 on
    waveforms that reach 40). It is no ``nn.Linear``, for which quantization puts another layer,
    over the last dimension.
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.in_features = layer.in_features
        self.weight, self.bias = layer.weight, layer.bias

    def forward(self, input: Tensor) -> Tensor:
        """Map [B, D, T] to [B, D', T]."""
        return F.conv1d(input, self.weight[:, :, None], self.bias)


@dataclass
class XCodecEncoderOutput(XcodecEncoderOutput):
    """Output of :meth:`XCodecModel.encode`.

    Args:
        audio_codes: [B, K, T] int64. The frames after the ``num_frames`` of a clip are padded with
            0, which is also a code.
        num_frames: [B] int64, number of frames of each clip.
    """

    audio_codes: Any = None
    num_frames: Tensor | None = None


@dataclass
class XCodecFeatures(ModelOutput):
    """Output of :meth:`XCodecModel.extract_features`: the features that the codec quantizes.

    Args:
        semantic_target: [B, T, Ds], mean of all hidden states of the semantic model.
        acoustic: [B, Da, T], output of the acoustic encoder.
        semantic: [B, Ds, T], output of the semantic encoder on ``semantic_target``.
        embeddings: [B, Da + Ds, T], input of the quantizer.
    """

    semantic_target: Any = None
    acoustic: Any = None
    semantic: Any = None
    embeddings: Any = None


class XCodecModel(NamedCheckpointMixin, OriginalLayoutMixin, XcodecModel):
    """The X-Codec of SongGen, a subclass of ``XcodecModel`` of transformers.

    It differs from its base class as follows:

    - ``encode`` takes padded batches, stereo audio and ``chunk_frames``, and returns the number of
      frames of each clip;
    - ``decode`` takes ``chunk_frames``, and :class:`XCodecStreamDecoder` decodes codes as they are
      generated;
    - the semantic model stays in evaluation mode, so ``train()`` does not change codes;
    - ``from_pretrained`` and ``save_pretrained`` also support the original key names.
    """

    config: XCodecConfig
    fc2: Any
    config_class = XCodecConfig
    # The prefix of the codec's keys in a SongGen model, whose files can be read too.
    base_model_prefix = "audio_encoder"
    # Only the HuBERT model has attention, and it supports every implementation.
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True

    def __init__(self, config: XCodecConfig) -> None:
        # The acoustic networks have no attention, and their class accepts no other setting.
        acoustic: Any = config.acoustic_model_config
        acoustic._attn_implementation = "eager"
        super().__init__(config)
        self.fc2 = ChannelsFirstLinear(self.fc2)
        if self.is_spectral:
            sizes: Any = config.spectral_sizes
            encoder, decoder = (
                {name: sizes[f"{half}_{key}"] for name, key in _SPECTRAL_ARGUMENTS.items()}
                for half in ("encoder", "decoder")
            )
            hop, width = config.hop_length, acoustic.hidden_size
            self.acoustic_encoder = SpectralEncoder(hop, width, **encoder)
            self.acoustic_decoder = SpectralDecoder(hop, width, **decoder)
        for network in (
            self.acoustic_encoder,
            self.acoustic_decoder,
            self.semantic_model.feature_extractor,
        ):
            order_channels_last(network)

    def get_input_embeddings(self) -> None:  # type: ignore[override]
        """None: the codec has no table of embeddings. Quantization asks for one."""

    @property
    def is_spectral(self) -> bool:
        """Whether the acoustic encoder and decoder are those of ``spectral_codec.py``."""
        return self.config.acoustic_network == "spectral"

    def apply_weight_norm(self) -> None:
        """Apply weight norm to the acoustic convolutions, as the published codec was trained.

        The spectral network has no weight norm.
        """
        if not self.is_spectral:
            super().apply_weight_norm()

    def train(self, mode: bool = True) -> XCodecModel:
        """Set training or evaluation mode; the frozen semantic model stays in evaluation mode."""
        super().train(mode)
        # Its dropout and masking would change 93 % of the codes.
        self.semantic_model.eval()
        return self

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, XcodecEuclideanCodebook):
            # transformers initializes codebooks with zeros, so that all waveforms would have the
            # same codes.
            init.normal_(module.embed)
            init.copy_(module.embed_avg, module.embed)
        elif isinstance(module, ChannelsFirstLinear):
            init.normal_(module.weight, std=self.config.initializer_range)
            init.zeros_(module.bias)

    @property
    def decode_context_frames(self) -> int:
        """Number of frames on each side that a decoded frame depends on (12 at full size)."""
        if self.is_spectral:
            return self.acoustic_decoder.context_frames
        return context_frames(self.acoustic_decoder, 1.0)

    @property
    def decode_period_frames(self) -> int:
        """Number of frames at whose multiples a window of codes has to start.

        Other windows do not decode to the samples that they have within the whole.
        """
        return self.acoustic_decoder.PERIOD if self.is_spectral else 1

    @property
    def encode_context_frames(self) -> int:
        """Number of frames on each side that an acoustic feature depends on."""
        if self.is_spectral:
            return self.acoustic_encoder.context_frames
        return context_frames(self.acoustic_encoder, float(self.config.hop_length))

    def get_num_frames(self, num_samples: int) -> int:
        """Return the number of frames of an encoded clip of ``num_samples`` samples."""
        extractor = self.semantic_model.feature_extractor
        return int(self._get_conv1d_output_lengths(num_samples + 2 * self.pad, extractor))

    def extract_features(
        self, waveform: Tensor, *, chunk_frames: int | None = None
    ) -> XCodecFeatures:
        """Run both encoders on unpadded clips of one length.

        Gradients reach all parts but the frozen semantic model.

        Matches upstream: the acoustic encoder runs on the waveform padded by half a frame on both
        sides if, and only if, its number of frames would otherwise differ from that of the semantic
        encoder.

        Args:
            waveform: [B, 1, S] in the dtype and on the device of the codec.
            chunk_frames: number of frames per window of the convolutions; None for the whole clip.
        Returns:
            The features, with T = ``get_num_frames(S)``.
        """
        target = self._extract_semantic_features(waveform, chunk_frames)
        semantic = self.encoder_semantic(target.transpose(1, 2))  # [B, Ds, T]
        num_frames = semantic.shape[-1]
        if chunk_frames is None:
            padding = self._alignment(waveform.shape[-1], num_frames)
            acoustic = self.acoustic_encoder(F.pad(waveform, padding))
        else:
            acoustic = acoustic_features(self, waveform, num_frames, chunk_frames)
        embeddings = self._joined(acoustic, semantic)
        return XCodecFeatures(
            semantic_target=target, acoustic=acoustic, semantic=semantic, embeddings=embeddings
        )

    def _alignment(self, num_samples: int, num_frames: int) -> tuple[int, int]:
        """Zeros before and after a clip with which the acoustic encoder gives as many frames."""
        if self.is_spectral:
            return 0, num_frames * self.config.hop_length - num_samples
        found = self._get_conv1d_output_lengths(num_samples, self.acoustic_encoder)
        return (0, 0) if found == num_frames else (self.pad, self.pad)

    def _joined(self, acoustic: Tensor, semantic: Tensor) -> Tensor:
        joint = torch.cat([acoustic, semantic], dim=1)  # [B, Da + Ds, T]
        return self.fc(joint.transpose(1, 2)).transpose(1, 2)

    @torch.no_grad()
    def encode(
        self,
        input_values: Tensor,
        padding_mask: Tensor | None = None,
        *,
        bandwidth: float | None = None,
        chunk_frames: int | None = None,
        return_dict: bool | None = None,
    ) -> Tensor | XCodecEncoderOutput:
        """Encode waveforms as codes.

        Clips of one length are encoded together and without their padding, which would change the
        output of the semantic model and its group norm, so the codes of a batch are those of its
        clips one by one. The input is moved to the device and dtype of the codec.

        Args:
            input_values: [B, C, S] float waveform at ``config.sampling_rate``, with at least
                ``config.hop_length`` samples per clip. C is 1 or 2; two channels are averaged.
            padding_mask: [B, S] or [B, 1, S], 1 for samples and 0 for padding on the right; None if
                there is no padding.
            bandwidth: bandwidth in kbps, one of ``config.target_bandwidths``; None for the highest.
            chunk_frames: run the convolutions in windows of that many frames, which bounds memory;
                the codes are the same but for rounding. None for ``DECODED_FRAMES``. The statistics
                of the group norm cover the whole clip, and so does attention up to five
                minutes (``ATTENTION_FRAMES``); of longer clips it covers a minute, and five
                seconds on both sides, at a time.
            return_dict: False returns the codes alone.
        Returns:
            :class:`XCodecEncoderOutput`, or its ``audio_codes`` [B, K, T].
        Raises:
            TypeError: if the input is not floating point.
            ValueError: for a wrong shape, NaN or infinity, a mask with padding on the left, a clip
                shorter than one frame, or an unknown bandwidth.
        """
        bandwidth = check_bandwidth(bandwidth, self.config)
        check_chunk_frames(chunk_frames)
        lengths = check_waveforms(input_values, padding_mask, hop_length=self.config.hop_length)
        waveforms = input_values.to(execution_device(self), self.dtype)
        if waveforms.shape[1] > 1:
            waveforms = waveforms.mean(dim=1, keepdim=True)

        frames = [self.get_num_frames(length) for length in lengths]
        codes: Tensor | None = None
        for length in sorted(set(lengths)):
            rows = [row for row, other in enumerate(lengths) if other == length]
            clips = waveforms if len(rows) == len(lengths) else waveforms[rows]  # not a copy of all
            part = self._encode(clips[..., :length], bandwidth, chunk_frames)
            if codes is None:
                codes = part.new_zeros(len(lengths), part.shape[0], max(frames))
            codes[rows, :, : part.shape[-1]] = part.transpose(0, 1)

        assert codes is not None  # check_waveforms refuses an empty batch
        if not (self.config.return_dict if return_dict is None else return_dict):
            return codes
        return XCodecEncoderOutput(
            audio_codes=codes, num_frames=torch.tensor(frames, device=codes.device)
        )

    def _encode(self, waveform: Tensor, bandwidth: float, chunk_frames: int | None) -> Tensor:
        """Encode unpadded clips of one length: [B, 1, S] -> [K, B, T]."""
        num_frames, size = self.get_num_frames(waveform.shape[-1]), chunk_frames or DECODED_FRAMES
        if num_frames <= ATTENTION_FRAMES:
            features = self.extract_features(
                waveform, chunk_frames=size if num_frames > size else None
            )
            return self._quantize(features.embeddings, bandwidth)
        return encode_in_windows(self, waveform, bandwidth, size)

    @torch.no_grad()
    def _extract_semantic_features(
        self, input_values: Tensor, chunk_frames: int | None = None
    ) -> Tensor:
        extractor: Any = self.semantic_model.feature_extractor
        if chunk_frames is None:
            features = extractor(F.pad(input_values[:, 0], (self.pad, self.pad)))  # [B, C, T]
        else:
            features = WindowedConvolutions(extractor, chunk_frames, self.pad)(input_values[:, 0])
        return self._semantic_states(features)

    @torch.no_grad()
    def _semantic_states(self, features: Tensor) -> Tensor:
        """Return the mean of the hidden states of the semantic model: [B, C, T] -> [B, T, Ds].

        The output of the embedding is part of the mean. The states are summed by hooks as they are
        computed. ``output_hidden_states`` of transformers would keep all of them in memory, and
        counts states twice if a model around the codec has hooks for hidden states too, which would
        change every code without a warning.
        """
        model, owner = self.semantic_model, threading.get_ident()
        hidden = model.feature_projection(features.transpose(1, 2))
        if isinstance(hidden, tuple):  # WavLM also returns the normed features
            hidden = hidden[0]

        states: list[Tensor] = []  # at most one: the running sum

        def add(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            if threading.get_ident() == owner:
                states[:] = [inputs[0] + states[0] if states else inputs[0]]

        hooks = [layer.register_forward_pre_hook(add) for layer in model.encoder.layers]
        try:
            last = model.encoder(hidden)[0]
        finally:
            for hook in hooks:
                hook.remove()
        return (states[0] + last) / (len(hooks) + 1)

    def _quantize(self, embeddings: Tensor, bandwidth: float) -> Tensor:
        """Find the nearest codes, residual by residual: [B, D, T] -> [K, B, T].

        Distances are computed in float32, also for embeddings of half precision.
        """
        if embeddings.dtype not in (torch.bfloat16, torch.float16):
            return self.quantizer.encode(embeddings, bandwidth)
        # With distances in half precision, 41 % of the codes of the last codebook were those of
        # float32 on random full-size weights; with distances in float32, 93 % were.
        levels = self.quantizer.get_num_quantizers_for_bandwidth(bandwidth)
        residual = embeddings.float().transpose(1, 2)  # [B, T, D]
        codes = []
        for quantizer in self.quantizer.quantizers[:levels]:
            table = quantizer.codebook.embed.float()
            scores = 2 * residual @ table.t() - table.square().sum(dim=-1)  # [B, T, V]
            codes.append(scores.argmax(dim=-1))
            residual = residual - F.embedding(codes[-1], table)
        return torch.stack(codes)

    def decode(
        self,
        audio_codes: Tensor,
        chunk_frames: int | None = None,
        *,
        return_dict: bool | None = None,
    ) -> Tensor | XcodecDecoderOutput:
        """Decode codes as waveforms.

        Args:
            audio_codes: [B, K, T] integers in [0, ``config.codebook_size``), K up to
                ``config.num_quantizers``, T at least 1.
            chunk_frames: number of frames that are decoded at a time, each with
                ``decode_context_frames`` frames of context on both sides, which bounds memory; the
                waveform is the same but for rounding. None for ``DECODED_FRAMES``, three seconds at
                full size.
            return_dict: False returns the waveform alone.
        Returns:
            Output with ``audio_values`` [B, 1, ``hop_length`` * T], or that tensor.
        Raises:
            TypeError: if the codes are not integers.
            ValueError: for a wrong shape or an id outside the codebooks.
        """
        check_codes(audio_codes, self.config)
        check_chunk_frames(chunk_frames)
        audio_codes = audio_codes.to(execution_device(self), torch.int64)
        chunk_frames = chunk_frames or DECODED_FRAMES
        if chunk_frames >= audio_codes.shape[-1]:
            waveform = self._decode_window(audio_codes)
        else:
            waveform = decode_in_windows(self, audio_codes, chunk_frames)
        if not (self.config.return_dict if return_dict is None else return_dict):
            return waveform
        return XcodecDecoderOutput(waveform)

    def _decode_window(self, codes: Tensor) -> Tensor:
        quantized = self.quantizer.decode(codes.transpose(0, 1))  # [B, D, T]
        return self.acoustic_decoder(self.fc2(quantized))

    @can_return_tuple
    def forward(
        self,
        input_values: Tensor,
        audio_codes: Any = None,
        bandwidth: float | None = None,
        *,
        padding_mask: Tensor | None = None,
        **kwargs: Any,
    ) -> XcodecOutput:
        """Encode and decode waveforms; the result is cut to the length of the input.

        Args:
            input_values: [B, C, S], see :meth:`encode`.
            audio_codes: [B, K, T] codes to decode; None to encode ``input_values``.
            padding_mask: see :meth:`encode`.
            bandwidth: see :meth:`encode`.
        Returns:
            ``audio_codes`` [B, K, T] and ``audio_values`` [B, 1, min(S, ``hop_length`` * T)].
        """
        if audio_codes is None:
            audio_codes = self.encode(
                input_values, padding_mask, bandwidth=bandwidth, return_dict=False
            )
        waveform = self.decode(audio_codes, return_dict=False)
        return XcodecOutput(
            audio_codes=audio_codes, audio_values=waveform[..., : input_values.shape[-1]]
        )


__all__ = ["XCodecEncoderOutput", "XCodecFeatures", "XCodecModel", "XCodecStreamDecoder"]

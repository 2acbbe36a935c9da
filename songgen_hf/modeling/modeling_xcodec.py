"""X-Codec: waveform [B, 1, S] at 16 kHz <-> codes [B, K, T] at 50 frames a second.

The network is the library's ``XcodecModel``; this subclass adds what singing needs around it:
padded batches that equal their clips one by one, decoding in chunks or as a stream at flat memory,
encoding in windows, the original checkpoint layout, and errors that say what to do. It knows
nothing of special ids, patterns or files: resampling is the processor's work, ids outside a
codebook are the caller's to strip.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel as PreTrainedModel  # diffusers looks for it beside a part
from transformers import XcodecModel
from transformers import initialization as init
from transformers.models.xcodec.modeling_xcodec import (
    XcodecDecoderOutput,
    XcodecEncoderOutput,
    XcodecEuclideanCodebook,
    XcodecOutput,
)
from transformers.utils import ModelOutput, can_return_tuple

from .checkpoint_mapping import register_xcodec_mapping
from .configuration_xcodec import XCodecConfig
from .spectral_codec import SpectralDecoder, SpectralEncoder
from .xcodec_inputs import check_bandwidth, check_chunk_frames, check_codes, check_waveforms
from .xcodec_layout import OriginalLayoutMixin
from .xcodec_windows import (
    WindowedConvolutions,
    XCodecStreamDecoder,
    context_frames,
    windows,
)

register_xcodec_mapping(XCodecConfig.model_type)

_SPECTRAL_ARGUMENTS = {"channels": "channels", "num_layers": "layers"}


@dataclass
class XCodecEncoderOutput(XcodecEncoderOutput):
    """What ``encode`` returns.

    Args:
        audio_codes: [B, K, T] int64; frames of a clip from its ``num_frames`` on hold 0, which is
            also a code: cut them by ``num_frames``.
        num_frames: [B] int64, frames of each clip.
    """

    audio_codes: Any = None
    num_frames: Tensor | None = None


@dataclass
class XCodecFeatures(ModelOutput):
    """What stands before the codes; also what training the codec needs.

    Args:
        semantic_target: [B, T, Ds], mean of all hidden states of the semantic model.
        acoustic: [B, Da, T], acoustic encoder.
        semantic: [B, Ds, T], semantic encoder on the target.
        embeddings: [B, Da + Ds, T], what the quantizer reads.
    """

    semantic_target: Any = None
    acoustic: Any = None
    semantic: Any = None
    embeddings: Any = None


class XCodecModel(OriginalLayoutMixin, XcodecModel):
    """The X-Codec of SongGen; differs from the library's ``XcodecModel`` in one letter and in this.

    - ``encode`` takes padded batches, stereo, ``chunk_frames`` and reports frames per clip;
    - ``decode`` takes ``chunk_frames``; :class:`XCodecStreamDecoder` decodes codes as they come;
    - the semantic model never enters training mode, so ``train()`` does not change codes;
    - ``from_pretrained`` and ``save_pretrained`` know the original key layout too.
    """

    config: XCodecConfig
    config_class = XCodecConfig
    # Also reads a file that holds the codec as a part of a SongGen model, whose keys begin so.
    base_model_prefix = "audio_encoder"
    # Only HuBERT inside attends, and it supports them all.
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True

    def __init__(self, config: XCodecConfig) -> None:
        # The acoustic stacks do not attend, and their library class refuses any other setting.
        acoustic: Any = config.acoustic_model_config
        acoustic._attn_implementation = "eager"
        super().__init__(config)
        if self.is_spectral:
            sizes: Any = config.spectral_sizes
            encoder, decoder = (
                {name: sizes[f"{half}_{key}"] for name, key in _SPECTRAL_ARGUMENTS.items()}
                for half in ("encoder", "decoder")
            )
            hop, width = config.hop_length, acoustic.hidden_size
            self.acoustic_encoder = SpectralEncoder(hop, width, **encoder)
            self.acoustic_decoder = SpectralDecoder(hop, width, **decoder)

    @property
    def is_spectral(self) -> bool:
        """Whether the acoustic half works on spectra (``spectral_codec.py``)."""
        return self.config.acoustic_network == "spectral"

    def apply_weight_norm(self) -> None:
        """Weight norm on the acoustic convolutions, as the published codec was trained; the
        spectral network has none."""
        if not self.is_spectral:
            super().apply_weight_norm()

    def train(self, mode: bool = True) -> XCodecModel:
        """Set the mode of the codec; the frozen semantic model stays in evaluation mode."""
        super().train(mode)
        # Its dropout and masking would change 93 % of the codes.
        self.semantic_model.eval()
        return self

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, XcodecEuclideanCodebook):
            # The library leaves codebooks at zero, where every waveform has the same codes.
            init.normal_(module.embed)
            init.copy_(module.embed_avg, module.embed)

    @property
    def decode_context_frames(self) -> int:
        """Frames on each side that a decoded frame depends on, at most (12 at full size)."""
        if self.is_spectral:
            return self.acoustic_decoder.context_frames
        return context_frames(self.acoustic_decoder, 1.0)

    @property
    def decode_period_frames(self) -> int:
        """A window of codes decodes as within the whole only if it starts at a multiple of this."""
        return self.acoustic_decoder.PERIOD if self.is_spectral else 1

    @property
    def encode_context_frames(self) -> int:
        """Frames on each side that an acoustic feature depends on, at most."""
        if self.is_spectral:
            return self.acoustic_encoder.context_frames
        return context_frames(self.acoustic_encoder, float(self.config.hop_length))

    def get_num_frames(self, num_samples: int) -> int:
        """Frames that ``encode`` gives for a clip of ``num_samples`` samples."""
        extractor = self.semantic_model.feature_extractor
        return int(self._get_conv1d_output_lengths(num_samples + 2 * self.pad, extractor))

    def extract_features(
        self, waveform: Tensor, *, chunk_frames: int | None = None
    ) -> XCodecFeatures:
        """Run both encoders on unpadded clips of one length; gradients flow past HuBERT only.

        Matches upstream: the acoustic encoder runs on the waveform padded by half a frame on both
        sides if, and only if, its frames would otherwise differ from the semantic ones.

        Args:
            waveform: [B, 1, S] in the dtype and on the device of the codec.
            chunk_frames: frames per window of the convolutions; None takes the clip whole.
        Returns:
            The features, T = ``get_num_frames(S)``.
        """
        target = self._extract_semantic_features(waveform, chunk_frames)
        semantic = self.encoder_semantic(target.transpose(1, 2))  # [B, Ds, T]
        num_frames = semantic.shape[-1]

        if self.is_spectral:
            waveform = F.pad(
                waveform, (0, num_frames * self.config.hop_length - waveform.shape[-1])
            )
        elif (
            self._get_conv1d_output_lengths(waveform.shape[-1], self.acoustic_encoder) != num_frames
        ):
            waveform = F.pad(waveform, (self.pad, self.pad))
        if chunk_frames is None:
            acoustic = self.acoustic_encoder(waveform)
        else:
            acoustic = self._windowed_acoustic_features(waveform, num_frames, chunk_frames)

        joint = torch.cat([acoustic, semantic], dim=1)  # [B, Da + Ds, T]
        embeddings = self.fc(joint.transpose(1, 2)).transpose(1, 2)
        return XCodecFeatures(
            semantic_target=target, acoustic=acoustic, semantic=semantic, embeddings=embeddings
        )

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
        """Turn waveforms into codes.

        Clips of one length are encoded together and without their padding (the semantic model and
        its group norm would see it), so a batch has the codes of its clips one by one. Input is
        moved to the codec's device and dtype.

        Args:
            input_values: [B, C, S] float waveform at ``config.sampling_rate``; C = 1, or 2 which
                are averaged. At least ``config.hop_length`` samples a clip.
            padding_mask: [B, S] or [B, 1, S], 1 = sample, 0 = padding on the right; None = none.
            bandwidth: kbps, one of ``config.target_bandwidths``; None = the highest.
            chunk_frames: run the convolutions in windows of so many frames, which bounds memory for
                long clips. Attention still sees the whole clip, and the group norm its statistics,
                so codes agree but for ties in floating point. None = whole, which is the truth.
            return_dict: False returns the codes alone.
        Returns:
            :class:`XCodecEncoderOutput`, or its ``audio_codes`` [B, K, T].
        Raises:
            TypeError: if the input is not floating point.
            ValueError: for a wrong shape, NaN or infinity, a mask that is not right padding, a clip
                shorter than one frame, or an unknown bandwidth.
        """
        bandwidth = check_bandwidth(bandwidth, self.config)
        check_chunk_frames(chunk_frames)
        lengths = check_waveforms(input_values, padding_mask, hop_length=self.config.hop_length)
        waveforms = input_values.to(self.device, self.dtype).mean(dim=1, keepdim=True)

        frames = [self.get_num_frames(length) for length in lengths]
        codes: Tensor | None = None
        for length in sorted(set(lengths)):
            rows = [row for row, other in enumerate(lengths) if other == length]
            features = self.extract_features(waveforms[rows, :, :length], chunk_frames=chunk_frames)
            part = self._quantize(features.embeddings, bandwidth)  # [K, rows, T]
            if codes is None:
                codes = part.new_zeros(len(lengths), part.shape[0], max(frames))
            codes[rows, :, : part.shape[-1]] = part.transpose(0, 1)

        assert codes is not None  # check_waveforms refuses an empty batch
        if not (self.config.return_dict if return_dict is None else return_dict):
            return codes
        return XCodecEncoderOutput(
            audio_codes=codes, num_frames=torch.tensor(frames, device=codes.device)
        )

    @torch.no_grad()
    def _extract_semantic_features(
        self, input_values: Tensor, chunk_frames: int | None = None
    ) -> Tensor:
        """Mean of the semantic model's hidden states, embedding output included: [B, T, Ds].

        The states are summed as they appear. The library's collection (``output_hidden_states``)
        would keep all of them, and counts states twice once a model around this one has installed
        its collecting hooks too, which silently changes every code.
        """
        model, owner = self.semantic_model, threading.get_ident()
        extractor = model.feature_extractor
        if chunk_frames is not None:
            extractor = WindowedConvolutions(extractor, chunk_frames)
        features = extractor(F.pad(input_values[:, 0], (self.pad, self.pad)))  # [B, C, T]
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
        """Nearest codes, residual by residual, at least in float32: [B, D, T] -> [K, B, T]."""
        if embeddings.dtype not in (torch.bfloat16, torch.float16):
            return self.quantizer.encode(embeddings, bandwidth)
        # Distances of half precision lose the fine codebooks: 41 % of the last one's codes agreed
        # with float32 on random full-size weights, 93 % like this.
        levels = self.quantizer.get_num_quantizers_for_bandwidth(bandwidth)
        residual = embeddings.float().transpose(1, 2)  # [B, T, D]
        codes = []
        for quantizer in self.quantizer.quantizers[:levels]:
            table = quantizer.codebook.embed.float()
            scores = 2 * residual @ table.t() - table.square().sum(dim=-1)  # [B, T, V]
            codes.append(scores.argmax(dim=-1))
            residual = residual - F.embedding(codes[-1], table)
        return torch.stack(codes)

    def _windowed_acoustic_features(
        self, waveform: Tensor, num_frames: int, chunk_frames: int
    ) -> Tensor:
        hop, context = self.config.hop_length, self.encode_context_frames
        parts = []
        for start, stop, left, right in windows(num_frames, chunk_frames, context):
            end = waveform.shape[-1] if right == num_frames else right * hop
            window = self.acoustic_encoder(waveform[..., left * hop : end])
            parts.append(window[..., start - left : stop - left])
        return torch.cat(parts, dim=-1)

    def decode(
        self,
        audio_codes: Tensor,
        chunk_frames: int | None = None,
        *,
        return_dict: bool | None = None,
    ) -> Tensor | XcodecDecoderOutput:
        """Turn codes into waveforms.

        Args:
            audio_codes: [B, K, T] integers in [0, ``config.codebook_size``), K up to
                ``config.num_quantizers``, T at least 1.
            chunk_frames: decode so many frames at a time, each with ``decode_context_frames``
                frames of context on both sides: the same waveform at flat memory. None = whole.
            return_dict: False returns the waveform alone.
        Returns:
            Output with ``audio_values`` [B, 1, ``hop_length`` * T], or that tensor.
        Raises:
            TypeError: if the codes are not integers.
            ValueError: for a wrong shape or an id outside the codebooks.
        """
        check_codes(audio_codes, self.config)
        check_chunk_frames(chunk_frames)
        audio_codes = audio_codes.to(self.device)
        num_frames = audio_codes.shape[-1]
        if chunk_frames is None or chunk_frames >= num_frames:
            waveform = self._decode_window(audio_codes)
        else:
            hop = self.config.hop_length
            waveform = torch.empty(
                (len(audio_codes), 1, num_frames * hop), dtype=self.dtype, device=self.device
            )
            context = self.decode_context_frames
            for start, stop, left, right in windows(num_frames, chunk_frames, context):
                left -= left % self.decode_period_frames
                window = self._decode_window(audio_codes[..., left:right])
                inside = window[..., (start - left) * hop : (stop - left) * hop]
                waveform[..., start * hop : stop * hop] = inside
        if not (self.config.return_dict if return_dict is None else return_dict):
            return waveform
        return XcodecDecoderOutput(waveform)

    def _decode_window(self, codes: Tensor) -> Tensor:
        quantized = self.quantizer.decode(codes.transpose(0, 1))  # [B, D, T]
        # The linear layer as a convolution of width 1, which keeps channels first; on CPU it also
        # rounds as the reference does (1e-5 instead of 1e-3 on waveforms that reach 40).
        latent = F.conv1d(quantized, self.fc2.weight[:, :, None], self.fc2.bias)
        return self.acoustic_decoder(latent)

    @can_return_tuple
    def forward(
        self,
        input_values: Tensor,
        audio_codes: Any = None,
        *,
        padding_mask: Tensor | None = None,
        bandwidth: float | None = None,
        **kwargs: Any,
    ) -> XcodecOutput:
        """Encode (unless ``audio_codes`` is given) and decode, cut to the length of the input.

        Args:
            input_values: [B, C, S], see :meth:`encode`.
            audio_codes: [B, K, T] to decode instead.
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

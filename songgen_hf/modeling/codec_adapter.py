"""Residual codecs of transformers (EnCodec, DAC, Mimi) behind the interface of the X-Codec model.

A song model may hold any of these codecs as ``audio_encoder``. Whatever encodes or decodes sound
asks :func:`as_codec`, which leaves an :class:`XCodecModel` as it is and wraps any other model.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AutoModel
from transformers.models.xcodec.modeling_xcodec import XcodecDecoderOutput

from .codec_sizes import codec_sizes
from .configuration_xcodec import XCodecConfig
from .execution_device import execution_device
from .modeling_xcodec import XCodecEncoderOutput, XCodecModel
from .xcodec_inputs import check_waveforms


class CodecAdapter:
    """A codec of transformers with the methods of :class:`XCodecModel`.

    It is no module: weights stay those of ``model``, to which all other attributes are passed on.

    Args:
        model: an ``EncodecModel``, ``DacModel`` or ``MimiModel``.
    Raises:
        ValueError: like :func:`codec_sizes`.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.config = codec_sizes(model.config)

    def __getattr__(self, name: str) -> Any:
        if name == "model":  # not set yet, while a copy is made
            raise AttributeError(name)
        return getattr(self.model, name)

    def to(self, *arguments: Any, **options: Any) -> CodecAdapter:
        """Move the model and return this adapter."""
        self.model.to(*arguments, **options)
        return self

    def eval(self) -> CodecAdapter:
        """Put the model in evaluation mode and return this adapter."""
        self.model.eval()
        return self

    @torch.no_grad()
    def encode(
        self,
        input_values: Tensor,
        padding_mask: Tensor | None = None,
        *,
        chunk_frames: int | None = None,
        return_dict: bool | None = None,
    ) -> Tensor | XCodecEncoderOutput:
        """Encode waveforms with all codebooks; the codes of a batch are those of its clips.

        Args:
            input_values: [B, C, S] float at ``config.sample_rate``; C is 1 or 2, two channels are
                averaged.
            padding_mask: [B, S] or [B, 1, S], 0 for padding on the right.
            chunk_frames: ignored; the networks of transformers encode a clip at once.
            return_dict: False returns the codes alone.
        Returns:
            Output with ``audio_codes`` [B, K, T] and ``num_frames`` [B], or the codes.
        Raises:
            TypeError, ValueError: like :meth:`XCodecModel.encode`.
        """
        lengths = check_waveforms(input_values, padding_mask, hop_length=self.config.hop_length)
        waveforms = self._prepared(input_values)
        parts: dict[int, Tensor] = {}
        for length in sorted(set(lengths)):
            rows = [row for row, other in enumerate(lengths) if other == length]
            found = self._codes(waveforms[rows, :, :length])  # [rows, K, T]
            parts |= dict(zip(rows, found, strict=True))
        frames = [parts[row].shape[-1] for row in range(len(lengths))]
        codes = torch.stack(
            [F.pad(parts[row], (0, max(frames) - count)) for row, count in enumerate(frames)]
        )
        if return_dict is False:
            return codes
        return XCodecEncoderOutput(
            audio_codes=codes, num_frames=torch.tensor(frames, device=codes.device)
        )

    @torch.no_grad()
    def decode(
        self,
        audio_codes: Tensor,
        chunk_frames: int | None = None,
        *,
        return_dict: bool | None = None,
    ) -> Tensor | XcodecDecoderOutput:
        """Decode codes of all codebooks or of the first ones.

        Args:
            audio_codes: [B, K, T] integers in [0, ``config.codebook_size``).
            chunk_frames: ignored; the networks of transformers decode a song at once.
            return_dict: False returns the waveform alone.
        Returns:
            Output with ``audio_values`` [B, 1, S], S at most ``config.hop_length`` * T, or that
            tensor.
        Raises:
            ValueError: for a wrong shape or an id outside the codebooks.
        """
        sizes = self.config
        if audio_codes.ndim != 3 or not 1 <= audio_codes.shape[1] <= sizes.num_quantizers:
            raise ValueError(
                f"codes must be [B, K, T] with K up to {sizes.num_quantizers}: got "
                f"{list(audio_codes.shape)}"
            )
        if not 0 <= int(audio_codes.min()) <= int(audio_codes.max()) < sizes.codebook_size:
            raise ValueError(
                f"codes must lie in [0, {sizes.codebook_size}): got {int(audio_codes.min())} to "
                f"{int(audio_codes.max())}; remove special ids first"
            )
        codes = audio_codes.to(execution_device(self.model))
        if sizes.model_type == "encodec":
            waveform = self.model.decode(codes[None], [None]).audio_values
        elif sizes.model_type == "dac":
            waveform = self.model.decode(audio_codes=codes).audio_values[:, None]
        else:
            waveform = self.model.decode(codes).audio_values
        waveform = waveform.mean(dim=1, keepdim=True)[..., : codes.shape[-1] * sizes.hop_length]
        return waveform if return_dict is False else XcodecDecoderOutput(waveform)

    def _prepared(self, input_values: Tensor) -> Tensor:
        """The waveforms as the network takes them, [B, C, S]."""
        values = input_values.to(execution_device(self.model), self.model.dtype)
        return values.mean(dim=1, keepdim=True).expand(-1, self.config.audio_channels, -1)

    def _whole_frames(self, waveforms: Tensor) -> Tensor:
        # DAC drops the samples after the last whole frame.
        return F.pad(waveforms, (0, -waveforms.shape[-1] % self.config.hop_length))

    def _codes(self, waveforms: Tensor) -> Tensor:
        if self.config.model_type == "encodec":
            bandwidth = self.model.config.target_bandwidths[-1]
            return self.model.encode(waveforms, bandwidth=bandwidth).audio_codes[0]
        if self.config.model_type == "dac":
            return self.model.encode(self._whole_frames(waveforms)).audio_codes
        return self.model.encode(
            self._whole_frames(waveforms), num_quantizers=self.config.num_quantizers
        ).audio_codes


def as_codec(model: Any) -> Any:
    """Return a codec with the interface of :class:`XCodecModel`: the model itself or an adapter.

    Raises:
        ValueError: for a codec of an unknown type.
    """
    return model if isinstance(model, (XCodecModel, CodecAdapter)) else CodecAdapter(model)


def new_codec(config: Any) -> Any:
    """Build the untrained network of a configuration, the module that a song model holds."""
    # Its class may be a copy of this package's: that of the code of a checkpoint.
    if config.model_type == XCodecConfig.model_type:
        return XCodecModel._from_config(config)
    codec_sizes(config)
    return AutoModel.from_config(config)


@torch.no_grad()
def latent_frames(codec: Any, waveform: Tensor) -> Tensor:
    """Compute the vectors that a codec quantizes.

    Args:
        codec: as of :func:`as_codec`.
        waveform: [B, 1, S] at its sampling rate.
    Returns:
        [B, D, T].
    """
    if isinstance(codec, XCodecModel):
        return codec.extract_features(waveform.to(codec.device, codec.dtype)).embeddings
    values = codec._whole_frames(codec._prepared(waveform))
    encoded = codec.model.encoder(values)
    return encoded.latents if codec.config.model_type == "mimi" else encoded


@torch.no_grad()
def code_vectors(codec: Any, codes: Tensor) -> Tensor:
    """Compute the sum of the codebook vectors of each frame.

    Args:
        codec: as of :func:`as_codec`.
        codes: [B, K, T], of all codebooks or of the first ones.
    Returns:
        [B, D, T].
    """
    kind = "xcodec" if isinstance(codec, XCodecModel) else codec.config.model_type
    if kind == "dac":
        return codec.model.quantizer.from_codes(codes)[0]
    if kind == "mimi":
        return codec.model.quantizer.decode(codes)
    return codec.quantizer.decode(codes.transpose(0, 1))


__all__ = [
    "CodecAdapter",
    "as_codec",
    "code_vectors",
    "latent_frames",
    "new_codec",
]

"""Rates and sizes of X-Codec and of the residual codecs of transformers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from .configuration_xcodec import XCodecConfig

ADAPTED_TYPES = ("encodec", "dac", "mimi")
"""``model_type`` of the codecs of transformers that :class:`CodecAdapter` wraps."""


@dataclass(frozen=True)
class CodecSizes:
    """Rates and sizes of a codec, under the names of ``XCodecConfig``.

    Args:
        model_type: of its configuration.
        sample_rate: in Hz.
        hop_length: samples of one frame.
        num_quantizers: number of codebooks, K.
        codebook_size: number of codes of each.
        audio_channels: channels that the network takes.
    """

    model_type: str
    sample_rate: int
    hop_length: int
    num_quantizers: int
    codebook_size: int
    audio_channels: int = 1

    @property
    def sampling_rate(self) -> int:
        """The sampling rate in Hz."""
        return self.sample_rate

    @property
    def frame_rate(self) -> float:
        """Frames per second."""
        return self.sample_rate / self.hop_length

    @property
    def bits_per_second(self) -> float:
        """Bits of one codebook in a second."""
        return self.frame_rate * math.log2(self.codebook_size)


def codec_sizes(config: Any) -> CodecSizes:
    """Read the rates and sizes from the configuration of a codec.

    Raises:
        ValueError: for a codec of another type, or an EnCodec that codes chunks or their loudness,
            so that its codes alone do not say how to decode them.
    """
    kind = getattr(config, "model_type", None)
    if isinstance(config, CodecSizes):
        return config
    if kind == XCodecConfig.model_type:
        sizes = config.hop_length, config.num_quantizers
    elif kind == "encodec":
        if config.normalize or config.chunk_length_s is not None:
            raise ValueError(
                "this EnCodec codes chunks of a song and their loudness, so its codes alone do not "
                "make a sound: expected one without, such as facebook/encodec_24khz"
            )
        sizes = config.hop_length, config.num_quantizers
    elif kind == "dac":
        sizes = config.hop_length, config.n_codebooks
    elif kind == "mimi":
        sizes = round(config.sampling_rate / config.frame_rate), config.num_quantizers
    else:
        raise ValueError(
            f"got a codec of type {kind!r}, expected X-Codec, {', '.join(ADAPTED_TYPES)}"
        )
    hop_length, num_quantizers = sizes
    channels = 1 if kind == XCodecConfig.model_type else getattr(config, "audio_channels", 1)
    return CodecSizes(
        str(kind),
        int(config.sampling_rate),
        int(hop_length),
        int(num_quantizers),
        int(config.codebook_size),
        int(channels),
    )


__all__ = ["ADAPTED_TYPES", "CodecSizes", "codec_sizes"]

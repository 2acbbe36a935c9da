"""Configuration of the X-Codec, which encodes 16 kHz waveforms as 50 frames of codes per second.

The class defaults are the full-size codec of SongGen (acoustic latent 256, HuBERT base, 8 codebooks
of 1024 entries). The rest of the package reads ``sampling_rate``, ``frame_rate``, ``hop_length``,
``num_quantizers`` and ``codebook_size`` from this class.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from transformers import XcodecConfig

from .checkpoint_names import NamedCheckpointMixin
from .config_checks import CheckedConfigMixin

SPECTRAL_SIZES = {"encoder_channels", "encoder_layers", "decoder_channels", "decoder_layers"}


class XCodecConfig(NamedCheckpointMixin, CheckedConfigMixin, XcodecConfig):
    """Configuration of :class:`XCodecModel`.

    It extends ``XcodecConfig`` of transformers under another model type, because ``"xcodec"`` is
    that of transformers; the ``config.json`` of an ``xcodec`` checkpoint can be read too.

    Args:
        target_bandwidths: bandwidths in kbps that ``encode`` accepts, ascending.
        sample_rate: sampling rate of the waveform, in Hz; also available as ``sampling_rate``.
        codebook_size: number of entries of one codebook.
        acoustic_model_config: ``DacConfig`` (or its dict) of the acoustic encoder and decoder.
        semantic_model_config: ``HubertConfig`` (or its dict) of the semantic model.
        residual_rms: K + 1 numbers that are measured in training: root mean square, per dimension,
            of the residual of a latent after 0, 1, ... K codebooks. Masked generation uses entry
            j + 1 as the deviation of codebook j.
        acoustic_network: "waveform" for the published encoder and decoder on samples, whose sizes
            are in ``acoustic_model_config``, or "spectral" for the networks of
            ``spectral_codec.py``, which can be trained on little data; ``acoustic_model_config``
            then gives the rates and the width of the latent only.
        spectral_sizes: ``encoder_channels``, ``encoder_layers``, ``decoder_channels`` and
            ``decoder_layers`` of the spectral network.
    Raises:
        ValueError: if the bandwidths are not ascending, if encoder and decoder have different
            numbers of samples per frame, or if the acoustic network is unknown or lacks sizes.
    """

    model_type = "songgen_xcodec"

    residual_rms: list[float] | None = None
    acoustic_network: str = "waveform"
    spectral_sizes: dict[str, int] | None = None

    def validate_codec(self) -> None:
        """Raise ValueError unless the fields that depend on one another are consistent."""
        bandwidths = list(self.target_bandwidths)
        if not bandwidths or bandwidths != sorted(bandwidths) or bandwidths[0] <= 0:
            raise ValueError(
                f"target_bandwidths is {bandwidths}, expected positive kbps in ascending order; "
                "the last one determines the number of codebooks."
            )
        if self.acoustic_network not in ("waveform", "spectral"):
            raise ValueError(
                f"acoustic_network is {self.acoustic_network!r}, expected waveform or spectral."
            )
        if self.acoustic_network == "spectral" and set(self.spectral_sizes or ()) != SPECTRAL_SIZES:
            raise ValueError(
                f"spectral_sizes is {self.spectral_sizes}, expected "
                f"{', '.join(sorted(SPECTRAL_SIZES))}, each a number."
            )
        acoustic: Any = self.acoustic_model_config
        down, up = list(acoustic.downsampling_ratios), list(acoustic.upsampling_ratios)
        if sorted(down) != sorted(up):
            raise ValueError(
                f"acoustic_model_config has downsampling_ratios {down} and upsampling_ratios {up}, "
                "expected the same factors in both: a frame must decode to as many samples as it "
                "was encoded from."
            )

    def __post_init__(self, **kwargs: Any) -> None:
        kwargs.pop("model_type", None)  # "xcodec" in a config of transformers
        super().__post_init__(**kwargs)
        self.validate_codec()

    @classmethod
    def get_config_dict(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Read a ``config.json`` of this class, or of an ``xcodec`` model of transformers."""
        fields, rest = super().get_config_dict(pretrained_model_name_or_path, **kwargs)
        if fields.get("model_type") == XcodecConfig.model_type:
            fields = {**fields, "model_type": cls.model_type}
        return fields, rest

    @property
    def sampling_rate(self) -> int:
        """Sampling rate of the waveforms that the codec takes and returns, in Hz."""
        return self.sample_rate

    @classmethod
    def from_reference_sizes(cls, sizes: Mapping[str, Any], **kwargs: Any) -> XCodecConfig:
        """Build the configuration from the size names of the original X-Codec.

        Args:
            sizes: sizes under their original names: ``D`` (acoustic latent), ``encoder_d_model``
                (first channel count of the acoustic encoder), ``decoder_channels`` (first channel
                count of the decoder), ``ratios`` (strides), ``bins`` (codebook size),
                ``target_bandwidths``, ``sample_rate``, ``semantic_dim`` and ``hubert`` (a HuBERT
                config as dict). The default of a missing size is the full size.
            **kwargs: further fields of this class.
        Returns:
            The configuration.
        Raises:
            ValueError: for a name that is not listed, or a ``semantic_dim`` other than HuBERT's
                ``hidden_size``.
        """
        known = {
            "D": ("acoustic", "hidden_size"),
            "encoder_d_model": ("acoustic", "encoder_hidden_size"),
            "decoder_channels": ("acoustic", "decoder_hidden_size"),
            "bins": ("top", "codebook_size"),
            "target_bandwidths": ("top", "target_bandwidths"),
            "sample_rate": ("top", "sample_rate"),
        }
        unknown = sorted(set(sizes) - set(known) - {"ratios", "semantic_dim", "hubert"})
        if unknown:
            raise ValueError(
                f"Unknown size names {unknown}, expected some of "
                f"{sorted([*known, 'ratios', 'semantic_dim', 'hubert'])}; drop or rename them."
            )
        fields: dict[str, dict[str, Any]] = {"acoustic": {}, "top": dict(kwargs)}
        for name, (section, field) in known.items():
            if name in sizes:
                fields[section][field] = sizes[name]
        if "ratios" in sizes:
            fields["acoustic"]["downsampling_ratios"] = list(sizes["ratios"])
            fields["acoustic"]["upsampling_ratios"] = list(sizes["ratios"])
        config = cls(
            acoustic_model_config=fields["acoustic"],
            semantic_model_config=dict(sizes.get("hubert", {})),
            **fields["top"],
        )
        if sizes.get("semantic_dim", config.semantic_hidden_size) != config.semantic_hidden_size:
            raise ValueError(
                f"semantic_dim is {sizes['semantic_dim']} but HuBERT's hidden_size is "
                f"{config.semantic_hidden_size}; the semantic stacks have HuBERT's width, give one "
                "number for both."
            )
        return config


__all__ = ["XCodecConfig"]

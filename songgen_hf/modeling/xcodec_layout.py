"""Loads and saves codecs in the checkpoint layout of the original X-Codec."""

from __future__ import annotations

import os
from typing import Any

from transformers.core_model_loading import WeightConverter

from .checkpoint_files import read_state_dict, reading
from .checkpoint_mapping import NUM_XCODEC_STAGES
from .configuration_xcodec import XCodecConfig


class OriginalLayoutMixin:
    """Reads and writes the key names of the original X-Codec.

    It precedes ``XcodecModel`` among the base classes of the codec.
    """

    config: XCodecConfig

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike[str] | None, *args: Any, **kwargs: Any
    ) -> Any:
        """Load a codec; arguments and result are those of ``from_pretrained`` of transformers.

        Raises:
            ValueError: if a file is damaged, or if shapes do not fit the configuration.
        """
        with reading(pretrained_model_name_or_path or "the codec"):
            return super().from_pretrained(  # type: ignore[misc]
                pretrained_model_name_or_path, *args, **kwargs
            )

    def save_pretrained(
        self,
        save_directory: str | os.PathLike[str],
        *args: Any,
        save_original_format: bool = False,
        max_shard_size: int | str = "50GB",
        variant: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Save the weights and the configuration of the codec.

        Args:
            save_directory: directory, created if missing.
            *args: arguments of ``save_pretrained`` of transformers.
            save_original_format: whether to write the key names of the original X-Codec instead of
                those of this class. It does not matter from which names the model was loaded.
            max_shard_size: largest size of a file of weights; diffusers passes it only to parts
                whose signature names it.
            variant: part of the names of the files of weights, such as "fp16".
            **kwargs: further arguments of ``save_pretrained`` of transformers.
        Raises:
            ValueError: if the original names are requested for a spectral codec or for a codec
                without four stages.
        """
        acoustic: Any = self.config.acoustic_model_config
        stages = len(acoustic.downsampling_ratios)
        if save_original_format and self.config.acoustic_network == "spectral":
            raise ValueError(
                "There are no original key names for the spectral network; save it with "
                "save_original_format=False."
            )
        if save_original_format and stages != NUM_XCODEC_STAGES:
            raise ValueError(
                f"The codec has {stages} stages, expected {NUM_XCODEC_STAGES} for the original key "
                "names; save it with save_original_format=False."
            )
        # transformers reverses the rules that were applied on loading, which are none for a
        # checkpoint with the names of this class.
        used: Any = self.__dict__.get("_weight_conversions")
        forget = used is not None and not any(isinstance(rule, WeightConverter) for rule in used)
        if forget:
            delattr(self, "_weight_conversions")
        try:
            kwargs |= {
                "save_original_format": save_original_format,
                "max_shard_size": max_shard_size,
                "variant": variant,
            }
            super().save_pretrained(save_directory, *args, **kwargs)  # type: ignore[misc]
        finally:
            if forget:
                self.__dict__["_weight_conversions"] = used

    @classmethod
    def from_original_checkpoint(
        cls, path: str | os.PathLike[str], config: XCodecConfig | None = None, **kwargs: Any
    ) -> Any:
        """Load the weights of an original X-Codec from one file.

        Args:
            path: a ``.safetensors`` file, or a ``.pth`` or ``.bin`` file of ``torch.save`` with a
                state dict, at the top or under ``codec_model``, ``generator`` or ``state_dict``.
                Only tensors and plain containers are unpickled.
            config: configuration of the codec; None for the full size.
            **kwargs: arguments of ``from_pretrained``, such as ``dtype``.
        Returns:
            The codec in evaluation mode.
        Raises:
            ValueError: if the file holds other objects, or if its keys or shapes are not those of
                this codec.
        """
        state_dict = read_state_dict(path)
        config = XCodecConfig() if config is None else config
        try:
            loaded: Any = cls.from_pretrained(
                None, config=config, state_dict=state_dict, output_loading_info=True, **kwargs
            )
        except ValueError as error:
            raise ValueError(
                f"{path} does not fit the configuration: {error}; pass the config of that codec."
            ) from error
        model, info = loaded
        wrong = {kind: sorted(info[kind]) for kind in ("missing_keys", "unexpected_keys")}
        if any(wrong.values()):
            raise ValueError(
                f"{path} is not an original X-Codec checkpoint of these sizes: "
                + ", ".join(f"{len(keys)} {kind} {keys[:3]}" for kind, keys in wrong.items())
                + "; pass the matching config, or load other layouts with from_pretrained."
            )
        return model


__all__ = ["OriginalLayoutMixin"]

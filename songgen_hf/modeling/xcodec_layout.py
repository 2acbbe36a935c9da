"""The checkpoint layout of the original X-Codec: saving in it and loading from one file."""

from __future__ import annotations

import os
from typing import Any

from transformers.core_model_loading import WeightConverter

from .checkpoint_files import read_state_dict
from .checkpoint_mapping import NUM_XCODEC_STAGES
from .configuration_xcodec import XCodecConfig


class OriginalLayoutMixin:
    """Reads and writes the key names of the original X-Codec; precedes the model class."""

    config: XCodecConfig

    def save_pretrained(
        self,
        save_directory: str | os.PathLike[str],
        *args: Any,
        save_original_format: bool = False,
        **kwargs: Any,
    ) -> None:
        """Save as the library does, by default under this class's own key names.

        Args:
            save_directory: directory, created if missing.
            *args: passed on.
            save_original_format: write the key names of the original X-Codec instead, also if the
                model was not loaded from them.
            **kwargs: passed on.
        Raises:
            ValueError: if the original names are asked for a codec without four stages.
        """
        acoustic: Any = self.config.acoustic_model_config
        stages = len(acoustic.downsampling_ratios)
        if save_original_format and self.config.acoustic_network == "spectral":
            raise ValueError(
                "The original key names know no spectral network; save it with "
                "save_original_format=False."
            )
        if save_original_format and stages != NUM_XCODEC_STAGES:
            raise ValueError(
                f"The codec has {stages} stages, expected {NUM_XCODEC_STAGES} for the original key "
                "names; save it with save_original_format=False."
            )
        # The library reverses the rules that the load used; loaded from our names, none was.
        used: Any = self.__dict__.get("_weight_conversions")
        forget = used is not None and not any(isinstance(rule, WeightConverter) for rule in used)
        if forget:
            delattr(self, "_weight_conversions")
        try:
            kwargs["save_original_format"] = save_original_format
            super().save_pretrained(save_directory, *args, **kwargs)  # type: ignore[misc]
        finally:
            if forget:
                self.__dict__["_weight_conversions"] = used

    @classmethod
    def from_original_checkpoint(
        cls, path: str | os.PathLike[str], config: XCodecConfig | None = None, **kwargs: Any
    ) -> Any:
        """Load the original X-Codec weights from one file.

        Args:
            path: a ``.safetensors`` file, or a ``.pth``/``.bin`` written by ``torch.save`` holding
                a state dict, plain or under ``codec_model``, ``generator`` or ``state_dict``.
                Nothing is unpickled but tensors and plain containers.
            config: sizes of the codec; None = full size.
            **kwargs: passed to ``from_pretrained``, such as ``dtype``.
        Returns:
            The codec in evaluation mode.
        Raises:
            ValueError: if the file needs pickle, or its keys or shapes are not those of this codec.
        """
        state_dict = read_state_dict(path)
        config = XCodecConfig() if config is None else config
        try:
            loaded: Any = cls.from_pretrained(  # type: ignore[attr-defined]
                None, config=config, state_dict=state_dict, output_loading_info=True, **kwargs
            )
        except RuntimeError as error:
            raise ValueError(
                f"{path} does not fit the configuration: {error}; pass the config of that codec."
            ) from error
        model, info = loaded
        wrong = {kind: sorted(info[kind]) for kind in ("missing_keys", "unexpected_keys")}
        if any(wrong.values()):
            raise ValueError(
                f"{path} is not an original X-Codec checkpoint of these sizes: "
                + ", ".join(f"{len(keys)} {kind} {keys[:3]}" for kind, keys in wrong.items())
                + "; pass the matching config, or load our own layout with from_pretrained."
            )
        return model


__all__ = ["OriginalLayoutMixin"]

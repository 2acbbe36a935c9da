"""Loads and saves SongGen checkpoints in the layout of the reference implementation."""

import os
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig

from .checkpoint_files import HUB_OPTIONS, cached_commit, load_fitting, read_weights, reading
from .checkpoint_mapping import (
    REFERENCE_ARCHITECTURES,
    SINUSOID_TABLE_KEY,
    UNUSED_LYRICS_WEIGHTS,
)
from .checkpoint_names import folder_of
from .configuration_songgen import SongGenConfig
from .generation_songgen import default_generation_config
from .int8_loading import with_asked_config
from .positions import sinusoidal_positions


class ReferenceLayoutMixin:
    """Loads and saves a SongGen model in the layout of this package or of the reference.

    It precedes ``PreTrainedModel`` among the base classes of the model.
    """

    config: SongGenConfig
    generation_config: GenerationConfig
    dtype: torch.dtype
    state_dict: Callable[[], dict[str, Tensor]]
    unused_weights: Mapping[str, Tensor] = MappingProxyType({})
    """Weights of the checkpoint that its configuration does not use, under the names of its file:
    those of the lyrics encoder where ``use_lyrics_encoder`` is off. They are saved again,
    in the precision of the model."""

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike[str] | None,
        *model_args: Any,
        strict: bool = True,
        output_loading_info: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Load a checkpoint in the layout of this package or of the reference.

        Args:
            pretrained_model_name_or_path: folder, Hub id, or the name of an embedded checkpoint
                such as "songgen-mini/mixed_pro".
            *model_args: arguments of the model class.
            strict: whether to refuse a checkpoint with missing or unexpected weights. With False,
                missing parts, for example vocal heads, are initialized.
            output_loading_info: whether to return the loading report of transformers too.
            **kwargs: further arguments of ``from_pretrained`` of transformers.

        Raises:
            ValueError: if a file is damaged, or if keys or shapes do not fit the configuration.
        """
        name = folder_of(pretrained_model_name_or_path)
        with reading(name):
            kwargs = with_asked_config(cls.config_class, name, kwargs)  # type: ignore[attr-defined]
        load = partial(
            super().from_pretrained,  # type: ignore[misc]
            name,
            *model_args,
            output_loading_info=True,
            **kwargs,
        )
        model, info = load_fitting(load, name, strict=strict)
        commit = cached_commit(name, kwargs.get("revision"), kwargs.get("cache_dir"))
        if commit is not None:
            model.config._commit_hash = commit
        if not model.config.use_lyrics_encoder:
            hub = {key: kwargs[key] for key in HUB_OPTIONS if key in kwargs}
            model.unused_weights = read_weights(name, UNUSED_LYRICS_WEIGHTS, **hub)
        if set(model.config.architectures or ()) & set(REFERENCE_ARCHITECTURES):
            model.complete_reference_generation_config()
        return (model, info) if output_loading_info else model

    def complete_reference_generation_config(self) -> None:
        """Add the generation settings that the reference uses but does not store.

        See :func:`default_generation_config`.
        """
        loaded, ours = self.generation_config, default_generation_config(self.config)
        for key in ("max_length", "do_sample", "top_k", "suppress_tokens"):
            value = getattr(loaded, key, None)
            if value is not None:
                setattr(ours, key, value)
        # The released weights were trained without a voice at times, never without text or lyrics.
        ours.droppable_conditions = ["voice"]
        self.generation_config = ours

    def save_pretrained(
        self,
        save_directory: str | os.PathLike[str],
        *args: Any,
        save_original_format: bool = False,
        **kwargs: Any,
    ) -> None:
        """Save the weights and configurations of the model.

        Args:
            save_directory: directory, created if missing.
            *args: arguments of ``save_pretrained`` of transformers.
            save_original_format: whether to write the key names of the reference.
            **kwargs: further arguments of ``save_pretrained`` of transformers.
        """
        if save_original_format or self.unused_weights:
            state_dict = dict(kwargs.pop("state_dict", None) or self.state_dict())
            if save_original_format and not self.config.decoder.rope_embeddings:
                state_dict[SINUSOID_TABLE_KEY] = self.sinusoid_table()
            unused = {name: weight.to(self.dtype) for name, weight in self.unused_weights.items()}
            kwargs["state_dict"] = {**state_dict, **unused}
        super().save_pretrained(  # type: ignore[misc]
            save_directory, *args, save_original_format=save_original_format, **kwargs
        )

    def sinusoid_table(self) -> Tensor:
        """Compute the position table of reference checkpoints, [max_position_embeddings, H]."""
        decoder = self.config.decoder
        positions = torch.arange(decoder.max_position_embeddings)
        return sinusoidal_positions(positions, decoder.hidden_size).to(self.dtype)


__all__ = ["ReferenceLayoutMixin"]

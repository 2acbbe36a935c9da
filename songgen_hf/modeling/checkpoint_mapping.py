"""Tables that convert the names of reference checkpoints to the names of this package and back.

The reference implementation of SongGen and the original X-Codec name their weights and config keys
differently. Those names are listed here and nowhere else. The loader of transformers applies the
tables when a checkpoint is read, and reverses them in
``save_pretrained(..., save_original_format=True)``.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from transformers.conversion_mapping import register_checkpoint_conversion_mapping
from transformers.core_model_loading import (
    Concatenate,
    ConversionOps,
    WeightConverter,
    WeightRenaming,
)

REFERENCE_CONFIG_KEYS = {
    "vocab_size": "lyrics_encoder.vocab_size",
    "prompt_cross_attention": "lyrics_cross_attention",
    "add_prenet": "use_lyrics_encoder",
}
"""Keys at the top of a reference ``config.json`` -> [section.]field of :class:`SongGenConfig`."""

REFERENCE_ARCHITECTURES = (
    "SongGenMixedForConditionalGeneration",
    "SongGenDualTrackForConditionalGeneration",
)
"""Class names in the ``architectures`` entry of a reference ``config.json``."""

REFERENCE_GENERATE_KEYS = {
    "prompt_input_ids": "lyrics_ids",
    "prompt_attention_mask": "lyrics_attention_mask",
    "ref_voice_values": "voice_values",
    "ref_voice_attention_mask": "voice_attention_mask",
}
"""Keyword arguments of the reference's ``forward`` and ``generate`` -> those of this package."""

SINUSOID_TABLE_KEY = "decoder.model.embed_positions.weights"
"""Name of the position table in reference checkpoints. Here positions are computed by formula, and
the table is written only into checkpoints in the reference's layout."""

UNUSED_LYRICS_WEIGHTS = r"^(conditioner\.)?(lyrics_encoder|lyrics_projection|lyrics_to_dec_proj)\."
"""Names, in either layout, of the weights that a model without lyrics encoder does not use."""

SONGGEN_MAPPING = [
    WeightRenaming(r"^audio_encoder\.model\.", "audio_encoder."),
    WeightRenaming(r"^text_encoder\.", "conditioner.text_encoder."),
    WeightRenaming(r"^enc_to_dec_proj\.", "conditioner.text_projection."),
    WeightRenaming(r"^embed_prompts\.", "conditioner.lyrics_embedding."),
    WeightRenaming(r"^lyrics_encoder\.", "conditioner.lyrics_encoder."),
    WeightRenaming(r"^lyrics_to_dec_proj\.", "conditioner.lyrics_projection."),
    WeightRenaming(r"^mert_model\.", "conditioner.voice_encoder.model."),
    WeightRenaming(r"^mert_layer_agg\.", "conditioner.voice_encoder.layer_mix."),
    WeightRenaming(r"^audio_mert_to_dec_proj\.", "conditioner.voice_projection."),
    WeightRenaming(r"^decoder\.model\.decoder\.", "decoder.model."),
]

DECODER_MAPPING = [
    WeightConverter(
        "model.embed_tokens.*.weight",
        "model.embed_tokens.weight",
        operations=[Concatenate(dim=0, num_shards_attribute="num_rows")],
    ),
    WeightConverter(
        "^lm_heads.*.weight",
        "^lm_heads.weight",
        operations=[Concatenate(dim=0, num_shards_attribute="num_rows")],
    ),
    WeightConverter(
        "^vocal_lm_heads.*.weight",
        "^vocal_lm_heads.weight",
        operations=[Concatenate(dim=0, num_shards_attribute="num_codebooks")],
    ),
]
"""The reference has one embedding table and one head for each row; here they are stacked."""

LYRICS_ENCODER_MAPPING = [
    WeightRenaming(r"^embed\.out\.0\.", "input_projection."),
    WeightRenaming(r"^embed\.out\.1\.", "input_norm."),
    WeightRenaming(r"^after_norm\.", "final_norm."),
    WeightRenaming(r"^encoders\.", "layers."),
    *(
        WeightRenaming(rf"\.self_attn\.linear_{theirs}\.", f".self_attn.{ours}_proj.")
        for theirs, ours in (
            ("q", "q"),
            ("k", "k"),
            ("v", "v"),
            ("out", "out"),
            ("pos", "position"),
        )
    ),
    WeightRenaming(r"\.self_attn\.pos_bias_u", ".self_attn.content_bias"),
    WeightRenaming(r"\.self_attn\.pos_bias_v", ".self_attn.position_bias"),
    WeightRenaming(r"\.feed_forward\.w_1\.", ".fc1."),
    WeightRenaming(r"\.feed_forward\.w_2\.", ".fc2."),
    WeightRenaming(r"\.norm_mha\.", ".self_attn_norm."),
    WeightRenaming(r"\.norm_ff\.", ".feed_forward_norm."),
]


class FuseWeightNorm(ConversionOps):
    """Conversion of a weight-norm pair, magnitude g [C, 1, 1] and direction v, to g * v / |v|."""

    def convert(
        self,
        input_dict: dict[str, Any],
        source_patterns: list[str],
        target_patterns: list[str],
        *,
        full_layer_name: str = "",
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Fuse one pair of tensors; the magnitude is the first source pattern."""
        magnitude, direction = (_only(input_dict[pattern]) for pattern in source_patterns)
        # The kernel that the original runs at every call: other rounding changes features by 1e-4.
        weight = torch._weight_norm(direction.float(), magnitude.float(), 0)
        return {full_layer_name: weight.to(direction.dtype)}

    @property
    def reverse_op(self) -> ConversionOps:
        return SplitWeightNorm()


class SplitWeightNorm(ConversionOps):
    """Conversion of a weight w [C, ...] to a weight-norm pair: magnitude |w| and direction w.

    A row of zeros gets a direction of ones, so that fusing the pair gives zeros again.
    """

    def convert(
        self,
        input_dict: dict[str, Any],
        source_patterns: list[str],
        target_patterns: list[str],
        *,
        full_layer_name: str = "",
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Split one tensor; ``full_layer_name`` is the full name of the magnitude."""
        weight = _only(input_dict[source_patterns[0]])
        # The kernel of FuseWeightNorm computes the norm, so that fusing again gives the same bits.
        ones = torch.ones_like(weight[:, :1, :1], dtype=torch.float32)
        magnitude = torch._weight_norm_interface(weight.float(), ones, 0)[1].to(weight.dtype)
        # Fusing a direction of zeros would compute 0 / 0.
        direction = torch.where(magnitude == 0, torch.ones_like(weight), weight)
        stem = full_layer_name.removesuffix("magnitude")
        return {f"{stem}magnitude": magnitude, f"{stem}direction": direction}

    @property
    def reverse_op(self) -> ConversionOps:
        return FuseWeightNorm()


def _only(tensors: Any) -> Tensor:
    return tensors[0] if isinstance(tensors, list) else tensors


NUM_XCODEC_STAGES = 4
"""Number of stages of the acoustic encoder and decoder that ``XCODEC_MAPPING`` converts.

The original numbers all modules of a stack consecutively, so the names of the modules after the
last stage depend on the number of stages."""

_ENCODER_STAGE, _DECODER_STAGE = (
    r"^(acoustic_encoder\.block\.\d+\.)",
    r"^(acoustic_decoder\.block\.\d+\.)",
)
_UNIT = r"^(acoustic_\w+\.block\.\d+\.res_unit\d\.)"
_CONV = r"^(acoustic_[\w.]+)"

XCODEC_MAPPING = [
    WeightRenaming(r"^encoder\.block\.0\.", r"^acoustic_encoder\.conv1\."),
    WeightRenaming(rf"^encoder\.block\.{NUM_XCODEC_STAGES + 1}\.", r"^acoustic_encoder\.snake1\."),
    WeightRenaming(rf"^encoder\.block\.{NUM_XCODEC_STAGES + 2}\.", r"^acoustic_encoder\.conv2\."),
    WeightRenaming(r"^decoder_2\.model\.0\.", r"^acoustic_decoder\.conv1\."),
    WeightRenaming(
        rf"^decoder_2\.model\.{NUM_XCODEC_STAGES + 1}\.", r"^acoustic_decoder\.snake1\."
    ),
    WeightRenaming(rf"^decoder_2\.model\.{NUM_XCODEC_STAGES + 2}\.", r"^acoustic_decoder\.conv2\."),
    *(
        WeightRenaming(rf"^{theirs}\.{stage + 1}\.block\.", rf"^{ours}\.block\.{stage}\.block\.")
        for theirs, ours in (
            (r"encoder\.block", "acoustic_encoder"),
            (r"decoder_2\.model", "acoustic_decoder"),
        )
        for stage in range(NUM_XCODEC_STAGES)
    ),
    *(
        WeightRenaming(
            rf"{stage}block\.{unit + first}\.block\.", rf"^\1res_unit{unit + 1}\.block\."
        )
        for stage, first in ((_ENCODER_STAGE, 0), (_DECODER_STAGE, 2))
        for unit in range(3)
    ),
    WeightRenaming(rf"{_ENCODER_STAGE}block\.3\.", r"^\1snake1\."),
    WeightRenaming(rf"{_ENCODER_STAGE}block\.4\.", r"^\1conv1\."),
    WeightRenaming(rf"{_DECODER_STAGE}block\.0\.", r"^\1snake1\."),
    WeightRenaming(rf"{_DECODER_STAGE}block\.1\.", r"^\1conv_t1\."),
    *(
        WeightRenaming(rf"{_UNIT}block\.{position}\.", rf"^\1{layer}\.")
        for position, layer in enumerate(("snake1", "conv1", "snake2", "conv2"))
    ),
    WeightRenaming(r"^(\w+_semantic\.conv\d?)\.conv\.", r"^\1\."),
    WeightRenaming(r"^(\w+_semantic\.conv_blocks\.\d+\.conv)\.conv\.", r"^\1\."),
    WeightRenaming(r"^(\w+_semantic\.conv_blocks\.\d+\.res_units\.\d+\.conv1)\.conv\.", r"^\1\."),
    WeightRenaming(r"^fc_prior\.", r"^fc\."),
    WeightRenaming(r"^fc_post1\.", r"^fc1\."),
    WeightRenaming(r"^fc_post2\.", r"^fc2\."),
    WeightRenaming(
        r"^quantizer\.vq\.layers\.(\d+)\._codebook\.", r"^quantizer\.quantizers\.\1\.codebook\."
    ),
    # transformers renames weight_g to parametrizations after these rules and before the converter;
    # separate names keep that rule and its reversal away from the acoustic convolutions.
    *(
        WeightRenaming(
            [rf"{_CONV}\.{old}", rf"{_CONV}\.parametrizations\.weight\.{new}"],
            rf"^\1\.weight_{ours}",
        )
        for old, new, ours in (
            ("weight_g", "original0", "magnitude"),
            ("weight_v", "original1", "direction"),
        )
    ),
    WeightConverter(
        [rf"{_CONV}\.weight_magnitude", rf"{_CONV}\.weight_direction"],
        r"^\1\.weight",
        operations=[FuseWeightNorm()],
    ),
]
"""Names of the original X-Codec -> names of :class:`XCodecModel`.

The acoustic convolutions are weight-norm pairs in the original and plain weights here. HuBERT's
positional convolution is a pair in both; transformers itself reads both of its spellings."""


def rename_reference_config_keys(keys: Mapping[str, Any]) -> dict[str, Any]:
    """Return the entries of ``keys`` that only a reference config has, as ``[section.]field``.

    They are removed from ``keys`` if it is a dict.
    """
    renamed = {
        ours: keys[theirs] for theirs, ours in REFERENCE_CONFIG_KEYS.items() if theirs in keys
    }
    if isinstance(keys, dict):
        for theirs in REFERENCE_CONFIG_KEYS:
            keys.pop(theirs, None)
    return renamed


def register_xcodec_mapping(model_type: str) -> None:
    """Register ``XCODEC_MAPPING`` with transformers for models of a type.

    The module that defines the model class calls this function.
    """
    register_checkpoint_conversion_mapping(model_type, XCODEC_MAPPING, overwrite=True)


def register_songgen_mappings() -> None:
    """Register the tables of the SongGen classes with transformers.

    The module that defines the decoder calls this function.
    """
    for name, mapping in (
        ("SongGenForConditionalGeneration", SONGGEN_MAPPING),
        ("SongGenForCausalLM", DECODER_MAPPING),
        ("SongGenLyricsEncoder", LYRICS_ENCODER_MAPPING),
    ):
        register_checkpoint_conversion_mapping(name, mapping, overwrite=True)


__all__ = [
    "DECODER_MAPPING",
    "LYRICS_ENCODER_MAPPING",
    "NUM_XCODEC_STAGES",
    "REFERENCE_ARCHITECTURES",
    "REFERENCE_CONFIG_KEYS",
    "REFERENCE_GENERATE_KEYS",
    "SINUSOID_TABLE_KEY",
    "SONGGEN_MAPPING",
    "XCODEC_MAPPING",
    "FuseWeightNorm",
    "SplitWeightNorm",
    "register_songgen_mappings",
    "register_xcodec_mapping",
    "rename_reference_config_keys",
]

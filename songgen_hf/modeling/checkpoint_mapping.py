"""Reference checkpoint names <-> ours, as data.

The reference implementation of SongGen and the original X-Codec name their weights and config keys differently. The
tables below are the only place that knows those names; the library's loader applies them when a checkpoint is read and
reverses them for ``save_pretrained(..., save_original_format=True)``.
"""

from collections.abc import Mapping
from typing import Any

from transformers.conversion_mapping import register_checkpoint_conversion_mapping
from transformers.core_model_loading import Concatenate, WeightConverter, WeightRenaming

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
"""Keyword arguments of the reference's ``forward`` and ``generate`` -> ours."""

SINUSOID_TABLE_KEY = "decoder.model.embed_positions.weights"
"""Position table that reference checkpoints store; ours follows from its formula and is written on request only."""

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
"""One table and one head a row in the reference, one stacked table and one stacked head here."""

LYRICS_ENCODER_MAPPING = [
    WeightRenaming(r"^embed\.out\.0\.", "input_projection."),
    WeightRenaming(r"^embed\.out\.1\.", "input_norm."),
    WeightRenaming(r"^after_norm\.", "final_norm."),
    WeightRenaming(r"^encoders\.", "layers."),
    *(
        WeightRenaming(rf"\.self_attn\.linear_{theirs}\.", f".self_attn.{ours}_proj.")
        for theirs, ours in (("q", "q"), ("k", "k"), ("v", "v"), ("out", "out"), ("pos", "position"))
    ),
    WeightRenaming(r"\.self_attn\.pos_bias_u", ".self_attn.content_bias"),
    WeightRenaming(r"\.self_attn\.pos_bias_v", ".self_attn.position_bias"),
    WeightRenaming(r"\.feed_forward\.w_1\.", ".fc1."),
    WeightRenaming(r"\.feed_forward\.w_2\.", ".fc2."),
    WeightRenaming(r"\.norm_mha\.", ".self_attn_norm."),
    WeightRenaming(r"\.norm_ff\.", ".feed_forward_norm."),
]


def rename_reference_config_keys(keys: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of ``keys`` that only a reference config has, under our ``[section.]field`` names.

    They are removed from ``keys`` if it is a dict.
    """
    renamed = {ours: keys[theirs] for theirs, ours in REFERENCE_CONFIG_KEYS.items() if theirs in keys}
    if isinstance(keys, dict):
        for theirs in REFERENCE_CONFIG_KEYS:
            keys.pop(theirs, None)
    return renamed


def register_songgen_mappings() -> None:
    """Let the library's loader and saver apply the tables; called where the classes are defined."""
    for name, mapping in (
        ("SongGenForConditionalGeneration", SONGGEN_MAPPING),
        ("SongGenForCausalLM", DECODER_MAPPING),
        ("SongGenLyricsEncoder", LYRICS_ENCODER_MAPPING),
    ):
        register_checkpoint_conversion_mapping(name, mapping, overwrite=True)


__all__ = [
    "DECODER_MAPPING",
    "LYRICS_ENCODER_MAPPING",
    "REFERENCE_ARCHITECTURES",
    "REFERENCE_CONFIG_KEYS",
    "REFERENCE_GENERATE_KEYS",
    "SINUSOID_TABLE_KEY",
    "SONGGEN_MAPPING",
    "register_songgen_mappings",
    "rename_reference_config_keys",
]

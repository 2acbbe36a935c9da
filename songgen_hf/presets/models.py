"""Fresh models to train: the mini preset, small enough for a laptop, and the full size of the
paper.

Weights are random and come from a seed. The mini preset brings tokenizers of its own; the full one
needs the T5 and lyrics vocabularies of the reference, from files or Hub repositories that the
caller names.
"""

import copy
from typing import Any

import torch
from transformers import T5Config

from ..modeling.configuration_songgen import SongGenConfig
from ..modeling.modeling_songgen import SongGenForConditionalGeneration
from ..modeling.processing_songgen import SongGenProcessor
from ..modeling.tokenization_songgen import LYRICS_START, LYRICS_STOP
from .tokenizers import build_mini_processor

DEFAULT_TRACK_PATTERN = "mixed_pro"

FLAN_T5_LARGE: dict[str, Any] = {
    "vocab_size": 32128,
    "d_model": 1024,
    "d_kv": 64,
    "d_ff": 2816,
    "num_layers": 24,
    "num_heads": 16,
    "feed_forward_proj": "gated-gelu",
}

PRESETS: dict[str, dict[str, Any]] = {
    "mini": {
        "text_encoder": {
            "d_model": 128,
            "d_kv": 32,
            "d_ff": 256,
            "num_layers": 2,
            "num_heads": 4,
            "feed_forward_proj": "gated-gelu",
            "dropout_rate": 0.0,
        },
        "lyrics_encoder": {
            # A short run sees each song a few times: dropout would only slow it (8 % of a step).
            "dropout": 0.0,
            "output_size": 192,
            "num_attention_heads": 4,
            "intermediate_size": 576,
            "num_hidden_layers": 3,
        },
        "voice_encoder": {
            "hidden_size": 96,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
            "intermediate_size": 256,
            "conv_dim": [64] * 7,
            "num_conv_pos_embeddings": 32,
            "num_conv_pos_embedding_groups": 8,
        },
        "audio_encoder": {
            # 256 codes learn four times faster than 1024 from little data, and cost a decoder of
            # this size a third less; eight codebooks of them still make 3.2 kbps.
            "codebook_size": 256,
            "target_bandwidths": [0.4, 0.8, 1.2, 1.6, 3.2],
            # In half an hour of two cores the convolutional network does not learn to sing.
            "acoustic_network": "spectral",
            "spectral_sizes": {
                "encoder_channels": 128,
                "encoder_layers": 4,
                "decoder_channels": 192,
                "decoder_layers": 8,
            },
            "acoustic_model_config": {
                "encoder_hidden_size": 2,
                "decoder_hidden_size": 32,
                "hidden_size": 64,
            },
            "semantic_model_config": {
                "hidden_size": 96,
                "num_hidden_layers": 4,
                "num_attention_heads": 4,
                "intermediate_size": 256,
                "conv_dim": [64] * 7,
                "num_conv_pos_embeddings": 32,
                "num_conv_pos_embedding_groups": 8,
            },
        },
        "decoder": {
            "num_codebooks": 8,
            "hidden_size": 256,
            "num_hidden_layers": 6,
            "num_attention_heads": 4,
            "ffn_dim": 1024,
            "dropout": 0.0,
            "max_position_embeddings": 3200,
            "codebook_size": 256,
            "vocab_size": 258,
            "pad_token_id": 256,
            "eos_token_id": 256,
            "bos_token_id": 257,
        },
        "pad_token_id": 256,
        "decoder_start_token_id": 257,
        "lyrics_positions": True,
    },
    "full": {
        "text_encoder": FLAN_T5_LARGE,
        "lyrics_encoder": {"vocab_size": 7000},
        "voice_encoder": {},
        "audio_encoder": {},
        "decoder": {"num_codebooks": 8, "max_position_embeddings": 6547},
    },
}
"""Sections of :class:`SongGenConfig`; what is not named is the class default."""


def build_config(preset: str, track_pattern: str = DEFAULT_TRACK_PATTERN) -> SongGenConfig:
    """The configuration of a new model.

    Args:
        preset: ``"mini"`` or ``"full"``.
        track_pattern: one of ``TRACK_PATTERNS``; mixed_pro gets its vocal heads.

    Raises:
        ValueError: for an unknown preset or pattern.
    """
    if preset not in PRESETS:
        raise ValueError(f"unknown preset: got {preset!r}, expected one of {', '.join(PRESETS)}")
    sections = copy.deepcopy(PRESETS[preset])
    text_encoder = T5Config(**sections.pop("text_encoder"))
    voice_encoder = sections.pop("voice_encoder")
    defaults = SongGenConfig.sub_configs_defaults["voice_encoder"].init_kwargs
    sections["decoder"] |= {
        "track_pattern": track_pattern,
        "add_vocal_loss": track_pattern == "mixed_pro",
    }
    return SongGenConfig(
        text_encoder=text_encoder,
        voice_encoder={"model_type": "hubert", **defaults, **voice_encoder},
        generation_text_projection="always",
        **sections,
    )


def build_processor(
    preset: str,
    *,
    text_tokenizer: str | None = None,
    lyrics_vocab: str | None = None,
) -> SongGenProcessor:
    """The processor of a new model.

    Args:
        text_tokenizer, lyrics_vocab: for the full preset, where to take the vocabularies: a file,
            folder or Hub repository; by default the reference's on the Hub.

    Raises:
        ValueError: if they are given for the mini preset, which has its own.
        OSError, ValueError: if a vocabulary cannot be had.
    """
    if preset == "mini":
        if text_tokenizer or lyrics_vocab:
            raise ValueError(
                "the mini preset has its own tokenizers: leave text_tokenizer and lyrics_vocab out"
            )
        return build_mini_processor()
    chosen = {"text_tokenizer": text_tokenizer, "lyrics_vocab": lyrics_vocab}
    return SongGenProcessor.for_reference_checkpoint(
        **{name: value for name, value in chosen.items() if value}
    )


def fit_to_processor(config: SongGenConfig, processor: SongGenProcessor) -> SongGenConfig:
    """Set vocabulary sizes and null ids by the tokenizers, in place; sizes only ever grow."""
    text, lyrics = processor.tokenizer, processor.lyrics_tokenizer
    start, stop = lyrics.convert_tokens_to_ids([LYRICS_START, LYRICS_STOP])
    config.text_encoder.vocab_size = max(len(text), config.text_encoder.vocab_size)
    config.text_encoder.pad_token_id = text.pad_token_id
    config.text_encoder.eos_token_id = text.eos_token_id
    config.lyrics_encoder.vocab_size = max(len(lyrics), config.lyrics_encoder.vocab_size)
    config.null_text_ids = text("").input_ids
    config.lyrics_encoder.null_ids = [start, lyrics.convert_tokens_to_ids("[en]"), stop]
    return config


def build(
    preset: str,
    *,
    track_pattern: str = DEFAULT_TRACK_PATTERN,
    seed: int = 0,
    text_tokenizer: str | None = None,
    lyrics_vocab: str | None = None,
) -> tuple[SongGenForConditionalGeneration, SongGenProcessor]:
    """A new model with seeded random weights and its processor; arguments as above."""
    config = build_config(preset, track_pattern)
    processor = build_processor(preset, text_tokenizer=text_tokenizer, lyrics_vocab=lyrics_vocab)
    if preset == "mini":
        config.text_encoder.vocab_size = config.lyrics_encoder.vocab_size = 0
    fit_to_processor(config, processor)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = SongGenForConditionalGeneration(config)
    return model.eval(), processor


__all__ = [
    "DEFAULT_TRACK_PATTERN",
    "PRESETS",
    "build",
    "build_config",
    "build_processor",
    "fit_to_processor",
]

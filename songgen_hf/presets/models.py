"""New models for training: the mini preset for a laptop, and the full size of the paper.

The weights are random and depend on a seed. The mini preset has its own tokenizers; the full preset
needs the T5 and lyrics vocabularies of the reference, from a file, a folder or the Hub.
"""

import copy
import math
from collections.abc import Mapping
from typing import Any

import torch
from transformers import PretrainedConfig, T5Config

from ..modeling.configuration_songgen import MERT_330M, SongGenConfig
from ..modeling.modeling_songgen import SongGenForConditionalGeneration
from ..modeling.processing_songgen import SongGenProcessor
from ..modeling.tokenization_songgen import LYRICS_START, LYRICS_STOP
from .tokenizers import build_mini_processor, load_lyrics_tokenizer

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

_SMALL_HUBERT: dict[str, Any] = {
    "hidden_size": 96,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 256,
    # The first layer is a filter bank (`training.codec.filter_bank`) with windows of 400 samples:
    # a stack of short kernels takes a teacher of this size too many steps to learn one.
    "conv_dim": [256, 128, 128],
    "conv_kernel": [400, 2, 2],
    "conv_stride": [80, 2, 2],
    "feat_extract_norm": "layer",
    "num_feat_extract_layers": 3,
    "num_conv_pos_embeddings": 32,
    "num_conv_pos_embedding_groups": 8,
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
            # In a short run that repeats each song a few times, dropout only costs time (8 % of a
            # step).
            "dropout": 0.0,
            "output_size": 192,
            "num_attention_heads": 4,
            "intermediate_size": 576,
            "num_hidden_layers": 3,
        },
        "voice_encoder": {**_SMALL_HUBERT},
        "audio_encoder": {
            # With little data, 256 codes are learned four times faster than 1024, and a decoder of
            # this size takes a third less time. Eight such codebooks still have 3.2 kbps.
            "codebook_size": 256,
            "target_bandwidths": [0.4, 0.8, 1.2, 1.6, 3.2],
            # The convolutional network needs more than half an hour of training on two cores.
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
            "semantic_model_config": {**_SMALL_HUBERT},
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
"""Sections of :class:`SongGenConfig` that differ from the defaults of the class."""


def build_config(
    preset: str,
    track_pattern: str = DEFAULT_TRACK_PATTERN,
    *,
    track_embeddings: bool = False,
    rotary_positions: bool = False,
) -> SongGenConfig:
    """Build the configuration of a new model.

    Args:
        preset: ``"mini"`` or ``"full"``.
        track_pattern: one of ``TRACK_PATTERNS``; ``"mixed_pro"`` includes the vocal heads.
        track_embeddings: see :class:`SongGenDecoderConfig`.
        rotary_positions: rotary instead of sinusoidal positions; cross-attention is not rotated.
    Raises:
        ValueError: for an unknown preset or pattern.
    """
    if preset not in PRESETS:
        raise ValueError(f"unknown preset: got {preset!r}, expected one of {', '.join(PRESETS)}")
    sections = copy.deepcopy(PRESETS[preset])
    text_encoder = T5Config(**sections.pop("text_encoder"))
    voice_encoder = sections.pop("voice_encoder")
    sections["decoder"] |= {
        "track_pattern": track_pattern,
        "add_vocal_loss": track_pattern == "mixed_pro",
        "vocal_loss_weight": 0.1 if track_pattern == "mixed_pro" else 0.0,
        "track_embeddings": track_embeddings,
        "rope_embeddings": rotary_positions,
        "rotate_cross_attention_queries": not rotary_positions,
    }
    return SongGenConfig(
        text_encoder=text_encoder,
        voice_encoder={"model_type": "hubert", **MERT_330M, **voice_encoder},
        generation_text_projection="always",
        **sections,
    )


def build_processor(
    preset: str,
    *,
    text_tokenizer: str | None = None,
    lyrics_vocab: str | None = None,
) -> SongGenProcessor:
    """Build the processor of a new model.

    Args:
        preset: ``"mini"`` or ``"full"``.
        text_tokenizer: text tokenizer of the full preset: a folder or Hub repository; by default
            that of the reference on the Hub.
        lyrics_vocab: lyrics vocabulary of the full preset: a file, folder or Hub repository; by
            default that of the reference on the Hub.
    Raises:
        ValueError: if a vocabulary is given for the mini preset, or is invalid.
        OSError: if a vocabulary cannot be loaded.
    """
    if preset == "mini":
        if text_tokenizer or lyrics_vocab:
            raise ValueError(
                "the mini preset has its own tokenizers: leave text_tokenizer and lyrics_vocab out"
            )
        return build_mini_processor()
    chosen = {"text_tokenizer": text_tokenizer, "lyrics_vocab": lyrics_vocab}
    try:
        return SongGenProcessor.for_reference_checkpoint(
            **{name: value for name, value in chosen.items() if value}
        )
    except ValueError as error:
        raise ValueError(
            f"{error} (on the command line: songgen-hf init --preset full --text-tokenizer FOLDER "
            "--lyrics-vocab FILE --out MODEL, then songgen-hf train --model MODEL)"
        ) from error


def fit_to_processor(config: SongGenConfig, processor: SongGenProcessor) -> SongGenConfig:
    """Set the vocabulary sizes and null ids of a configuration according to the tokenizers.

    The configuration is changed in place. Vocabulary sizes are increased if necessary, but never
    decreased.
    """
    text, lyrics = processor.tokenizer, processor.lyrics_tokenizer
    start, stop = lyrics.convert_tokens_to_ids([LYRICS_START, LYRICS_STOP])
    config.text_encoder.vocab_size = max(len(text), config.text_encoder.vocab_size)
    config.text_encoder.pad_token_id = text.pad_token_id
    config.text_encoder.eos_token_id = text.eos_token_id
    config.lyrics_encoder.vocab_size = max(len(lyrics), config.lyrics_encoder.vocab_size)
    config.null_text_ids = text("").input_ids
    config.lyrics_encoder.null_ids = [start, lyrics.convert_tokens_to_ids("[en]"), stop]
    return config


def fit_to_codec(config: SongGenConfig, processor: SongGenProcessor, codec: Any) -> SongGenConfig:
    """Set the codebooks, special ids and rates of a new model according to a codec, in place.

    Args:
        config: configuration of the model; its special ids keep their distance to the codes.
        processor: its processor.
        codec: rates and sizes of the codec, an ``XCodecConfig`` or ``CodecSizes``.
    """
    decoder: Any = config.decoder
    shift = codec.codebook_size - decoder.codebook_size
    for owner, name in (
        *((decoder, f"{name}_token_id") for name in ("pad", "bos", "eos")),
        *((decoder, name) for name in ("codebook_size", "vocab_size")),
        (config, "pad_token_id"),
        (config, "decoder_start_token_id"),
    ):
        setattr(owner, name, getattr(owner, name) + shift)
    seconds = decoder.max_position_embeddings / config.frame_rate
    frame_rate = codec.sample_rate / codec.hop_length
    decoder.max_position_embeddings = math.ceil(seconds * frame_rate)
    decoder.num_codebooks = codec.num_quantizers
    extractor = processor.feature_extractor
    extractor.sampling_rate, extractor.hop_length = codec.sample_rate, codec.hop_length
    return config


def override(config: SongGenConfig, values: Mapping[str, Any]) -> SongGenConfig:
    """Replace values of a configuration in place, and check the result.

    Args:
        config: the configuration.
        values: name -> value; the name of a value of a section is ``decoder.hidden_size``.
    Raises:
        ValueError: for a name that the configuration does not have, or sizes that do not fit.
    """
    for name, value in values.items():
        section, _, key = name.rpartition(".")
        owner = getattr(config, section, None) if section else config
        if not isinstance(owner, PretrainedConfig) or not hasattr(owner, key):
            raise ValueError(
                f"the configuration has no {name!r}: expected a name such as use_lyrics_encoder "
                "or decoder.num_hidden_layers; see config.json of a checkpoint"
            )
        setattr(owner, key, value)
    for owner in (config.decoder, config.lyrics_encoder):
        owner.validate_architecture()
    return config


def build(
    preset: str,
    *,
    track_pattern: str = DEFAULT_TRACK_PATTERN,
    track_embeddings: bool = False,
    rotary_positions: bool = False,
    codec: Any = None,
    seed: int = 0,
    text_tokenizer: str | None = None,
    lyrics_vocab: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    lyrics_tokenizer: str | None = None,
) -> tuple[SongGenForConditionalGeneration, SongGenProcessor]:
    """Build a new model with random weights and its processor.

    Args:
        preset: as for :func:`build_config`.
        track_pattern, track_embeddings, rotary_positions: as for :func:`build_config`.
        codec: rates and sizes of the codec that the model will get, see :func:`fit_to_codec`; the
            caller puts it there. None for the codec of the preset.
        seed: seed of the weights.
        text_tokenizer: as for :func:`build_processor`.
        lyrics_vocab: as for :func:`build_processor`.
        overrides: as for :func:`override`.
        lyrics_tokenizer: folder or Hub repository of another lyrics tokenizer.
    """
    config = build_config(
        preset,
        track_pattern,
        track_embeddings=track_embeddings,
        rotary_positions=rotary_positions,
    )
    override(config, overrides or {})
    processor = build_processor(preset, text_tokenizer=text_tokenizer, lyrics_vocab=lyrics_vocab)
    if lyrics_tokenizer is not None:
        processor.lyrics_tokenizer = load_lyrics_tokenizer(lyrics_tokenizer)
    if preset == "mini":
        config.text_encoder.vocab_size = config.lyrics_encoder.vocab_size = 0
    fit_to_processor(config, processor)
    if codec is not None:
        fit_to_codec(config, processor, codec)
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
    "fit_to_codec",
    "fit_to_processor",
    "override",
]

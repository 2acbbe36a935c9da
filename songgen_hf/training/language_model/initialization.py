"""The model that a run starts from: untrained, a checkpoint, or one of another token pattern."""

import copy
from typing import Any

import torch
from transformers import AutoModel, AutoProcessor

from ...checkpoints.loading import load_codec, resolve_checkpoint
from ...modeling.codec_adapter import CodecAdapter
from ...modeling.modeling_songgen import SongGenForConditionalGeneration
from ...modeling.patterns import CodebookPattern
from ...modeling.processing_songgen import SongGenProcessor
from ...modeling.voice_encoder import SongGenVoiceEncoder
from ...presets import models as presets
from ..option_parsing import assignments
from ..options import ModelOptions
from ..seeding import seeded


def load_model(
    options: ModelOptions, *, seed: int = 0
) -> tuple[SongGenForConditionalGeneration, SongGenProcessor]:
    """Load or build the model (float32) and the processor that the options name.

    Args:
        options: which model.
        seed: seed of the weights of an untrained model and of new parts.
    Raises:
        ValueError: unless exactly one of ``model`` and ``preset`` is given.
    """
    if (options.model is None) == (options.preset is None):
        raise ValueError(
            f"pass either --model or --preset: got {options.model!r} and {options.preset!r}; "
            "--preset mini starts an untrained model"
        )
    codec = None
    if options.codec is not None:
        codec = load_codec(options.codec, device="cpu", dtype=torch.float32)
    if options.preset is not None:
        pattern = options.track_pattern or presets.DEFAULT_TRACK_PATTERN
        model, processor = presets.build(
            options.preset,
            track_pattern=pattern,
            seed=seed,
            track_embeddings=options.track_embeddings,
            rotary_positions=options.rotary_positions,
            codec=None if codec is None else codec.config,
            overrides=assignments(options.config_overrides, "config_overrides"),
            lyrics_tokenizer=options.lyrics_tokenizer,
        )
    else:
        if options.config_overrides or options.lyrics_tokenizer:
            raise ValueError(
                "a checkpoint keeps its configuration and tokenizers: leave --config-overrides and "
                "--lyrics-tokenizer out, or start from --preset"
            )
        name = resolve_checkpoint(options.model or "")
        model = SongGenForConditionalGeneration.from_pretrained(name, dtype=torch.float32)
        processor = AutoProcessor.from_pretrained(name)
        if options.rotary_positions and not model.config.decoder.rope_embeddings:
            raise ValueError(
                "a trained model keeps its positions: leave --rotary-positions out, or start from "
                "--preset"
            )
        decoder: Any = model.config.decoder
        pattern = options.track_pattern or decoder.track_pattern
        track_embeddings = options.track_embeddings or (
            decoder.track_embeddings and pattern.startswith("interleaving")
        )
        if (pattern, track_embeddings) != (decoder.track_pattern, decoder.track_embeddings):
            model = change_track_pattern(
                model, pattern, track_embeddings=track_embeddings, seed=seed
            )
    if options.attention is not None:
        model.decoder.set_attn_implementation(options.attention)
    if codec is not None:
        install_codec(model, codec)
    if options.conditioner is not None:
        install_conditioner(model, processor, options.conditioner)
    if options.voice_encoder is not None:
        if options.preset is None:
            raise ValueError(
                "a trained model keeps its voice encoder: leave --voice-encoder out, or start from "
                "--preset"
            )
        install_voice_encoder(model, options.voice_encoder, seed=seed)
    return model, processor


def install_codec(model: SongGenForConditionalGeneration, codec: Any) -> None:
    """Replace the codec of a model in place.

    Args:
        model: the model.
        codec: an :class:`XCodecModel`, or a codec of transformers in its adapter.
    Raises:
        ValueError: if the codec has other codebooks than the decoder.
    """
    decoder: Any = model.config.decoder
    found = codec.config.num_quantizers, codec.config.codebook_size
    expected = decoder.num_codebooks, decoder.codebook_size
    if found != expected:
        raise ValueError(
            f"the codec has {found[0]} codebooks of {found[1]} codes, the decoder {expected[0]} of "
            f"{expected[1]}: use a codec with the sizes of the model, or start from --preset"
        )
    network: Any = codec.model if isinstance(codec, CodecAdapter) else codec
    model.audio_encoder = network.requires_grad_(False)
    model.config.audio_encoder = network.config


def install_conditioner(
    model: SongGenForConditionalGeneration, processor: SongGenProcessor, checkpoint: str
) -> None:
    """Replace the weights of a model's conditioner, in place, with those of another model's.

    Models that share a conditioner differ in their decoders alone, and one of them can be trained
    with what the other one has learned to read.

    Args:
        model: the model.
        processor: its processor.
        checkpoint: the other song model, a directory or a Hub id.
    Raises:
        ValueError: if the other conditioner has other tensors, or its tokenizers other tokens.
    """
    name = resolve_checkpoint(checkpoint)
    other_processor = AutoProcessor.from_pretrained(name)
    for tokenizer in ("tokenizer", "lyrics_tokenizer"):
        ours, theirs = getattr(processor, tokenizer), getattr(other_processor, tokenizer)
        if ours.get_vocab() != theirs.get_vocab():
            raise ValueError(
                f"the {tokenizer} of {checkpoint} has other tokens than that of the model: take "
                "the conditioner of a model with the same tokenizers"
            )
    other = SongGenForConditionalGeneration.from_pretrained(name, dtype=torch.float32)
    shapes, found = (
        {name: tuple(tensor.shape) for name, tensor in one.conditioner.state_dict().items()}
        for one in (model, other)
    )
    for name in sorted(shapes.keys() | found.keys()):
        if shapes.get(name) != found.get(name):
            raise ValueError(
                f"{name} of the conditioner of {checkpoint} has the shape {found.get(name)}, that "
                f"of the model {shapes.get(name)}: take that of a model of equal sizes"
            )
    model.conditioner.load_state_dict(other.conditioner.state_dict())


def install_voice_encoder(
    model: SongGenForConditionalGeneration, checkpoint: str, *, seed: int = 0
) -> None:
    """Replace the network that encodes reference voices in an untrained model, in place.

    Args:
        model: the model.
        checkpoint: HuBERT-like network, a directory or a Hub id.
        seed: seed of the projection and of the layer weights, which are new.
    """
    network = AutoModel.from_pretrained(resolve_checkpoint(checkpoint), dtype=torch.float32)
    conditioner, config = model.conditioner, network.config
    with seeded(seed):
        voice_encoder = SongGenVoiceEncoder(config)
        width = conditioner.voice_projection.out_features
        conditioner.voice_projection = torch.nn.Linear(config.hidden_size, width)
    voice_encoder.model.load_state_dict(network.state_dict())
    conditioner.voice_encoder = voice_encoder
    model.config.voice_encoder = conditioner.config.voice_encoder = config


def change_track_pattern(
    model: SongGenForConditionalGeneration,
    track_pattern: str,
    *,
    track_embeddings: bool = False,
    seed: int = 0,
) -> SongGenForConditionalGeneration:
    """A model with another token pattern that starts from the weights of ``model``.

    Embeddings and heads of a single track are copied to both tracks of a dual-track pattern; in the
    other direction those of the first track are kept. Vocal heads (mixed_pro) are added or removed.

    Args:
        model: the model, which stays unchanged.
        track_pattern: the new pattern.
        track_embeddings: whether the new model has track embeddings; new ones are zero.
        seed: seed of new vocal heads.
    Raises:
        ValueError: for track embeddings with a pattern that is not interleaved.
    """
    config = copy.deepcopy(model.config)
    decoder: Any = config.decoder
    decoder.track_pattern, decoder.track_embeddings = track_pattern, track_embeddings
    decoder.add_vocal_loss = track_pattern == "mixed_pro"
    decoder.validate_architecture()
    rows = CodebookPattern(track_pattern, decoder.num_codebooks).num_rows
    with seeded(seed):
        changed = SongGenForConditionalGeneration(config)
    weights = model.state_dict()
    for name in ("decoder.model.embed_tokens.weight", "decoder.lm_heads.weight"):
        by_row = weights[name].unflatten(0, (-1, decoder.vocab_size))  # [rows, V, H]
        copies = -(-rows // len(by_row))
        weights[name] = by_row.repeat(copies, 1, 1)[:rows].flatten(0, 1)
    optional = {
        "decoder.vocal_lm_heads.weight": decoder.add_vocal_loss,
        "decoder.model.embed_tracks.weight": track_embeddings,
    }
    for name, wanted in optional.items():
        if wanted:
            weights.setdefault(name, changed.state_dict()[name])
        else:
            weights.pop(name, None)
    changed.load_state_dict(weights)
    changed.generation_config = copy.deepcopy(model.generation_config)
    return changed.to(dtype=model.dtype).eval()


__all__ = [
    "change_track_pattern",
    "install_codec",
    "install_conditioner",
    "install_voice_encoder",
    "load_model",
]

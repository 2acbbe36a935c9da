"""Configuration classes of SongGen: the only place that defines its sizes, rates, ids and delays.

The class defaults are those of the reference implementation, and its hard-coded sizes for the
lyrics encoder, the voice encoder and the codec, which its ``config.json`` lacks. A reference
``config.json`` therefore loads unchanged.
"""

import os
from typing import Any, Literal

from huggingface_hub.dataclasses import strict
from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedConfig

from .checkpoint_mapping import rename_reference_config_keys
from .checkpoint_names import NamedCheckpointMixin
from .codec_sizes import ADAPTED_TYPES, codec_sizes
from .config_checks import CheckedConfigMixin
from .configuration_xcodec import XCodecConfig
from .patterns import TRACK_PATTERNS, CodebookPattern

MASKED_MODEL_TYPE = "songgen_masked"
"""``model_type`` in the ``config.json`` of a :class:`MaskedSongPipeline`."""
MERT_330M: dict[str, Any] = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "conv_bias": False,
    "feat_extract_norm": "group",
    "do_stable_layer_norm": True,
    "hidden_dropout": 0.0,
    "attention_dropout": 0.0,
    "feat_proj_dropout": 0.0,
    "final_dropout": 0.0,
    "layerdrop": 0.0,
    "mask_time_prob": 0.075,
}
"""Settings with which a HuBERT has the keys and, bit for bit, the outputs of MERT-v1-330M."""


@strict
class SongGenDecoderConfig(PreTrainedConfig):
    """Configuration of the autoregressive decoder over codec codes.

    Args:
        vocab_size: number of ids of one row: ``codebook_size`` codes, then the special ids.
        codebook_size: number of codes of one codebook; ids from here on are special.
        num_codebooks: K, number of codebooks of one track.
        track_pattern: layout of tracks and codebooks, one of ``patterns.TRACK_PATTERNS``.
        add_vocal_loss: whether K additional heads predict the vocal in training (mixed_pro only).
        vocal_loss_weight: factor of their loss in the ``loss`` of ``forward``. It is 0 in the
            reference, whose trainer adds the loss itself, as ``songgen-hf train`` does. Set it, to
            0.1 as in the paper's recipe, for a trainer that minimizes ``loss``.
        track_embeddings: whether each step of an interleaved pattern is told which track it writes,
            by a learned vector that is added to its input. The reference has none: both tracks
            share tables and heads, and only the position tells them apart. New vectors are zero.
        num_key_value_heads: key and value heads of self-attention; default ``num_attention_heads``.
        num_cross_attention_key_value_heads: key and value heads of cross-attention; default
            ``num_key_value_heads``.
        rope_embeddings: whether positions are rotary instead of sinusoidal.
        rotate_cross_attention_queries: with rotary positions, whether the queries of
            cross-attention are rotated too (its keys never are). The reference rotates them, and
            its checkpoints were trained so.
        max_position_embeddings: number of rows of the sinusoidal table that is written into
            checkpoints in the reference's layout. Positions are computed by formula, so it does not
            limit the length of a song.
        scale_embedding: read from reference checkpoints; it has no effect, as in the reference.
    """

    model_type = "songgen_decoder"
    base_config_key = "decoder"
    keys_to_ignore_at_inference = ["past_key_values"]

    vocab_size: int = 1088
    codebook_size: int = 1024
    max_position_embeddings: int = 6000
    num_hidden_layers: int = 24
    ffn_dim: int = 4096
    num_attention_heads: int = 16
    num_key_value_heads: int | None = None
    num_cross_attention_key_value_heads: int | None = None
    layerdrop: float | int = 0.0
    use_cache: bool = True
    activation_function: str = "gelu"
    hidden_size: int = 1024
    dropout: float | int = 0.1
    attention_dropout: float | int = 0.0
    activation_dropout: float | int = 0.0
    initializer_factor: float | int = 0.02
    scale_embedding: bool = False
    num_codebooks: int = 4
    track_pattern: str = "mixed"
    add_vocal_loss: bool = False
    vocal_loss_weight: float = 0.0
    track_embeddings: bool = False
    rope_embeddings: bool = False
    rope_theta: float | int = 10000.0
    rotate_cross_attention_queries: bool = True
    pad_token_id: int = 1024
    bos_token_id: int = 1025
    eos_token_id: int = 1024
    tie_word_embeddings: bool = False

    def __post_init__(self, **kwargs: Any) -> None:
        # transformers selects the attention implementation, for all layers alike.
        kwargs.pop("cross_attention_implementation_strategy", None)
        # Reference checkpoints store the generation defaults of transformers 4 in their config;
        # here they are part of generation_config.json.
        for key in (
            "max_length",
            "min_length",
            "do_sample",
            "top_k",
            "top_p",
            "temperature",
            "num_beams",
        ):
            kwargs.pop(key, None)
        if self.num_key_value_heads is None:
            self.num_key_value_heads = self.num_attention_heads
        if self.num_cross_attention_key_value_heads is None:
            self.num_cross_attention_key_value_heads = self.num_key_value_heads
        super().__post_init__(**kwargs)
        # transformers also calls this method, but wraps the error in another class.
        self.validate_architecture()

    def validate_architecture(self) -> None:
        """Raise ValueError unless the sizes fit together."""
        if self.track_pattern not in TRACK_PATTERNS:
            raise ValueError(
                f"unknown track_pattern: got {self.track_pattern!r}, expected one of "
                f"{', '.join(TRACK_PATTERNS)}"
            )
        if self.add_vocal_loss and self.track_pattern != "mixed_pro":
            raise ValueError(
                f"add_vocal_loss needs track_pattern 'mixed_pro': got {self.track_pattern!r}; "
                "set add_vocal_loss=False or change the pattern"
            )
        if self.track_embeddings and not self.track_pattern.startswith("interleaving"):
            raise ValueError(
                f"track_embeddings need an interleaved track_pattern: got {self.track_pattern!r}; "
                "set track_embeddings=False or change the pattern"
            )
        if self.hidden_size % self.num_attention_heads:
            raise ValueError(
                "hidden_size must be a multiple of num_attention_heads: got "
                f"{self.hidden_size} and {self.num_attention_heads}"
            )
        for name in ("num_key_value_heads", "num_cross_attention_key_value_heads"):
            heads = getattr(self, name)
            if heads and self.num_attention_heads % heads:
                raise ValueError(
                    f"num_attention_heads ({self.num_attention_heads}) must be a multiple of "
                    f"{name} ({heads})"
                )
        if self.codebook_size >= self.vocab_size:
            raise ValueError(
                "vocab_size must exceed codebook_size to hold the special ids: got "
                f"{self.vocab_size} and {self.codebook_size}"
            )

    @property
    def pattern(self) -> CodebookPattern:
        """The token pattern that ``track_pattern`` names."""
        return CodebookPattern(self.track_pattern, self.num_codebooks)

    @property
    def num_tracks(self) -> int:
        """Number of tracks: 1 for the mixed patterns, else 2."""
        return self.pattern.num_tracks

    @property
    def num_rows(self) -> int:
        """Number of rows, embedding tables and heads: K, or 2 K if each track has its own rows."""
        return self.pattern.num_rows

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_attention_heads


@strict
class SongGenLyricsEncoderConfig(PreTrainedConfig):
    """Configuration of the lyrics encoder, a bidirectional pre-norm transformer.

    Args:
        vocab_size: size of the lyrics vocabulary (``vocab_size`` at the top of a reference config).
        output_size: width of the encoder; its input has the decoder's width.
        null_ids: ids of empty lyrics, for the unconditional branch of guidance:
            ``[START] [en] [STOP]`` of the lyrics tokenizer.
    """

    model_type = "songgen_lyrics_encoder"
    base_config_key = "lyrics_encoder"

    vocab_size: int = 1024
    output_size: int = 1024
    num_attention_heads: int = 16
    intermediate_size: int = 4096
    num_hidden_layers: int = 6
    dropout: float | int = 0.1
    attention_dropout: float | int = 0.0
    layer_norm_eps: float = 1e-5
    initializer_factor: float | int = 0.02
    null_ids: list[int] | tuple[int, ...] = (261, 259, 0)

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        self.validate_architecture()

    def validate_architecture(self) -> None:
        """Raise ValueError unless the sizes fit together."""
        if self.output_size % self.num_attention_heads:
            raise ValueError(
                "output_size must be a multiple of num_attention_heads: got "
                f"{self.output_size} and {self.num_attention_heads}"
            )


@strict
class SongGenConfig(NamedCheckpointMixin, CheckedConfigMixin, PreTrainedConfig):
    """Configuration of SongGen, which generates codec codes from text, lyrics and a voice.

    Args:
        text_encoder: configuration of the T5 encoder over the style description.
        lyrics_encoder: :class:`SongGenLyricsEncoderConfig`.
        voice_encoder: configuration of a HuBERT-like model over three seconds of a voice; the
            default is MERT-v1-330M.
        audio_encoder: :class:`XCodecConfig`, or the configuration of a residual codec of
            transformers (``ADAPTED_TYPES``): EnCodec, DAC or Mimi.
        decoder: :class:`SongGenDecoderConfig`.
        lyrics_cross_attention: whether the decoder reads lyrics by cross-attention; if False, they
            are prepended to its input.
        use_lyrics_encoder: whether the lyrics encoder is used; if False, the decoder reads the
            lyrics embeddings.
        lyrics_positions: whether sinusoidal positions are added to the lyrics states. The positions
            of the encoder are relative, so without this the states do not carry their place in the
            lyrics, and the decoder has to find it by content. False in the reference, True in the
            mini preset.
        generation_text_projection: whether ``generate`` projects the text states, which training
            always does. ``"if_sizes_differ"`` is the rule of the reference: its ``generate`` skips
            the projection if text encoder and decoder have the same width, so its released
            checkpoints generate from states that were not part of training. ``"always"`` makes
            training and generation agree; new models are created with it.
        voice_sampling_rate: sampling rate of ``voice_values``, in Hz.
        trained: False while the weights are random; the pipelines then warn that songs are noise.
        null_text_ids: ids of an empty description, for the unconditional branch of guidance; by
            default the end mark of the text encoder.

    Raises:
        ValueError: without the sections ``text_encoder`` and ``decoder``.
    """

    model_type = "songgen"
    keys_to_ignore_at_inference = ["past_key_values"]
    # This class makes its sections, because transformers 5.17 does not know their defaults.
    has_no_defaults_at_init = True
    sub_configs = {
        "text_encoder": AutoConfig,
        "lyrics_encoder": SongGenLyricsEncoderConfig,
        "voice_encoder": AutoConfig,
        "audio_encoder": XCodecConfig,
        "decoder": SongGenDecoderConfig,
    }

    text_encoder: dict | PreTrainedConfig | None = None
    lyrics_encoder: dict | PreTrainedConfig | None = None
    voice_encoder: dict | PreTrainedConfig | None = None
    audio_encoder: dict | PreTrainedConfig | None = None
    decoder: dict | PreTrainedConfig | None = None
    lyrics_cross_attention: bool = True
    use_lyrics_encoder: bool = True
    lyrics_positions: bool = False
    generation_text_projection: Literal["if_sizes_differ", "always"] = "if_sizes_differ"
    voice_sampling_rate: int = 24000
    trained: bool = True
    null_text_ids: list[int] | tuple[int, ...] = ()
    pad_token_id: int = 1024
    decoder_start_token_id: int = 1025
    is_encoder_decoder: bool = True
    tie_word_embeddings: bool = False

    def __post_init__(self, **kwargs: Any) -> None:
        missing = [name for name in ("text_encoder", "decoder") if getattr(self, name) is None]
        if missing:
            raise ValueError(
                "SongGenConfig needs the sections text_encoder and decoder: missing "
                f"{' and '.join(missing)}; pass them as dicts or configs, or write a fresh "
                "checkpoint with `songgen-hf init`"
            )
        for name, value in rename_reference_config_keys(kwargs).items():
            section, _, key = name.rpartition(".")
            if not section:
                setattr(self, key, value)
            elif not isinstance(getattr(self, section), PreTrainedConfig):
                setattr(self, section, {key: value, **(getattr(self, section) or {})})
        for name in self.sub_configs:
            setattr(self, name, self._section(name))
        super().__post_init__(**kwargs)
        # An encoder has no head. This ties the two names of its input embedding, as in every T5
        # encoder.
        self.text_encoder.tie_word_embeddings = True  # type: ignore[union-attr]
        if not self.null_text_ids:
            end = getattr(self.text_encoder, "eos_token_id", None)
            self.null_text_ids = [1 if end is None else end]

    def _section(self, name: str) -> PreTrainedConfig:
        """The configuration of a section, which may be given as a dict or, with defaults, not."""
        value, kind = getattr(self, name), self.sub_configs[name]
        if isinstance(value, PreTrainedConfig):
            return value
        if value is None:
            value = MERT_330M if name == "voice_encoder" else {}
        if name == "audio_encoder" and value.get("model_type") in ADAPTED_TYPES:
            kind = CONFIG_MAPPING[value["model_type"]]
        elif kind is AutoConfig:
            model_type = value.get("model_type", "t5" if name == "text_encoder" else "hubert")
            if model_type not in CONFIG_MAPPING:
                raise ValueError(
                    f"{name} has the unknown model_type {model_type!r}: expected one that "
                    "transformers knows, such as t5 or hubert"
                )
            kind = CONFIG_MAPPING[model_type]
        return kind(**value)

    @classmethod
    def get_config_dict(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Read a ``config.json``.

        Raises:
            ValueError: if it belongs to a masked song model.
        """
        fields, rest = super().get_config_dict(pretrained_model_name_or_path, **kwargs)
        if fields.get("model_type") == MASKED_MODEL_TYPE:
            raise ValueError(
                f"{pretrained_model_name_or_path} is a masked song model: expected an "
                "autoregressive one; load it with songgen_hf.MaskedSongPipeline or "
                'pipeline("text-to-song")'
            )
        return fields, rest

    def get_text_config(
        self, decoder: bool | None = None, encoder: bool | None = None
    ) -> PreTrainedConfig:
        """Return the section of the decoder, or of the text encoder for ``encoder=True``.

        ``generate()`` derives the size of the cache from it.
        """
        return self.text_encoder if encoder and not decoder else self.decoder  # type: ignore[return-value]

    @property
    def sampling_rate(self) -> int:
        """Sampling rate of the codec's waveforms, in Hz."""
        return codec_sizes(self.audio_encoder).sample_rate

    @property
    def hop_length(self) -> int:
        """Number of samples of one codec frame."""
        return codec_sizes(self.audio_encoder).hop_length

    @property
    def frame_rate(self) -> float:
        """Number of codec frames per second."""
        return self.sampling_rate / self.hop_length

    @property
    def num_codebooks(self) -> int:
        """Number of codebooks of one track, K."""
        return self.decoder.num_codebooks  # type: ignore[union-attr]


for _model_type, _config in (
    ("songgen_decoder", SongGenDecoderConfig),
    ("songgen_lyrics_encoder", SongGenLyricsEncoderConfig),
    ("songgen_xcodec", XCodecConfig),
    ("songgen", SongGenConfig),
):
    if _model_type not in CONFIG_MAPPING:
        AutoConfig.register(_model_type, _config)

__all__ = [
    "MASKED_MODEL_TYPE",
    "MERT_330M",
    "SongGenConfig",
    "SongGenDecoderConfig",
    "SongGenLyricsEncoderConfig",
]

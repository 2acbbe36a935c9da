"""The masked song model predicts all hidden codes of a song at once from its visible codes.

It is a bidirectional transformer with one position per frame, with the layers of the autoregressive
decoder and a choice of two heads (ResGen, arXiv 2412.10208, on the codes and conditions of
SongGen). Text, lyrics and voice are encoded by :class:`SongGenConditioner`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.masking_utils import create_bidirectional_mask

from ..config_checks import build_checked
from ..configuration_songgen import SongGenDecoderConfig
from ..configuration_xcodec import XCodecConfig
from ..decoder import SongGenDecoderLayer
from ..int8_layers import dequantize_state_dict, quantize_layers
from ..positions import rotary_table, sinusoidal_positions
from .code_vectors import codebooks_of, hidden_codes, residual_rms_of, sum_code_vectors
from .distributions import MaskedDistribution
from .heads import LengthHead, MixtureHead, SoftmaxHead
from .saving import PortableConfigMixin

try:
    from diffusers import ConfigMixin, ModelMixin
    from diffusers.configuration_utils import register_to_config
    from diffusers.loaders import PeftAdapterMixin
    from diffusers.utils import BaseOutput
except ImportError as error:
    raise ImportError(
        "masked songs need the package diffusers: pip install 'songgen-hf[diffusers]'"
    ) from error

HEADS = ("softmax", "mixture")
PROGRESS_STEPS = 1000  # positions over which a song of any length extends
INITIAL_DECAY = 0.75  # ratio of the scales of successive codebooks before set_codebooks
SMALLEST_LEVEL = 0.05  # smallest deviation of z, relative to the residual of the latent


@dataclass
class MaskedSongOutput(BaseOutput):
    """Output of :class:`MaskedSongModel`.

    Args:
        distribution: distribution of the hidden codes, a :class:`CodebookDistribution` or a
            :class:`CumulativeMixture`.
    """

    distribution: MaskedDistribution

    def __post_init__(self) -> None:
        if isinstance(self.distribution, dict):  # accelerate rebuilds outputs so under autocast
            self.distribution = self.distribution["distribution"]
        super().__post_init__()


class MaskedSongModel(PortableConfigMixin, ModelMixin, ConfigMixin, PeftAdapterMixin):
    """Model that predicts the hidden codes of a song from its visible codes and conditions.

    The input of a frame is the sum of its visible code vectors, projected for each track, with
    embeddings of the number of visible codebooks, of the distances in frames from the start and to
    the end of the song, and of the relative position in the song.

    Args:
        num_tracks: N: 1 for the mixture, or 2 for accompaniment and vocal.
        num_codebooks: K, number of codebooks.
        codebook_size: V, number of codes of a codebook.
        codebook_dim: D, width of a code vector.
        hidden_size: width of the transformer.
        num_layers: number of layers.
        num_heads: number of attention heads.
        ffn_dim: width of the feed-forward layers.
        condition_size: width of the conditions.
        head: "softmax" over the codes of each codebook, or "mixture" of Gaussians on their sum.
        num_components: C, number of components of the mixture.
        mean_rank: R, rank of the means of the mixture.
        frame_rate: frames per second of the codec.
        residual_rms: K + 1 numbers of the codec, which :meth:`set_codebooks` sets. None for an
            estimate from the code vectors.
        num_key_value_heads: number of key and value heads of self-attention and cross-attention;
            None for ``num_heads``.
        dropout: dropout after the embedding and after every layer.
        scale_floor: smallest deviation of the mixture, in units of the deviation of the vectors of
            the finest codebook. Smaller noise changes no code, and repeated frames such as silence
            would reduce the deviation to zero.
        offsets_per_level: whether the components of the mixture have offsets for each number of
            visible codebooks, initialized with the vectors of the first hidden codebook. With False
            they have one offset, as in the paper.
        rope_theta: base of the rotary positions in self-attention.
    Raises:
        ValueError: for an unknown head or sizes that do not fit together.
    """

    config_name = "config.json"
    _supports_gradient_checkpointing = True
    _no_split_modules = ["SongGenDecoderLayer"]
    _keep_in_fp32_modules = ["codebooks"]

    @register_to_config
    def __init__(
        self,
        num_tracks: int = 2,
        num_codebooks: int = 8,
        codebook_size: int = 1024,
        codebook_dim: int = 1024,
        hidden_size: int = 1024,
        num_layers: int = 24,
        num_heads: int = 16,
        ffn_dim: int = 4096,
        condition_size: int = 1024,
        head: str = "mixture",
        num_components: int = 1024,
        mean_rank: int = 64,
        frame_rate: float = 50.0,
        residual_rms: Sequence[float] | None = None,
        num_key_value_heads: int | None = None,
        dropout: float = 0.0,
        scale_floor: float = 1.0,
        offsets_per_level: bool = True,
        rope_theta: float = 10000.0,
    ) -> None:
        super().__init__()
        if head not in HEADS:
            raise ValueError(f"head is {head!r}, expected one of {', '.join(HEADS)}")
        if num_tracks not in (1, 2):
            raise ValueError(f"num_tracks is {num_tracks}, expected 1 or 2")
        if residual_rms is not None and len(residual_rms) != num_codebooks + 1:
            raise ValueError(
                f"residual_rms holds {len(residual_rms)} numbers, expected num_codebooks + 1 = "
                f"{num_codebooks + 1}; set_codebooks(codec) takes them from the codec"
            )
        self.decoder_config = SongGenDecoderConfig(
            hidden_size=hidden_size,
            num_hidden_layers=num_layers,
            num_attention_heads=num_heads,
            num_key_value_heads=num_key_value_heads,
            ffn_dim=ffn_dim,
            dropout=dropout,
            rope_embeddings=True,
            rope_theta=rope_theta,
            rotate_cross_attention_queries=False,
        )
        self.decoder_config._attn_implementation = "sdpa"

        # Codebooks for a model without a codec: the same ones each time, with the decay of
        # residuals.
        seeded = torch.Generator().manual_seed(0)
        table = torch.randn(num_codebooks, codebook_size, codebook_dim, generator=seeded)
        table *= INITIAL_DECAY ** torch.arange(num_codebooks)[:, None, None]
        self.register_buffer("codebooks", table)
        self._set_levels(residual_rms)

        self.code_projection = nn.ModuleList(
            nn.Linear(codebook_dim, hidden_size) for _ in range(num_tracks)
        )
        self.visible_embedding = nn.Embedding(num_tracks * (num_codebooks + 1), hidden_size)
        self.position_projection = nn.Linear(3 * (hidden_size // 2), hidden_size)
        self.condition_projection = nn.Linear(condition_size, hidden_size)
        self.condition_position_projection = nn.Linear(hidden_size // 2, hidden_size, bias=False)
        self.layers = nn.ModuleList(
            SongGenDecoderLayer(self.decoder_config, index) for index in range(num_layers)
        )
        for layer in self.layers:
            cast(Any, layer).self_attn.is_causal = False
        self.layer_norm = nn.LayerNorm(hidden_size)
        if head == "softmax":
            self.lm_heads: SoftmaxHead | MixtureHead = SoftmaxHead(
                hidden_size, num_tracks, num_codebooks, codebook_size
            )
        else:
            self.lm_heads = MixtureHead(
                hidden_size,
                num_tracks,
                codebook_dim,
                num_components,
                mean_rank,
                levels=num_codebooks if offsets_per_level else 1,
                num_codebooks=num_codebooks,
                scale_floor=scale_floor,
            )
        self.length_head = LengthHead(condition_size)
        self._init_weights()

    @classmethod
    def from_config(cls, config: Any = None, **kwargs: Any) -> Any:
        """Build the model from the fields of a ``config.json``.

        Raises:
            ValueError: for a value of a wrong type, or sizes that no machine can hold.
        """
        build = partial(super().from_config, config, **kwargs)
        return build_checked(build, config if isinstance(config, dict) else {})

    def quantize(self) -> None:
        """Let the layers compute with integers of 8 bits, in place, see :class:`Int8Linear`."""
        quantize_layers(self.layers)

    def _fix_state_dict_keys_on_load(self, state_dict: dict[str, Tensor]) -> None:
        """Read files that hold integers with scales; diffusers calls this for each file."""
        super()._fix_state_dict_keys_on_load(state_dict)
        dequantize_state_dict(state_dict)

    def _init_weights(self) -> None:
        if self.code_projection[0].weight.is_meta:
            return  # the weights are read from a file afterwards
        for name, module in self.named_modules():
            if isinstance(module, nn.Linear | nn.Embedding) and not name.startswith("length_head"):
                nn.init.normal_(module.weight, std=0.02)
                if isinstance(module, nn.Linear) and module.bias is not None:
                    nn.init.zeros_(module.bias)
        for projection in self.code_projection:  # the input has unit deviation, not unit length
            assert isinstance(projection, nn.Linear)
            nn.init.normal_(projection.weight, std=projection.in_features**-0.5)
        if self.condition_projection.in_features == self.condition_projection.out_features:
            nn.init.eye_(self.condition_projection.weight)
        nn.init.zeros_(self.condition_position_projection.weight)
        if isinstance(self.lm_heads, MixtureHead):
            nn.init.zeros_(self.lm_heads.direction.weight)
            self.lm_heads.init_components(self.codebooks, self.level_scale)

    def _set_levels(self, residual_rms: Sequence[float] | None) -> None:
        """Set the deviations of z for each number of visible codebooks, and those of the scores."""
        if residual_rms is None:
            residual_rms = residual_rms_of(self.codebooks)
        rms = torch.tensor(list(residual_rms), dtype=torch.float32)
        power = (rms[:-1] ** 2 - rms[-1] ** 2).maximum((SMALLEST_LEVEL * rms[:-1]) ** 2)
        self.register_buffer("level_scale", power.sqrt().to(self.codebooks.device), False)
        self.register_buffer("deviations", rms[1:].to(self.codebooks.device), False)

    def set_codebooks(self, codec: Any) -> None:
        """Set the code vectors and the residual deviations to those of a codec.

        The components of a mixture are initialized again with the new vectors, so call this method
        before training. It has no effect if the model has the codebooks of the codec already.

        Args:
            codec: :class:`XCodecModel` with at least K codebooks of V entries of width D.
        Raises:
            ValueError: if the codec has other sizes.
        """
        tables = codebooks_of(codec, self.config.num_codebooks)
        if tables.shape != self.codebooks.shape:
            raise ValueError(
                f"the codec has codebooks [K, V, D] {list(tables.shape)}, expected "
                f"{list(self.codebooks.shape)}; build the model with the codec's sizes "
                "(num_codebooks, codebook_size, codebook_dim)"
            )
        tables = tables.to(self.codebooks)
        measured = codec.config.residual_rms or residual_rms_of(tables)
        rms = list(measured[: self.config.num_codebooks + 1])
        if torch.equal(tables, self.codebooks) and rms == list(self.config.residual_rms or ()):
            return
        self.codebooks.copy_(tables)
        self.register_to_config(residual_rms=rms)
        self._set_levels(rms)
        if isinstance(self.lm_heads, MixtureHead):
            self.lm_heads.init_components(self.codebooks, self.level_scale)

    def has_codebooks_of(self, codec: Any) -> bool:
        """Return whether the model has the codebooks of a codec."""
        config = codec.config
        sizes = (config.codebook_size, config.codebook_dim)
        if config.num_quantizers < len(self.codebooks) or sizes != self.codebooks.shape[1:]:
            return False
        tables = codebooks_of(codec, len(self.codebooks)).to(self.codebooks)
        # One of the two may have been rounded to half precision.
        return torch.allclose(tables, self.codebooks, rtol=1e-2, atol=1e-3)

    @classmethod
    def from_song_model(cls, song_model: Any, **sizes: Any) -> MaskedSongModel:
        """Create a new model with the tracks, conditions and codec of a SongGen model.

        Args:
            song_model: :class:`SongGenForConditionalGeneration`.
            **sizes: arguments of this class that replace the sizes of the decoder.
        Raises:
            ValueError: if the SongGen model prepends lyrics instead of cross-attending to them, or
                if its codec is not X-Codec.
        """
        config, codec = song_model.config, song_model.audio_encoder
        if not isinstance(config.audio_encoder, XCodecConfig):
            raise ValueError(
                f"masked models need the code vectors of X-Codec: got a song model with a codec of "
                f"type {config.audio_encoder.model_type!r}"
            )
        if not config.lyrics_cross_attention:
            raise ValueError(
                "the SongGen model has lyrics_cross_attention=False, expected True: the masked "
                "model reads lyrics by cross-attention only; use another checkpoint"
            )
        decoder = config.decoder
        model = cls(
            **{
                "num_tracks": decoder.num_tracks,
                "num_codebooks": decoder.num_codebooks,
                "codebook_size": codec.config.codebook_size,
                "codebook_dim": codec.config.codebook_dim,
                "hidden_size": decoder.hidden_size,
                "num_layers": decoder.num_hidden_layers,
                "num_heads": decoder.num_attention_heads,
                "ffn_dim": decoder.ffn_dim,
                "condition_size": decoder.hidden_size,
                "num_components": codec.config.codebook_size,
                "frame_rate": codec.config.frame_rate,
                **sizes,
            }
        )
        model.set_codebooks(codec)
        return model

    def forward(
        self,
        codes: Tensor,
        visible: Tensor,
        conditions: Tensor,
        condition_mask: Tensor,
        frame_mask: Tensor | None = None,
        return_dict: bool = True,
    ) -> MaskedSongOutput | tuple[MaskedDistribution]:
        """Predict the hidden codes of all frames.

        Args:
            codes: [B, N, K, T] int64; any value for hidden codes.
            visible: [B, N, T] int64, number of known codebooks of each frame, 0 to K.
            conditions: [B, E, condition_size].
            condition_mask: [B, E], 0 hides a state; each song needs at least one visible state.
            frame_mask: [B, T] bool, False for padding; None if there is no padding.
            return_dict: False returns a tuple.
        Raises:
            ValueError: for wrong shapes, or a visible code outside its codebook.
        """
        self._check(codes, visible, conditions, condition_mask, frame_mask)
        if frame_mask is None:
            frame_mask = codes.new_ones((codes.shape[0], codes.shape[-1]), dtype=torch.bool)
        states = self._embed(codes, visible, frame_mask)
        conditions = self._project_conditions(conditions, condition_mask)
        self_mask = create_bidirectional_mask(
            config=self.decoder_config, inputs_embeds=states, attention_mask=frame_mask
        )
        cross_mask = create_bidirectional_mask(
            config=self.decoder_config,
            inputs_embeds=states,
            attention_mask=condition_mask,
            encoder_hidden_states=conditions,
        )
        positions = torch.arange(states.shape[1], device=states.device)
        rotary = rotary_table(positions, self.decoder_config.head_dim, self.config.rope_theta)
        states = F.dropout(states, self.config.dropout, self.training)
        for layer in self.layers:
            states = layer(states, self_mask, conditions, cross_mask, rotary)
        states = self.layer_norm(states)
        distribution = self.lm_heads(
            states, visible, self.codebooks, self.level_scale, self.deviations
        )
        return MaskedSongOutput(distribution=distribution) if return_dict else (distribution,)

    def _embed(self, codes: Tensor, visible: Tensor, frame_mask: Tensor) -> Tensor:
        dtype = self.layer_norm.weight.dtype  # norms compute in the model's precision at any time
        known = ~hidden_codes(visible, codes.shape[2]) & frame_mask[:, None, None]
        vectors = sum_code_vectors(codes, known, self.codebooks) / self.level_scale[0]
        first = torch.arange(visible.shape[1], device=visible.device) * (codes.shape[2] + 1)
        states = self.visible_embedding(visible + first[:, None]).sum(dim=1)
        for track, projection in enumerate(self.code_projection):
            states = states + projection(vectors[:, track].to(dtype))
        place = frame_mask.cumsum(dim=1) - 1
        length = frame_mask.sum(dim=1, keepdim=True)
        share = (place + 0.5) / length * PROGRESS_STEPS
        width = self.config.hidden_size // 2
        tables = [sinusoidal_positions(x, width) for x in (place, length - 1 - place, share)]
        return states + self.position_projection(torch.cat(tables, dim=-1).to(dtype))

    def _project_conditions(self, conditions: Tensor, condition_mask: Tensor) -> Tensor:
        """Project the conditions to the model's width and add positions.

        Positions count from the end, because the lyrics come last.
        """
        dtype = self.layer_norm.weight.dtype
        shown = condition_mask != 0
        place = shown.flip(1).cumsum(dim=1).flip(1)  # [B, E], 1 for the last visible state
        table = sinusoidal_positions(place, self.config.hidden_size // 2).to(dtype)
        projected = self.condition_projection(conditions.to(dtype))
        return projected + self.condition_position_projection(table)

    def predict_frames(self, conditions: Tensor, condition_mask: Tensor) -> Tensor:
        """Predict the number of frames of songs with these conditions, [B] int64, at least 1."""
        log_frames = self.length_head(conditions, condition_mask)
        return log_frames.exp().clamp(min=1, max=2**24).round().long()

    def length_loss(self, conditions: Tensor, condition_mask: Tensor, num_frames: Tensor) -> Tensor:
        """Compute the mean smooth L1 loss of the predicted logarithms of ``num_frames`` [B]."""
        log_frames = self.length_head(conditions, condition_mask)
        return F.smooth_l1_loss(log_frames, num_frames.float().log(), beta=0.1)

    def _check(
        self,
        codes: Tensor,
        visible: Tensor,
        conditions: Tensor,
        condition_mask: Tensor,
        frame_mask: Tensor | None,
    ) -> None:
        config = self.config
        batch, frames = codes.shape[0], codes.shape[-1]
        shapes = {
            "codes": (codes, (batch, config.num_tracks, config.num_codebooks, frames)),
            "visible": (visible, (batch, config.num_tracks, frames)),
            "conditions": (conditions, (batch, condition_mask.shape[-1], config.condition_size)),
            "condition_mask": (condition_mask, (batch, conditions.shape[1])),
            "frame_mask": (frame_mask, (batch, frames)),
        }
        for name, (tensor, expected) in shapes.items():
            if tensor is not None and tuple(tensor.shape) != expected:
                raise ValueError(
                    f"{name} has shape {list(tensor.shape)}, expected {list(expected)}: "
                    f"{config.num_tracks} tracks of {config.num_codebooks} codebooks, one row of "
                    "conditions for each song"
                )
        if torch.compiler.is_compiling():
            return
        if visible.numel() and not 0 <= int(visible.min()) <= int(visible.max()) <= codes.shape[2]:
            raise ValueError(
                f"visible holds {int(visible.min())} to {int(visible.max())}, expected 0 to "
                f"{codes.shape[2]} codebooks"
            )
        known = ~hidden_codes(visible, codes.shape[2])
        if frame_mask is not None:
            known = known & frame_mask[:, None, None]
        wrong = known & ((codes < 0) | (codes >= config.codebook_size))
        if wrong.any():
            raise ValueError(
                f"codes hold the visible id {int(codes[wrong][0])}, expected 0 to "
                f"{config.codebook_size - 1}; cut frames with special ids, or hide them"
            )


__all__ = ["HEADS", "MaskedSongModel", "MaskedSongOutput"]

"""The autoregressive decoder: a transformer over summed code embeddings with a head for each row.

It is a pre-norm transformer with causal self-attention and cross-attention to the conditions. It
does not depend on text, lyrics or voices, and of a token pattern it uses the number of rows only.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.activations import ACT2FN
from transformers.cache_utils import Cache, DynamicCache, EncoderDecoderCache
from transformers.masking_utils import create_bidirectional_mask, create_causal_mask
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.modeling_outputs import (
    BaseModelOutputWithPastAndCrossAttentions,
    CausalLMOutputWithCrossAttentions,
)
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.utils import can_return_tuple
from transformers.utils.generic import merge_with_config_defaults
from transformers.utils.output_capturing import OutputRecorder, capture_outputs

from .checkpoint_mapping import register_songgen_mappings
from .checkpoint_names import NamedCheckpointMixin
from .configuration_songgen import SongGenDecoderConfig
from .few_rows import FewRowsLinear, attend_one_step, attends_one_step
from .positions import RotaryTable, rotary_table, rotate, sinusoidal_positions


def eager_attention_forward(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    dropout: float = 0.0,
    **kwargs: Any,
) -> tuple[Tensor, Tensor]:
    """Attention that also returns its weights [B, heads, L, keys]."""
    key = key.repeat_interleave(module.num_key_value_groups, dim=1)
    value = value.repeat_interleave(module.num_key_value_groups, dim=1)
    scores = query @ key.transpose(2, 3) * scaling
    if attention_mask is not None:
        scores = scores + attention_mask
    weights = F.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
    weights = F.dropout(weights, p=dropout, training=module.training)
    return (weights @ value).transpose(1, 2), weights


class TrackEmbedding(nn.Embedding):
    """The vectors of the tracks. They are zero at first, so that adding them changes nothing."""


class SongGenAttention(nn.Module):
    """Multi-head attention with grouped keys and values.

    It is causal self-attention over the song, or cross-attention to the conditions.
    """

    def __init__(self, config: SongGenDecoderConfig, layer_idx: int, is_cross_attention: bool):
        super().__init__()
        self.config = config
        self.layer_idx = layer_idx
        self.is_causal = not is_cross_attention
        self.num_key_value_heads = (
            config.num_cross_attention_key_value_heads
            if is_cross_attention
            else config.num_key_value_heads
        ) or config.num_attention_heads
        self.head_dim = config.head_dim
        self.num_key_value_groups = config.num_attention_heads // self.num_key_value_heads
        self.scaling = self.head_dim**-0.5
        self.dropout = config.attention_dropout
        width, key_width = config.hidden_size, self.num_key_value_heads * self.head_dim
        self.q_proj = FewRowsLinear(width, width, bias=False)
        self.k_proj = FewRowsLinear(width, key_width, bias=False)
        self.v_proj = FewRowsLinear(width, key_width, bias=False)
        self.out_proj = FewRowsLinear(width, width, bias=False)

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        rotary: RotaryTable | None = None,
        past_key_values: Cache | None = None,
        encoder_hidden_states: Tensor | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor | None]:
        batch, length, width = hidden_states.shape
        query = self.q_proj(hidden_states).view(batch, length, -1, self.head_dim).transpose(1, 2)
        if rotary is not None:
            query = rotate(query, rotary)
        if encoder_hidden_states is None:
            key, value = self._project(hidden_states)
            if rotary is not None:
                key = rotate(key, rotary)
            if isinstance(past_key_values, EncoderDecoderCache):
                past_key_values = past_key_values.self_attention_cache
            if past_key_values is not None:
                key, value = past_key_values.update(key, value, self.layer_idx)
        else:
            key, value = self._cross_states(encoder_hidden_states, past_key_values)

        if attends_one_step(query) and self.config._attn_implementation == "sdpa":
            attended = attend_one_step(query, key, value, attention_mask, self.scaling)
            return self.out_proj(attended.reshape(batch, length, width)), None

        if key.dtype != query.dtype:  # of a cache that keeps half precision in float32
            key, value = key.to(query.dtype), value.to(query.dtype)
        attend: Callable = ALL_ATTENTION_FUNCTIONS.get_interface(
            self.config._attn_implementation, eager_attention_forward
        )
        output, weights = attend(
            self,
            query,
            key,
            value,
            attention_mask,
            scaling=self.scaling,
            dropout=self.dropout if self.training else 0.0,
            **kwargs,
        )
        return self.out_proj(output.reshape(batch, length, width)), weights

    def _project(self, states: Tensor) -> tuple[Tensor, Tensor]:
        shape = (states.shape[0], states.shape[1], self.num_key_value_heads, self.head_dim)
        return self.k_proj(states).view(shape).transpose(1, 2), self.v_proj(states).view(
            shape
        ).transpose(1, 2)

    def _cross_states(
        self, encoder_hidden_states: Tensor, past_key_values: Cache | None
    ) -> tuple[Tensor, Tensor]:
        """Return keys and values of the conditions, which are cached at the first step."""
        if not isinstance(past_key_values, EncoderDecoderCache):
            return self._project(encoder_hidden_states)
        if past_key_values.is_updated.get(self.layer_idx):
            layer = past_key_values.cross_attention_cache.layers[self.layer_idx]
            return layer.keys, layer.values
        key, value = past_key_values.cross_attention_cache.update(
            *self._project(encoder_hidden_states), self.layer_idx
        )
        past_key_values.is_updated[self.layer_idx] = True
        return key, value


class SongGenDecoderLayer(GradientCheckpointingLayer):
    """Decoder layer of self-attention, cross-attention and feed-forward, pre-norm and residual."""

    def __init__(self, config: SongGenDecoderConfig, layer_idx: int):
        super().__init__()
        width = config.hidden_size
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.self_attn = SongGenAttention(config, layer_idx, is_cross_attention=False)
        self.encoder_attn_layer_norm = nn.LayerNorm(width)
        self.encoder_attn = SongGenAttention(config, layer_idx, is_cross_attention=True)
        self.final_layer_norm = nn.LayerNorm(width)
        self.fc1 = FewRowsLinear(width, config.ffn_dim, bias=False)
        self.fc2 = FewRowsLinear(config.ffn_dim, width, bias=False)
        self.activation = ACT2FN[config.activation_function]
        self.rotate_cross_attention_queries = config.rotate_cross_attention_queries
        self.dropout = config.dropout
        self.activation_dropout = config.activation_dropout

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        encoder_hidden_states: Tensor | None = None,
        encoder_attention_mask: Tensor | None = None,
        rotary: RotaryTable | None = None,
        past_key_values: Cache | None = None,
        **kwargs: Any,
    ) -> Tensor:
        attended, _ = self.self_attn(
            self.self_attn_layer_norm(hidden_states),
            attention_mask,
            rotary,
            past_key_values,
            **kwargs,
        )
        hidden_states = hidden_states + F.dropout(attended, self.dropout, self.training)
        if encoder_hidden_states is not None:
            attended, _ = self.encoder_attn(
                self.encoder_attn_layer_norm(hidden_states),
                encoder_attention_mask,
                # Matches upstream: queries are rotated, keys are not. The config field names it.
                rotary if self.rotate_cross_attention_queries else None,
                past_key_values,
                encoder_hidden_states,
                **kwargs,
            )
            hidden_states = hidden_states + F.dropout(attended, self.dropout, self.training)
        inner = self.activation(self.fc1(self.final_layer_norm(hidden_states)))
        inner = F.dropout(inner, self.activation_dropout, self.training)
        return hidden_states + F.dropout(self.fc2(inner), self.dropout, self.training)


class SongGenDecoderPreTrainedModel(PreTrainedModel):
    """Base class of the decoder for loading, saving and initialization."""

    config: SongGenDecoderConfig
    base_model_prefix = "model"
    main_input_name = "input_ids"
    supports_gradient_checkpointing = True
    _no_split_modules = ["SongGenDecoderLayer"]
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True
    _can_compile_fullgraph = True

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, TrackEmbedding):
            init.zeros_(module.weight)
        else:
            super()._init_weights(module)


class SongGenDecoder(SongGenDecoderPreTrainedModel):
    """The decoder without heads, from ids [B, rows, L] to hidden states [B, L, H]."""

    _can_record_outputs = {
        "hidden_states": SongGenDecoderLayer,
        "attentions": OutputRecorder(SongGenAttention, index=1, layer_name="self_attn"),
        "cross_attentions": OutputRecorder(SongGenAttention, index=1, layer_name="encoder_attn"),
    }

    def __init__(self, config: SongGenDecoderConfig):
        super().__init__(config)
        self.num_rows = config.num_rows
        # One table per row, stacked: id i of row n is entry n * vocab_size + i.
        self.embed_tokens = nn.Embedding(config.num_rows * config.vocab_size, config.hidden_size)
        self.embed_tracks = (
            TrackEmbedding(config.num_tracks, config.hidden_size)
            if config.track_embeddings
            else None
        )
        self.layers = nn.ModuleList(
            SongGenDecoderLayer(config, i) for i in range(config.num_hidden_layers)
        )
        self.layer_norm = nn.LayerNorm(config.hidden_size)
        self.post_init()

    def embed(self, input_ids: Tensor, first_step: int | Tensor = 0) -> Tensor:
        """Sum the embeddings of the rows: [B, rows, L] -> [B, L, H].

        The sum is halved if each track has its own rows. With ``track_embeddings``, the vector of
        the track that each step writes is added.

        Args:
            input_ids: [B, rows, L] delayed ids.
            first_step: index of their first step in the song.
        """
        offset = (
            torch.arange(self.num_rows, device=input_ids.device)[:, None] * self.config.vocab_size
        )
        summed = self.embed_tokens(input_ids + offset).sum(dim=1)
        summed = summed / (self.num_rows // self.config.num_codebooks)
        if self.embed_tracks is None:
            return summed
        steps = torch.arange(input_ids.shape[-1], device=input_ids.device) + first_step
        return summed + self.embed_tracks(self.config.pattern.track_of_steps(steps))

    @merge_with_config_defaults
    @capture_outputs
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        encoder_hidden_states: Tensor | None = None,
        encoder_attention_mask: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        use_cache: bool | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPastAndCrossAttentions:
        """Compute the hidden states of a sequence of delayed ids.

        Args:
            input_ids: [B, rows, L] or [B * rows, L] delayed ids.
            attention_mask: [B, past + L], 0 hides a step as a key.
            encoder_hidden_states: [B, E, H] conditions.
            encoder_attention_mask: [B, E].
            past_key_values: the cache; positions continue after its length.
            inputs_embeds: [B, L, H] in place of ``input_ids``; includes prepended lyrics.

        Raises:
            ValueError: if both or neither of ``input_ids`` and ``inputs_embeds`` are given.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("pass either input_ids or inputs_embeds: got both or neither")
        past_length = past_key_values.get_seq_length() if past_key_values is not None else 0
        if inputs_embeds is None:
            input_ids = input_ids.view(-1, self.num_rows, input_ids.shape[-1])
            inputs_embeds = self.embed(input_ids, past_length)
        if use_cache and past_key_values is None:
            past_key_values = EncoderDecoderCache(
                DynamicCache(config=self.config), DynamicCache(config=self.config)
            )
        positions = torch.arange(inputs_embeds.shape[1], device=inputs_embeds.device) + past_length

        causal_mask = create_causal_mask(
            config=self.config,
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            past_key_values=past_key_values,
        )
        if encoder_hidden_states is not None:
            encoder_attention_mask = create_bidirectional_mask(
                config=self.config,
                inputs_embeds=inputs_embeds,
                attention_mask=encoder_attention_mask,
                encoder_hidden_states=encoder_hidden_states,
            )
        rotary = None
        if self.config.rope_embeddings:
            rotary = rotary_table(positions, self.config.head_dim, self.config.rope_theta)
        else:
            table = sinusoidal_positions(positions, self.config.hidden_size)
            inputs_embeds = inputs_embeds + table.to(inputs_embeds.dtype)
        hidden_states = F.dropout(inputs_embeds, self.config.dropout, self.training)

        for layer in self.layers:
            # Matches upstream: in training, whole layers are skipped at random (LayerDrop).
            if self.training and self.config.layerdrop and torch.rand([]) < self.config.layerdrop:
                continue
            hidden_states = layer(
                hidden_states,
                causal_mask,
                encoder_hidden_states,
                encoder_attention_mask,
                rotary,
                past_key_values=past_key_values,
                **kwargs,
            )
        return BaseModelOutputWithPastAndCrossAttentions(
            last_hidden_state=self.layer_norm(hidden_states), past_key_values=past_key_values
        )


class SongGenForCausalLM(NamedCheckpointMixin, SongGenDecoderPreTrainedModel):
    """The decoder with a language-model head for each row, stacked in one linear layer."""

    def __init__(self, config: SongGenDecoderConfig):
        super().__init__(config)
        self.model = SongGenDecoder(config)
        self.lm_heads = FewRowsLinear(
            config.hidden_size, config.num_rows * config.vocab_size, bias=False
        )
        if config.add_vocal_loss:
            width = config.num_codebooks * config.vocab_size
            self.vocal_lm_heads = FewRowsLinear(config.hidden_size, width, bias=False)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.model.embed_tokens

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        self.model.embed_tokens = value

    def get_output_embeddings(self) -> nn.Module:
        return self.lm_heads

    def by_row(self, logits: Tensor) -> Tensor:
        """Split the stacked logits [B, L, rows * V] into rows [B, rows, L, V]."""
        return logits.unflatten(-1, (-1, self.config.vocab_size)).transpose(1, 2)

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        encoder_hidden_states: Tensor | None = None,
        encoder_attention_mask: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int = 0,
        **kwargs: Any,
    ) -> CausalLMOutputWithCrossAttentions:
        """Compute the logits [B * rows, L, V] of the next ids.

        The arguments are those of :meth:`SongGenDecoder.forward`. With ``logits_to_keep`` > 0, the
        logits of that many last steps are computed. ``hidden_states`` of the output are those of
        the layers, if requested; the input of the heads is ``last_hidden_state`` of :attr:`model`.
        """
        outputs = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            encoder_hidden_states=encoder_hidden_states,
            encoder_attention_mask=encoder_attention_mask,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            use_cache=use_cache,
            **kwargs,
        )
        kept = (
            outputs.last_hidden_state[:, -logits_to_keep:]
            if logits_to_keep
            else outputs.last_hidden_state
        )
        return CausalLMOutputWithCrossAttentions(
            logits=self.by_row(self.lm_heads(kept)).flatten(0, 1),
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
            cross_attentions=outputs.cross_attentions,
        )


register_songgen_mappings()

__all__ = [
    "SongGenDecoder",
    "SongGenDecoderLayer",
    "SongGenDecoderPreTrainedModel",
    "SongGenForCausalLM",
    "eager_attention_forward",
]

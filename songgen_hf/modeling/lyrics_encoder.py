"""The lyrics encoder: a bidirectional transformer with relative positions over lyrics tokens.

It is the part of a Conformer that SongGen uses, without convolution and macaron feed-forward:
pre-norm layers with the relative positions of Transformer-XL.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers import initialization as init
from transformers.modeling_layers import GradientCheckpointingLayer

from .configuration_songgen import SongGenLyricsEncoderConfig

QUERY_BLOCK = 512
"""Queries whose scores are held at a time: memory grows with the length, not with its square."""


def relative_position_table(
    length: int, width: int, device: torch.device | None, dtype: torch.dtype
) -> Tensor:
    """Compute sinusoids of the offsets query - key from ``length - 1`` down to ``1 - length``.

    The even columns are sines and the odd ones cosines (Transformer-XL, arXiv 1901.02860,
    appendix B).

    Returns:
        [2 * length - 1, width].
    """
    offset = torch.arange(length - 1, -length, -1, device=device, dtype=torch.float32)[:, None]
    frequency = torch.exp(
        torch.arange(0, width, 2, device=device, dtype=torch.float32) * -(math.log(10000.0) / width)
    )
    table = torch.zeros(offset.shape[0], width, device=device)
    table[:, 0::2] = torch.sin(offset * frequency)
    table[:, 1::2] = torch.cos(offset * frequency)[:, : width // 2]
    return table.to(dtype)


def shift_relative_scores(scores: Tensor, num_keys: int | None = None) -> Tensor:
    """Turn scores by offset [..., Q, Q + P - 1] into scores by key position [..., Q, P].

    This is the shift of Transformer-XL: pad one column, reinterpret the shape, drop one row and
    keep the first P columns.

    Args:
        scores: scores of Q successive queries; column 0 is the offset of the last query to the
            first key.
        num_keys: P; None for Q, all queries of a sequence.
    """
    queries, columns = scores.shape[-2:]
    padded = F.pad(scores, (1, 0)).reshape(*scores.shape[:-2], columns + 1, queries)
    shifted = padded[..., 1:, :].reshape(*scores.shape[:-2], queries, columns)
    return shifted[..., : queries if num_keys is None else num_keys]


class RelativeSelfAttention(nn.Module):
    """Self-attention whose scores add a term for the distance between query and key."""

    def __init__(self, config: SongGenLyricsEncoderConfig):
        super().__init__()
        width, self.num_heads = config.output_size, config.num_attention_heads
        self.head_dim = width // self.num_heads
        self.dropout = config.attention_dropout
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)
        self.position_proj = nn.Linear(width, width, bias=False)
        self.content_bias = nn.Parameter(torch.empty(self.num_heads, self.head_dim))
        self.position_bias = nn.Parameter(torch.empty(self.num_heads, self.head_dim))

    def forward(self, hidden_states: Tensor, positions: Tensor, key_mask: Tensor | None) -> Tensor:
        batch, length, width = hidden_states.shape
        by_head = (-1, length, self.num_heads, self.head_dim)
        query = self.q_proj(hidden_states).view(by_head)
        key = self.k_proj(hidden_states).view(by_head).transpose(1, 2)  # [B, heads, P, head_dim]
        value = self.v_proj(hidden_states).view(by_head).transpose(1, 2)
        position = (
            self.position_proj(positions).view(-1, self.num_heads, self.head_dim).transpose(0, 1)
        )
        by_content = (query + self.content_bias).transpose(1, 2)
        by_offset = (query + self.position_bias).transpose(1, 2)
        blocks = []
        for start in range(0, length, QUERY_BLOCK):
            stop = min(start + QUERY_BLOCK, length)
            # Offsets of these queries to all keys: rows of the table from the last query's first.
            offsets = position[:, length - stop : 2 * length - 1 - start]
            scores = by_content[:, :, start:stop] @ key.transpose(-2, -1)
            shifted = shift_relative_scores(
                by_offset[:, :, start:stop] @ offsets.transpose(-2, -1), length
            )
            blocks.append(
                self._attend((scores + shifted) / math.sqrt(self.head_dim), key_mask, value)
            )
        attended = torch.cat(blocks, dim=2) if len(blocks) > 1 else blocks[0]
        return self.out_proj(attended.transpose(1, 2).reshape(batch, length, width))

    def _attend(self, scores: Tensor, key_mask: Tensor | None, value: Tensor) -> Tensor:
        """Scores [B, heads, Q, P] -> attended values [B, heads, Q, head_dim]."""
        if key_mask is not None:
            hidden = key_mask[:, None, None, :] == 0
            scores = scores.masked_fill(hidden, torch.finfo(scores.dtype).min)
            # A row without any visible key attends to nothing instead of to everything.
            weights = scores.float().softmax(-1).masked_fill(hidden, 0.0).to(scores.dtype)
        else:
            weights = scores.float().softmax(-1).to(scores.dtype)
        return F.dropout(weights, self.dropout, self.training) @ value


class LyricsEncoderLayer(GradientCheckpointingLayer):
    """Layer of the lyrics encoder: pre-norm attention and feed-forward, both residual."""

    def __init__(self, config: SongGenLyricsEncoderConfig):
        super().__init__()
        width = config.output_size
        self.self_attn = RelativeSelfAttention(config)
        self.fc1 = nn.Linear(width, config.intermediate_size)
        self.fc2 = nn.Linear(config.intermediate_size, width)
        self.self_attn_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.feed_forward_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, hidden_states: Tensor, positions: Tensor, key_mask: Tensor | None) -> Tensor:
        attended = self.self_attn(self.self_attn_norm(hidden_states), positions, key_mask)
        hidden_states = hidden_states + self.dropout(attended)
        inner = self.dropout(F.silu(self.fc1(self.feed_forward_norm(hidden_states))))
        return hidden_states + self.dropout(self.fc2(inner))


class SongGenLyricsEncoder(PreTrainedModel):
    """Encoder from lyrics embeddings [B, P, H] to lyrics states [B, P, output_size].

    Args:
        config: configuration of the encoder.
        input_size: H, width of the embeddings; by default ``output_size``.
    """

    config: SongGenLyricsEncoderConfig
    base_model_prefix = "lyrics_encoder"
    main_input_name = "inputs_embeds"
    supports_gradient_checkpointing = True
    _no_split_modules = ["LyricsEncoderLayer"]
    # No fused kernel computes the scores with relative positions, so every attention implementation
    # runs the same code here.
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True

    def __init__(self, config: SongGenLyricsEncoderConfig, input_size: int | None = None):
        super().__init__(config)
        width = config.output_size
        self.input_projection = nn.Linear(input_size or width, width)
        self.input_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.layers = nn.ModuleList(
            LyricsEncoderLayer(config) for _ in range(config.num_hidden_layers)
        )
        self.final_norm = nn.LayerNorm(width, eps=config.layer_norm_eps)
        self.dropout = nn.Dropout(config.dropout)
        self.post_init()

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, RelativeSelfAttention):
            init.xavier_uniform_(module.content_bias)
            init.xavier_uniform_(module.position_bias)

    def forward(self, inputs_embeds: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Encode lyrics embeddings.

        Args:
            inputs_embeds: [B, P, input_size].
            attention_mask: [B, P], 0 hides a position as a key. The states of hidden positions are
                computed nevertheless and have to be masked where they are read.

        Returns:
            [B, P, output_size].
        """
        width = self.config.output_size
        positions = self.dropout(
            relative_position_table(
                inputs_embeds.shape[1], width, inputs_embeds.device, inputs_embeds.dtype
            )
        )
        hidden_states = self.dropout(self.input_norm(self.input_projection(inputs_embeds)))
        hidden_states = self.dropout(hidden_states * math.sqrt(width))
        for layer in self.layers:
            hidden_states = layer(hidden_states, positions, attention_mask)
        return self.final_norm(hidden_states)


__all__ = ["SongGenLyricsEncoder", "relative_position_table", "shift_relative_scores"]

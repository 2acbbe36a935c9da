"""How much each frame of a song attends to each token of its lyrics, in some heads of the decoder.

Attention implementations other than "eager" return no weights. Here they are computed again, for
the chosen heads and steps alone, from the inputs of cross-attention. Some heads follow the lyrics
letter by letter; they are named in the generation config (``lyrics_attention_heads``), or found
for a song without knowing its true times.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import get_ident
from typing import Any

import torch
from torch import Tensor

from .patterns import VOCAL
from .positions import rotate

MAX_HEADS = 2
"""Largest number of heads that are chosen without true times."""
LEAST_SHARE = 0.5
"""Smallest score of a chosen head, relative to the best one."""


def attention_weights(
    attention: Any, states: Tensor, conditions: Tensor, hidden: Tensor, rotary: Any = None
) -> Tensor:
    """Compute the weights of a cross-attention.

    Args:
        attention: the attention module.
        states: [B, L, H] of the queries.
        conditions: [B, E, H].
        hidden: bool [B, E], conditions that are not seen.
        rotary: rotary table of the queries, if they are rotated.
    Returns:
        [B, heads, L, E] float32.
    """
    width, groups = attention.head_dim, attention.num_key_value_groups
    query, key = (
        projection(part).unflatten(-1, (-1, width)).transpose(1, 2)
        for projection, part in ((attention.q_proj, states), (attention.k_proj, conditions))
    )
    if rotary is not None:
        query = rotate(query, rotary)
    scores = query.float() @ key.float().repeat_interleave(groups, dim=1).transpose(2, 3)
    scores = scores * attention.scaling
    return scores.masked_fill(hidden[:, None, None], -torch.inf).softmax(dim=-1)


@contextmanager
def watched_attention(
    layers: Mapping[int, Any], steps: Tensor, hidden: Tensor, watch: Callable[[int, Tensor], None]
) -> Iterator[None]:
    """Call ``watch(layer, weights [B, heads, S, E])`` for each cross-attention in the block.

    Args:
        layers: index of a layer -> its module.
        steps: [S], the positions whose weights are computed.
        hidden: bool [B, E], conditions that are not seen.
        watch: function that is called.
    """

    thread = get_ident()

    def hook(layer: int) -> Callable[..., None]:
        # torch calls it without the keyword arguments if another thread removes it meanwhile.
        def record(module: Any, inputs: tuple[Any, ...], _: Any = None) -> None:
            if get_ident() != thread:  # another song is generated at the same time
                return
            states, _, rotary, _, conditions = inputs
            if rotary is not None:
                rotary = tuple(table[..., steps, :] for table in rotary)
            watch(layer, attention_weights(module, states[:, steps], conditions, hidden, rotary))

        return record

    hooks = [
        layer.encoder_attn.register_forward_pre_hook(hook(index), with_kwargs=True)
        for index, layer in layers.items()
    ]
    try:
        yield
    finally:
        for one in hooks:
            one.remove()


def monotonic_score(weights: Tensor) -> Tensor:
    """Say how clearly and in order heads read the lyrics.

    Args:
        weights: [heads, T, P].
    Returns:
        [heads], 0 to 1: the largest mean weight along a path through the tokens that never goes
        back.
    """
    total = torch.zeros_like(weights[:, 0])
    for frame in weights.unbind(dim=1):
        total = total.cummax(dim=-1).values + frame
    return total.amax(dim=-1) / max(1, weights.shape[1])


def read_attention(
    layers: Sequence[Any],
    run: Callable[[], Any],
    *,
    steps: Tensor,
    mask: Tensor,
    num_lyrics: int,
    heads: Sequence[Sequence[int]] | None,
) -> tuple[Tensor, list[tuple[int, int]]]:
    """Run a network on one song and average the weights of some heads on its lyrics.

    Args:
        layers: the layers of the network, with ``encoder_attn``.
        run: runs the network.
        steps: [T], the position that stands for each frame.
        mask: [1, E], the mask of the conditions, the lyrics last.
        num_lyrics: P, number of lyrics tokens.
        heads: (layer, head) of each; None for those that score best.
    Returns:
        [T, P] float32, and the heads.
    Raises:
        ValueError: for a head that the network does not have.
    """
    wanted = None if heads is None else [(int(layer), int(head)) for layer, head in heads]
    count = layers[0].encoder_attn.q_proj.out_features // layers[0].encoder_attn.head_dim
    for layer, head in wanted or ():
        if not (0 <= layer < len(layers) and 0 <= head < count):
            raise ValueError(
                f"lyrics_attention_heads names layer {layer}, head {head}: this model has "
                f"{len(layers)} layers of {count} heads, counted from 0"
            )
    found: list[tuple[float, tuple[int, int], Tensor]] = []

    def watch(layer: int, weights: Tensor) -> None:
        lyrics = weights[0, :, :, -num_lyrics:]
        scores = monotonic_score(lyrics).tolist()
        for head, score in enumerate(scores):
            if wanted is None or (layer, head) in wanted:
                found.append((score, (layer, head), lyrics[head]))
        if wanted is None:
            found.sort(key=lambda one: -one[0])
            del found[MAX_HEADS:]

    used = range(len(layers)) if wanted is None else {layer for layer, _ in wanted}
    with watched_attention({i: layers[i] for i in used}, steps, mask == 0, watch):
        run()
    if wanted is None:
        found = [one for one in found if one[0] >= LEAST_SHARE * found[0][0]]
    weights = torch.stack([one[2] for one in found]).mean(dim=0)
    return weights, [one[1] for one in found]


class LyricsAttentionMixin:
    """Reads the attention of an autoregressive song model by teacher forcing."""

    config: Any
    conditioner: Any
    decoder: Any
    generation_config: Any
    pattern: Any

    @torch.no_grad()
    def lyrics_attention(
        self,
        codes: Tensor,
        *,
        heads: Sequence[Sequence[int]] | None = None,
        **conditions: Tensor,
    ) -> tuple[Tensor, list[tuple[int, int]]]:
        """Read how much each frame of a song attends to each of its lyrics tokens.

        The song is the model's input, whoever sang it: the result is the same for a generated song
        and for its codes from a file.

        Args:
            codes: [1, tracks, K, T] without special ids.
            heads: (layer, head) of each; None for ``lyrics_attention_heads`` of the generation
                config or, without it, for those that read this song's lyrics most clearly in order.
            **conditions: inputs of ``forward`` that condition the decoder, for one song.
        Returns:
            [T, P] float32, the weight of each token from 0 to 1 when the first codebook of a frame
            of the vocal, or of the mixture, is predicted; and the heads.
        Raises:
            ValueError: for several songs, or a model that does not read lyrics by cross-attention.
        """
        if len(codes) != 1:
            raise ValueError(f"attention is read for one song at a time: got {len(codes)}")
        if not self.config.lyrics_cross_attention:
            raise ValueError(
                "this model has its lyrics before the song (lyrics_cross_attention=False): "
                "timestamps need cross-attention to the lyrics"
            )
        decoder, pattern = self.config.decoder, self.pattern
        encoded = self.conditioner(**conditions)
        special = {"bos_token_id": decoder.bos_token_id, "pad_token_id": decoder.pad_token_id}
        ids = pattern.apply(codes, **special)
        steps = pattern.index(codes.shape[-1], codes.device)[1]
        if heads is None:
            heads = getattr(self.generation_config, "lyrics_attention_heads", None)
        return read_attention(
            self.decoder.model.layers,
            lambda: self.decoder.model(
                input_ids=ids[..., :-1],
                encoder_hidden_states=encoded.last_hidden_state,
                encoder_attention_mask=encoded.attention_mask,
            ),
            steps=steps[VOCAL if pattern.num_tracks == 2 else 0, 0] - 1,
            mask=encoded.attention_mask,
            num_lyrics=conditions["lyrics_ids"].shape[1],
            heads=heads,
        )


__all__ = ["LyricsAttentionMixin", "monotonic_score", "read_attention"]

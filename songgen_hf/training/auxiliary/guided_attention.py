"""Guided attention: a loss that aligns cross-attention with the lyrics token that is sung.

Without it, a small model finds the lyrics late in training or never. For songs with timed words and
phonemes, the first head of a few layers is trained to attend to the token sung in each frame
(arXiv 1710.08969, section 4, with the true times in place of a diagonal). The model is unchanged.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ...modeling.configuration_songgen import SongGenConfig
from ...modeling.lyrics_words import letters, words_of_text
from ...modeling.patterns import IGNORED_LABEL, VOCAL
from ...modeling.processing_songgen import SongGenProcessor

TOLERANCE = 1  # neighboring tokens that count as right, as letters and phonemes differ in number


def tokens_of_words(
    processor: SongGenProcessor, lyrics: str, language: str = "en"
) -> list[tuple[str, list[int]]]:
    """The words of cleaned lyrics, each with the positions of its tokens among ``lyrics_ids``."""
    return words_of_text(processor.tag_lyrics(lyrics, language), processor.lyrics_tokenizer)


def sung_tokens(
    words: Sequence[tuple[str, list[int]]],
    sung_words: Sequence[Mapping[str, Any]],
    phonemes: Sequence[Mapping[str, Any]],
    num_frames: int,
    frame_rate: float,
) -> Tensor:
    """The lyrics token that is sung in each frame.

    The tokens of a word are spread evenly over its phonemes, so that letters of a long vowel get
    more time than others.

    Args:
        words: result of :func:`tokens_of_words`.
        sung_words: ``{"word", "start", "end"}`` in seconds, in the order in which they are sung.
        phonemes: ``{"start", "end", "word"}`` in seconds and index into ``sung_words``.
        num_frames: T.
        frame_rate: frames per second.
    Returns:
        [T] int64, -100 where nothing is sung, and everywhere if the sung words are not the lyrics.
    """
    labels = np.full(num_frames, IGNORED_LABEL, dtype=np.int64)
    if [letters(text) for text, _ in words] != [letters(sung["word"]) for sung in sung_words]:
        return torch.from_numpy(labels)
    spans_of_word: dict[int, list[tuple[float, float]]] = {}
    for phoneme in phonemes:
        spans_of_word.setdefault(phoneme["word"], []).append((phoneme["start"], phoneme["end"]))
    time = (np.arange(num_frames) + 0.5) / frame_rate
    for number, (_, tokens) in enumerate(words):
        whole_word = (sung_words[number]["start"], sung_words[number]["end"])
        spans = spans_of_word.get(number) or [whole_word]
        if not tokens:
            continue
        for place, (start, end) in enumerate(spans):
            inside = (time >= start) & (time < end)
            part = (place + (time[inside] - start) / max(end - start, 1e-6)) / len(spans)
            index = np.minimum((part * len(tokens)).astype(int), len(tokens) - 1)
            labels[inside] = np.asarray(tokens)[index]
    return torch.from_numpy(labels)


def labels_of_steps(labels: Sequence[Tensor], config: SongGenConfig) -> Tensor:
    """Turn labels of frames, [T_i] for each song, into labels of decoder steps, [B, L].

    A step has the label of the frame whose first codebook it predicts; where the tracks interleave,
    the steps of both tracks have the label of their frame.
    """
    decoder: Any = config.decoder
    pattern = decoder.pattern
    padded = pad_sequence(list(labels), batch_first=True, padding_value=IGNORED_LABEL)
    lengths = torch.tensor([len(song) for song in labels])[:, None]
    num_steps = int(pattern.num_label_steps(lengths.max()))
    row = pattern.num_codebooks * VOCAL if pattern.has_rows_per_track else 0
    frame = pattern.cells(num_steps + 1)[1][row, 1:]  # [L]
    found = padded[:, frame.clamp(0, padded.shape[1] - 1)]
    return found.masked_fill_((frame < 0) | (frame >= lengths), IGNORED_LABEL)


@contextmanager
def recorded_attention(
    layers: Iterable[Any], *, name: str = "encoder_attn"
) -> Iterator[list[tuple[Any, Tensor, Any]]]:
    """Record the inputs of an attention of some layers within the block.

    Args:
        layers: each a :class:`SongGenDecoderLayer`.
        name: which attention: ``encoder_attn`` or ``self_attn``.
    Yields:
        A list that receives (attention module, states of the queries [B, L, H], conditions
        [B, E, H], None for self-attention) at every call.
    """
    recorded: list[tuple[Any, Tensor, Any]] = []

    def record(module: Any, inputs: tuple[Any, ...], options: dict[str, Any]) -> None:
        conditions = options.get("encoder_hidden_states", inputs[4] if len(inputs) > 4 else None)
        recorded.append((module, inputs[0], conditions))

    hooks = [
        getattr(layer, name).register_forward_pre_hook(record, with_kwargs=True) for layer in layers
    ]
    try:
        yield recorded
    finally:
        for hook in hooks:
            hook.remove()


def guided_attention_loss(
    attention: Any,
    states: Tensor,
    conditions: Tensor,
    condition_mask: Tensor,
    labels: Tensor,
    num_lyrics: int,
) -> tuple[Tensor, Tensor]:
    """The loss and the accuracy of the first head of a cross-attention.

    Args:
        attention: the attention module.
        states: [B, L, H] of the queries.
        conditions: [B, E, H], the lyrics last.
        condition_mask: [B, E], or [B, L, E] for each query; 0 hides a condition.
        labels: [B, L] positions among the lyrics, -100 where nothing is sung.
        num_lyrics: P, number of lyrics states.
    Returns:
        The mean negative logarithm of the weight on the sung token and its neighbors, and the share
        of steps whose highest weight lies there. Zeros if nothing is sung.
    """
    width = attention.head_dim
    dtype = attention.q_proj.weight.dtype  # outside autocast, unlike the states
    query = attention.q_proj(states.to(dtype))[..., :width].float()
    key = attention.k_proj(conditions.to(dtype))[..., :width].float()
    scores = query @ key.transpose(1, 2) * attention.scaling  # [B, L, E]
    visible = condition_mask.reshape(len(scores), -1, scores.shape[2])
    scores = scores.masked_fill(visible == 0, torch.finfo(scores.dtype).min)
    weights = F.log_softmax(scores, dim=-1)
    sung = labels != IGNORED_LABEL
    place = labels.clamp(min=0) + conditions.shape[1] - num_lyrics
    neighbors = torch.arange(-TOLERANCE, TOLERANCE + 1, device=place.device)
    near = (place[..., None] + neighbors).clamp(0, conditions.shape[1] - 1)  # [B, L, N]
    right = weights.gather(2, near).logsumexp(dim=-1)  # [B, L]
    counted = sung.sum().clamp(min=1)
    loss = -(right * sung).sum() / counted
    hit = (near == weights.argmax(dim=-1)[..., None]).any(dim=-1)
    return loss, (hit & sung).sum() / counted


def prepended_attention_loss(
    attention: Any, states: Tensor, lyrics_mask: Tensor, labels: Tensor
) -> tuple[Tensor, Tensor]:
    """The loss and the accuracy of a self-attention whose input begins with the lyrics.

    Args:
        attention: the attention module; rotary positions are left out.
        states: [B, P + L, H], the lyrics and the steps of the song.
        lyrics_mask: [B, P], 0 hides a token.
        labels: [B, L], as for :func:`guided_attention_loss`, which says what is returned.
    """
    num_lyrics = lyrics_mask.shape[1]
    lyrics, song = states[:, :num_lyrics], states[:, num_lyrics:]
    past = torch.ones(song.shape[1], song.shape[1], device=states.device).tril()  # causal
    visible = torch.cat(
        [
            past.expand(len(states), -1, -1),
            lyrics_mask.to(past)[:, None].expand(-1, song.shape[1], -1),
        ],
        dim=2,
    )
    keys = torch.cat([song, lyrics], dim=1)
    return guided_attention_loss(attention, song, keys, visible, labels, num_lyrics)


__all__ = [
    "guided_attention_loss",
    "labels_of_steps",
    "letters",
    "prepended_attention_loss",
    "recorded_attention",
    "sung_tokens",
    "tokens_of_words",
]

"""Teach the decoder where in the lyrics it is: attention supervised by when each word is sung.

Left alone, the cross-attention of a small model finds the lyrics late in a run or never. Where the
data says when words and phonemes are sung, a few heads are told which lyrics token sounds in each
frame (guided attention, arXiv 1710.08969, section 4, with true times instead of a diagonal). Only
the loss changes: the model, its weights and how it sings are those of any other run.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...modeling.configuration_songgen import SongGenConfig
from ...modeling.patterns import IGNORED_LABEL, VOCAL
from ...modeling.processing_songgen import SongGenProcessor
from ...modeling.tokenization_songgen import LYRICS_SPACE

WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")  # the cleaner leaves line ends without a space
SLACK = 1  # tokens beside the true one that count as right: letters and sounds differ in number


def tokens_of_words(
    processor: SongGenProcessor, lyrics: str, language: str = "en"
) -> list[tuple[str, list[int]]]:
    """The words of cleaned lyrics, each with the places of its tokens among ``lyrics_ids``.

    Punctuation stands for no sound: its tokens belong to no word.
    """
    tagged = processor.tag_lyrics(lyrics, language)
    encoded = processor.lyrics_tokenizer(tagged, return_offsets_mapping=True)
    plain = tagged.replace(LYRICS_SPACE, " " * len(LYRICS_SPACE))
    words = []
    for word in WORD.finditer(plain, tagged.index("]") + 1):
        tokens = [
            number
            for number, (first, last) in enumerate(encoded["offset_mapping"])
            if word.start() <= first < last <= word.end() and letters(tagged[first:last])
        ]
        words.append((word.group(), tokens))
    return words


def letters(text: str) -> str:
    """Letters and digits of a word, lower-case: what must agree between lyrics and sung words."""
    return re.sub(r"[\W_]", "", text.lower())


def sung_tokens(
    words: Sequence[tuple[str, list[int]]],
    sung_words: Sequence[Mapping[str, Any]],
    phonemes: Sequence[Mapping[str, Any]],
    num_frames: int,
    frame_rate: float,
) -> Tensor:
    """The lyrics token that sounds in each frame.

    Within a word, tokens are spread evenly over its phonemes: the time of a long vowel belongs to
    the letters that write it.

    Args:
        words: of :func:`tokens_of_words`.
        sung_words: ``{"word", "start", "end"}`` in seconds, in the order they are sung.
        phonemes: ``{"start", "end", "word"}`` in seconds and index into ``sung_words``.
        num_frames: T.
        frame_rate: frames a second.
    Returns:
        [T] int64, -100 where nothing is sung; everywhere if the words are not those of the lyrics.
    """
    targets = np.full(num_frames, IGNORED_LABEL, dtype=np.int64)
    written = [letters(text) for text, _ in words]
    if written != [letters(sung["word"]) for sung in sung_words]:
        return torch.from_numpy(targets)
    sounds: dict[int, list[tuple[float, float]]] = {}
    for phoneme in phonemes:
        sounds.setdefault(phoneme["word"], []).append((phoneme["start"], phoneme["end"]))
    time = (np.arange(num_frames) + 0.5) / frame_rate
    for number, (_, tokens) in enumerate(words):
        spans = sounds.get(number) or [(sung_words[number]["start"], sung_words[number]["end"])]
        if not tokens:
            continue
        for place, (start, end) in enumerate(spans):
            inside = (time >= start) & (time < end)
            part = (place + (time[inside] - start) / max(end - start, 1e-6)) / len(spans)
            index = np.minimum((part * len(tokens)).astype(int), len(tokens) - 1)
            targets[inside] = np.asarray(tokens)[index]
    return torch.from_numpy(targets)


def targets_of_steps(sung: Sequence[Tensor], config: SongGenConfig) -> Tensor:
    """Frames -> decoder steps: sung tokens [T_i] of each song -> [B, L].

    A step's target is that of the frame whose first codebook it predicts; where the tracks
    interleave, both tracks' steps of a frame have it.
    """
    decoder: Any = config.decoder
    pattern = decoder.pattern
    shape = (pattern.num_tracks, pattern.num_codebooks, -1)
    frames = [torch.arange(len(song)).expand(shape) for song in sung]
    row = pattern.num_codebooks * VOCAL if pattern.has_rows_per_track else 0
    index = pattern.labels(frames, bos_token_id=-1, eos_token_id=-1)[:, :, row]  # [B, L]
    padded = torch.nn.utils.rnn.pad_sequence(
        list(sung), batch_first=True, padding_value=IGNORED_LABEL
    )
    found = padded.gather(1, index.clamp(min=0))
    return found.masked_fill(index < 0, IGNORED_LABEL)


@contextmanager
def watched_attention(layers: Iterable[Any]) -> Iterator[list[tuple[Any, Tensor, Any]]]:
    """Collect, within the block, what the cross-attention of some layers is given.

    Args:
        layers: each a :class:`SongGenDecoderLayer`.
    Yields:
        A list that fills with (attention module, queries' states [B, L, H], conditions [B, E, H]).
    """
    seen: list[tuple[Any, Tensor, Any]] = []

    def keep(module: Any, inputs: tuple[Any, ...], options: dict[str, Any]) -> None:
        states = inputs[0]
        conditions = options.get("encoder_hidden_states", inputs[4] if len(inputs) > 4 else None)
        seen.append((module, states, conditions))

    chosen = [layer.encoder_attn for layer in layers]
    hooks = [module.register_forward_pre_hook(keep, with_kwargs=True) for module in chosen]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


def alignment_loss(
    attention: Any,
    states: Tensor,
    conditions: Tensor,
    condition_mask: Tensor,
    targets: Tensor,
    num_lyrics: int,
) -> tuple[Tensor, Tensor]:
    """How far the first head of a cross-attention is from the sung token.

    Args:
        attention: the module; its first head is told.
        states: [B, L, H] that its queries come from.
        conditions: [B, E, H], the lyrics last.
        condition_mask: [B, E], 0 hides a state.
        targets: [B, L] places among the lyrics, -100 where nothing is sung.
        num_lyrics: P, lyrics states.
    Returns:
        The mean negative logarithm of the weight on the sung token and its ``SLACK`` neighbors,
        and the part of the steps whose highest weight lies there. Zeros if nothing is sung.
    """
    width = attention.head_dim
    dtype = attention.q_proj.weight.dtype  # outside autocast, unlike the states
    query = attention.q_proj(states.to(dtype))[..., :width].float()
    key = attention.k_proj(conditions.to(dtype))[..., :width].float()
    scores = query @ key.transpose(1, 2) * attention.scaling  # [B, L, E]
    scores = scores.masked_fill(condition_mask[:, None] == 0, torch.finfo(scores.dtype).min)
    weights = F.log_softmax(scores, dim=-1)
    sung = targets != IGNORED_LABEL
    place = targets.clamp(min=0) + conditions.shape[1] - num_lyrics
    neighbors = torch.arange(-SLACK, SLACK + 1, device=place.device)
    near = (place[..., None] + neighbors).clamp(0, conditions.shape[1] - 1)  # [B, L, N]
    right = weights.gather(2, near).logsumexp(dim=-1)  # [B, L]
    counted = sung.sum().clamp(min=1)
    loss = -(right * sung).sum() / counted
    hit = (near == weights.argmax(dim=-1)[..., None]).any(dim=-1)
    return loss, (hit & sung).sum() / counted


__all__ = [
    "alignment_loss",
    "letters",
    "sung_tokens",
    "targets_of_steps",
    "tokens_of_words",
    "watched_attention",
]

"""Aligns given lyrics with the vocals of a recording: word times, and how wrong the lyrics are.

The clips of a recording hold all of its singing, so the phoneme recognizer hears one clip after the
other, and the lyrics of the whole recording are aligned with all of them at once. Every clip gets
the words that are sung in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from ...checkpoints.embedded import RECOGNIZER_NAME, find_checkpoint
from ...optional import require
from ..listening.edit_distance import edit_distance
from ..listening.forced_alignment import align
from ..listening.log_mels import FRAME_RATE, SAMPLING_RATE, log_mels
from ..listening.phoneme_recognizer import PhonemeRecognizer, collapse
from ..listening.spelling import LyricsWord, lyrics_words
from .clips import read_clip
from .languages import language_code
from .option_checks import check_at_least
from .stages import loading

_FRAME_SECONDS = 2 / FRAME_RATE  # the recognizer halves the frames of the mels
_LANGUAGE = "en"


@dataclass(frozen=True)
class AlignmentOptions:
    """With what lyrics are aligned.

    Args:
        recognizer: phoneme recognizer: the name of the embedded one, a folder of judges, or a
            folder of one network of theirs.
        filler_penalty: cost in nats of a frame with a sound that the lyrics do not have.
    Raises:
        ValueError: for a negative cost.
    """

    recognizer: str = RECOGNIZER_NAME
    filler_penalty: float = 2.0

    def __post_init__(self) -> None:
        check_at_least(self, 0, "filler_penalty")


def columns() -> list[Any]:
    """The columns that :func:`align_lyrics` adds or replaces, as fields of pyarrow.

    ``recording_lyrics`` are the given lyrics and ``lyrics`` the part that is sung in the clip;
    ``lyrics_source`` is ``aligned`` or ``given``, or null if the clip has none. The times of
    ``words`` are seconds of the clip; a word's score and ``lyrics_score``, the mean of the words,
    are log probabilities relative to what was heard, at best 0. ``lyrics_error`` is the edit
    distance between the phonemes of the lyrics and those heard, relative to the longer.
    """
    arrow = require("pyarrow", "prepare")
    text, number = arrow.string(), arrow.float64()
    word = [arrow.field("word", text)]
    word += [arrow.field(name, number) for name in ("start", "end", "score")]
    types = {
        "recording_lyrics": text,
        "lyrics": text,
        "lyrics_source": text,
        "words": arrow.list_(arrow.struct([*word, arrow.field("line", arrow.int32())])),
        "lyrics_score": number,
        "lyrics_error": number,
    }
    return [arrow.field(name, kind) for name, kind in types.items()]


class Heard(NamedTuple):
    """What the recognizer hears in a clip: log probabilities [T, classes] and phonemes."""

    log_probabilities: np.ndarray
    phonemes: list[str]


def align_lyrics(
    clips: Sequence[Mapping[str, Any]], options: AlignmentOptions
) -> list[dict[str, Any]]:
    """Align the lyrics of a recording with its clips.

    Args:
        clips: all clips of one recording in order of time, with ``vocal`` and ``lyrics``.
        options: the recognizer.
    Returns:
        The clips with :func:`columns`. Without lyrics they are null; without a vocal stem, and in
        another language than English, only a single clip gets the lyrics, as they are given.
    Raises:
        ValueError: if the recognizer (``ModelError``) or the audio of a clip cannot be read.
        ImportError: if espeak-ng is missing, which pronounces the lyrics.
    """
    rows: list[dict[str, Any]] = []
    for clip in clips:
        lyrics = clip.get("recording_lyrics") or clip.get("lyrics") or None
        added = dict.fromkeys(("lyrics", "lyrics_source", "words", "lyrics_score", "lyrics_error"))
        rows.append({**clip, "recording_lyrics": lyrics, **added})
    if not rows or not rows[0]["recording_lyrics"]:
        return rows
    language = language_code(rows[0].get("language") or _LANGUAGE)
    if rows[0].get("vocal") is None or language != _LANGUAGE:
        if len(rows) == 1:
            rows[0] |= {"lyrics": rows[0]["recording_lyrics"], "lyrics_source": "given"}
        return rows
    words = lyrics_words(rows[0]["recording_lyrics"])
    network = load_recognizer(options.recognizer)
    sung = [row for row in rows if row.get("sung") is not False]
    heard, phonemes = [], []
    for row in sung:
        sounds = hear(row, network)
        heard.append(sounds.log_probabilities)
        phonemes.append(sounds.phonemes)
    placed = _place(words, heard, network, options.filler_penalty)
    for row, symbols, inside in zip(sung, phonemes, placed, strict=True):
        row |= _describe(inside, symbols)
    return rows


class _PlacedWord(NamedTuple):
    word: LyricsWord
    start: float
    end: float
    score: float


def _place(
    words: Sequence[LyricsWord],
    heard: list[np.ndarray],
    network: PhonemeRecognizer,
    filler_penalty: float,
) -> list[list[_PlacedWord]]:
    """Align words with what was heard, and return the words of each clip with their times in it.

    ``heard`` is emptied, so that the log probabilities of hours are in memory once.
    """
    placed: list[list[_PlacedWord]] = [[] for _ in heard]
    lengths = [len(word.phonemes) for word in words]
    if not lengths or not heard:
        return placed
    ids = {symbol: index + 1 for index, symbol in enumerate(network.config.phonemes)}
    classes = np.array([ids[symbol] for word in words for symbol in word.phonemes])
    firsts = np.cumsum([0, *lengths[:-1]])
    is_first = np.zeros(len(classes), dtype=bool)
    is_first[firsts] = True
    ends = np.cumsum([len(one) for one in heard])
    joined = np.concatenate(heard)
    heard.clear()
    found = align(joined, classes, is_first, filler_penalty=filler_penalty)
    if found is None:  # more phonemes than frames: these lyrics belong to something else
        return placed
    for word, first, length in zip(words, firsts, lengths, strict=True):
        start, end = int(found.first[first]), int(found.last[first + length - 1])
        clip = int(np.searchsorted(ends, (start + end) / 2, side="right"))
        begin = int(ends[clip - 1]) if clip else 0
        start, end = max(start, begin) - begin, min(end, int(ends[clip])) - begin
        score = float(found.score[first : first + length].mean())
        placed[clip].append(
            _PlacedWord(word, start * _FRAME_SECONDS, end * _FRAME_SECONDS, round(score, 4))
        )
    return placed


def _describe(placed: Sequence[_PlacedWord], heard: list[str]) -> dict[str, Any]:
    """The columns of a clip with these words, in which these phonemes are heard."""
    wanted = [symbol for one in placed for symbol in one.word.phonemes]
    longer = max(len(wanted), len(heard))
    error = round(edit_distance(wanted, heard) / longer, 4) if longer else None
    if not placed:
        return {"lyrics": None, "words": [], "lyrics_error": error}
    lines: dict[int, list[str]] = {}
    for one in placed:
        lines.setdefault(one.word.line, []).append(one.word.text)
    words = [
        {
            "word": one.word.text,
            "start": round(one.start, 3),
            "end": round(one.end, 3),
            "score": one.score,
            "line": one.word.line,
        }
        for one in placed
    ]
    return {
        "lyrics": "\n".join(" ".join(line) for line in lines.values()),
        "lyrics_source": "aligned",
        "words": words,
        "lyrics_score": round(float(np.mean([one.score for one in placed])), 4),
        "lyrics_error": error,
    }


@torch.no_grad()
def hear(clip: Mapping[str, Any], network: PhonemeRecognizer) -> Heard:
    """Apply a recognizer to the vocal of a clip.

    Args:
        clip: clip with a vocal stem.
        network: the recognizer.
    Raises:
        ValueError: if there is no stem, or it cannot be read.
    """
    waveform = read_clip(clip, "vocal", SAMPLING_RATE)
    if waveform is None:
        raise ValueError(f"the clip {clip['id']!r} has no vocal stem: separate its recording first")
    sequence, frames = network(log_mels(waveform)[None])
    best = sequence[0].argmax(dim=-1).tolist()
    phonemes = [network.config.phonemes[index - 1] for index in collapse(best)]
    # The sequence output is certain of what is sung, the frame output of when.
    joint = 0.5 * (sequence[0].softmax(dim=-1) + frames[0].softmax(dim=-1))
    return Heard(joint.clamp(min=1e-6).log().numpy(), phonemes)


@cache
def load_recognizer(name: str) -> PhonemeRecognizer:
    """Load a phoneme recognizer by the name of the embedded one, or from a folder.

    Raises:
        ModelError: if there is none, or another network.
    """
    with loading(f"the phoneme recognizer {name!r}"):
        folder = Path(find_checkpoint(name))
        inner = folder / "phoneme_recognizer"
        return PhonemeRecognizer.from_pretrained(inner if inner.is_dir() else folder)


__all__ = ["AlignmentOptions", "align_lyrics", "columns", "hear", "load_recognizer"]

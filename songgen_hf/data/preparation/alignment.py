"""Aligns given lyrics with the vocals of a recording: word times, and how wrong the lyrics are.

The clips of a recording hold all of its singing, so the phoneme recognizer hears one clip after the
other, and the lyrics of the whole recording are aligned with all of them at once. Every clip gets
the words that are sung in it. What is heard also tells speech from singing.
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
from ..listening.frame_file import FrameFile, Frames
from ..listening.log_mels import FRAME_RATE, SAMPLING_RATE, log_mels
from ..listening.lyrics_language import identify_language
from ..listening.lyrics_match import lyrics_match
from ..listening.phoneme_recognizer import BLANK, PhonemeRecognizer
from ..listening.speech_score import speech_score
from ..listening.spelling import LyricsWord, lyrics_words
from .clips import read_clip, words_type
from .languages import language_code
from .memory import flat_memory
from .option_checks import check_at_least
from .stages import loading

_FRAME_SECONDS = 2 / FRAME_RATE  # the recognizer halves the frames of the mels
_LANGUAGE = "en"
_LEAST = 1e-6  # probability of a class
_AROUND_SINGING = 0.1  # seconds before and after a phrase in which its words may begin and end


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
    distance between the phonemes of the lyrics and those heard, relative to the longer;
    ``lyrics_match`` says how much of what is heard the lyrics explain, from 0 to 1 (see
    :func:`~...listening.lyrics_match.lyrics_match`). ``speech_score`` is the
    probability of speech (see :func:`~...listening.speech_score.speech_score`). A ``language``
    that is not given is that of the lyrics, or null.
    """
    arrow = require("pyarrow", "prepare")
    text, number = arrow.string(), arrow.float64()
    types = {
        "recording_lyrics": text,
        "lyrics": text,
        "lyrics_source": text,
        "words": words_type(),
        "lyrics_score": number,
        "lyrics_error": number,
        "lyrics_match": number,
        "speech_score": number,
        "language": text,
    }
    return [arrow.field(name, kind) for name, kind in types.items()]


class Heard(NamedTuple):
    """What the recognizer hears in a clip.

    ``log_probabilities`` are [T, classes]; ``onsets`` [N] are the frames at which the ``phonemes``
    begin.
    """

    log_probabilities: np.ndarray
    phonemes: list[str]
    onsets: np.ndarray


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
    names = [field.name for field in columns()]
    for clip in clips:
        lyrics = clip.get("recording_lyrics") or clip.get("lyrics") or None
        language = clip.get("language") or identify_language(lyrics or "")
        rows.append({**clip, **dict.fromkeys(names), "language": language})
        rows[-1]["recording_lyrics"] = lyrics
    sung = [row for row in rows if row.get("vocal") is not None and row.get("sung") is not False]
    if sung:
        network = load_recognizer(options.recognizer)
        heard, sung_frames = (FrameFile(1 + len(network.config.phonemes)) for _ in range(2))
    own: list[tuple[list[str], np.ndarray]] = []
    ends: list[int] = []
    for row in sung:
        with flat_memory():
            sounds = hear(row, network)
        row["speech_score"] = _speech_score(row, sounds)
        if row["recording_lyrics"]:
            heard.append(sounds.log_probabilities)
            sung_frames.append(_in_singing(row, sounds.log_probabilities))
            own.append((sounds.phonemes, sounds.onsets))
            ends.append(len(heard))
    if not rows or not rows[0]["recording_lyrics"]:
        return rows
    language = language_code(rows[0].get("language") or _LANGUAGE)
    if rows[0].get("vocal") is None or language != _LANGUAGE:
        if len(rows) == 1:
            rows[0] |= {"lyrics": rows[0]["recording_lyrics"], "lyrics_source": "given"}
        return rows
    words = lyrics_words(rows[0]["recording_lyrics"])
    if not ends:
        return rows
    placed = _place(words, sung_frames, np.array(ends), network, options.filler_penalty)
    for row, (phonemes, onsets), begin, end, inside in zip(
        sung, own, [0, *ends[:-1]], ends, placed, strict=True
    ):
        row |= _describe(inside, Heard(heard[begin:end], phonemes, onsets), network)
    return rows


def _in_singing(clip: Mapping[str, Any], log_probabilities: np.ndarray) -> np.ndarray:
    """Log probabilities [T, classes] with blanks where nobody sings, whatever leaks of the band."""
    spans = clip.get("sung_spans")
    if spans is None:
        return log_probabilities
    times = clip["clip_start"] + _FRAME_SECONDS * np.arange(len(log_probabilities))
    sung = np.zeros(len(times), dtype=bool)
    for start, end in spans:
        sung |= (start - _AROUND_SINGING <= times) & (times <= end + _AROUND_SINGING)
    blank = np.full(log_probabilities.shape[1], np.log(_LEAST), dtype=np.float32)
    blank[BLANK] = 0.0
    return np.where(sung[:, None], log_probabilities, blank)


def _speech_score(clip: Mapping[str, Any], heard: Heard) -> float | None:
    movement, seconds = clip.get("pitch_movement"), clip.get("sung_seconds")
    if movement is None or not seconds:
        return None
    return round(speech_score(movement, heard.onsets * _FRAME_SECONDS, seconds), 4)


class _PlacedWord(NamedTuple):
    word: LyricsWord
    start: float
    end: float
    score: float


def _place(
    words: Sequence[LyricsWord],
    log_probabilities: Frames,
    ends: np.ndarray,
    network: PhonemeRecognizer,
    filler_penalty: float,
) -> list[list[_PlacedWord]]:
    """Align words with what was heard, and return the words of each clip with their times in it.

    ``ends`` are the frames at which the clips end.
    """
    placed: list[list[_PlacedWord]] = [[] for _ in ends]
    lengths = [len(word.phonemes) for word in words]
    if not lengths:
        return placed
    classes = _classes([symbol for word in words for symbol in word.phonemes], network)
    firsts = np.cumsum([0, *lengths[:-1]])
    is_first = np.zeros(len(classes), dtype=bool)
    is_first[firsts] = True
    found = align(log_probabilities, classes, is_first, filler_penalty=filler_penalty)
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


def _classes(phonemes: Sequence[str], network: PhonemeRecognizer) -> np.ndarray:
    """The classes of phonemes, int64 [N]."""
    ids = {symbol: index + 1 for index, symbol in enumerate(network.config.phonemes)}
    return np.array([ids[symbol] for symbol in phonemes], dtype=np.int64)


def _describe(
    placed: Sequence[_PlacedWord], heard: Heard, network: PhonemeRecognizer
) -> dict[str, Any]:
    """The columns of a clip with these words, in which this is heard."""
    wanted = [symbol for one in placed for symbol in one.word.phonemes]
    longer = max(len(wanted), len(heard.phonemes))
    scores: dict[str, Any] = {"lyrics_error": None, "lyrics_match": None}
    if longer:
        match = lyrics_match(
            heard.log_probabilities,
            _classes(wanted, network),
            _classes(heard.phonemes, network),
            np.random.default_rng(0),
        )
        error = edit_distance(wanted, heard.phonemes) / longer
        scores = {"lyrics_error": round(error, 4), "lyrics_match": round(match, 4)}
    if not placed:
        return {"lyrics": None, "words": [], **scores}
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
        **scores,
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
    best = sequence[0].argmax(dim=-1).numpy()
    onsets = np.flatnonzero((best != BLANK) & (np.diff(best, prepend=BLANK) != 0))
    phonemes = [network.config.phonemes[index - 1] for index in best[onsets]]
    # The sequence output is certain of what is sung, the frame output of when.
    joint = 0.5 * (sequence[0].softmax(dim=-1) + frames[0].softmax(dim=-1))
    return Heard(joint.clamp(min=_LEAST).log().numpy(), phonemes, onsets)


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

"""Transcribes clips with two models, whose texts agree where the words are clear.

The paper keeps clips on which Whisper large-v2 and large-v3 agree (SongGen, arXiv 2502.13128). Any
two models of the speech recognition pipeline of transformers can be named.
"""

from __future__ import annotations

import re
import unicodedata
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from ...checkpoints.loading import checked_device
from ...optional import require
from ..listening.edit_distance import edit_distance
from .clips import read_clip, words_type
from .languages import language_code
from .option_checks import check_at_least, check_device_share
from .stages import loading

_RATE = 16000
_REPEATING = 2.4  # ratio of compression above which Whisper takes a text for a loop
_WHISPER = "seq2seq_whisper"


@dataclass(frozen=True)
class TranscriptionOptions:
    """With what vocals are transcribed.

    Args:
        models: two speech recognition models, folders or Hub ids; none for no transcripts.
        device: device of the models; ``auto`` for an accelerator, if there is one.
        device_share: share of a GPU that a process gets with Ray, which shows it none otherwise.
        batch_size: clips that a model hears at once.
        num_beams: beams of the search of a Whisper; more take as many times longer.
    Raises:
        ValueError: unless there are two models or none, and for numbers out of range.
    """

    models: tuple[str, ...] = field(
        default=("openai/whisper-large-v2", "openai/whisper-large-v3"), metadata={"nargs": 2}
    )
    device: str = "cpu"
    device_share: float = 0.0
    batch_size: int = 8
    num_beams: int = 1

    def __post_init__(self) -> None:
        check_device_share(self)
        if len(self.models) not in (0, 2):
            count = len(self.models)
            raise ValueError(f"got {count} speech recognition models, expected 2, or none")
        check_at_least(self, 1, "batch_size", "num_beams")


def columns() -> list[Any]:
    """The columns that :func:`transcribe` adds or replaces, as fields of pyarrow.

    ``transcripts`` are the texts of both models, and ``transcript_distance`` is the edit distance
    of their letters relative to the longer text, without case and punctuation. ``lyrics`` is the
    better text, and ``words`` are its words with times in seconds of the clip.
    """
    arrow = require("pyarrow", "prepare")
    text, number = arrow.string(), arrow.float64()
    types = {
        "transcripts": arrow.list_(text),
        "transcript_distance": number,
        "language": text,
        "lyrics": text,
        "lyrics_source": text,
        "words": words_type(),
    }
    return [arrow.field(name, kind) for name, kind in types.items()]


class Transcript(NamedTuple):
    """The text of a clip, its words with times, and the code of its language, None if unknown."""

    text: str
    words: list[dict[str, Any]]
    language: str | None


def transcribe(
    rows: Sequence[Mapping[str, Any]], options: TranscriptionOptions
) -> list[dict[str, Any]]:
    """Transcribe the vocals of clips whose lyrics are not known.

    Args:
        rows: clips with ``vocal``; those with given lyrics, without a stem and without singing are
            returned without a transcript.
        options: the two models.
    Returns:
        The rows in order, with :func:`columns`. A ``language`` that is given is told to the models
        and stays; otherwise it is the one that the model of the better text identifies.
    Raises:
        ValueError: if a model (``ModelError``) or the audio of a clip cannot be read.
    """
    unheard = {
        "transcripts": None,
        "transcript_distance": None,
        "lyrics_source": None,
        "words": None,
    }
    added = [{**unheard, **row, "language": row.get("language")} for row in rows]
    wanted = [row for row in added if options.models and _is_unknown(row)]
    transcripts = [transcripts_of(wanted, name, options) for name in options.models] or [[], []]
    for row, first, second in zip(wanted, *transcripts, strict=True):
        better = first if _is_better(first.text, second.text) else second
        row |= {
            "transcripts": [first.text, second.text],
            "transcript_distance": text_distance(first.text, second.text),
            "language": row["language"] or better.language,
            "lyrics": better.text or None,
            "lyrics_source": "transcribed" if better.text else None,
            "words": better.words,
        }
    for row in added:
        row.setdefault("lyrics", None)
    return added


def _is_unknown(row: Mapping[str, Any]) -> bool:
    """Whether somebody sings words that are not given, or that could not be aligned."""
    known = bool(row.get("lyrics")) or row.get("lyrics_error") is not None
    return not known and row.get("vocal") is not None and row.get("sung") is not False


def transcripts_of(
    rows: Sequence[Mapping[str, Any]], name: str, options: TranscriptionOptions
) -> list[Transcript]:
    """Transcribe the vocals of clips with one model.

    Args:
        rows: clips with a vocal stem.
        name: folder or Hub id of the model.
        options: device and size of batches.
    """
    if not rows:
        return []
    recognizer = _recognizer(name, options.device)
    sounds = [read_clip(row, "vocal", _RATE) for row in rows]
    languages = [row["language"] and language_code(row["language"]) for row in rows]
    if multilingual := _is_multilingual(recognizer):
        # The pipeline returns the language of the first clip of a batch alone.
        languages = [
            language or _identify_language(recognizer, sound)
            for language, sound in zip(languages, sounds, strict=True)
        ]
    found: dict[int, Transcript] = {}
    for language in sorted({language or "" for language in languages}):
        places = [index for index, one in enumerate(languages) if (one or "") == language]
        settings: dict[str, Any] = {"return_timestamps": "word", "batch_size": options.batch_size}
        if recognizer.type == _WHISPER:
            told = {"language": language or None, "task": "transcribe"} if multilingual else {}
            settings["generate_kwargs"] = {**told, "num_beams": options.num_beams}
        inputs = [{"raw": sounds[place], "sampling_rate": _RATE} for place in places]
        for place, output in zip(places, recognizer(inputs, **settings), strict=True):
            found[place] = _transcript(output, rows[place]["clip_seconds"], language or None)
    return [found[place] for place in range(len(rows))]


def _is_multilingual(recognizer: Any) -> bool:
    """Whether a model is a Whisper of several languages, which are told to it."""
    languages = getattr(recognizer.model.generation_config, "lang_to_id", None)
    return recognizer.type == _WHISPER and bool(languages)


def _identify_language(recognizer: Any, sound: Any) -> str:
    """The code of the language that a multilingual Whisper hears in a sound."""
    model = recognizer.model
    features = recognizer.feature_extractor(sound, sampling_rate=_RATE, return_tensors="pt")
    heard = model.detect_language(features["input_features"].to(model.device, model.dtype))
    names = {token: name for name, token in model.generation_config.lang_to_id.items()}
    return names[int(heard[0])].strip("<|>")


def _transcript(output: Mapping[str, Any], seconds: float, language: str | None) -> Transcript:
    words = []
    for chunk in output.get("chunks", []):
        if not (word := chunk["text"].strip()):
            continue
        start, end = chunk["timestamp"]
        start = min(max(start or 0.0, 0.0), seconds)
        end = seconds if end is None else min(max(end, start), seconds)
        times = {"start": round(float(start), 3), "end": round(float(end), 3)}
        words.append({"word": word, **times, "score": None, "line": None})
    return Transcript(" ".join(output["text"].split()), words, language)


def text_distance(first: str, second: str) -> float:
    """The edit distance of two texts, without case and punctuation, relative to the longer one.

    Returns:
        0 for equal texts to 1; two texts without letters are equal.
    """
    first, second = _letters(first), _letters(second)
    longer = max(len(first), len(second))
    return round(edit_distance(first, second) / longer, 4) if longer else 0.0


def _letters(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(re.sub(r"[^\w\s]", "", plain.replace("-", " ")).split())


def _is_better(first: str, second: str) -> bool:
    """Whether the first text is to be taken.

    A text without letters and one that repeats itself are worse; otherwise the second is taken,
    which is that of the larger or newer model.
    """
    return _faults(first) < _faults(second)


def _faults(text: str) -> int:
    letters = _letters(text).encode()
    if not letters:
        return 2
    return int(len(letters) / len(zlib.compress(letters)) > _REPEATING)


@cache
def _recognizer(name: str, device: str) -> Any:
    from transformers import pipeline

    with loading(f"the speech recognition model {name!r}"):
        return pipeline(
            "automatic-speech-recognition", model=name, device=checked_device(device), dtype="auto"
        )


__all__ = ["Transcript", "TranscriptionOptions", "columns", "text_distance", "transcribe"]

"""Captions with the attributes of their songs, read from a codes parquet or newly written."""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ...data.corpus.captions import write_caption
from ...modeling.patterns import IGNORED_LABEL
from ...modeling.processing_songgen import SongGenProcessor
from ..auxiliary.frame_labels import tempo_class
from ..language_model.dataset import CAPTION_COLUMNS

CLASS_COLUMNS = ("gender", "genre", "mood", "key", "lead_instrument")
SET_COLUMN, TEMPO_COLUMN = "instruments", "tempo"
ATTRIBUTE_COLUMNS = (*CLASS_COLUMNS, SET_COLUMN, TEMPO_COLUMN)
LYRICS_COLUMNS = ("lyrics", "words", "phonemes")
NO_PHONEME = ""  # before the first phoneme of a song and after the last one


@dataclass
class Vocabulary:
    """The values of each attribute, and the phonemes, in a fixed order."""

    values: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, columns: dict[str, list[Any]]) -> "Vocabulary":
        """The values in the columns of the training songs; columns without any are left out."""
        found: dict[str, set[str]] = {}
        for name in CLASS_COLUMNS:
            found[name] = {value for value in columns.get(name, []) if value}
        found[SET_COLUMN] = {one for value in columns.get(SET_COLUMN, []) for one in value or []}
        symbols = {p["symbol"] for song in columns.get("phonemes", []) for p in song or []}
        values = {name: sorted(each) for name, each in found.items() if each}
        if symbols:
            values["phonemes"] = [NO_PHONEME, *sorted(symbols)]
        return cls(values)

    def index(self, name: str, value: Any) -> int:
        """The index of a value, -100 for an unknown one."""
        known = self.values[name]
        return known.index(value) if value in known else IGNORED_LABEL


@dataclass
class Caption:
    """A caption with the attributes of its song.

    Args:
        ids: text ids [L].
        classes: class of each class column and of the tempo, -100 if unknown.
        instruments: [I] bool, the instruments of the song.
        tempo: beats per minute, 0 if unknown.
        named: columns whose value the caption names.
        named_instruments: [I] bool, the instruments that the caption names.
    """

    ids: Tensor
    classes: dict[str, int]
    instruments: Tensor
    tempo: float
    named: frozenset[str]
    named_instruments: Tensor


def names(caption: str, value: Any) -> bool:
    """Whether a caption contains a value as a whole word."""
    return re.search(rf"(?<!\w){re.escape(str(value).lower())}(?!\w)", caption.lower()) is not None


def read_columns(rows: Any) -> dict[str, list[Any]]:
    """The columns of a dataset that the conditioner is trained on.

    Raises:
        ValueError: if there are neither captions with attributes nor timed lyrics.
    """
    has = rows.column_names
    captions = [name for name in CAPTION_COLUMNS if name in has][:1]
    attributes = [name for name in ATTRIBUTE_COLUMNS if name in has]
    chosen = [*captions, *attributes] if captions and attributes else []
    if set(LYRICS_COLUMNS) <= set(has):
        chosen += [*LYRICS_COLUMNS, *(name for name in ("language",) if name in has)]
    if not chosen:
        raise ValueError(
            f"the dataset has no labels for captions or lyrics: got {', '.join(has)}, expected "
            f"captions with some of {', '.join(ATTRIBUTE_COLUMNS)}, or {', '.join(LYRICS_COLUMNS)};"
            " songgen-hf prepare codes keeps such columns"
        )
    rows = rows.select_columns(chosen).with_format(None)
    return {name: rows[name][:] for name in rows.column_names}


def read_captions(
    columns: dict[str, list[Any]], vocabulary: Vocabulary, processor: SongGenProcessor
) -> list[list[Caption]]:
    """The captions of each song that has some."""
    column = next((name for name in CAPTION_COLUMNS if name in columns), None)
    known = any(name in vocabulary.values for name in ATTRIBUTE_COLUMNS) or TEMPO_COLUMN in columns
    if column is None or not known:
        return []
    songs = []
    for row, texts in enumerate(columns[column]):
        texts = [texts] if isinstance(texts, str) else texts or []
        attributes = {name: columns[name][row] for name in ATTRIBUTE_COLUMNS if name in columns}
        songs.append([_caption(text, attributes, vocabulary, processor) for text in texts if text])
    return [song for song in songs if song]


def _caption(
    text: str, attributes: dict[str, Any], vocabulary: Vocabulary, processor: SongGenProcessor
) -> Caption:
    tempo = float(attributes.get(TEMPO_COLUMN) or 0)
    classes = {
        name: vocabulary.index(name, attributes.get(name))
        for name in CLASS_COLUMNS
        if name in vocabulary.values
    }
    if TEMPO_COLUMN in attributes:
        classes[TEMPO_COLUMN] = tempo_class(tempo) if tempo > 0 else IGNORED_LABEL
    playing = set(attributes.get(SET_COLUMN) or [])
    values = {name: attributes.get(name) for name in CLASS_COLUMNS} | {TEMPO_COLUMN: round(tempo)}
    instruments = [name in playing for name in vocabulary.values.get(SET_COLUMN, [])]
    named_instruments = [
        name in playing and names(text, name) for name in vocabulary.values.get(SET_COLUMN, [])
    ]
    return Caption(
        ids=torch.tensor(processor.tokenizer(text)["input_ids"]),
        classes=classes,
        instruments=torch.tensor(instruments, dtype=torch.bool),
        tempo=tempo,
        named=frozenset(name for name, value in values.items() if value and names(text, value)),
        named_instruments=torch.tensor(named_instruments, dtype=torch.bool),
    )


class CaptionWriter:
    """Writes captions with the templates of the corpus about independently drawn attributes.

    The few captions of the songs can be memorized; these cannot.

    Args:
        vocabulary: values to draw from.
        tempi: beats per minute; tempi are drawn from the lowest to the highest one.
        processor: processor of the model.
    Raises:
        ValueError: if attributes are missing.
    """

    def __init__(
        self, vocabulary: Vocabulary, tempi: Sequence[float], processor: SongGenProcessor
    ) -> None:
        known = [name for name in vocabulary.values if name in ATTRIBUTE_COLUMNS]
        known += [TEMPO_COLUMN] if any(tempi) else []
        missing = [name for name in ATTRIBUTE_COLUMNS if name not in known]
        if missing:
            raise ValueError(
                f"captions cannot be written: the dataset has no {', '.join(missing)}; train with "
                "--written-captions 0"
            )
        self.vocabulary, self.processor = vocabulary, processor
        positive = [tempo for tempo in tempi if tempo]
        self.slowest, self.fastest = min(positive), max(positive)

    def __call__(self, rng: random.Random) -> Caption:
        """Write one caption with random numbers from ``rng``."""
        values = self.vocabulary.values
        drawn: dict[str, Any] = {name: rng.choice(values[name]) for name in CLASS_COLUMNS}
        lead = drawn["lead_instrument"]
        others = [name for name in values[SET_COLUMN] if name != lead]
        drawn[SET_COLUMN] = [lead, *rng.sample(others, min(rng.randint(1, 3), len(others)))]
        drawn[TEMPO_COLUMN] = round(self.slowest * (self.fastest / self.slowest) ** rng.random())
        complete = rng.random() < 0.25  # as the first caption of every song of the corpus
        text = write_caption(rng, drawn, complete=complete)
        return _caption(text, drawn, self.vocabulary, self.processor)


__all__ = [
    "ATTRIBUTE_COLUMNS",
    "CLASS_COLUMNS",
    "LYRICS_COLUMNS",
    "NO_PHONEME",
    "SET_COLUMN",
    "TEMPO_COLUMN",
    "Caption",
    "CaptionWriter",
    "Vocabulary",
    "names",
    "read_captions",
    "read_columns",
]

"""What captions and lyrics say, as a codes parquet knows it: targets for the conditioner alone.

Reads words and facts only, never codes or sounds.
"""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ...data.corpus.captions import write_caption
from ...modeling.patterns import IGNORED_LABEL
from ...modeling.processing_songgen import SongGenProcessor
from ..auxiliary.frame_labels import tempo_class
from ..language_model.dataset import CAPTION_COLUMNS

CLASS_COLUMNS = ("gender", "genre", "mood", "key", "lead_instrument")
SET_COLUMN, TEMPO_COLUMN = "instruments", "tempo"
FACT_COLUMNS = (*CLASS_COLUMNS, SET_COLUMN, TEMPO_COLUMN)
SOUND_COLUMNS = ("lyrics", "words", "phonemes")
NO_PHONEME = ""  # before the first and after the last one

TOLERANCE = 0.08  # of a tempo that counts as right, as in the evaluation of songs


@dataclass
class Vocabulary:
    """What there is to tell apart: values of each column and phonemes, in a fixed order."""

    values: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, columns: dict[str, list[Any]]) -> "Vocabulary":
        """The values that training songs have; columns without any are left out."""
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
        """The place of a value, -100 for an unknown one."""
        known = self.values[name]
        return known.index(value) if value in known else IGNORED_LABEL


@dataclass
class Caption:
    """One caption, with what is true of its song.

    Args:
        ids: text ids [L].
        classes: of each class column and the tempo, -100 if unknown.
        members: [I] bool, instruments that play.
        tempo: bpm, 0 if unknown.
        said: columns whose value the caption names.
        named: [I] bool, instruments that the caption names.
    """

    ids: Tensor
    classes: dict[str, int]
    members: Tensor
    tempo: float
    said: frozenset[str]
    named: Tensor


def names(caption: str, value: Any) -> bool:
    """Whether a caption has the words of a value."""
    return re.search(rf"(?<!\w){re.escape(str(value).lower())}(?!\w)", caption.lower()) is not None


def read_columns(rows: Any) -> dict[str, list[Any]]:
    """The columns of a dataset that matter here.

    Raises:
        ValueError: if it knows nothing about its captions and nothing about its lyrics.
    """
    has = rows.column_names
    captions = [name for name in CAPTION_COLUMNS if name in has][:1]
    facts = [name for name in FACT_COLUMNS if name in has]
    about_text = [*captions, *facts] if captions and facts else []
    about_lyrics = list(SOUND_COLUMNS) if set(SOUND_COLUMNS) <= set(has) else []
    if not about_text and not about_lyrics:
        raise ValueError(
            f"the dataset says nothing to learn about captions or lyrics: got {', '.join(has)}, "
            f"expected captions with some of {', '.join(FACT_COLUMNS)}, or "
            f"{', '.join(SOUND_COLUMNS)}; songgen-hf prepare codes keeps such columns"
        )
    if about_lyrics and "language" in has:
        about_lyrics.append("language")
    rows = rows.select_columns([*about_text, *about_lyrics]).with_format(None)
    return {name: rows[name][:] for name in rows.column_names}


def read_captions(
    columns: dict[str, list[Any]], vocabulary: Vocabulary, processor: SongGenProcessor
) -> list[list[Caption]]:
    """The captions of each song; songs without any are left out."""
    column = next((name for name in CAPTION_COLUMNS if name in columns), None)
    known = any(name in vocabulary.values for name in FACT_COLUMNS) or TEMPO_COLUMN in columns
    if column is None or not known:
        return []
    songs = []
    for row, texts in enumerate(columns[column]):
        texts = [texts] if isinstance(texts, str) else texts or []
        facts = {name: columns[name][row] for name in FACT_COLUMNS if name in columns}
        songs.append([_caption(text, facts, vocabulary, processor) for text in texts if text])
    return [song for song in songs if song]


def _caption(
    text: str, facts: dict[str, Any], vocabulary: Vocabulary, processor: SongGenProcessor
) -> Caption:
    tempo = float(facts.get(TEMPO_COLUMN) or 0)
    classes = {
        name: vocabulary.index(name, facts.get(name))
        for name in CLASS_COLUMNS
        if name in vocabulary.values
    }
    if TEMPO_COLUMN in facts:
        classes[TEMPO_COLUMN] = tempo_class(tempo) if tempo > 0 else IGNORED_LABEL
    instruments = vocabulary.values.get(SET_COLUMN, [])
    playing = set(facts.get(SET_COLUMN) or [])
    said = [name for name in CLASS_COLUMNS if facts.get(name) and names(text, facts[name])]
    if tempo > 0 and names(text, round(tempo)):
        said.append(TEMPO_COLUMN)
    return Caption(
        ids=torch.tensor(processor.tokenizer(text)["input_ids"]),
        classes=classes,
        members=torch.tensor([name in playing for name in instruments], dtype=torch.bool),
        tempo=tempo,
        said=frozenset(said),
        named=torch.tensor(
            [name in playing and names(text, name) for name in instruments], dtype=torch.bool
        ),
    )


class CaptionWriter:
    """New captions in the corpus' phrasings, of facts that are drawn apart from each other.

    A song's few captions can be learned by heart; these cannot.

    Args:
        vocabulary: values to draw from.
        tempi: bpm, of which the lowest and the highest matter.
        processor: of the model.
    Raises:
        ValueError: if facts are missing.
    """

    def __init__(
        self, vocabulary: Vocabulary, tempi: Sequence[float], processor: SongGenProcessor
    ) -> None:
        known = [name for name in vocabulary.values if name in FACT_COLUMNS]
        known += [TEMPO_COLUMN] if any(tempi) else []
        missing = [name for name in FACT_COLUMNS if name not in known]
        if missing:
            raise ValueError(
                f"captions cannot be written: the dataset has no {', '.join(missing)}; train with "
                "--written-captions 0"
            )
        self.vocabulary, self.processor = vocabulary, processor
        heard = [tempo for tempo in tempi if tempo]
        self.slowest, self.fastest = min(heard), max(heard)

    def __call__(self, rng: random.Random) -> Caption:
        """One caption; all draws from ``rng``."""
        values = self.vocabulary.values
        facts: dict[str, Any] = {name: rng.choice(values[name]) for name in CLASS_COLUMNS}
        lead = facts["lead_instrument"]
        others = [name for name in values[SET_COLUMN] if name != lead]
        facts[SET_COLUMN] = [lead, *rng.sample(others, min(rng.randint(1, 3), len(others)))]
        facts[TEMPO_COLUMN] = round(self.slowest * (self.fastest / self.slowest) ** rng.random())
        complete = rng.random() < 0.25  # as the first caption of every song of the corpus
        text = write_caption(rng, facts, complete=complete)
        return _caption(text, facts, self.vocabulary, self.processor)


def padded_ids(ids: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Ids [L_i] -> ids and mask, both [B, L] int64; padding is 0 and masked."""
    mask = pad_sequence([torch.ones_like(row) for row in ids], batch_first=True)
    return pad_sequence(list(ids), batch_first=True), mask


def batches(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """Pieces of at most ``size``."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


__all__ = [
    "CLASS_COLUMNS",
    "FACT_COLUMNS",
    "NO_PHONEME",
    "SET_COLUMN",
    "SOUND_COLUMNS",
    "TEMPO_COLUMN",
    "TOLERANCE",
    "Caption",
    "CaptionWriter",
    "Vocabulary",
    "batches",
    "padded_ids",
    "read_captions",
    "read_columns",
]

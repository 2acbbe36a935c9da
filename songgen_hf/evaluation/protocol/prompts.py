"""The fixed prompts that a song model is asked to sing, and how they are made from the corpus.

``prompts.json`` beside this file comes from the test split of the corpus of seed 0, whose lines no
model may have been trained on:

    songgen-hf evaluate prompts songs --out prompts.json

A prompt's text is a caption that names gender, lead instrument and tempo in bpm, in the corpus'
own phrasings. Its reference voice is another song of the same singer; two more songs, of another
singer and of another singer of the same gender, are what the sung voice is compared with.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...data.corpus.captions import write_caption
from ..judges.dataset import read_rows

PROMPTS_FILE = Path(__file__).with_name("prompts.json")
PROMPTS_IN_FILE = 120
METADATA = (
    "song_id", "captions", "lyrics", "genre", "mood", "tempo", "key", "gender", "voice_id",
    "lead_instrument", "lead_family", "instruments", "words", "phonemes", "duration",
)  # fmt: skip
VOICE_SECONDS = 3.0
_ATTEMPTS = 1000


@dataclass(frozen=True)
class Prompt:
    """What is asked for, and what the song is compared with.

    Args:
        id: of the corpus song whose facts these are.
        text: style description.
        lyrics: lines to sing.
        phonemes: symbols of the true song in order, as the corpus writes them.
        gender, lead_instrument, lead_family: of the true song.
        tempo: bpm.
        voice_id: singer.
        reference_song_id: another song of that singer; its vocal is the reference voice.
        reference_start: second of that vocal at which three seconds of singing begin.
        other_song_id: a song of any other singer.
        rival_song_id: a song of another singer of the same gender.
        duration: seconds of the true song.
    """

    id: str
    text: str
    lyrics: str
    phonemes: tuple[str, ...]
    gender: str
    lead_instrument: str
    lead_family: str
    tempo: int
    voice_id: str
    reference_song_id: str
    reference_start: float
    other_song_id: str
    rival_song_id: str
    duration: float


def read_prompts(path: Path | str | None = None) -> list[Prompt]:
    """The prompts of a file; None for the fixed ones.

    Raises:
        ValueError: if the file is none of prompts.
        OSError: if it cannot be read.
    """
    path = PROMPTS_FILE if path is None else Path(path)
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["prompts"]
        return [Prompt(**{**one, "phonemes": tuple(one["phonemes"].split())}) for one in entries]
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{path} holds no prompts ({error}); write it with songgen-hf evaluate prompts"
        ) from error


def describe_prompts(prompts: Sequence[Prompt], *, split: str, seed: int) -> dict[str, Any]:
    """What a file of prompts holds, for ``encode_json``."""
    entries = [{**asdict(prompt), "phonemes": " ".join(prompt.phonemes)} for prompt in prompts]
    return {"split": split, "seed": seed, "prompts": entries}


def make_prompts(rows: Sequence[Mapping[str, Any]], count: int, *, seed: int = 0) -> list[Prompt]:
    """Prompts of the first ``count`` songs whose singer has another song among the rows.

    Args:
        rows: metadata of one split of the corpus.
        count: number of prompts.
        seed: of captions and comparisons; those of a song depend on its id and the rows alone.
    Raises:
        ValueError: if the rows give fewer prompts.
    """
    prompts: list[Prompt] = []
    for row in rows:
        if len(prompts) == count:
            break
        rng = random.Random(f"songgen-prompts/{seed}/{row['song_id']}")
        same = [other for other in rows if other["voice_id"] == row["voice_id"]]
        same = [other for other in same if other["song_id"] != row["song_id"]]
        others = [other for other in rows if other["voice_id"] != row["voice_id"]]
        rivals = [other for other in others if other["gender"] == row["gender"]]
        if not same or not rivals:
            continue
        reference = rng.choice(same)
        prompts.append(
            Prompt(
                id=row["song_id"],
                text=telling_caption(rng, row),
                lyrics=row["lyrics"],
                phonemes=tuple(phoneme["symbol"] for phoneme in row["phonemes"]),
                gender=row["gender"],
                lead_instrument=row["lead_instrument"],
                lead_family=row["lead_family"],
                tempo=int(row["tempo"]),
                voice_id=row["voice_id"],
                reference_song_id=reference["song_id"],
                reference_start=singing_start(reference),
                other_song_id=rng.choice(others)["song_id"],
                rival_song_id=rng.choice(rivals)["song_id"],
                duration=round(float(row["duration"]), 3),
            )
        )
    if len(prompts) < count:
        raise ValueError(
            f"got {len(prompts)} prompts from {len(rows)} songs, expected {count}: a prompt needs "
            "another song of its singer and one of another singer of the same gender; render more"
        )
    return prompts


def telling_caption(rng: random.Random, facts: Mapping[str, Any]) -> str:
    """A caption of the corpus' kind that names gender, lead instrument and tempo in bpm."""
    for _ in range(_ATTEMPTS):
        caption = write_caption(rng, facts)
        if tells_all(caption, facts):
            return caption
    raise AssertionError(f"no caption of {_ATTEMPTS} told everything of {facts['song_id']}")


def tells_all(caption: str, facts: Mapping[str, Any]) -> bool:
    """Whether gender, lead instrument as lead, and tempo in bpm can be read off a caption.

    The band is listed in captions too, but never with its lead: a name that occurs is the lead's.
    """
    words = re.findall(r"[a-z]+|\d+", caption.lower())
    person = "woman" if facts["gender"] == "female" else "man"
    is_lead = facts["lead_instrument"] in caption.lower()
    return is_lead and str(facts["tempo"]) in words and bool({facts["gender"], person} & {*words})


def singing_start(row: Mapping[str, Any]) -> float:
    """Second at which a row's singing begins, or the last from which three seconds remain."""
    latest = float(row["duration"]) - VOICE_SECONDS
    first = row["words"][0]["start"] if row["words"] else 0.0
    return round(max(0.0, min(float(first), latest)), 3)


def corpus_rows(
    folder: Path | str, split: str, *, columns: Sequence[str] | None = METADATA
) -> list[dict[str, Any]]:
    """Rows of one split of a rendered corpus.

    Args:
        folder: as ``songgen-hf corpus`` wrote it.
        split: train, validation or test.
        columns: to read; None for all, sound included.
    Raises:
        FileNotFoundError: if it has no such split.
    """
    pattern = Path(folder) / "data" / f"{split}-*.parquet"
    return list(read_rows(pattern, columns=None if columns is None else tuple(columns)))


__all__ = [
    "PROMPTS_FILE",
    "PROMPTS_IN_FILE",
    "Prompt",
    "corpus_rows",
    "describe_prompts",
    "make_prompts",
    "read_prompts",
    "singing_start",
    "telling_caption",
    "tells_all",
]

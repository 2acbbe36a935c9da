"""The fixed prompts of the evaluation, and how prompts are made from songs of the corpus.

``prompts.json`` beside this file comes from the test split of the corpus of seed 0, whose lyrics
occur in no training song:

    songgen-hf evaluate prompts songs --out prompts.json

The text of a prompt is a caption of the corpus that states gender, lead instrument and tempo in
beats per minute. Its reference voice is another song of the same voice. Generated voices are also
compared with a song of another voice and with a song of another voice of the same gender.
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
    """What is requested of a model, and what the generated song is compared with.

    Args:
        id: id of the corpus song that the labels are taken from.
        text: style description.
        lyrics: lines of the lyrics.
        phonemes: symbols of the corpus song in order, as the corpus writes them.
        gender, lead_instrument, lead_family, voice_id: labels of the corpus song.
        tempo: tempo of the corpus song in beats per minute.
        reference_song_id: another song of the same voice; its vocal is the reference voice.
        reference_start: second at which three seconds of that vocal begin.
        other_song_id: a song of any other voice.
        rival_song_id: a song of another voice of the same gender.
        duration: duration of the corpus song in seconds.
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
    """Read the prompts of a file; None stands for the fixed prompts.

    Raises:
        ValueError: if the file holds no prompts.
        OSError: if it cannot be read.
    """
    path = PROMPTS_FILE if path is None else Path(path)
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))["prompts"]
        return [Prompt(**{**one, "phonemes": tuple(one["phonemes"].split())}) for one in entries]
    except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{path} holds no prompts ({error}): expected an object with the list 'prompts'; write "
            "it with songgen-hf evaluate prompts"
        ) from error


def describe_prompts(prompts: Sequence[Prompt], *, split: str, seed: int) -> dict[str, Any]:
    """Return the content of a file of prompts."""
    entries = [{**asdict(prompt), "phonemes": " ".join(prompt.phonemes)} for prompt in prompts]
    return {"split": split, "seed": seed, "prompts": entries}


def make_prompts(rows: Sequence[Mapping[str, Any]], count: int, *, seed: int = 0) -> list[Prompt]:
    """Make prompts of the first ``count`` songs whose voice has another song among the rows.

    Args:
        rows: metadata of one split of the corpus.
        count: number of prompts.
        seed: seed of captions and comparisons, which also depend on the song's id and the rows.
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
                text=complete_caption(rng, row),
                lyrics=row["lyrics"],
                phonemes=tuple(phoneme["symbol"] for phoneme in row["phonemes"]),
                gender=row["gender"],
                lead_instrument=row["lead_instrument"],
                lead_family=row["lead_family"],
                tempo=int(row["tempo"]),
                voice_id=row["voice_id"],
                reference_song_id=reference["song_id"],
                reference_start=vocal_start(reference),
                other_song_id=rng.choice(others)["song_id"],
                rival_song_id=rng.choice(rivals)["song_id"],
                duration=round(float(row["duration"]), 3),
            )
        )
    if len(prompts) < count:
        raise ValueError(
            f"got {len(prompts)} prompts from {len(rows)} songs, expected {count}: a prompt needs "
            "another song of its voice and one of another voice of the same gender; render more"
        )
    return prompts


def complete_caption(rng: random.Random, labels: Mapping[str, Any]) -> str:
    """Write a caption of the corpus that states gender, lead instrument and tempo."""
    for _ in range(_ATTEMPTS):
        caption = write_caption(rng, labels)
        if is_complete(caption, labels):
            return caption
    raise AssertionError(f"no complete caption of {labels['song_id']} in {_ATTEMPTS} attempts")


def is_complete(caption: str, labels: Mapping[str, Any]) -> bool:
    """Whether a caption states gender, lead instrument, and tempo in beats per minute.

    Captions also list the accompanying instruments, but never together with the lead instrument;
    so an instrument of that name in the caption is the lead.
    """
    words = re.findall(r"[a-z]+|\d+", caption.lower())
    person = "woman" if labels["gender"] == "female" else "man"
    has_lead = labels["lead_instrument"] in caption.lower()
    has_gender = bool({labels["gender"], person} & {*words})
    return has_lead and has_gender and str(labels["tempo"]) in words


def vocal_start(row: Mapping[str, Any]) -> float:
    """Return the second at which the vocal of a row begins, with three seconds left after it."""
    latest = float(row["duration"]) - VOICE_SECONDS
    first = row["words"][0]["start"] if row["words"] else 0.0
    return round(max(0.0, min(float(first), latest)), 3)


def corpus_rows(
    folder: Path | str, split: str, *, columns: Sequence[str] | None = METADATA
) -> list[dict[str, Any]]:
    """Read the rows of one split of a rendered corpus.

    Args:
        folder: folder that ``songgen-hf corpus`` has written.
        split: train, validation or test.
        columns: columns to read; None for all, with the waveforms.
    Raises:
        FileNotFoundError: if the corpus has no such split.
    """
    pattern = Path(folder) / "data" / f"{split}-*.parquet"
    return list(read_rows(pattern, columns=None if columns is None else tuple(columns)))


__all__ = [
    "PROMPTS_FILE",
    "PROMPTS_IN_FILE",
    "Prompt",
    "complete_caption",
    "corpus_rows",
    "describe_prompts",
    "is_complete",
    "make_prompts",
    "read_prompts",
    "vocal_start",
]

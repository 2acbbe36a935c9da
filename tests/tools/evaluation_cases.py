"""A small invented corpus and prompts of it, for the tests of the evaluation."""

from pathlib import Path

import pyarrow
import pyarrow.parquet

from songgen_hf.evaluation.protocol.prompts import make_prompts

from .judge_cases import invented_row

VOICES = ("female_1", "male_1", "female_2", "male_2")


def corpus_row(index: int, split: str = "test", *, seconds: float = 3.2) -> dict:
    """A row with every column that prompts use; its voice is the index modulo 4."""
    row = invented_row(index, seconds=seconds)
    voice = VOICES[index % 4]
    return row | {
        "song_id": f"{split}-{index:06d}",
        "split": split,
        "gender": voice.split("_")[0],
        "voice_id": voice,
        "lyrics": "us\nus",
        "unseen_words": [row["words"][0]["word"]] if index % 2 else [],
        "genre": "folk",
        "mood": "calm",
        "instruments": [row["lead_instrument"], "upright bass"],
        "captions": ["a folk song"],
        "duration": seconds,
        "sampling_rate": 16000,
    }


def write_corpus(folder: Path, **counts: int) -> Path:
    """Write a corpus with the given number of songs in each split."""
    for split, count in counts.items():
        rows = [corpus_row(index, split) for index in range(count)]
        path = folder / "data" / f"{split}-00000-of-00001.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return folder


def some_prompts(count: int = 2) -> list:
    """Prompts of the invented test songs."""
    return make_prompts([corpus_row(index) for index in range(8)], count)

"""Songs with all labels of the corpus."""

import random

import pytest

from songgen_hf.data.corpus.captions import write_captions

from ..conftest import song_row, write_table

SPELLED = {"blue": ["b", "l", "uː"], "sky": ["s", "k", "aɪ"], "no": ["n", "oʊ"]}


def labeled_row(number: int) -> dict:
    """A song with all labels of the corpus."""
    rng = random.Random(number)
    lead = rng.choice(["flute", "cello", "piano"])
    facts = {
        "gender": rng.choice(["female", "male"]),
        "genre": rng.choice(["jazz", "rock"]),
        "mood": rng.choice(["calm", "happy"]),
        "key": rng.choice(["C major", "A minor"]),
        "lead_instrument": lead,
        "instruments": [lead, "drums"],
        "tempo": rng.randint(70, 140),
    }
    sung = rng.choices(list(SPELLED), k=3)
    phonemes = [
        {"symbol": symbol, "start": word / 10, "end": word / 10 + 0.1, "word": word}
        for word, written in enumerate(sung)
        for symbol in SPELLED[written]
    ]
    words = [{"word": word, "start": n / 10, "end": n / 10 + 0.1} for n, word in enumerate(sung)]
    return (
        song_row(number, 8)
        | facts
        | {
            "captions": write_captions(rng, facts),
            "lyrics": " ".join(sung),
            "words": words,
            "phonemes": phonemes,
        }
    )


@pytest.fixture(scope="module")
def labeled_songs(tmp_path_factory) -> str:
    """A folder of songs with labels: 24 to train on and 6 to evaluate on."""
    folder = tmp_path_factory.mktemp("known")
    rows = [labeled_row(number) for number in range(30)]
    write_table(folder / "train-00000-of-00001.parquet", rows[:24])
    write_table(folder / "validation-00000-of-00001.parquet", rows[24:])
    return str(folder)

"""Tests of fingerprints and of groups of duplicates."""

import io
import time

import numpy as np
import pytest
import soundfile
import soxr

from songgen_hf.data.preparation.duplicates import SAMPLING_RATE, fingerprint, group_duplicates

from .sounds import song


def row(clip: str, waveform: np.ndarray) -> dict:
    return {"id": clip, "fingerprint": fingerprint(waveform)}


def through_mp3(waveform: np.ndarray, rate: int, compression: float) -> np.ndarray:
    file = io.BytesIO()
    soundfile.write(
        file, waveform, rate, format="MP3", subtype="MPEG_LAYER_III",
        compression_level=compression, bitrate_mode="CONSTANT",
    )  # fmt: skip
    file.seek(0)
    return soundfile.read(file, dtype="float32")[0]


def groups(rows: list[dict]) -> list[str | None]:
    return [row["duplicate_group"] for row in group_duplicates(rows)]


COPIES = {
    "the same file": lambda sound: sound,
    "another gain": lambda sound: 0.1 * sound,
    "a shift of 123 ms": lambda sound: sound[round(0.123 * SAMPLING_RATE) :],
    "a part of 60 %": lambda sound: sound[len(sound) // 5 : 4 * len(sound) // 5],
    "8 kHz": lambda sound: soxr.resample(
        soxr.resample(sound, SAMPLING_RATE, 8000), 8000, SAMPLING_RATE
    ),
    "mp3 of 44.1 kHz": lambda sound: soxr.resample(
        through_mp3(soxr.resample(sound, SAMPLING_RATE, 44100), 44100, 0.8), 44100, SAMPLING_RATE
    ),
    "mp3 of a low bit rate": lambda sound: through_mp3(sound, SAMPLING_RATE, 0.99),
}


@pytest.mark.slow
@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES.keys())
def test_a_copy_is_in_the_group_of_its_song_and_other_songs_are_in_none(copy):
    rows = [row(f"song-{seed}", song(seed)) for seed in range(4)]

    found = groups([*rows, row("song-2-copy", copy(song(2)))])

    assert found == [None, None, "song-2", None, "song-2"]


def test_groups_do_not_depend_on_the_order_and_rows_keep_their_columns():
    rows = [row(name, song(seed)) | {"tag": name} for name, seed in (("c", 0), ("a", 1), ("b", 0))]

    forth, back = group_duplicates(rows), group_duplicates(rows[::-1])[::-1]

    assert forth == back
    assert [row["duplicate_group"] for row in forth] == ["b", None, "b"]
    assert [row["tag"] for row in forth] == ["c", "a", "b"]


def test_silence_and_clips_that_are_too_short_are_in_no_group():
    silent = row("a", np.zeros(5 * SAMPLING_RATE)), row("b", np.zeros(5 * SAMPLING_RATE))
    short = row("c", song(0)[:5000]), row("d", song(0)[:5000])

    assert groups([*silent, *short, {"id": "e", "fingerprint": None}]) == [None] * 5
    assert group_duplicates([]) == []


def test_a_shared_quarter_makes_no_duplicates():
    first, second = song(0), song(1)
    quarter = len(first) // 4

    assert (
        groups([row("a", first), row("b", np.r_[first[:quarter], second[quarter:]])]) == [None] * 2
    )


def test_the_time_grows_much_slower_than_the_square_of_the_number_of_clips():
    rng = np.random.default_rng(0)

    def seconds(count: int) -> float:
        rows = [
            {"id": f"{clip:05d}", "fingerprint": rng.integers(1, 2**32, 250, "u4").tobytes()}
            for clip in range(count)
        ]
        rows[-1]["fingerprint"] = rows[0]["fingerprint"]
        start = time.process_time()
        found = groups(rows)
        assert found[0] == found[-1] == "00000" and found.count(None) == count - 2
        return time.process_time() - start

    assert seconds(1600) < 8 * max(seconds(200), 0.02)

"""Tests of thresholds, duplicates and balance of clips."""

import math
from dataclasses import FrozenInstanceError, replace

import pyarrow as pa
import pytest

from songgen_hf.data.preparation.filtering import (
    PRESETS,
    RULES,
    Thresholds,
    columns,
    filter_clips,
    filter_table,
)
from songgen_hf.modeling.lyrics_languages import LANGUAGES

GOOD = {
    "id": "a-0",
    "recording_id": "a",
    "clip_seconds": 10.0,
    "audio_seconds": 10.0,
    "loudness": -14.0,
    "clipped_share": 0.0,
    "peak_density": 0.4,
    "silent_share": 0.0,
    "bandwidth": 15000.0,
    "mono_loss": 1.0,
    "vocal_energy": 2000.0,
    "accompaniment_energy": 2000.0,
    "sung": True,
    "speech_score": 0.2,
    "transcript_distance": 0.0,
    "lyrics_match": 1.0,
    "clap_score": 0.4,
    "language": "en",
    "truncated": False,
}


def clips(count: int, **columns) -> list[dict]:
    """Good clips with ids of their own; a column is a value or one value for each clip."""
    return [
        {**GOOD, "id": f"clip-{index:03d}"}
        | {name: one[index] if isinstance(one, list) else one for name, one in columns.items()}
        for index in range(count)
    ]


def kept(rows: list[dict], thresholds: Thresholds = PRESETS["paper"], **changes) -> list[str]:
    return [row["id"] for row in filter_clips(rows, replace(thresholds, **changes)) if row["kept"]]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.threshold)
def test_every_bound_drops_what_is_beyond_it_and_keeps_what_is_on_it(rule):
    bound = getattr(PRESETS["paper"], rule.threshold)
    beyond = math.nextafter(bound, -math.inf if rule.is_minimum else math.inf)

    on, over, unknown = filter_clips(clips(3, **{rule.column: [bound, beyond, None]}))

    assert on["kept"] and on["reasons"] == [] and unknown["kept"]
    assert not over["kept"] and not over["hq"]
    (reason,) = over["reasons"]
    assert reason.startswith(f"{rule.name}: ") and f"{bound:g}{rule.unit}" in reason


def test_a_clip_has_every_reason_with_value_and_bound():
    (row,) = filter_clips(clips(1, bandwidth=3919.4, loudness=-52.1, language="de"))

    assert row["reasons"] == [
        "language: de is not among those allowed, en",
        "loudness: -52.1 LUFS is below the lowest allowed, -40 LUFS",
        "bandwidth: 3919 Hz is below the lowest allowed, 7000 Hz",
    ]


@pytest.mark.parametrize("language", ["en", "EN", "English", "en-US", "en_GB", None, ""])
def test_a_language_can_be_written_as_a_code_or_a_name(language):
    assert len(kept(clips(1, language=language))) == 1
    assert kept(clips(1, language=language or "en"), languages=("German", "fr")) == []
    assert len(kept(clips(1, language="de"), languages=("German", "fr"))) == 1


def test_an_album_may_be_in_every_language_that_models_sing_and_no_other():
    def reasons(language):
        (row,) = filter_clips(clips(1, language=language), PRESETS["small"])
        return row["reasons"]

    assert [reasons(language) for language in (None, "pt-BR", "Japanese")] == [[], [], []]
    assert reasons("klingon") == [
        "language: klingon is not among those allowed, " + ", ".join(sorted(LANGUAGES))
    ]


def test_errors_and_files_without_their_end_are_dropped():
    rows = clips(3, error=["no audio", None, ""], truncated=[False, True, False])
    rows[1]["source_seconds"] = 12.34

    found = filter_clips(rows)

    assert [row["reasons"] for row in found] == [
        ["error: no audio"],
        ["truncated: the file ends early, at 12.3 s"],
        [],
    ]
    assert kept(rows, truncated=True) == ["clip-001", "clip-002"]


def test_other_thresholds_on_a_filtered_table_give_what_they_give_on_a_new_one():
    rows = clips(4, bandwidth=[4000.0, 6000.0, 8000.0, 8000.0], clap_score=[0.3, 0.3, 0.3, 0.1])

    strict, loose = filter_clips(rows), filter_clips(filter_clips(rows), PRESETS["small"])

    assert [row["kept"] for row in strict] == [False, False, True, True]
    assert [row["hq"] for row in strict] == [False, False, True, False]
    assert loose == filter_clips(rows, PRESETS["small"])
    assert [row["kept"] for row in loose] == [False, True, True, True]
    assert all(before.items() <= after.items() for before, after in zip(rows, loose, strict=True))


def test_a_pyarrow_table_gets_the_same_columns_as_rows():
    rows = clips(3, bandwidth=[4000.0, 8000.0, 8000.0], duplicate_group=[None, "x", "x"])
    table = pa.Table.from_pylist(rows)

    once = filter_table(table)
    twice = filter_table(once)

    assert once.to_pylist() == filter_clips(rows)
    assert once.schema == twice.schema and [*once.schema][-3:] == columns()
    assert twice.equals(once)


def test_the_best_clip_of_a_sound_that_fulfills_the_bounds_is_kept():
    rows = clips(
        5,
        duplicate_group="clip-000",
        bandwidth=[16000.0, 20000.0, 22000.0, 16100.0, 9000.0],
        lyrics=["words", "words", None, "words", "words"],
        clap_score=[0.4, -0.1, 0.4, 0.4, 0.4],
    )

    found = filter_clips(rows)

    assert [row["id"] for row in found if row["kept"]] == ["clip-000"]
    assert found[1]["reasons"] == ["caption (CLAP): -0.1 is below the lowest allowed, 0"]
    assert found[3]["reasons"] == ["duplicate: the same sound as clip-000"]
    assert len(kept(rows, duplicates=True)) == 4
    assert kept(rows[::-1]) == ["clip-000"]


def test_clips_without_singing_are_judged_by_the_vocal_only_if_they_are_not_wanted():
    rows = clips(1, sung=False, vocal_energy=0.0, lyrics_match=0.0)

    assert kept(rows, PRESETS["small"], min_vocal_energy=200.0) == ["clip-000"]
    (row,) = filter_clips(rows, PRESETS["paper"])
    assert row["reasons"][0] == "no singing: clips without singing are not kept"


def test_at_most_so_many_clips_of_a_recording_and_an_artist_are_kept_whatever_the_order():
    rows = clips(
        12,
        recording_id=["a"] * 5 + ["b"] * 2 + ["c"] * 5,
        artist=["x"] * 7 + ["y"] * 2 + [None] * 3,
    )

    found = kept(rows, max_clips_per_recording=3, max_clips_per_artist=4)

    assert found == sorted(kept(rows[::-1], max_clips_per_recording=3, max_clips_per_artist=4))
    recordings = {row["id"]: (row["recording_id"], row["artist"]) for row in rows}
    assert sum(recordings[one][0] == "a" for one in found) <= 3
    assert sum(recordings[one][1] == "x" for one in found) == 4
    assert sum(recordings[one][0] == "c" for one in found) == 3
    assert {frozenset(kept(rows, max_clips_per_recording=3, seed=seed)) for seed in range(9)} > {
        frozenset(kept(rows, max_clips_per_recording=3))
    }


@pytest.mark.parametrize(
    ("counts", "share", "expected"),
    [
        ({"pop": 10, "rock": 3, "folk": 2}, 0.5, {"pop": 5, "rock": 3, "folk": 2}),
        ({"pop": 10, "rock": 3}, 0.2, {"pop": 3, "rock": 3}),
        ({"pop": 4, "rock": 3, "folk": 4}, 0.5, {"pop": 4, "rock": 3, "folk": 4}),
        ({"pop": 4}, 0.5, {"pop": 4}),
    ],
)
def test_no_genre_has_more_than_its_share(counts, share, expected):
    genres = [genre for genre, count in counts.items() for _ in range(count)]
    rows = clips(len(genres), genre=genres)

    found = filter_clips(rows, Thresholds(max_genre_share=share))

    left = [row["genre"] for row in found if row["kept"]]
    assert {genre: left.count(genre) for genre in counts} == expected


def test_the_high_quality_bounds_are_never_looser_than_those_of_the_paper():
    paper, hq = PRESETS["paper"], PRESETS["hq"]

    for rule in RULES:
        low, high = getattr(paper, rule.threshold), getattr(hq, rule.threshold)
        assert low <= high if rule.is_minimum else low >= high
    assert (paper.min_vocal_energy, hq.min_vocal_energy) == (200, 1000)
    assert (paper.max_transcript_distance, hq.max_transcript_distance) == (0.2, 0.05)
    assert (paper.min_clap_score, hq.min_clap_score) == (0, 0.25)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_silent_share": 2}, "max_silent_share must be from 0 to 1: got 2"),
        ({"max_clips_per_artist": 0}, "max_clips_per_artist must be at least 1: got 0"),
        ({"max_genre_share": 0.0}, "max_genre_share must be above 0, up to 1: got 0.0"),
    ],
)
def test_a_threshold_that_makes_no_sense_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(PRESETS["paper"], **changes)


def test_thresholds_cannot_be_changed_by_accident():
    with pytest.raises(FrozenInstanceError):
        PRESETS["paper"].min_seconds = 1.0

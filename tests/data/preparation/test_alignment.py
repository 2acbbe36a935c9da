"""Alignment of given lyrics with recordings."""

import io
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from songgen_hf.data.preparation.alignment import AlignmentOptions, align_lyrics, columns
from songgen_hf.data.preparation.stages import ModelError
from songgen_hf.evaluation.judges.dataset import judge_song
from songgen_hf.evaluation.judges.options import JudgeTrainingOptions
from songgen_hf.evaluation.judges.training import train_recognizer

from ...tools.judge_cases import RATE, TINY_RECOGNIZER, invented_row

pytestmark = pytest.mark.debian
LYRICS = "[verse]\nus\nus\n\nus\nus"


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    """A recognizer of the two phonemes of invented songs, trained in a second."""
    folder = tmp_path_factory.mktemp("judges")
    songs = [judge_song(invented_row(index)) for index in range(6)]
    training = JudgeTrainingOptions(
        recognizer_steps=60, recognizer_batch=4, learning_rate=1e-2, bf16=False
    )
    network = train_recognizer(songs, training, folder, config=TINY_RECOGNIZER, progress=False)
    network.save_pretrained(folder / "phoneme_recognizer")
    return AlignmentOptions(recognizer=str(folder))


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Two clips with two words each, and one without singing between them."""
    songs = [invented_row(index) for index in (10, 12)]
    sounds = [soundfile.read(io.BytesIO(song["vocal"]["bytes"]))[0] for song in songs]
    path = tmp_path_factory.mktemp("songs") / "vocal.wav"
    soundfile.write(path, np.concatenate([sounds[0], np.zeros(2 * RATE), sounds[1]]), RATE)
    row = {"recording_id": "a", "path": str(path), "vocal": str(path), "lyrics": LYRICS}
    places = [(0.0, 3.0, True), (3.0, 2.0, False), (5.0, 3.0, True)]
    return [
        {**row, "id": f"a-{index}", "clip_start": start, "clip_seconds": length, "sung": sung}
        for index, (start, length, sung) in enumerate(places)
    ]


def test_every_clip_gets_its_lines_with_the_times_of_its_words(clips, options):
    first, between, last = align_lyrics(clips, options)

    assert [first["lyrics"], between["lyrics"], last["lyrics"]] == ["us\nus", None, "us\nus"]
    assert first["recording_lyrics"] == LYRICS and first["lyrics_source"] == "aligned"
    for row in (first, last):
        true = invented_row(0)["words"]
        for found, word in zip(row["words"], true, strict=True):
            assert found["start"] == pytest.approx(word["start"], abs=0.06)
            assert found["end"] == pytest.approx(word["end"], abs=0.12)
        assert row["lyrics_error"] < 0.3 and row["lyrics_score"] > -1
        assert row["lyrics_match"] > 0.8
    assert between["words"] is None and between["lyrics_match"] is None


@pytest.mark.parametrize("span", [[0.0, 3.0], [5.0, 8.0]])
def test_words_are_placed_in_singing_and_not_in_what_leaks(clips, options, span):
    whole = {**clips[0], "clip_seconds": 8.0, "lyrics": "us\nus", "sung_spans": [span]}

    (row,) = align_lyrics([whole], options)

    assert all(span[0] - 0.2 <= word["start"] < span[1] + 0.2 for word in row["words"])


def test_alignment_repeated_changes_nothing(clips, options):
    once = align_lyrics(clips, options)

    assert align_lyrics(once, options) == once
    assert {field.name for field in columns()} == set(once[0]) - set(clips[0]) | {"lyrics"}


def test_wrong_lyrics_have_a_larger_error_and_a_lower_score(clips, options):
    right = align_lyrics(clips, options)
    wrong = align_lyrics([{**clip, "lyrics": "see a sea\nsee"} for clip in clips], options)

    for good, bad in zip(right[::2], wrong[::2], strict=True):
        assert bad["lyrics_error"] > good["lyrics_error"] + 0.2
        assert bad["lyrics_match"] < 0.3 < good["lyrics_match"] - 0.3
    scores = [row["lyrics_score"] for row in wrong if row["lyrics_score"] is not None]
    assert max(scores) < min(row["lyrics_score"] for row in right[::2])


def test_lyrics_of_another_song_that_are_too_long_are_not_placed(clips, options):
    rows = align_lyrics([{**clip, "lyrics": "us " * 200} for clip in clips], options)

    assert [row["lyrics"] for row in rows] == [None] * 3
    assert [row["lyrics_error"] for row in rows] == [1.0, None, 1.0]
    assert [row["lyrics_match"] for row in rows] == [0.0, None, 0.0]


@pytest.mark.parametrize("changes", [{"vocal": None}, {"language": "de"}])
def test_what_cannot_be_aligned_is_kept_for_a_single_clip_alone(clips, options, changes):
    several = align_lyrics([{**clip, **changes} for clip in clips], options)
    (single,) = align_lyrics([{**clips[0], **changes}], options)

    assert all(row["lyrics"] is None and row["lyrics_source"] is None for row in several)
    assert all(row["recording_lyrics"] == LYRICS for row in several)
    assert single["lyrics"] == LYRICS and single["lyrics_source"] == "given"
    assert single["words"] is None and single["lyrics_error"] is None


@pytest.mark.parametrize("language", ["en_US", "English", "en-GB"])
def test_english_of_any_region_is_aligned(clips, options, language):
    rows = align_lyrics([{**clip, "language": language} for clip in clips], options)

    assert rows[0]["lyrics_source"] == "aligned"


def test_many_phonemes_a_second_are_speech_with_or_without_lyrics(clips, options):
    described = [{**clip, "pitch_movement": 4.0} for clip in clips]

    for lyrics in (LYRICS, None):
        slow, between, fast = align_lyrics(
            [
                {**clip, "lyrics": lyrics, "sung_seconds": seconds}
                for clip, seconds in zip(described, (3.0, 0.0, 0.3), strict=True)
            ],
            options,
        )

        assert slow["speech_score"] < 0.1 and between["speech_score"] is None
        assert fast["speech_score"] > 0.5
    (unmeasured,) = align_lyrics([{**clips[0], "pitch_movement": None}], options)
    assert unmeasured["speech_score"] is None


def test_foreign_lyrics_without_a_language_are_identified_and_not_aligned(clips, options):
    (row,) = align_lyrics([{**clips[0], "lyrics": "ich und du\nwir sind nicht mehr"}], options)
    (told,) = align_lyrics([{**clips[0], "language": "en", "lyrics": "ich und du sind"}], options)

    assert row["language"] == "de" and row["lyrics_source"] == "given" and row["words"] is None
    assert told["language"] == "en" and told["lyrics_match"] < 0.3


@pytest.mark.parametrize("lyrics", [None, ""])
def test_without_lyrics_all_columns_are_null(clips, options, lyrics):
    rows = align_lyrics([{**clip, "lyrics": lyrics} for clip in clips], options)

    assert all(row[field.name] is None for row in rows for field in columns())
    assert align_lyrics([], options) == []


def test_a_missing_recognizer_is_named(clips, options, tmp_path):
    with pytest.raises(ModelError, match="cannot load the phoneme recognizer .*nothing"):
        align_lyrics(clips, replace(options, recognizer=str(tmp_path / "nothing")))
    with pytest.raises(ValueError, match="filler_penalty must be 0 or more"):
        replace(options, filler_penalty=-1.0)

"""Transcription of clips with two speech recognition models."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile

from songgen_hf.data.preparation.stages import ModelError
from songgen_hf.data.preparation.transcription import (
    TranscriptionOptions,
    columns,
    text_distance,
    transcribe,
)

from ...tools.miniature_models import write_whisper

SECONDS = 2.0


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Folders of models by what they hear."""
    folder = tmp_path_factory.mktemp("whisper")
    return {
        "one": write_whisper(folder / "one", ("the", "river", "sings")),
        "many": write_whisper(folder / "many", ("the", "rivers", "sings")),
        "german": write_whisper(folder / "german", ("der", "fluss", "singt"), "de"),
        "loop": write_whisper(folder / "loop", ("river",) * 25),
        "english": write_whisper(folder / "english", ("the", "river"), multilingual=False),
    }


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("songs") / "vocal.wav")
    soundfile.write(path, 0.1 * np.random.default_rng(0).standard_normal(48000), 16000)
    return {
        "id": "a-000000000", "path": path, "vocal": path, "sung": True, "clip_start": 0.5,
        "clip_seconds": SECONDS, "language": None, "lyrics": None,
    }  # fmt: skip


@pytest.mark.slow
def test_a_clip_gets_text_word_times_and_language(clip, models):
    options = TranscriptionOptions(models=(models["many"], models["one"]))
    (row,) = transcribe([clip], options)

    assert row["transcripts"] == ["the rivers sings", "the river sings"]
    assert row["transcript_distance"] == pytest.approx(1 / 16, abs=1e-4)
    assert row["lyrics"] == "the river sings" and row["lyrics_source"] == "transcribed"
    assert row["language"] == "en"
    assert [word["word"] for word in row["words"]] == ["the", "river", "sings"]
    times = [time for word in row["words"] for time in (word["start"], word["end"])]
    assert times == sorted(times) and 0 <= times[0] and times[-1] <= SECONDS
    assert {field.name for field in columns()} <= set(row)


@pytest.mark.slow
def test_the_language_is_that_of_the_better_text_unless_it_is_given(clip, models):
    options = TranscriptionOptions(models=(models["one"], models["german"]))
    free, told = transcribe([clip, {**clip, "language": "en"}], options)

    assert free["language"] == "de" and told["language"] == "en"
    assert free["transcript_distance"] > 0.5


def test_a_model_of_english_alone_is_told_no_language(clip, models):
    options = TranscriptionOptions(models=(models["english"], models["one"]))
    free, told = transcribe([clip, {**clip, "language": "en"}], options)

    assert free["transcripts"] == told["transcripts"] == ["the river", "the river sings"]


@pytest.mark.parametrize("language", ["de-CH", "de_AT", "German"])
def test_languages_are_given_by_code_region_or_name(clip, models, language):
    options = TranscriptionOptions(models=(models["german"], models["german"]), device="auto")
    (row,) = transcribe([{**clip, "language": language}], options)

    assert row["language"] == language and row["lyrics"] == "der fluss singt"


@pytest.mark.slow
def test_a_text_that_repeats_itself_is_not_taken(clip, models):
    for order in (("loop", "one"), ("one", "loop")):
        options = TranscriptionOptions(models=tuple(models[name] for name in order))
        (row,) = transcribe([clip], options)
        assert row["lyrics"] == "the river sings"


@pytest.mark.slow
def test_only_clips_with_unknown_words_are_transcribed(clip, models):
    options = TranscriptionOptions(models=(models["one"], models["one"]), batch_size=2)
    rows = [
        clip,
        {**clip, "lyrics": "the sea", "lyrics_source": "aligned"},
        {**clip, "sung": False},
        {**clip, "vocal": None},
        {**clip, "recording_lyrics": "given", "lyrics": None, "lyrics_error": 1.0},
        clip,
        {**clip, "clip_seconds": 1.0},
    ]

    found = transcribe(rows, options)

    assert [row["lyrics_source"] for row in found] == [
        "transcribed", "aligned", None, None, None, "transcribed", "transcribed",
    ]  # fmt: skip
    assert found[1]["lyrics"] == "the sea" and found[1]["transcripts"] is None
    alone = [transcribe([row], options)[0] for row in rows]
    assert found == alone
    assert transcribe([], options) == []


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [
        ("The river, sings!", "the river sings", 0.0),
        ("", "", 0.0),
        ("...", "a", 1.0),
        ("well-known", "Well known", 0.0),
        ("abcd", "abcf", 0.25),
        ("STRASSE", "straße", 0.0),
    ],
)
def test_the_distance_of_texts_ignores_case_and_punctuation(first, second, distance):
    assert text_distance(first, second) == text_distance(second, first) == distance


def test_a_missing_model_and_wrong_options_are_named(clip, tmp_path):
    options = TranscriptionOptions(models=(str(tmp_path / "none"), str(tmp_path / "none")))

    with pytest.raises(ModelError, match="cannot load the speech recognition model .*none"):
        transcribe([clip], options)
    with pytest.raises(ValueError, match="got 1 speech recognition models, expected 2"):
        replace(options, models=("one",))
    for name in ("batch_size", "num_beams"):
        with pytest.raises(ValueError, match=f"{name} must be at least 1"):
            replace(options, **{name: 0})


def test_without_models_nothing_is_transcribed():
    clip = {"id": "a", "path": "missing.wav", "vocal": "missing.wav", "sung": True}

    (row,) = transcribe([clip], TranscriptionOptions(models=()))

    assert row["transcripts"] is None and row["transcript_distance"] is None

"""Reference voices of mixed recordings, which both pipelines separate if they are asked to."""

from pathlib import Path

import numpy as np
import pytest

from songgen_hf.checkpoints.loading import load_pipeline, song_pipeline
from songgen_hf.checkpoints.separators import separate_voice
from songgen_hf.pipelines.text_to_song import TextToSongPipeline

AUDIO = Path(__file__).parents[2] / "docs" / "audio"
MIXED, CLEAN = AUDIO / "rendered.flac", AUDIO / "voice.flac"
SHORT = {"seed": 1, "seconds": 0.2, "raw": True}


@pytest.fixture(scope="module")
def pipe(tiny_checkpoint):
    """A tiny pipeline as the package loads it."""
    return load_pipeline(tiny_checkpoint("mixed"), device="cpu")


@pytest.mark.slow
def test_auto_separates_voices_of_mixed_recordings_alone(pipe):
    asked = ["auto", "auto", "never", "auto"]

    songs = pipe(["a"] * 4, reference_voice=[MIXED, CLEAN, MIXED, None], separate_voice=asked,
                 **{**SHORT, "seed": [1] * 4})  # fmt: skip

    voice, start = separate_voice(MIXED)
    given = [(voice, start), (CLEAN, 0.0), (MIXED, 0.0), (None, 0.0)]
    for song, (voice, start) in zip(songs, given, strict=True):
        expected = pipe("a", reference_voice=voice, voice_start=start, **SHORT)
        np.testing.assert_array_equal(song["codes"], expected["codes"])
    assert not np.array_equal(songs[0]["codes"], songs[2]["codes"])


@pytest.mark.slow
def test_a_request_can_ask_for_its_own_separation(pipe):
    request = {"text": "a", "reference_voice": CLEAN, "voice_start": 0.5, "separate_voice": True}

    song = pipe(request, **SHORT)

    voice, _ = separate_voice(CLEAN, 0.5, separate=True)
    np.testing.assert_array_equal(song["codes"], pipe("a", reference_voice=voice, **SHORT)["codes"])


@pytest.mark.parametrize("start", [1.5, 9.0])
def test_a_start_after_the_end_of_the_voice_is_refused(pipe, start):
    voice = (np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32), 16000)

    for separate in ("auto", "never"):
        with pytest.raises(ValueError, match=f"lasts 1.00 s, .* was to start at {start:g} s"):
            pipe("a", reference_voice=voice, voice_start=start, separate_voice=separate, **SHORT)


def test_a_masked_pipeline_separates_voices(tiny_masked):
    pytest.importorskip("diffusers", reason="needs the extra diffusers")
    pipe = song_pipeline(tiny_masked("mixed"), device="cpu")
    few = {**SHORT, "num_inference_steps": 1, "progress": False}

    song = pipe("a", reference_voice=MIXED, separate_voice="auto", **few)

    voice, _ = separate_voice(MIXED)
    expected = pipe("a", reference_voice=voice, **few)
    np.testing.assert_array_equal(song["codes"], expected["codes"])


def test_a_pipeline_without_a_separator_says_how_to_get_one(pipe):
    bare = TextToSongPipeline(model=pipe.model, processor=pipe.processor, device="cpu")

    assert bare("a", separate_voice="auto", **SHORT)["codes"].size
    assert bare("a", reference_voice=CLEAN, separate_voice="never", **SHORT)["codes"].size
    with pytest.raises(ValueError, match=r"separate_voice is 'auto', but .* has no separator"):
        bare("a", reference_voice=CLEAN, separate_voice="auto", **SHORT)


def test_an_unknown_word_is_refused(pipe):
    with pytest.raises(ValueError, match="unknown separator: got 'maybe'"):
        pipe("a", reference_voice=CLEAN, separate_voice="maybe", **SHORT)

"""Listeners that rank takes: phoneme recognizers, Whisper and CLAP, by name."""

import numpy as np
import pytest

from songgen_hf.checkpoints.take_listeners import take_listener

from ..tools.miniature_models import write_clap, write_whisper

TAKE = {
    "audio": np.random.default_rng(0).standard_normal((1, 32000)).astype(np.float32) * 0.1,
    "vocal": None,
    "sampling_rate": 16000,
}


def request(text="", lyrics=None, language="en"):
    return {"text": text, "lyrics": lyrics, "language": language}


def test_a_whisper_counts_wrong_words(tmp_path):
    write_whisper(tmp_path / "whisper", ["the", "river"])
    rank_by = str(tmp_path / "whisper")

    rates = {
        lyrics: take_listener(request(lyrics=lyrics), rank_by)(TAKE)
        for lyrics in ("[verse]\nThe, river!", "the moon", None)
    }

    assert rates == {
        "[verse]\nThe, river!": {"word_error_rate": 0.0},
        "the moon": {"word_error_rate": 0.5},
        None: {},
    }


@pytest.mark.debian
def test_several_listeners_hear_a_take(tmp_path):
    write_clap(tmp_path / "clap")
    names = ["recognizer-mini", str(tmp_path / "clap")]

    parts = take_listener(request("folk", "hello moon"), names)(TAKE)

    assert set(parts) == {"phoneme_error_rate", "clap"}
    assert -1 <= parts["clap"] <= 1
    assert set(take_listener(request("", "hello moon"), names)(TAKE)) == {"phoneme_error_rate"}
    assert take_listener(request(), names)(TAKE) == {}


@pytest.mark.debian
def test_the_vocal_is_heard_where_there_is_one():
    listen = take_listener(request(lyrics="hello moon"))
    silent = {**TAKE, "vocal": np.zeros((1, 32000), np.float32)}

    assert listen(silent) == {"phoneme_error_rate": 1.0}
    assert listen(TAKE) == listen({**TAKE, "vocal": TAKE["audio"]})


def test_a_track_that_is_sung_to_a_kept_one_is_heard_for_harmony():
    times = np.arange(32000) / 16000
    sounds = {
        name: 0.1 * np.sin(2 * np.pi * frequency * times)[None].astype(np.float32)
        for name, frequency in {"vocal": 440, "octave": 220, "tritone": 311}.items()
    }
    listen = take_listener({**request(), "keep_track": "accompaniment"})

    parts = [
        listen({**TAKE, "vocal": sounds["vocal"], "accompaniment": sounds[band]})
        for band in ("octave", "tritone")
    ]

    assert parts[0]["harmony"] > 0.9 > 0 > parts[1]["harmony"]
    assert "harmony" not in take_listener(request())({**TAKE, **sounds})


def test_unknown_listeners_are_refused(tmp_path):
    with pytest.raises(ValueError, match="rank_by is 'maybe': expected recognizer-mini, or the"):
        take_listener(request(), "maybe")
    with pytest.raises(TypeError, match="rank_by must be the name of a listener, or a list: got 3"):
        take_listener(request(), 3)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ValueError, match="a model of type 'bert': expected recognizer-mini"):
        take_listener(request(), str(tmp_path))

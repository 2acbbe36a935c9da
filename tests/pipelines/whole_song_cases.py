"""Whole songs of tiny models of both kinds, for the tests of whole songs and their sections."""

import numpy as np
import pytest

from songgen_hf.pipelines.editing import CROSSFADE_SECONDS
from songgen_hf.pipelines.text_to_song import TextToSongPipeline

RATE, HOP = 16000, 320
FADE = round(CROSSFADE_SECONDS * RATE)
LYRICS = """[intro 0.1s]
[verse 0.24s]
la lo
[chorus 0.2s]
sing on
[inst 0.16s]
[chorus 0.2s]
[verse 0.2s]
oh no
"""
LENGTHS = [5, 12, 10, 8, 10, 10]
ENDS = np.cumsum(LENGTHS).tolist()
OPTIONS = {"context": 0.08, "window": 0.4, "seed": 3}
CONTEXT, WINDOW = 4, 20
SAMPLED = {"do_sample": True, "suppress_tokens": list(range(1025, 1088))}
MASKED = {"num_inference_steps": 3}
KINDS = ("mixed_pro", "interleaving_A_V", "masked")
FEW = ("interleaving_A_V", "masked")


@pytest.fixture(scope="module")
def singer(tiny_singer, tiny_masked, tiny_processor):
    """Factory ``singer(kind)`` of (pipeline, settings of its calls)."""

    def build(kind):
        if kind == "masked":
            return tiny_masked("parallel_std"), MASKED
        return TextToSongPipeline(model=tiny_singer(kind), processor=tiny_processor), SAMPLED

    return build


@pytest.fixture(scope="module")
def songs(singer):
    """One whole song of each kind; tests do not change them."""
    made = {}

    def build(kind):
        if kind not in made:
            pipe, settings = singer(kind)
            made[kind] = pipe.whole_song("folk", LYRICS, **OPTIONS, **settings)
        return made[kind]

    return build


@pytest.fixture
def heard(monkeypatch):
    """A list that gets what each window is generated from: arguments of the pipeline's calls."""

    def listen(pipe):
        calls, before = [], type(pipe).__call__

        def call(self, text, lyrics=None, **arguments):
            calls.append({"lyrics": lyrics, **arguments})
            return before(self, text, lyrics, **arguments)

        monkeypatch.setattr(type(pipe), "__call__", call)
        return calls

    return listen


def sounds_of(song):
    return {
        name: song[name] for name in ("audio", "vocal", "accompaniment") if song[name] is not None
    }


def same_songs(one, other):
    assert np.array_equal(one["codes"], other["codes"]) and one["sections"] == other["sections"]
    for name, samples in sounds_of(one).items():
        assert np.array_equal(samples, other[name]), name

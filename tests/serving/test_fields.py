"""Requests have the words of ``songgen-hf generate``, and become arguments of the pipelines."""

import typing
from dataclasses import fields
from types import SimpleNamespace

import numpy as np
import pytest

from songgen_hf.cli.generate.options import GenerateOptions
from songgen_hf.cli.serve import ServeOptions
from songgen_hf.pipelines.song import Song
from songgen_hf.serving.app import SONGS, create_app
from songgen_hf.serving.engine import ModelFacts
from songgen_hf.serving.fields import SongRequest
from songgen_hf.serving.limits import ServiceLimits
from songgen_hf.serving.orders import make_order
from songgen_hf.serving.store import StoredSong

RENAMED = {"guidance_scale": "guidance", "region": "regions", "prompt_audio": "audio_prompt"}
ENDPOINTS = {
    "plan": f"{SONGS}/plan",
    "stems": f"{SONGS}/{{song_id}}/{{part}}",
    "plot": f"{SONGS}/{{song_id}}/{{part}}",
    "save_codes": f"{SONGS}/{{song_id}}/{{part}}",
}
"""Flags for which a request asks another address."""
OF_THE_SERVER = ("revision", "device", "dtype", "threads", "quantize", "compile", "adapter")
NOT_APPLICABLE = {
    "lyrics_file": "a client sends the words, not the name of a file",
    "mode": "a model has its mode",
    "num_songs": "a request is one song; the next one has another seed",
    "out": "the answer is the file, in its response_format",
    "play": "a client plays the stream",
    "jobs": "clients send many requests",
    "batch_size": "songs are generated one by one, so that they depend on their seeds alone",
    "progress": "the WebSocket sends it",
    "folder": "whole songs are kept by their id",
}
ONLY_HERE = {"input", "response_format", "stream"}


def generate_fields() -> dict:
    return {field.name: field for field in fields(GenerateOptions)}


def test_every_flag_of_generate_has_its_place_in_the_service():
    named = {RENAMED.get(name, name) for name in generate_fields()}
    elsewhere = {*ENDPOINTS, *OF_THE_SERVER, *NOT_APPLICABLE}

    assert named - elsewhere == set(SongRequest.model_fields) - ONLY_HERE
    assert elsewhere <= named and not elsewhere & set(SongRequest.model_fields)
    assert set(OF_THE_SERVER) <= {field.name for field in fields(ServeOptions)}
    app = create_app(SimpleNamespace(models={}, places=1))
    assert set(ENDPOINTS.values()) <= set(app.openapi()["paths"])


@pytest.mark.parametrize("name", ["reveal", "schedule", "guidance_schedule", "keep_track"])
def test_a_field_takes_the_words_of_its_flag(name):
    annotation, _ = typing.get_args(SongRequest.model_fields[name].annotation)

    assert set(typing.get_args(annotation)) == set(generate_fields()[name].metadata["choices"])


FACTS = {
    "mixed": ModelFacts("mixed", "autoregressive", 1, 4, 16000, 320, 30.0),
    "masked": ModelFacts("masked", "masked", 2, 4, 16000, 320, 30.0),
    "other": ModelFacts("other", "masked", 2, 4, 16000, 320, 30.0, "0123"),
}
LIMITS = ServiceLimits(listeners=("clap",))
KEPT = f"song-{'0' * 32}"


def kept_song(song_id: str) -> StoredSong:
    song = Song({"audio": np.zeros((1, 320)), "sampling_rate": 16000, "sections": [{}, {}]})
    song.whole = ("request", [])
    return StoredSong(song_id, "", "masked", song)


def order_of(files=None, limits=LIMITS, **request):
    return make_order(SongRequest(**request), FACTS, limits, kept_song=kept_song, files=files)


@pytest.mark.parametrize(
    ("request_fields", "expected"),
    [
        ({"greedy": True}, {"do_sample": False}),
        ({"greedy": True, "model": "masked"}, {"temperature": 0.0}),
        ({"reveal": "random", "schedule": "exp", "model": "masked"},
         {"reveal": "random", "schedule": "exp"}),
        ({"best_of": 2, "rank_by": "clap"}, {"best_of": 2, "rank_by": ["clap"]}),
        ({"best_of": 2, "best_of_by": "line", "lyrics": "la"},
         {"best_of": 2, "best_of_by": "line"}),
        ({"raw": True, "timestamps": True, "retries": 1},
         {"raw": True, "timestamps": True, "retries": 1}),
        ({"check_tracks": True}, {"check_tracks": True}),
        ({"song": KEPT, "regions": [(0.0, None)], "takes": 3, "model": "mixed"}, {"takes": 3}),
    ],
)  # fmt: skip
def test_fields_become_the_arguments_of_the_pipeline(request_fields, expected):
    arguments = order_of(text="folk", **request_fields).arguments

    assert {name: arguments.get(name) for name in expected} == expected


def test_a_whole_song_is_an_order_with_its_plan():
    order = order_of(text="folk", lyrics="[verse]\nla la\n[inst 30s]", whole=True,
                     extend_stride=10, best_of=2)  # fmt: skip

    assert (order.method, order.arguments["lyrics"]) == ("whole_song", None)
    plan = order.arguments["plan"]
    assert plan.context == 10 and len(plan.sections) > 2 and order.arguments["best_of"] == 2
    assert "max_seconds" not in order.arguments


def test_the_window_of_a_whole_song_is_not_longer_than_a_song():
    short = ServiceLimits(seconds=8.0)

    order = order_of(text="folk", lyrics="[verse]\nla la", whole=True, limits=short)

    assert (order.arguments["plan"].window, order.arguments["plan"].context) == (8.0, 2.0)
    with pytest.raises(ValueError, match="window must be at most 8: got 12"):
        order_of(text="folk", lyrics="la", whole=True, window=12.0, limits=short)


def test_a_section_is_redone_by_the_model_of_its_song():
    order = order_of(song=KEPT, redo=2, seed=7, temperature=0.5)

    assert (order.model, order.method) == ("masked", "redo_section")
    arguments = {**order.arguments, "song": None}
    assert arguments == {"song": None, "index": 1, "seed": 7, "temperature": 0.5}


@pytest.mark.parametrize(
    ("request_fields", "message"),
    [
        ({"greedy": True, "top_p": 0.5}, "greedy does not sample: leave top_p out"),
        ({"schedule": "exp"}, "schedule is for masked models: leave it out for mixed"),
        ({"takes": 2, "model": "masked"}, "takes is for autoregressive models: leave it out"),
        ({"takes": 2}, "takes needs a song to edit: give song"),
        ({"takes": 9}, "takes must be at most 4: got 9"),
        ({"best_of": 2, "rank_by": "/etc"}, "rank_by is '/etc': expected recognizer-mini or clap"),
        ({"window": 9.0}, "window is for whole songs: give whole true"),
        ({"whole": True, "window": 99.0, "lyrics": "la"}, "window must be at most 30: got 99"),
        ({"whole": True, "seconds": 9.0}, "whole_song does not take seconds"),
        ({"whole": True, "retries": 1}, "whole_song does not take retries"),
        ({"whole": True, "lyrics": "[inst 500s]", "extend_stride": 9.0},
         "the song takes 500 s: up to 300 s are accepted; leave sections out"),
        ({"whole": True, "lyrics": "[solo]\nla"}, r"unknown tag \[solo\]"),
        ({"song": KEPT, "model": "other", "keep_codebooks": 1},
         "song was sung by masked, whose codec is not that of other: leave model out"),
        ({"redo": 1}, "redo needs the id of a kept whole song: give it as song"),
        ({"redo": 1, "song": KEPT}, "redo takes text from the song: leave it out"),
    ],
)  # fmt: skip
def test_what_does_not_go_together_is_one_clear_line(request_fields, message):
    with pytest.raises(ValueError, match=message):
        order_of(text="folk", **request_fields)


@pytest.mark.parametrize(
    "wrong",
    [{"language": "de"}, {"negative_text": "x"}, {"voice_start": 2.0}, {"separate_voice": "never"}],
)
def test_a_section_is_sung_with_the_words_and_the_voice_of_its_song(wrong):
    with pytest.raises(ValueError, match=f"redo takes {next(iter(wrong))} from the song"):
        order_of(song=KEPT, redo=1, **wrong)


def test_a_kept_song_and_files_of_its_tracks_are_refused():
    with pytest.raises(ValueError, match="song was given as an id and song_vocal as a file"):
        order_of(text="folk", song=KEPT, files={"song_vocal": b""})


def test_a_section_that_is_not_there_and_another_model_are_refused():
    with pytest.raises(ValueError, match="the song has sections 1 to 2: got 3"):
        order_of(song=KEPT, redo=3)
    with pytest.raises(ValueError, match="was sung by masked: leave model out, or give it"):
        order_of(song=KEPT, redo=1, model="mixed")


def test_many_seconds_of_song_make_the_store_forget_the_oldest():
    from songgen_hf.serving.store import SongStore

    store = SongStore(songs=9, keep_seconds=60, audio_seconds=2.5)
    for number in range(4):
        song = Song({"audio": np.zeros((1, 16000)), "sampling_rate": 16000})
        store.add(StoredSong(str(number), "", "mixed", song))

    assert len(store) == 2
    long = Song({"audio": np.zeros((1, 64000)), "sampling_rate": 16000})
    store.add(StoredSong("long", "", "mixed", long))
    assert len(store) == 1 and store.get("long", "").seconds == 4.0

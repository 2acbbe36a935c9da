"""Tests of the edges of songs: no click, nothing else changed, and the same in all pipelines."""

import numpy as np
import pytest
import torch

from songgen_hf.pipelines.song_edges import EDGE_SECONDS, FADE_SECONDS, song_waveforms
from songgen_hf.pipelines.streaming import stream_song
from songgen_hf.pipelines.text_to_song import TextToSongPipeline

RATE = 16000
EDGE, FADE = round(EDGE_SECONDS * RATE), round(FADE_SECONDS * RATE)
TRACKS = ("audio", "vocal", "accompaniment")


def loud(num_samples):
    return np.full((1, num_samples), 0.5, dtype=np.float32)


@pytest.mark.parametrize(("ended", "closing"), [(True, EDGE), (False, FADE)])
def test_a_song_fades_in_and_out_and_is_unchanged_between(ended, closing):
    song = song_waveforms([loud(4000)], RATE, ended=[ended])["audio"][0]

    assert EDGE_SECONDS <= 0.005 and FADE_SECONDS == 0.03
    assert song[0] == 0 and abs(song[-1]) < 1e-4
    assert (np.diff(song[:EDGE]) > 0).all() and (np.diff(song[-closing:]) < 0).all()
    assert (song[EDGE:-closing] == 0.5).all()


def test_a_song_that_begins_and_ends_quietly_stays_as_it_is():
    song = np.zeros((1, 4000), dtype=np.float32)
    song[:, EDGE:-EDGE] = 0.5

    assert np.array_equal(song_waveforms([song.copy()], RATE, ended=[True])["audio"], song)


@pytest.mark.parametrize("num_samples", [0, 1, 3, EDGE, FADE - 1])
def test_songs_shorter_than_their_edges_are_kept_in_length(num_samples):
    song = song_waveforms([loud(num_samples)], RATE, ended=[False])["audio"]

    assert song.shape == (1, num_samples) and np.isfinite(song).all()
    assert not song[:, :1].any()


def test_the_mixture_is_the_sum_of_its_tracks_and_a_longer_track_fades_where_it_is_cut():
    tracks = loud(4000), 0.5 * loud(3000)

    song = song_waveforms(tracks, RATE, ended=[True, True])

    assert song["accompaniment"].shape[1] == 4000 and song["vocal"].shape[1] == 3000
    total = song["vocal"] + song["accompaniment"][:, :3000]
    assert np.array_equal(song["audio"][:, :-FADE], total[:, :-FADE])
    assert abs(song["audio"][0, -1]) < 1e-4 and song["accompaniment"][0, 2999] == 0.5


@pytest.mark.parametrize("raw", [False, True])
def test_a_song_holds_its_tracks_without_a_copy(raw):
    tracks = [loud(2000), loud(2000)]

    song = song_waveforms(tracks, RATE, ended=[False, False], raw=raw)

    assert song["accompaniment"] is tracks[0] and song["vocal"] is tracks[1]
    assert (tracks[0] == 0.5).all() == raw


def assert_only_the_edges_differ(song, raw):
    assert np.array_equal(song["codes"], raw["codes"])
    for name in TRACKS:
        if raw[name] is None:
            assert song[name] is None
            continue
        assert song[name].shape == raw[name].shape
        inside = slice(EDGE, -FADE)
        assert np.array_equal(song[name][:, inside], raw[name][:, inside])
        assert raw[name][0, 0] != 0 and song[name][0, 0] == 0
        peak = np.abs(raw[name]).max()
        assert abs(song[name][0, -1]) < 1e-4 * peak


@pytest.mark.parametrize("pattern", ["mixed", "parallel_std"])
def test_only_the_edges_of_an_autoregressive_song_differ_from_raw(
    tiny_singer, tiny_processor, pattern
):
    pipe = TextToSongPipeline(model=tiny_singer(pattern), processor=tiny_processor, device="cpu")
    settings = {"seed": 1, "max_seconds": 0.4, "min_seconds": 0.4}

    assert_only_the_edges_differ(pipe("folk", **settings), pipe("folk", raw=True, **settings))


def test_a_song_that_ended_by_itself_has_a_shorter_edge_than_one_that_was_cut(
    tiny_singer, tiny_processor
):
    pipe = TextToSongPipeline(model=tiny_singer(), processor=tiny_processor, device="cpu")
    ends = {"sequence_bias": {(pipe.model.config.decoder.eos_token_id,): 50.0}}
    settings = {"seed": 1, "min_seconds": 0.1, "max_seconds": 0.3, **ends}

    song, raw = pipe("folk", **settings), pipe("folk", raw=True, **settings)

    inside = slice(EDGE, -EDGE)
    assert song["audio"].shape[1] < round(0.3 * RATE)
    assert np.array_equal(song["audio"][:, inside], raw["audio"][:, inside])
    assert song["audio"][0, 0] == 0 and raw["audio"][0, 0] != 0


def test_only_the_edges_of_a_masked_song_differ_from_raw(tiny_masked):
    pytest.importorskip("diffusers", reason="needs the extra diffusers")
    settings = {"seed": 1, "seconds": 0.3, "num_inference_steps": 2}

    song, raw = (tiny_masked()("folk", raw=raw, **settings) for raw in (False, True))

    assert_only_the_edges_differ(song, raw)


@pytest.mark.slow
@pytest.mark.parametrize(("pattern", "frames"), [("mixed", 1), ("mixed", 24), ("parallel_std", 24)])
def test_a_streamed_song_has_the_samples_of_the_pipeline(
    tiny_singer, tiny_processor, pattern, frames
):
    model = tiny_singer(pattern)
    pipe = TextToSongPipeline(model=model, processor=tiny_processor, device="cpu")
    settings = {"max_new_frames": frames, "do_sample": True, "seed": 3}
    inputs = tiny_processor(text="folk", return_tensors="pt")

    for raw in (False, True):
        chunks = list(stream_song(model, chunk_frames=5, raw=raw, **inputs, **settings))

        whole = pipe("folk", raw=raw, **settings)["audio"][0]
        joined = torch.cat([chunk.waveform for chunk in chunks]).numpy()
        assert len(chunks) > 1 or frames == 1
        assert np.allclose(joined, whole, atol=1e-3, rtol=1e-4)

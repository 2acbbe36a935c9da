"""Tests of streaming: the chunks are those of the song, also if the stream is closed early."""

import threading
import time

import pytest
import torch

from songgen_hf.modeling.patterns import TRACK_PATTERNS
from songgen_hf.pipelines.streaming import SongGenAudioStreamer, stream_pipeline, stream_song
from songgen_hf.pipelines.text_to_song import TextToSongPipeline

FRAMES = 24
ROUNDING = {"atol": 1e-3, "rtol": 1e-4}  # windows of other lengths differ by rounding
TEXT = {"input_ids": torch.tensor([[5, 6, 1]]), "lyrics_ids": torch.tensor([[1, 2, 7, 0]])}


@pytest.mark.slow
@pytest.mark.parametrize("pattern", TRACK_PATTERNS)
@pytest.mark.parametrize("chunk_frames", [5, 25])
def test_the_chunks_joined_are_the_decoded_song(tiny_model, pattern, chunk_frames):
    model = tiny_model(pattern)
    settings = TEXT | {"max_new_frames": FRAMES, "seed": 3}

    chunks = list(stream_song(model, chunk_frames=chunk_frames, raw=True, **settings))

    song = model.decode_codes(model.generate(**settings))
    length = int(song.lengths[0])
    torch.testing.assert_close(
        torch.cat([chunk.waveform for chunk in chunks]), song.waveform[0, 0, :length], **ROUNDING
    )
    if model.pattern.num_tracks == 2:
        vocal = torch.cat([chunk.vocal for chunk in chunks])
        torch.testing.assert_close(vocal, song.vocal[0, 0, :length], **ROUNDING)
    else:
        assert chunks[0].vocal is None


def test_the_first_chunk_comes_before_the_song_is_done(tiny_model):
    model = tiny_model("mixed")
    streamer = SongGenAudioStreamer(model, chunk_frames=2, timeout=1.0, raw=True)
    context = model.audio_encoder.decode_context_frames
    steps = model.pattern.num_steps(2 + context)

    streamer.put(torch.zeros(model.pattern.num_rows, steps - 1, dtype=torch.int64))
    assert streamer._queue.empty()
    streamer.put(torch.zeros(model.pattern.num_rows, dtype=torch.int64))

    assert next(streamer).waveform.shape == (2 * model.config.hop_length,)


def test_closing_the_stream_stops_the_generation(tiny_model):
    model = tiny_model("mixed")
    steps = []
    handle = model.decoder.model.register_forward_hook(lambda *_: steps.append(1))

    try:
        stream = stream_song(
            model, chunk_frames=2, **TEXT, max_new_frames=400, seed=1, suppress_tokens=[1024]
        )
        next(stream)
        stream.close()
    finally:
        handle.remove()

    assert 0 < len(steps) < 400


def test_an_error_of_generate_is_raised_where_chunks_are_read(tiny_model):
    with pytest.raises(ValueError, match="max_new_frames must be a whole number"):
        next(stream_song(tiny_model("mixed"), **TEXT, max_new_frames=0))


def test_streaming_two_songs_at_once_is_refused(tiny_model):
    model = tiny_model("mixed")
    two = {name: ids.repeat(2, 1) for name, ids in TEXT.items()}

    with pytest.raises(ValueError, match="one song at a time"):
        next(stream_song(model, **two, max_new_frames=5))


@pytest.mark.slow
def test_chunks_grow_from_an_early_first_one(tiny_model):
    stream = stream_song(
        tiny_model("mixed"), **TEXT, chunk_frames=12, first_frames=3, raw=True, seed=3,
        min_new_frames=70, max_new_frames=70,
    )  # fmt: skip

    frames = [chunk.waveform.shape[-1] // 320 for chunk in stream]

    assert frames[:4] == [3, 6, 12, 12]


@pytest.mark.slow
def test_the_generation_waits_for_a_slow_reader(tiny_model):
    model = tiny_model("mixed")
    steps = []
    handle = model.decoder.model.register_forward_hook(lambda *_: steps.append(1))
    stream = stream_song(
        model, **TEXT, chunk_frames=5, ahead=0.1, raw=True, seed=3,
        min_new_frames=150, max_new_frames=150,
    )  # fmt: skip
    try:
        streamer = stream._streamer
        waiting = -1
        while streamer._unread < 0.1 or len(steps) != waiting:  # until it waits
            waiting = len(steps)
            time.sleep(1.0)
        assert waiting < 100
        most = 0.0
        for _ in stream:
            most = max(most, streamer._unread)
    finally:
        handle.remove()

    assert most <= 0.1 + 5 / 50 + 1e-6
    assert len(steps) >= 150


def test_a_stream_that_waits_is_closed_by_another_thread(tiny_model):
    stream = stream_song(
        tiny_model("mixed"), **TEXT, chunk_frames=2, ahead=0.01, seed=1,
        min_new_frames=400, max_new_frames=400,
    )  # fmt: skip
    next(stream)

    closer = threading.Thread(target=stream.close)
    closer.start()
    closer.join(timeout=20)

    assert not closer.is_alive() and not stream._thread.is_alive()
    assert list(stream) == [] and stream.song is None


def test_a_dropped_stream_stops_the_generation(tiny_model):
    stream = stream_song(
        tiny_model("mixed"), **TEXT, seed=1, min_new_frames=900, max_new_frames=900
    )
    thread = stream._thread
    next(stream)

    del stream
    thread.join(timeout=20)

    assert not thread.is_alive()


@pytest.mark.slow
@pytest.mark.parametrize("pattern", ["mixed", "parallel_A_V"])
def test_a_streamed_pipeline_gives_the_song_of_the_pipeline(tiny_singer, tiny_processor, pattern):
    pipeline = TextToSongPipeline(model=tiny_singer(pattern), processor=tiny_processor)
    settings = {"seed": 7, "max_seconds": 0.5}

    with stream_pipeline(pipeline, "folk", "la la", ahead=1.0, **settings) as stream:
        chunks = [chunk.waveform for chunk in stream]

    expected = pipeline("folk", "la la", **settings)
    assert (stream.song["codes"] == expected["codes"]).all()
    joined = torch.cat(chunks)
    length = len(joined)
    torch.testing.assert_close(joined, torch.tensor(expected["audio"][0, :length]), **ROUNDING)
    assert expected["audio"].shape[-1] == length


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"best_of": 2}, "best_of needs a whole song"),
        ({"timestamps": True}, "timestamps needs a whole song"),
        ({"ahead": 0}, "ahead must be above 0 seconds, or None: got 0"),
    ],
)
def test_arguments_that_cannot_be_streamed_are_refused(
    tiny_singer, tiny_processor, arguments, message
):
    pipeline = TextToSongPipeline(model=tiny_singer(), processor=tiny_processor)

    with pytest.raises(ValueError, match=message):
        stream_pipeline(pipeline, "folk", **arguments)

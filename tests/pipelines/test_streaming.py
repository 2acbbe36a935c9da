"""Tests of streaming: the chunks are those of the song, also if the stream is closed early."""

import pytest
import torch

from songgen_hf.modeling.patterns import TRACK_PATTERNS
from songgen_hf.pipelines.streaming import SongGenAudioStreamer, stream_song

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

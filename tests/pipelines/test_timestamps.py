"""Timestamps in both pipelines: songs do not change, and words lie in their order."""

import logging

import numpy as np
import pytest

from songgen_hf.pipelines.song import Song
from songgen_hf.pipelines.text_to_song import TextToSongPipeline
from songgen_hf.pipelines.timestamps import sung_whole

LYRICS = "[verse]\nRivers run,\n\nto the 2 seas\n[chorus] home"
LINES = ["Rivers run,", "to the 2 seas", "home"]


@pytest.fixture(scope="module", params=["autoregressive", "masked"])
def generate(request, tiny_singer, tiny_processor, tiny_masked):
    """A tiny pipeline with two tracks."""
    if request.param == "autoregressive":
        model = tiny_singer("interleaving_A_V")
        decoder = model.config.decoder
        return TextToSongPipeline(
            model=model,
            processor=tiny_processor,
            device="cpu",
            do_sample=True,
            suppress_tokens=list(range(decoder.codebook_size, decoder.vocab_size)),
        )
    pytest.importorskip("diffusers", reason="needs the extra diffusers")
    return tiny_masked("parallel_std")


def few(pipe, **arguments):
    steps = {"num_inference_steps": 2, "progress": False} if pipe.mode == "masked" else {}
    return {"lyrics": LYRICS, "seconds": 0.6, **steps, **arguments}


@pytest.mark.slow
def test_timestamps_change_nothing_else_and_words_lie_in_their_order(generate):
    plain = generate("folk", **few(generate, seed=3))
    song = generate("folk", **few(generate, seed=3, timestamps=True))

    np.testing.assert_array_equal(plain["codes"], song["codes"])
    assert "words" not in plain
    words = [word["word"] for word in song.words]
    assert words == ["Rivers", "run", "to", "the", "2", "seas", "home"]
    times = [time for word in song.words for time in (word["start"], word["end"])]
    assert times == sorted(times) and times[-1] <= 0.6
    assert [line["line"] for line in song.lines] == LINES
    assert set(song.coverage) == {"share", "skipped", "repeated"}
    assert song.attention.shape[0] == song["codes"].shape[-1]


@pytest.mark.slow
def test_a_song_in_a_batch_and_an_aligned_song_have_the_times_of_the_song_alone(generate):
    alone = generate("folk", **few(generate, seed=4, timestamps=True))
    texts, lyrics = ["rock, loud and fast", "folk"], ["run", LYRICS]
    _, batched = generate(
        texts, **few(generate, lyrics=lyrics, seed=[1, 4], timestamps=True, batch_size=2)
    )
    aligned = generate.align(alone["codes"], LYRICS, text="folk")

    for other in (batched, aligned):
        np.testing.assert_allclose(
            other.attention[:, : alone.attention.shape[1]], alone.attention, atol=2e-3
        )
    assert aligned.words == alone.words
    assert generate.align(alone, LYRICS, text="folk")["seed"] == 4
    with pytest.raises(ValueError, match="only generated songs are saved"):
        aligned.save("song.wav")


def test_recordings_are_aligned_and_keep_their_samples(generate):
    tone = 0.3 * np.sin(np.arange(8000) / 9).astype(np.float32)

    song = generate.align(((tone, 16000), (0.5 * tone, 16000)), LYRICS)

    np.testing.assert_array_equal(song["accompaniment"][0], tone)
    np.testing.assert_array_equal(song["vocal"][0], 0.5 * tone)
    assert len(song.words) == 7 and song["seed"] is None
    assert song.lrc().count("\n") == 3


@pytest.mark.slow
def test_a_song_without_lyrics_has_no_words(generate):
    song = generate("folk", **few(generate, lyrics=None, timestamps=True))

    assert (song.words, song.lines) == ([], [])
    assert song.coverage == {"share": 1.0, "skipped": [], "repeated": []}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"timestamps": "lrc"}, "timestamps must be True or False: got 'lrc'"),
        ({"retries": -1}, "retries must be an integer of at least 0: got -1"),
        ({"retries": 1, "num_return_sequences": 2}, "retries and num_return_sequences were both"),
    ],
)
def test_wrong_arguments_are_one_line(generate, arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        generate("folk", **few(generate, **arguments))


def test_a_line_that_the_listener_does_not_hear_is_skipped(generate, monkeypatch):
    heard = []

    def listener(lines, language, vocal, sampling_rate):
        heard.append((lines, language, vocal.shape, sampling_rate))
        return [0.9, 0.29, 0.3]

    monkeypatch.setattr(generate, "lyrics_listener", listener, raising=False)
    song = generate("folk", **few(generate, seed=3, timestamps=True))

    assert heard == [(LINES, "en", song["vocal"].shape, 16000)]
    assert set(LINES[1].split()) <= set(song.coverage["skipped"])


def test_recordings_need_lyrics(generate):
    with pytest.raises(ValueError, match="align needs the lyrics that are sung: got ''"):
        generate.align(np.zeros((2, 8, 5), dtype=np.int64), "")
    with pytest.raises(ValueError, match="lyrics have no letter or digit to sing: got '...'"):
        generate.align(np.zeros((2, 8, 5), dtype=np.int64), "...")
    with pytest.raises(ValueError, match="voice_start is 1.0, but there is no reference voice"):
        generate.align(np.zeros((2, 8, 5), dtype=np.int64), "la", voice_start=1.0)


SHARES = {1: 0.5, 2: 0.4, 3: 0.9, 4: 1.0}  # seed -> share of the lyrics that is sung


def sing(requests):
    if not isinstance(requests, dict):
        return [sing(request) for request in requests]
    share = SHARES[requests["seed"]]
    missing = [] if share == 1 else ["river", "runs"]
    coverage = {"share": share, "skipped": missing, "repeated": []}
    return Song({"seed": requests["seed"], "coverage": coverage})


@pytest.mark.parametrize(("retries", "seed"), [(0, 1), (1, 1), (2, 3), (9, 3)])
def test_retries_end_with_the_first_song_that_sings_enough_or_the_best(caplog, retries, seed):
    with caplog.at_level(logging.WARNING):
        song = sung_whole({"seed": 1}, sing, retries)

    assert song["seed"] == seed
    assert len(caplog.records) == (1 if seed == 1 else 0)


MISPLACED = {1: 4.0, 2: 0.6, 3: 0.5, 4: 0.0}  # seed -> seconds of instruments in a vocal of 10 s


@pytest.mark.parametrize(
    ("first", "retries", "seed"), [(1, 0, 1), (1, 1, 2), (1, 3, 3), (2, 1, 3), (3, 3, 3)]
)
def test_songs_with_misplaced_tracks_are_sung_again(caplog, first, retries, seed):
    calls = []

    def generate(request):
        calls.append(request["seed"])
        coverage = {"share": 0.9, "skipped": [], "repeated": []}
        song = {"seed": calls[-1], "coverage": coverage, "misplaced_seconds": MISPLACED[calls[-1]]}
        return Song({**song, "vocal": np.zeros((1, 160000)), "sampling_rate": 16000})

    with caplog.at_level(logging.WARNING):
        song = sung_whole({"seed": first}, generate, retries)

    assert song["seed"] == seed and calls == [*range(first, seed + 1)]
    messages = [record.getMessage() for record in caplog.records]
    if seed == 3:
        assert messages == []
    else:
        assert messages == [
            f"In the song of seed {seed} the vocal has instruments or the accompaniment sings for "
            f"{MISPLACED[seed]} s: try another seed, or retries=2."
        ]


def test_only_the_songs_that_leave_words_out_are_sung_again(caplog):
    with caplog.at_level(logging.WARNING):
        songs = sung_whole([{"seed": 4}, {"seed": 2}], sing, 1)
        lazy = sung_whole(iter([{"seed": 4}, {"seed": 2}]), sing, 0)

    assert [song["seed"] for song in songs] == [4, 3]
    assert not caplog.records  # an iterator generates when it is read
    assert [song["seed"] for song in lazy] == [4, 2]
    (record,) = caplog.records
    assert record.getMessage() == (
        "The song of seed 2 sings 40 % of its lyrics (skipped river, runs): try another seed, or "
        "retries=2."
    )

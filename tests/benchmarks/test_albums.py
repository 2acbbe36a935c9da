"""The benchmark of albums: what is written, and how cuts, words and kept clips are judged."""

import numpy as np
import pytest
import soundfile

RATE = 16000


def song(pitch, lyrics):
    times = np.arange(2 * RATE) / RATE
    words = [
        {"word": word, "start": 0.5 * place, "end": 0.5 * place + 0.4, "line": 0}
        for place, word in enumerate(lyrics.split())
    ]
    vocal, accompaniment = (
        (0.2 * np.sin(2 * np.pi * hertz * times)).astype(np.float32) for hertz in (pitch, 80.0)
    )
    return {"vocal": vocal, "accompaniment": accompaniment, "lyrics": lyrics, "words": words}


@pytest.fixture
def album(benchmark, tmp_path):
    songs = [song(200 + 50 * place, f"word{place} of a song") for place in range(20)]
    rng = np.random.default_rng(1)
    folder = tmp_path / "albums"
    kinds = ("silence", "instrumental")
    parts = benchmark.write_album(songs, "one", folder, rng, unsung="not sung here", kinds=kinds)
    return parts, folder


@pytest.mark.slow
def test_an_album_holds_its_parts_at_their_times_and_some_wrong_lyrics(benchmark, album):
    parts, folder = album

    sound, rate = soundfile.read(folder / "one.mp3")
    vocal, _ = soundfile.read(folder.parent / "true" / "one.vocal.flac")

    assert rate == 44100 and sound.shape[1] == 2
    assert len(sound) / rate == pytest.approx(parts[-1].end, abs=0.1)
    for part in parts:
        level = np.abs(vocal[round(part.start * RATE) : round(part.end * RATE)]).max()
        assert (level > 0.1) == bool(part.words)
    wrong = [part for part in parts if part.kind == "wrong lyrics"]
    lyrics = (folder / "one.txt").read_text()
    assert 0 < len(wrong) < 10 and lyrics.count("not sung here") == len(wrong)
    assert all(part.words[0][0] not in lyrics.split() for part in wrong)


def clip(start, seconds, words=(), kept=True):
    rows = [{"word": word, "start": begin} for word, begin in words]
    return {
        "recording_id": "one",
        "clip_start": start,
        "clip_seconds": seconds,
        "words": rows,
        "kept": kept,
    }


@pytest.mark.slow
def test_cuts_words_and_clips_are_judged_by_the_true_times(benchmark):
    words = (("see", 1.0, 2.0, 0), ("us", 2.1, 3.0, 0))
    parts = [
        benchmark.Part("song", 0.0, 4.0, words),
        benchmark.Part("silence", 4.0, 6.0),
        benchmark.Part("speech", 6.0, 9.0),
    ]
    clips = [
        clip(0.5, 2.0, [("see", 0.6), ("us", 1.5)]),  # ends at 2.5 s, in a word
        clip(5.5, 3.0, kept=False),
    ]

    assert benchmark.cuts_in_pauses(clips, parts) == [True, True, False, True]
    assert benchmark.word_errors(clips, parts) == pytest.approx([0.1, 0.1])
    assert benchmark.judge(clips, {"one": parts}) == {"song": (1, 1), "speech": (0, 1)}


def test_the_time_and_the_memory_of_a_function_are_measured(benchmark):
    seconds, megabytes = benchmark.measured(lambda: sum(range(2_000_000)))

    assert 0 < seconds < 5 and megabytes > 50

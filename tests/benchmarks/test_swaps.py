"""The count of songs whose tracks change places."""

import numpy as np
import pytest

RATE = 16000


@pytest.fixture
def songs():
    """Songs of two tracks: in their places, exchanged after 2 of 4 s, and so but not noticed."""
    times = np.arange(4 * RATE) / RATE
    voice, band = np.sin(2 * np.pi * 440 * times)[None], np.zeros((1, 4 * RATE))
    half = 2 * RATE
    swapped = [
        np.concatenate([one[:, :half], other[:, half:]], axis=1)
        for one, other in ((voice, band), (band, voice))
    ]
    named = [
        dict(zip(("vocal", "accompaniment"), two, strict=True)) for two in ((voice, band), swapped)
    ]
    return [{**one, "seed": seed} for seed, one in enumerate([named[0], named[1], named[1]])]


class Judge:
    def swapped_seconds(self, vocal, band):
        return float((np.abs(band) > np.abs(vocal)).mean() * 4)


class Pipe:
    """Puts tracks in their places; not in the song of seed 2, which is swapped at every draw."""

    def __init__(self, songs):
        self.songs, self.requests = songs, []

    def put_tracks_in_place(self, song):
        if song["seed"] != 1:
            return {**song, "exchanged": [], "misplaced_seconds": float(song["seed"])}
        total = song["vocal"] + song["accompaniment"]
        repaired = {"vocal": total, "accompaniment": 0 * total}
        return {**song, **repaired, "exchanged": [(2.0, 4.0)], "misplaced_seconds": 0.5}

    def __call__(self, request, **options):
        self.requests.append({**request, **options})
        return self.songs[request["seed"]]


def test_songs_are_counted_before_and_after_their_tracks_are_put_in_place(
    benchmark, songs, tmp_path
):
    class Prompt:
        id, text, lyrics = "prompt", "folk", "la\nlo\nli"

    pipe, drawn = Pipe(songs), (iter([(Prompt, songs)]) for _ in range(2))
    found = benchmark.count_swaps(pipe, Judge(), next(drawn), tmp_path, 4.0, 2)

    assert {name: found[name] for name in benchmark.SIDES} == {"before": 2, "after": 1, "last": 1}
    assert found["songs"] == 3 and found["exchanged"] == found["redrawn"] == found["unnoticed"] == 1
    (request,) = pipe.requests
    assert request == {
        **{"text": "folk", "lyrics": "la\nlo", "seed": 2},
        **{"check_tracks": True, "retries": 3, "max_seconds": 4.0},
    }
    # A second run reads what the first one has measured.
    assert benchmark.count_swaps(None, None, next(drawn), tmp_path, 4.0, 2) == found


def test_the_bound_of_no_swap_is_that_of_three_in_n(benchmark):
    assert benchmark.at_most(0, 200) == pytest.approx(100 * (1 - 0.05 ** (1 / 200)), abs=0.01)


def test_a_judge_learns_to_tell_tracks_and_hears_where_they_are_exchanged(benchmark, monkeypatch):
    draw = np.random.default_rng(0)
    times = np.arange(4 * RATE) / RATE

    def stems(*_):
        for place in range(6):
            voice = np.sin(2 * np.pi * (200 + 20 * place) * times)
            tracks = voice, 0.3 * draw.standard_normal(len(times))
            yield [tracks, tracks]

    monkeypatch.setattr(benchmark, "stems", stems)
    judge = benchmark.Judge(None, None, 6)

    voice, band = judge.held_out[0]
    half = 2 * RATE
    swapped = np.append(voice[:half], band[half:]), np.append(band[:half], voice[half:])
    assert judge.accuracy == 1 and judge.swapped_seconds(voice, band) == 0
    assert judge.swapped_seconds(*swapped) == pytest.approx(2, abs=1.1)

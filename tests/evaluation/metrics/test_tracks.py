"""Metrics of both tracks of a song, and ratings of its windows."""

import re

import numpy as np
import pytest

from songgen_hf.data.listening.key import KEYS
from songgen_hf.evaluation.metrics.aesthetics import song_ratings
from songgen_hf.evaluation.metrics.band_agreement import key_agreement, tempo_agreement
from songgen_hf.evaluation.metrics.swapped_tracks import swapped_scores, voice_share


def test_equal_keys_and_tempi_agree_perfectly():
    assert key_agreement(KEYS, KEYS).tolist() == [1.0] * 24
    assert tempo_agreement([60, 120, 61], [60, 60, 120]).tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("vocal", "band", "score"),
    [
        ("G major", "C major", 0.5), ("C major", "G major", 0.0), ("A minor", "C major", 0.3),
        ("C major", "A minor", 0.3), ("C minor", "C major", 0.2), ("C# major", "C major", 0.0),
    ],
)  # fmt: skip
def test_related_keys_have_the_scores_of_mirex(vocal, band, score):
    names = {key.replace("Db", "C#"): key for key in KEYS}

    assert key_agreement([names.get(vocal, vocal)], [band])[0] == score


def test_all_keys_together_have_the_sum_of_the_definition():
    pairs = [(one, two) for one in KEYS for two in KEYS]

    found = key_agreement(*zip(*pairs, strict=True))

    # One equal key, one fifth, one relative and one parallel key for each of the 24.
    assert found.sum() == pytest.approx(24 * (1 + 0.5 + 0.3 + 0.2))
    assert np.count_nonzero(found) == 24 * 4


def test_a_tempo_that_drifts_away_stops_to_agree():
    scores = tempo_agreement([100, 107, 109, 130], [100] * 4)

    assert scores.tolist() == [1, 1, 0, 0]


def test_more_voices_in_the_accompaniment_swap_more_songs():
    vocals = np.array([0.9, 0.8, 0.7, 0.6])

    shares = [swapped_scores(vocals, np.full(4, level)).mean() for level in (0, 0.65, 0.75, 1)]

    assert shares == [0, 0.25, 0.5, 1]
    assert not swapped_scores(vocals, vocals).any(), "equal tracks are not swapped"


def test_the_share_of_voice_is_one_of_energy():
    track = np.array([3.0, 4.0])

    assert voice_share(track, track) == 1 and voice_share(track, 0.5 * track) == 0.25
    assert voice_share(np.zeros(4), np.zeros(4)) == voice_share(track[:0], track[:0]) == 0


def test_ratings_are_weighted_by_the_length_of_windows():
    ratings = np.array([[1.0, 2.0, 3.0, 4.0], [5.0, 5.0, 5.0, 5.0]])

    assert song_ratings(ratings, [10, 0]) == {"CE": 1, "CU": 2, "PC": 3, "PQ": 4}
    assert song_ratings(ratings, [3, 1]) == {"CE": 2, "CU": 2.75, "PC": 3.5, "PQ": 4.25}


def test_no_songs_have_no_scores():
    assert len(key_agreement([], [])) == len(tempo_agreement([], [])) == 0
    assert len(swapped_scores(np.zeros(0), np.zeros(0))) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: key_agreement(KEYS, KEYS[1:]), "got 24 vocals and 23 accompaniments"),
        (lambda: key_agreement(["H major"], ["C major"]), "got H major, expected one of"),
        (lambda: tempo_agreement([0.0], [1.0]), "got a tempo of 0 bpm, expected a positive one"),
        (lambda: swapped_scores(np.ones(2), np.ones(3)), "got shares of shapes [2] and [3]"),
        (lambda: swapped_scores(np.ones(1), -np.ones(1)), "expected finite numbers of 0 or more"),
        (lambda: song_ratings(np.ones((2, 3)), [1, 1]), "got ratings of shape [2, 3] and"),
        (lambda: song_ratings(np.full((1, 4), np.nan), [1]), "expected finite numbers"),
        (lambda: song_ratings(np.ones((2, 4)), [0, 0]), "lengths of 0 s in all, expected"),
    ],
)
def test_a_wrong_input_is_an_error_of_one_line(call, message):
    with pytest.raises(ValueError, match=re.escape(message)) as refused:
        call()
    assert "\n" not in str(refused.value)

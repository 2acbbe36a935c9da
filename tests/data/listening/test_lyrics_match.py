"""The match of lyrics and what a recognizer hears."""

import numpy as np
import pytest

from songgen_hf.data.listening.lyrics_match import lyrics_match

CLASSES, FRAMES = 20, 4  # classes, and frames of each phoneme


def sing(phonemes, clarity=6.0, seed=0):
    """Log probabilities [T, CLASSES] of phonemes with blanks between them, in noise."""
    logits = np.random.default_rng(seed).standard_normal((len(phonemes) * FRAMES, CLASSES))
    for place, phoneme in enumerate(phonemes):
        logits[place * FRAMES : place * FRAMES + FRAMES // 2, phoneme] += clarity
        logits[place * FRAMES + FRAMES // 2 : (place + 1) * FRAMES, 0] += clarity
    logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return logits.astype(np.float32)


def decode(log_probabilities):
    best = log_probabilities.argmax(axis=1)
    return best[(best > 0) & (np.diff(best, prepend=0) != 0)]


def match(log_probabilities, lyrics):
    rng = np.random.default_rng(0)
    return lyrics_match(log_probabilities, lyrics, decode(log_probabilities), rng)


@pytest.fixture
def lyrics():
    return np.random.default_rng(1).integers(1, CLASSES, 40)


@pytest.mark.parametrize("clarity", [1.5, 3.0, 6.0])
def test_right_lyrics_match_and_others_do_not_however_clear_the_vocal_is(lyrics, clarity):
    other = np.random.default_rng(2).integers(1, CLASSES, 40)

    sound = sing(lyrics, clarity)

    assert match(sound, lyrics) > 0.4
    assert match(sound, other) < 0.15


def test_clear_lyrics_match_wholly_and_half_of_them_by_half(lyrics):
    half = np.concatenate([lyrics[:20], np.random.default_rng(2).integers(1, CLASSES, 20)])

    sound = sing(lyrics)

    assert match(sound, lyrics) == pytest.approx(1.0, abs=0.02)
    assert 0.25 < match(sound, half) < 0.75


def test_without_lyrics_or_with_too_many_nothing_matches(lyrics):
    sound = sing(lyrics)

    assert match(sound, lyrics[:0]) == 0.0
    assert match(sound[:79], lyrics) == 0.0
    assert lyrics_match(sound, lyrics, lyrics[:0], np.random.default_rng(0)) == 0.0

"""Forced alignment with the Viterbi algorithm."""

import numpy as np
import pytest

from songgen_hf.data.listening.forced_alignment import align


def emission(case, frame, state, penalty=2.0):
    log_probabilities, classes, word_starts = case
    if state % 2:
        return log_probabilities[frame, classes[state // 2]]
    blank = log_probabilities[frame, 0]
    between = state == 2 * len(classes) or word_starts[state // 2]
    return max(blank, log_probabilities[frame, 1:].max() - penalty) if between else blank


def slow_score(case):
    """The score of the best path by the recursion over all states, one at a time."""
    log_probabilities, classes, _ = case
    states = 2 * len(classes) + 1
    scores = [emission(case, 0, 0), emission(case, 0, 1), *[-np.inf] * (states - 2)]
    for frame in range(1, len(log_probabilities)):
        before, scores = scores, []
        for state in range(states):
            reachable = before[max(0, state - 1) : state + 1]
            if state % 2 and state > 1 and classes[state // 2] != classes[state // 2 - 1]:
                reachable = before[state - 2 : state + 1]
            scores.append(max(reachable) + emission(case, frame, state))
    return max(scores[-2:])


def random_case(rng, frames, phonemes, classes=5):
    logits = rng.standard_normal((frames, classes)) * 2
    log_probabilities = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return (
        log_probabilities.astype(np.float32),
        rng.integers(1, classes, phonemes),
        rng.random(phonemes) < 0.4,
    )


@pytest.mark.parametrize("seed", range(12))
def test_no_path_has_a_higher_score_than_the_alignment(seed):
    rng = np.random.default_rng(seed)
    case = random_case(rng, int(rng.integers(20, 60)), int(rng.integers(1, 9)))

    found = align(*case)

    total = 0.0
    for frame in range(len(case[0])):
        inside = np.flatnonzero((found.first <= frame) & (frame < found.last))
        state = 2 * inside[0] + 1 if len(inside) else 2 * np.sum(found.last <= frame)
        total += emission(case, frame, int(state))
    assert total == pytest.approx(slow_score(case), rel=1e-5)
    assert (found.first[1:] >= found.last[:-1]).all()


def planted(rng, phonemes, *, noise=1.0, classes=8):
    """Log probabilities in which every phoneme lasts 2 to 5 frames, with its first frame."""
    wanted = rng.integers(1, classes, phonemes)
    labels, first = [], []
    for one in wanted:
        labels += [0] * int(rng.integers(1, 4))
        first.append(len(labels))
        labels += [one] * int(rng.integers(2, 6))
    labels = np.array([*labels, 0])
    logits = noise * rng.standard_normal((len(labels), classes))
    logits[np.arange(len(labels)), labels] += 6
    log_probabilities = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return log_probabilities.astype(np.float32), wanted, np.array(first)


def test_a_narrow_band_over_many_segments_finds_the_planted_frames():
    rng = np.random.default_rng(0)
    log_probabilities, classes, first = planted(rng, 700)
    assert len(log_probabilities) > 3000

    found = align(log_probabilities, classes, np.arange(700) % 4 == 0, band=64)

    assert (np.abs(found.first - first) <= 1).mean() > 0.99
    assert (found.score > -1).mean() > 0.95


def test_sounds_between_words_that_the_lyrics_do_not_have_are_left_out():
    rng = np.random.default_rng(1)
    log_probabilities, classes, first = planted(rng, 60, noise=0.5)
    kept = np.r_[0:20, 40:60]
    starts = np.arange(60) % 5 == 0

    found = align(log_probabilities, classes[kept], starts[kept])

    np.testing.assert_array_less(np.abs(found.first - first[kept]), 3)


def test_wrong_phonemes_have_low_scores():
    rng = np.random.default_rng(2)
    log_probabilities, classes, _ = planted(rng, 60)
    starts = np.arange(60) % 5 == 0

    right = align(log_probabilities, classes, starts).score.mean()
    wrong = align(log_probabilities, classes[::-1].copy(), starts).score.mean()

    assert right > -0.5 and wrong < -2


@pytest.mark.parametrize(("frames", "fits"), [(3, False), (4, True)])
def test_a_repeated_phoneme_needs_a_frame_between(frames, fits):
    log_probabilities = np.log(np.full((frames, 3), 1 / 3, dtype=np.float32))

    found = align(log_probabilities, np.array([1, 1, 2]), np.array([True, False, False]))

    assert (found is not None) == fits
    if fits:
        assert found.first[1] > found.last[0]


def test_nothing_cannot_be_aligned():
    assert align(np.zeros((5, 3), np.float32), np.zeros(0, np.int64), np.zeros(0, bool)) is None

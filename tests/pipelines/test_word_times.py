"""Word times from attention: where words are placed, what was left out, and which heads tell."""

import numpy as np
import pytest

from songgen_hf.pipelines.word_times import (
    LyricsWord,
    quiet_frames,
    word_times,
)

WORDS = [
    LyricsWord("Rivers", [2, 3, 4], 0),
    LyricsWord("run,", [6, 7], 0),
    LyricsWord("home", [9, 10, 11], 1),
]
RATE = 50.0


def attention(*sung, num_frames=120, num_tokens=13):
    """Weights [T, P] of frames that attend to (first frame, frame after the last, tokens)."""
    weights = np.full((num_frames, num_tokens), 0.01)
    for first, last, tokens in sung:
        parts = np.array_split(np.arange(first, last), len(tokens))
        for part, token in zip(parts, tokens, strict=True):
            weights[part, token] = 0.8
    return weights


RIVERS, RUN, HOME = (10, 25, [2, 3, 4]), (25, 40, [6, 7]), (60, 90, [9, 10, 11])


def test_words_lie_where_frames_attend_to_them_and_lines_span_their_words():
    found = word_times(attention(RIVERS, RUN, HOME), WORDS, RATE)

    assert [(word["word"], word["start"], word["end"]) for word in found.words] == [
        ("Rivers", 0.2, 0.5),
        ("run,", 0.5, 0.8),
        ("home", 1.2, 1.8),
    ]
    assert all(0.7 < word["confidence"] <= 1 for word in found.words)
    assert [(line["line"], line["start"], line["end"]) for line in found.lines] == [
        ("Rivers run,", 0.2, 0.8),
        ("home", 1.2, 1.8),
    ]
    assert found.lines[0]["words"] == found.words[:2]
    assert found.coverage == {"share": 1.0, "skipped": [], "repeated": []}


def test_times_never_go_back_whatever_frames_attend_to():
    weights = np.random.default_rng(0).dirichlet(np.full(13, 0.1), size=120)

    found = word_times(weights, WORDS, RATE)

    times = [time for word in found.words for time in (word["start"], word["end"])]
    assert times == sorted(times) and times[0] >= 0 and times[-1] <= 120 / RATE
    assert all(0 <= word["confidence"] <= 1 for word in found.words)


def test_a_word_that_is_not_sung_is_skipped_and_lowers_the_share():
    found = word_times(attention(RIVERS, HOME), WORDS, RATE)

    assert found.coverage == {"share": 0.75, "skipped": ["run,"], "repeated": []}
    skipped = found.words[1]
    assert 0.5 <= skipped["start"] <= skipped["end"] <= 1.2 and skipped["confidence"] < 0.25
    assert found.words[2]["start"] == 1.2


def test_the_words_of_a_line_that_nobody_hears_are_skipped_however_frames_attend_to_them():
    found = word_times(attention(RIVERS, RUN, HOME), WORDS, RATE, unheard=[0])

    assert found.coverage == {"share": 0.375, "skipped": ["Rivers", "run,"], "repeated": []}
    assert [word["start"] for word in found.words] == [0.2, 0.5, 1.2]


def test_a_word_that_is_attended_to_for_a_moment_only_is_skipped():
    found = word_times(attention(RIVERS, (25, 26, [6]), HOME), WORDS, RATE)

    assert found.coverage == {"share": 0.75, "skipped": ["run,"], "repeated": []}


def test_a_word_that_is_sung_again_is_repeated():
    found = word_times(attention(RIVERS, RUN, (44, 56, [2, 3, 4]), HOME), WORDS, RATE)

    assert found.coverage == {"share": 1.0, "skipped": [], "repeated": ["Rivers"]}


@pytest.mark.parametrize(
    ("words", "num_frames", "share"), [([], 20, 1.0), (WORDS, 0, 0.0), ([], 0, 1.0)]
)
def test_nothing_to_sing_is_sung_and_nothing_is_sung_in_no_time(words, num_frames, share):
    found = word_times(np.ones((num_frames, 13)), words, RATE)

    assert (found.words, found.lines, found.coverage["share"]) == ([], [], share)


def test_a_quiet_vocal_ends_a_word_to_which_frames_still_attend():
    weights = attention(RIVERS, (25, 60, [6, 7]), HOME)
    vocal = np.sin(np.arange(120 * 320))[None]
    vocal[:, 40 * 320 : 60 * 320] = 0
    quiet = quiet_frames(vocal, 320, 120)

    assert np.flatnonzero(quiet).tolist() == list(range(40, 60))
    assert word_times(weights, WORDS, RATE).words[1]["end"] == 1.2
    assert word_times(weights, WORDS, RATE, quiet=quiet).words[1]["end"] == 0.8

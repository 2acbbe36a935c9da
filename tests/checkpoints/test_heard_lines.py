"""Lines that are heard: of a vocal whose frames are known, and what cannot be judged."""

import numpy as np
import pytest

from songgen_hf.checkpoints.heard_lines import heard_lines, line_shares

VOCAL = 0.1 * np.random.default_rng(0).standard_normal((1, 16000)).astype(np.float32)


@pytest.mark.debian
def test_a_noise_sings_no_line_and_lines_without_words_lack_nothing():
    shares = heard_lines(["the river runs", "..."], "en", VOCAL, 16000)

    assert shares[0] < 0.3 and shares[1] == 1.0


@pytest.mark.parametrize(
    ("lines", "language", "vocal"),
    [(["la"], "de", VOCAL), ([], "en", VOCAL), (["la"], "en", VOCAL[:, :100])],
)
@pytest.mark.debian
def test_what_cannot_be_heard_is_not_judged(lines, language, vocal):
    assert heard_lines(lines, language, vocal, 16000) is None


def test_a_line_that_is_not_sung_takes_nothing_from_its_neighbors():
    phonemes = 10
    weights = np.full((5 * phonemes, 2 * phonemes), 1e-3)
    for place in range(phonemes):  # the second line is sung, not clearly
        weights[5 * place : 5 * place + 5, phonemes + place] = 0.4
    weights[10:30, 1] = weights[30:, 2] = 0.9  # most of it sounds like two phonemes of the first
    lines = np.repeat([0, 1], phonemes)

    alone = line_shares(weights[:, phonemes:], lines[:phonemes], lines[:phonemes], 1)
    shares = line_shares(weights, lines, lines, 2)

    assert alone == [1.0] and shares == [0.2, 1.0]
    assert line_shares(weights[:, :0], lines[:0], lines[:0], 2) == [1.0, 1.0]

"""Lines that are heard: of a vocal whose frames are known, and what cannot be judged."""

import numpy as np
import pytest

from songgen_hf.checkpoints.heard_lines import heard_lines

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

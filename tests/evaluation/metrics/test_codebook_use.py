"""Codebook use has its known values for constant and evenly used codes."""

import numpy as np
import pytest

from songgen_hf.evaluation.metrics.codebook_use import code_counts, codebook_use


def test_constant_and_even_codes_have_the_extreme_values():
    codes = np.stack([np.zeros(64, int), np.arange(64) % 16, np.arange(64) % 2])

    use = codebook_use(code_counts(codes, 16))

    assert use["perplexity"].tolist() == [1, 16, 2]
    assert use["entropy"].tolist() == [0, 4, 1]
    assert use["used"].tolist() == [1 / 16, 1, 2 / 16]


def test_uneven_codes_equal_the_formula():
    counts = np.array([[3, 1, 0, 0]])

    use = codebook_use(counts)

    entropy = -(0.75 * np.log2(0.75) + 0.25 * np.log2(0.25))
    assert use["entropy"][0] == pytest.approx(entropy)
    assert use["perplexity"][0] == pytest.approx(2**entropy)


def test_no_frames_use_nothing_and_foreign_codes_are_refused():
    use = codebook_use(code_counts(np.zeros((1, 0), int), 4))

    assert [values[0] for values in use.values()] == [0, 0, 1]
    with pytest.raises(ValueError, match="codes from 0 to 4 of shape .*, expected 0 to 3"):
        code_counts(np.array([[0, 4]]), 4)

"""Frames in a temporary file."""

import numpy as np
import pytest

from songgen_hf.data.listening.frame_file import FrameFile


def test_slices_are_those_of_the_array():
    rows = np.random.default_rng(0).standard_normal((50, 3)).astype(np.float32)
    frames = FrameFile(3)
    for first, last in ((0, 7), (7, 7), (7, 50)):
        frames.append(rows[first:last])

    assert len(frames) == 50
    for place in (slice(0, 50), slice(7, 9), slice(40, 99), slice(60, 70), slice(None, 3)):
        np.testing.assert_array_equal(frames[place], rows[place])
    frames.append(rows[:2])  # after reading
    np.testing.assert_array_equal(frames[49:], np.concatenate([rows[49:], rows[:2]]))


def test_rows_of_another_width_are_refused():
    with pytest.raises(ValueError, match=r"shape \(2, 4\), expected \[N, 3\]"):
        FrameFile(3).append(np.zeros((2, 4)))

"""The measurements of timestamps: errors of words, and their summary."""

import numpy as np

TRUE = [{"word": "Rivers", "start": 0.5, "end": 1.0}, {"word": "run", "start": 1.0, "end": 1.5}]


def test_errors_are_those_of_the_same_words_only(benchmark):
    found = [{**TRUE[0], "word": "rivers,", "start": 0.45}, {**TRUE[1], "end": 1.7}]

    np.testing.assert_allclose(benchmark.word_errors(found, TRUE), [[-0.05, 0], [0, 0.2]])
    assert benchmark.word_errors(found[:1], TRUE).shape == (0, 2)


def test_a_summary_is_in_milliseconds(benchmark):
    errors = np.array([[-0.05, 0.0], [0.01, 0.3], [-0.03, 0.0]])

    found = benchmark.summary(errors)

    assert found["words"] == 3
    assert (found["start"]["median"], found["start"]["bias"]) == (30, -30)
    assert (found["start"]["within_100"], found["end"]["within_100"]) == (100.0, 66.7)

"""The figures of takes that a listener ranks."""

import numpy as np
import pytest


def test_the_rates_are_those_of_the_ranked_takes(benchmark):
    rates = np.array([[0.2, 0.6], [0.4, 0.8]])
    scores = np.array([[2.0, 1.0], [1.0, 2.0]])

    found = benchmark.error_rates(rates, scores, np.array([10, 30]))

    values = {name: value for name, (value, *_) in found.items()}
    assert values == pytest.approx({"one_draw": 55.0, "best": 65.0, "least": 35.0, "gain": -10.0})
    for value, low, high in found.values():
        assert low <= value <= high

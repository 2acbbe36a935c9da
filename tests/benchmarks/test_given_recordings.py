"""What songs to given recordings are compared with."""

import numpy as np
import pytest


@pytest.mark.parametrize("tempo", [60, 104, 105, 180])
def test_a_contradicting_text_asks_for_the_other_gender_and_no_octave_of_the_tempo(
    benchmark, tempo
):
    song = {
        "genre": "funk",
        "mood": "calm",
        "lead_instrument": "piano",
        "tempo": tempo,
        "gender": "male",
    }

    text, gender, other = benchmark.contradiction(song)

    assert gender == "female" and f"{other} bpm, female voice" in text
    assert 60 <= other <= 180
    assert benchmark.distance(tempo, other) > 0.4


def test_tempi_are_compared_without_their_octave(benchmark):
    assert benchmark.distance(60, 120) == benchmark.distance(160, 80) == 0
    assert benchmark.distance(100, 150) == pytest.approx(0.415, abs=1e-3)


def test_own_pairs_are_compared_with_all_others(benchmark):
    draw = np.random.default_rng(0)
    values = 0.1 * draw.standard_normal((30, 30)) + 0.3 * np.eye(30)

    own, others, difference, low, high = benchmark.own_against_others(values)

    assert own == pytest.approx(0.3, abs=0.06) and others == pytest.approx(0, abs=0.01)
    assert low < difference < high and low > 0.2

"""The measurements of the controls: the figures of best of N."""

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


def test_the_song_whose_memory_is_measured_has_the_length_asked_for(benchmark):
    from songgen_hf.pipelines.song_plan import plan

    for seconds in (20, 60):
        made = plan(benchmark.WHOLE_LYRICS * (seconds // 20), window=16)

        assert made.seconds == seconds and {one.seconds for one in made.sections} == {10}


def test_own_pairs_are_compared_with_all_others(benchmark):
    draw = np.random.default_rng(0)
    values = 0.1 * draw.standard_normal((30, 30)) + 0.3 * np.eye(30)

    own, others, difference, low, high = benchmark.own_against_others(values)

    assert own == pytest.approx(0.3, abs=0.06) and others == pytest.approx(0, abs=0.01)
    assert low < difference < high and low > 0.2

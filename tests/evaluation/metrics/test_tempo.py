"""The tempo of clicks."""

import numpy as np
import pytest

from songgen_hf.data.listening.tempo import estimate_tempo
from songgen_hf.evaluation.metrics.tempo import evaluate_tempo, tempo_scores

RATE = 16000


def clicks(tempo, seconds=8.0):
    """Short bursts on the beats, the first of four louder."""
    waveform = np.zeros(int(seconds * RATE), dtype=np.float32)
    burst = np.random.default_rng(0).standard_normal(400).astype(np.float32)
    for beat in range(int(seconds * tempo / 60)):
        start = int(beat * 60 / tempo * RATE)
        piece = waveform[start : start + 400]
        piece += (0.5 if beat % 4 == 0 else 0.3) * burst[: len(piece)]
    return waveform


@pytest.mark.parametrize("tempo", [75, 96, 120, 150])
def test_the_tempo_of_clicks_is_found(tempo):
    assert estimate_tempo(clicks(tempo)) == pytest.approx(tempo, rel=0.02)


def test_loudness_does_not_change_the_tempo():
    waveform = clicks(105)

    assert estimate_tempo(waveform) == pytest.approx(estimate_tempo(2 * waveform), rel=0.02)


@pytest.mark.slow
def test_half_and_double_tempo_count_in_any_octave_only():
    songs, tempi = [clicks(100)] * 4, [100, 50, 200, 130]

    assert tempo_scores(songs, tempi).tolist() == [1, 0, 0, 0]
    assert tempo_scores(songs, tempi, any_octave=True).tolist() == [1, 1, 1, 0]
    assert evaluate_tempo(songs, tempi) == {"tempo": 0.25, "tempo_any_octave": 0.75}


@pytest.mark.parametrize("samples", [0, 1, 159, 4000])
def test_the_tempo_of_silent_and_short_waveforms_is_in_range(samples):
    assert 60 <= estimate_tempo(np.zeros(samples, dtype=np.float32)) <= 180


def test_tempi_that_do_not_fit_the_songs_are_errors():
    with pytest.raises(ValueError, match="1 songs and 2 labels"):
        tempo_scores([clicks(90)], [90, 90])
    with pytest.raises(ValueError, match="tempo of 0 bpm"):
        tempo_scores([clicks(90)], [0])
    with pytest.raises(ValueError, match="no songs"):
        evaluate_tempo([], [])

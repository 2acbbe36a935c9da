"""What every metric has: units, a source, and one clear line for input that does not fit."""

import importlib
import re
from pathlib import Path

import numpy as np
import pytest

from songgen_hf.data.corpus.harmony import PITCH_CLASSES
from songgen_hf.evaluation import metrics
from songgen_hf.evaluation.metrics import (
    abx,
    band_agreement,
    bootstrap,
    codebook_use,
    phoneme_error_rate,
    preference,
    reconstruction,
    swapped_tracks,
    visqol,
)

METRICS = sorted(
    path.stem for path in Path(metrics.__file__).parent.glob("*.py") if path.stem != "__init__"
)


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_states_units_and_source_and_checks_its_input(name):
    metric = importlib.import_module(f"{metrics.__name__}.{name}")

    assert re.search(r"^Units: ", metric.__doc__, re.MULTILINE)
    assert re.search(r"(^|\. )Source: ", metric.__doc__, re.MULTILINE)
    assert callable(metric.validate) and "validate" in metric.__all__
    assert "ValueError" in metric.validate.__doc__


TABLE = np.ones((2, 2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: codebook_use.validate(np.array([[0, 4]]), 4), "got codes from 0 to 4 of shape"),
        (lambda: codebook_use.validate(np.zeros(3, int), 4), "expected 0 to 3 of shape [codebooks"),
        (lambda: visqol.validate(np.zeros(0), np.zeros(3)), "expected finite samples [S]"),
        (lambda: visqol.validate(np.full(3, np.nan), np.ones(3)), "expected finite samples [S]"),
        (lambda: bootstrap.validate(0, 1, 0.95), "got 0 songs, 1 draws and level 0.95"),
        (lambda: bootstrap.validate(1, 1, 1.0), "a level between 0 and 1"),
        (lambda: preference.validate(TABLE, np.ones((3, 3))), "expected two square tables"),
        (lambda: preference.validate(TABLE, -TABLE), "must not be negative"),
        (lambda: abx.abx_cells([np.ones((2, 2))], abx.song_phones(
            [[{"symbol": symbol, "start": 0, "end": 1} for symbol in "ab"]], ["x"]
        ), "within"), "got frames of 1 phones, expected 2"),
    ],
)  # fmt: skip
def test_input_that_does_not_fit_is_one_line(call, message):
    with pytest.raises(ValueError, match=re.escape(message)) as refused:
        call()
    assert "\n" not in str(refused.value)


def test_phonemes_are_missed_one_by_one():
    said = ["r", "ɪ", "v", "ɚ", "s", "ɪ", "ŋ", "z"]

    rates = [
        phoneme_error_rate.phoneme_error_rate([said], [said[: len(said) - cut]])
        for cut in range(len(said) + 1)
    ]

    assert rates == [cut / len(said) for cut in range(len(said) + 1)]


def test_noise_makes_every_reconstruction_score_worse():
    random = np.random.default_rng(0)
    song = 0.3 * np.sin(np.arange(16000) * 0.2).astype(np.float32)
    noise = random.normal(size=16000).astype(np.float32)

    found = [
        reconstruction.reconstruction_scores([song], [song + level * noise], 16000)
        for level in (0, 0.001, 0.01, 0.1)
    ]

    for name, sign in (("mel_distance", 1), ("stft_distance", 1), ("si_sdr", -1)):
        assert (np.diff([sign * float(scores[name][0]) for scores in found]) > 0).all(), name
    assert found[0]["mel_distance"] == found[0]["stft_distance"] == 0


def test_a_detuned_vocal_agrees_less_with_its_accompaniment():
    """A key that moves along the circle of fifths loses its score at the second step."""
    home = "C major"

    scores = [
        band_agreement.key_agreement([f"{PITCH_CLASSES[7 * steps % 12]} major"], [home])[0]
        for steps in range(4)
    ]

    assert scores == [1, 0.5, 0, 0]


def test_leaking_voices_move_songs_to_the_swapped_side():
    random = np.random.default_rng(0)
    vocals, bands = 0.5 + 0.5 * random.random(200), 0.5 * random.random(200)

    rates = [
        swapped_tracks.swapped_scores(vocals - leak, bands + leak).mean()
        for leak in (0, 0.2, 0.4, 0.5)
    ]

    assert rates[0] == 0 and rates == sorted(rates) and rates[-1] > 0.9

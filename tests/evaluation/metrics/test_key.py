"""The key of scales."""

import numpy as np
import pytest

from songgen_hf.data.listening.key import KEYS, chroma, estimate_key, harmony
from songgen_hf.evaluation.metrics.key import evaluate_key

RATE = 16000
MAJOR_STEPS, MINOR_STEPS = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)


def scale(tonic, steps):
    """The tonic chord held under the scale, from MIDI pitch 48 upwards."""
    times = np.arange(int(0.4 * RATE)) / RATE

    def tone(pitch):
        frequency = 440 * 2 ** ((pitch - 69) / 12)
        return np.sin(2 * np.pi * frequency * times)

    chord = [tone(48 + tonic + step) for step in (0, steps[2], 7)]
    notes = [tone(60 + tonic + step) + sum(chord) for step in (*steps, 12)]
    return (0.1 * np.concatenate(notes)).astype(np.float32)


@pytest.mark.parametrize("tonic", range(12))
@pytest.mark.parametrize(("mode", "steps"), [("major", MAJOR_STEPS), ("minor", MINOR_STEPS)])
def test_the_key_of_a_scale_is_found(tonic, mode, steps):
    expected = KEYS[2 * tonic + (mode == "minor")]

    assert estimate_key(scale(tonic, steps)) == expected


def test_chroma_peaks_at_the_pitch_class_of_a_tone():
    tone = np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)

    assert int(np.argmax(chroma(tone))) == 9


def test_tracks_of_one_key_are_in_harmony():
    home, fifth, far = (scale(tonic, MAJOR_STEPS) for tonic in (0, 7, 6))

    assert harmony(home, home) == pytest.approx(1)
    assert harmony(home, fifth[:40000]) > 0.2 > -0.2 > harmony(home, far)
    assert harmony(home, np.zeros_like(home)) == harmony(np.zeros(0, np.float32), home) == 0


def test_there_are_twenty_four_keys_with_the_names_of_the_corpus():
    assert len(set(KEYS)) == 24
    assert {"C major", "Bb minor", "F# major"} <= set(KEYS)


@pytest.mark.parametrize("samples", [0, 1000, 20000])
def test_silence_has_some_key(samples):
    assert estimate_key(np.zeros(samples, dtype=np.float32)) in KEYS


def test_the_key_accuracy_is_the_share_of_right_keys():
    songs = [scale(0, MAJOR_STEPS)] * 2

    assert evaluate_key(songs, ["C major", "A minor"]) == {"key": 0.5}


def test_an_unknown_key_is_an_error():
    with pytest.raises(ValueError, match="got H minor, expected one of C major"):
        evaluate_key([scale(0, MAJOR_STEPS)], ["H minor"])

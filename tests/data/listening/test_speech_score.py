"""The score of speech."""

import numpy as np
import pytest

from songgen_hf.data.listening.envelopes import FRAME_RATE, pitch_movement
from songgen_hf.data.listening.speech_score import LONGEST_GAP, speech_score

SINGING = np.cumsum([0.12, 0.12, 0.12, 0.12, 0.3] * 8)
SPEECH = np.cumsum([0.1] * 60)


def test_moving_pitch_with_fast_even_phonemes_is_speech():
    assert speech_score(11.0, SPEECH, 6.0) > 0.9
    assert speech_score(7.0, SINGING, 6.0) < 0.1


def test_held_phonemes_or_a_resting_pitch_are_singing_though_the_rest_is_as_in_speech():
    assert speech_score(11.0, SPEECH, 6.0) > speech_score(6.0, SPEECH, 6.0)
    with_held = np.cumsum([0.08, 0.08, 0.08, 0.08, 0.35] * 12)
    assert speech_score(11.0, with_held, 6.0) < 0.5 < speech_score(11.0, SPEECH, 6.0)


def test_pauses_between_phrases_are_no_held_phonemes():
    paused = np.concatenate([SPEECH[:30], SPEECH[30:] + LONGEST_GAP])

    assert speech_score(10.0, paused, 6.0) == pytest.approx(
        speech_score(10.0, SPEECH, 6.0), abs=0.02
    )


def test_a_short_clip_needs_more_evidence():
    scores = [speech_score(9.5, SPEECH[: 10 * seconds], seconds) for seconds in (1, 2, 4)]

    assert scores == sorted(scores) and scores[0] < scores[2]


@pytest.mark.parametrize("count", [0, 1])
def test_next_to_no_phonemes_are_no_speech(count):
    assert speech_score(20.0, np.zeros(count), 3.0) < 0.01


def test_the_movement_of_a_pitch_leaves_out_jumps_and_breaks():
    glide = 220 * 2 ** (6 / 12 * np.arange(50) / FRAME_RATE)  # six semitones a second
    notes = np.repeat([200.0, 300.0, 0.0, 250.0], 20)

    assert pitch_movement(glide) == pytest.approx(6.0, rel=1e-3)
    assert pitch_movement(notes) == 0.0
    assert np.isnan(pitch_movement(np.array([0.0, 200.0, 0.0])))

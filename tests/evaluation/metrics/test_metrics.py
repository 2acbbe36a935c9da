"""The metrics that use the judges: lyrics, gender, lead instrument and voice."""

import numpy as np
import pytest

from songgen_hf.evaluation.metrics.gender import evaluate_gender, gender_scores
from songgen_hf.evaluation.metrics.lead_instrument import (
    evaluate_lead_instrument,
    lead_instrument_scores,
)
from songgen_hf.evaluation.metrics.phoneme_error_rate import evaluate_lyrics, lyrics_edits
from songgen_hf.evaluation.metrics.voice_similarity import (
    evaluate_voice_similarity,
    voice_similarities,
)

from ...tools.judge_cases import tiny_judges


@pytest.fixture
def waveforms():
    """Three noises."""
    rng = np.random.default_rng(2)
    return [(0.1 * rng.standard_normal(8000)).astype(np.float32) for _ in range(3)]


def test_the_predictions_of_the_judges_score_best(waveforms):
    judges = tiny_judges()
    recognized = judges.phonemes(waveforms)

    assert evaluate_lyrics(judges, waveforms, recognized) == {"per": 0.0}
    assert evaluate_gender(judges, waveforms, judges.gender(waveforms)) == {"gender": 1.0}
    assert evaluate_lead_instrument(judges, waveforms, judges.lead_family(waveforms)) == {
        "instrument": 1.0
    }


def test_the_other_gender_scores_zero(waveforms):
    judges = tiny_judges()
    other = {"male": "female", "female": "male"}

    wrong = [other[gender] for gender in judges.gender(waveforms)]

    assert gender_scores(judges, waveforms, wrong).tolist() == [0, 0, 0]


def test_lyrics_edits_are_counted_for_each_song(waveforms):
    judges = tiny_judges()
    recognized = judges.phonemes(waveforms)

    edits, lengths = lyrics_edits(judges, waveforms, [[*song, "s"] for song in recognized])

    assert edits.tolist() == [1, 1, 1]
    assert lengths.tolist() == [len(song) + 1 for song in recognized]


def test_a_voice_is_most_like_itself(waveforms):
    judges = tiny_judges()
    others = [*waveforms[1:], waveforms[0]]

    scores = evaluate_voice_similarity(judges, waveforms, waveforms, others)

    np.testing.assert_allclose(voice_similarities(judges, waveforms, waveforms), 1, atol=1e-5)
    assert scores["voice_match"] == 1.0
    assert scores["voice_similarity"] > scores["voice_similarity_other"]


@pytest.mark.parametrize(
    "metric", [evaluate_lyrics, evaluate_gender, evaluate_lead_instrument, voice_similarities]
)
def test_every_song_needs_a_label(waveforms, metric):
    with pytest.raises(ValueError, match="expected one"):
        metric(tiny_judges(), waveforms, [])


def test_unknown_labels_and_no_songs_are_errors(waveforms):
    judges = tiny_judges()

    with pytest.raises(ValueError, match="got bass, expected one of piano"):
        lead_instrument_scores(judges, waveforms, ["bass"] * 3)
    with pytest.raises(ValueError, match="no songs"):
        evaluate_gender(judges, [], [])
    with pytest.raises(ValueError, match="without phonemes"):
        evaluate_lyrics(judges, waveforms, [[]] * 3)

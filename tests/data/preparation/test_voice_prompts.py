"""The choice of reference voices."""

import io
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from songgen_hf.data.preparation.codes import kept_audio
from songgen_hf.data.preparation.voice_prompts import (
    VoicePromptOptions,
    choose_voices,
    columns,
)

OPTIONS = VoicePromptOptions()


def clip(start, seconds=10.0, spans=None, **changes):
    spans = [[start + 1, start + 5], [start + 6, start + 9]] if spans is None else spans
    row = {
        "id": f"song-{round(start * 1000):09d}",
        "clip_start": start,
        "clip_seconds": seconds,
        "sung": bool(spans),
        "sung_spans": spans,
        "speech_score": 0.2,
        "detector_share": None,
        "detector_failed": None,
    }
    return row | changes


def test_voices_are_sung_outside_of_the_clip_and_inside_of_another():
    clips = [clip(start) for start in np.arange(0, 300, 10.0)]
    rows = [choose_voices(clips, replace(OPTIONS, seed=seed)) for seed in range(5)]

    for run in rows:
        for row in run:
            start, end = row["voice_start"], row["voice_start"] + 3
            own = row["clip_start"]
            assert end <= own + 1e-6 or start >= own + 10
            assert start // 10 == (end - 1e-3) // 10
            assert max(start - own - 10, own - end) <= 120
            home = clips[int(start // 10)]
            sung = sum(max(0, min(end, b) - max(start, a)) for a, b in home["sung_spans"])
            assert sung >= 0.7 * 3 - 0.01
    assert len({row["voice_start"] for run in rows for row in run[:1]}) > 1


def test_a_choice_follows_from_seed_and_id_and_not_from_the_order_of_calls():
    clips = [clip(start) for start in (0.0, 10.0, 20.0)]

    assert choose_voices(clips, OPTIONS) == choose_voices(clips, OPTIONS)
    assert {field.name for field in columns()} == set(choose_voices(clips, OPTIONS)[0]) - set(
        clips[0]
    )


@pytest.mark.parametrize(
    "other",
    [
        clip(10.0, spans=[]),
        clip(10.0, spans=[[11.0, 12.0]]),
        clip(10.0, seconds=2.5, spans=[[10.0, 12.5]]),
        clip(10.0, speech_score=0.7),
        clip(10.0, detector_share=0.1, detector_failed=False),
        clip(500.0),
    ],
)
def test_without_another_place_with_singing_there_is_the_null_voice(other):
    first, _ = choose_voices([clip(0.0), other], OPTIONS)

    assert first["voice_start"] is None and first["voice_seconds"] is None
    assert kept_audio({**first, "vocal": "vocal.wav"}, "vocal") is None
    assert choose_voices([clip(0.0)], OPTIONS)[0]["voice_start"] is None


def test_clips_without_singing_get_no_voice_and_a_failed_detector_has_no_vote():
    failed = clip(10.0, detector_share=0.0, detector_failed=True)
    silent, _ = choose_voices([clip(0.0, spans=[]), failed], OPTIONS)
    sung, _ = choose_voices([clip(0.0), failed], OPTIONS)

    assert silent["voice_start"] is None and sung["voice_start"] is not None


def test_the_voice_is_read_from_the_vocal_stem(tmp_path):
    ramp = np.linspace(-0.5, 0.5, 20 * 8000)
    soundfile.write(tmp_path / "vocal.wav", ramp, 8000)
    row = choose_voices([clip(0.0, vocal=str(tmp_path / "vocal.wav")), clip(10.0)], OPTIONS)[0]

    voice, rate = soundfile.read(io.BytesIO(kept_audio(row, "vocal")["bytes"]))

    assert len(voice) == 3 * rate
    middle = round((row["voice_start"] + 1.5) * 8000)
    assert voice[len(voice) // 2] == pytest.approx(ramp[middle], abs=1e-3)


def test_lengths_and_shares_out_of_range_are_refused():
    with pytest.raises(ValueError, match="voice_seconds must be more than 0"):
        replace(OPTIONS, voice_seconds=0)
    with pytest.raises(ValueError, match="min_sung 1.5"):
        replace(OPTIONS, min_sung=1.5)

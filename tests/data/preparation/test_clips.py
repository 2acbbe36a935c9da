"""Tests of the audio of clips."""

import numpy as np
import pytest
import soundfile

from songgen_hf.data.preparation.clips import EDGE_SECONDS, clip_id, read_clip
from songgen_hf.modeling.audio_io import read_audio

RATE = 16000


@pytest.fixture
def clip(tmp_path):
    """A clip of the second from 1.5 of a stereo recording of four seconds at 44.1 kHz."""
    rng = np.random.default_rng(0)
    sound = 0.1 * rng.standard_normal((4 * 44100, 2))
    for name in ("mixture", "vocal"):
        soundfile.write(tmp_path / f"{name}.flac", sound, 44100)
    return {
        "id": clip_id("folk", 1.5),
        "path": str(tmp_path / "mixture.flac"),
        "vocal": str(tmp_path / "vocal.flac"),
        "accompaniment": None,
        "clip_start": 1.5,
        "clip_seconds": 1.0,
    }


def test_a_clip_is_its_place_of_the_recording_with_soft_edges(clip):
    found = read_clip(clip, "mixture", RATE)

    true = read_audio(clip["path"], RATE, start=1.5, duration=1.0)
    edge = round(EDGE_SECONDS * RATE)
    assert clip["id"] == "folk-000001500"
    np.testing.assert_array_equal(found[edge:-edge], true[edge:-edge])
    assert abs(found[0]) < abs(true[0]) / 50 and abs(found[-1]) < abs(true[-1]) / 50
    gains = found[:edge] / true[:edge]
    assert (np.diff(gains) > 0).all()


def test_a_missing_track_is_none_and_a_broken_one_names_the_clip(clip, tmp_path):
    assert read_clip(clip, "accompaniment", RATE) is None
    (tmp_path / "vocal.flac").write_text("no sound")

    with pytest.raises(ValueError, match=r"vocal of the clip 'folk-000001500': .*vocal\.flac"):
        read_clip(clip, "vocal", RATE)

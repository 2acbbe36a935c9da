"""Tests of the scores of the sound of clips."""

import io

import numpy as np
import pytest
import soundfile
import soxr

from songgen_hf.data.preparation.quality import (
    ScoreOptions,
    bandwidth,
    clipped_share,
    columns,
    energy,
    mono_compatibility,
    peak_density,
    score,
    silent_share,
)

from .sounds import SAMPLING_RATE, song, stems


@pytest.fixture
def clip(tmp_path):
    """The row of a clip of four seconds in a stereo recording of 44.1 kHz with stems."""
    vocal, accompaniment = stems(0)
    mixture = soxr.resample(vocal + accompaniment, SAMPLING_RATE, 44100)
    soundfile.write(tmp_path / "song.wav", np.stack([mixture, mixture], axis=1), 44100)
    for name, waveform in (("vocal", vocal), ("accompaniment", accompaniment)):
        soundfile.write(tmp_path / f"{name}.flac", waveform, SAMPLING_RATE)
    names = {"path": "song.wav", "vocal": "vocal.flac", "accompaniment": "accompaniment.flac"}
    paths = {column: str(tmp_path / name) for column, name in names.items()}
    return {"id": "a-000001000", "clip_start": 1.0, "clip_seconds": 4.0, **paths}


def test_a_clip_gets_exactly_the_declared_columns(clip):
    (row,) = score([clip])

    assert row.items() >= clip.items()
    assert [*row][len(clip) :] == [field.name for field in columns()]
    assert row["audio_seconds"] == pytest.approx(4.0)
    assert -30 < row["loudness"] < -5
    assert row["clipped_share"] == row["silent_share"] == 0
    assert (row["channel_correlation"], row["mono_loss"]) == pytest.approx((1, 0), abs=1e-6)
    assert 7000 < row["bandwidth"] <= 8100
    vocal = stems(0)[0][SAMPLING_RATE : 5 * SAMPLING_RATE]
    assert row["vocal_energy"] == pytest.approx(energy(vocal), rel=0.01)


def test_scores_that_are_not_wanted_and_stems_that_are_missing_are_none(clip):
    (row,) = score([{**clip, "vocal": None}], ScoreOptions(music=False, fingerprints=False))

    missing = [name for name, value in row.items() if value is None]
    assert missing == ["vocal", "vocal_energy", "measured_tempo", "measured_key", "fingerprint"]


def test_the_energy_is_the_sum_of_squares_at_16_khz_whatever_the_rate(clip, tmp_path):
    vocal = stems(0)[0]
    soundfile.write(tmp_path / "high.wav", soxr.resample(vocal, SAMPLING_RATE, 48000), 48000)

    low, high = score(
        [clip, {**clip, "vocal": str(tmp_path / "high.wav")}], ScoreOptions(music=False)
    )

    assert energy(np.full(SAMPLING_RATE, 0.5)) == SAMPLING_RATE / 4
    assert high["vocal_energy"] == pytest.approx(low["vocal_energy"], rel=0.01)


def test_a_clip_that_cannot_be_read_is_named(clip):
    with pytest.raises(ValueError, match=r"mixture of the clip 'a-000001000': no audio file"):
        score([{**clip, "path": "nowhere.wav"}])


@pytest.mark.parametrize("gain", [1.0, 0.25])
def test_flat_peaks_are_found_at_any_level(gain):
    sound = song(1) / np.abs(song(1)).max()
    clipped = np.round(gain * np.clip(3 * sound, -1, 1) * 32767) / 32768

    assert clipped_share(np.round(gain * sound * 32767) / 32768) < 1e-4
    assert clipped_share(clipped) > 0.01
    assert clipped_share(np.zeros(100)) == clipped_share(np.zeros(0)) == 0


@pytest.mark.slow
@pytest.mark.parametrize("decibels", [9, 15])
def test_clipping_is_found_after_lossy_coding_and_attenuation(decibels):
    def coded(sound):
        file = io.BytesIO()
        kind = {"format": "MP3", "subtype": "MPEG_LAYER_III", "bitrate_mode": "CONSTANT"}
        soundfile.write(file, 0.5 * sound, 44100, compression_level=0.5, **kind)
        file.seek(0)
        return soundfile.read(file)[0]

    sound = soxr.resample(song(1), SAMPLING_RATE, 44100)
    sound /= np.abs(sound).max()

    assert peak_density(coded(sound)) < 0.6
    assert peak_density(coded(np.clip(10 ** (decibels / 20) * sound, -1, 1))) > 0.65
    mostly_silent = np.concatenate([1e-5 * np.ones(5 * len(sound)), sound])
    assert peak_density(mostly_silent) == pytest.approx(peak_density(sound), rel=0.1)
    assert peak_density(np.zeros(100)) == peak_density(np.zeros(0)) == 0


@pytest.mark.parametrize("rate", [8000, 11025, 16000])
def test_the_bandwidth_of_resampled_material_is_that_of_its_source(rate):
    sound = soxr.resample(np.random.default_rng(0).standard_normal(3 * rate), rate, 44100)

    assert bandwidth(sound, 44100) == pytest.approx(rate / 2, rel=0.05)
    assert bandwidth(1e-4 * sound, 44100) == pytest.approx(rate / 2, rel=0.05)


def test_silence_has_no_bandwidth_and_a_short_sound_has_one():
    assert bandwidth(np.zeros(1000), 16000) == 0
    assert bandwidth(np.random.default_rng(0).standard_normal(300), 16000) > 7000


def test_the_silent_share_is_that_of_quiet_frames():
    sound = np.random.default_rng(0).standard_normal(16000)
    sound[4000:8000] *= 1e-4

    assert silent_share(sound, 16000) == pytest.approx(0.25)
    assert silent_share(np.zeros(10), 16000) == 1


def test_the_mono_loss_of_known_channels():
    left, right = np.random.default_rng(0).standard_normal((2, 100_000))

    def found(*channels):
        return mono_compatibility(np.stack(channels))

    assert found(left, left) == pytest.approx((1, 0))
    assert found(left, -left) == pytest.approx((-1, 99))
    assert found(left, right) == pytest.approx((0, 3.01), abs=0.05)
    assert found(left, 0 * left) == pytest.approx((0, 3.01), abs=0.01)
    assert found(left) == (1, 0)
    assert found(0 * left, 0 * left) == (1, 0)

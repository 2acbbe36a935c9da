"""Tests of reading audio: cutting, mixing down, resampling, and errors."""

import io
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

from songgen_hf.modeling.audio_io import (
    check_sampling_rate,
    read_audio,
    read_channels,
    resample,
)


def sine(seconds: float, rate: int, frequency: float = 220.0) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


def write(path, waveform: np.ndarray, rate: int, subtype: str = "FLOAT"):
    soundfile.write(path, waveform.T, rate, subtype=subtype)
    return path


@pytest.fixture
def stereo_file(tmp_path):
    left, right = sine(2, 44100), sine(2, 44100, 330)
    return write(tmp_path / "voice.wav", np.stack([left, right]), 44100)


def test_every_kind_of_source_gives_the_same_waveform(stereo_file):
    waveform, rate = soundfile.read(stereo_file, dtype="float32")
    data = stereo_file.read_bytes()
    decoder = SimpleNamespace(
        get_all_samples=lambda: SimpleNamespace(data=torch.tensor(waveform.T), sample_rate=rate)
    )
    sources = [
        stereo_file,
        str(stereo_file),
        data,
        io.BytesIO(data),
        (waveform, rate),
        (waveform.T, rate),
        (torch.tensor(waveform.T), rate),
        {"array": waveform, "sampling_rate": rate},
        {"audio": waveform, "sampling_rate": rate},
        {"bytes": data, "path": "voice.wav"},
        {"bytes": None, "path": str(stereo_file)},
        decoder,
    ]

    expected = read_audio(stereo_file, 16000, start=0.5, duration=1.0)

    assert expected.shape == (16000,) and expected.dtype == np.float32
    for source in sources:
        np.testing.assert_array_equal(read_audio(source, 16000, start=0.5, duration=1.0), expected)
    bare = read_audio(waveform, 16000, sampling_rate=rate, start=0.5, duration=1.0)
    np.testing.assert_array_equal(bare, expected)


def test_a_file_object_can_be_read_again(stereo_file):
    with stereo_file.open("rb") as file:
        first, again = (read_audio(file, 16000, start=0.5) for _ in range(2))

    np.testing.assert_array_equal(first, again)
    text = io.BytesIO(b"no sound")
    for _ in range(2):
        with pytest.raises(ValueError, match="cannot read the audio file object"):
            read_audio(text, 16000)
        assert text.tell() == 0


def test_channels_are_averaged(stereo_file):
    waveform, rate = soundfile.read(stereo_file, dtype="float32")

    mono = read_audio(stereo_file, rate)

    np.testing.assert_allclose(mono, (waveform[:, 0] + waveform[:, 1]) / 2, atol=1e-7)


def test_an_equal_sampling_rate_returns_the_samples_unchanged():
    waveform = sine(0.1, 24000)

    np.testing.assert_array_equal(read_audio((waveform, 24000), 24000), waveform)


@pytest.mark.parametrize("rate", [8000, 11025, 22050, 44100, 48000, 96000])
def test_three_seconds_of_any_rate_are_three_seconds_at_the_target_rate(rate):
    waveform = sine(4, rate)

    clip = read_audio((waveform, rate), 24000, duration=3.0)

    assert clip.shape == (72000,)
    expected = sine(3, 24000)
    np.testing.assert_allclose(clip[2000:-2000], expected[2000:-2000], atol=2e-3)


def test_the_cut_is_made_in_the_rate_of_the_source():
    waveform = np.arange(1000, dtype=np.float32)

    clip = read_audio((waveform, 1000), 1000, start=0.25, duration=0.1)

    np.testing.assert_array_equal(clip, np.arange(250, 350, dtype=np.float32))


def test_a_source_that_ends_early_gives_fewer_samples():
    assert read_audio((sine(1, 8000), 8000), 8000, start=0.75, duration=3.0).shape == (2000,)


@pytest.mark.parametrize("dtype", [np.int16, np.int32])
def test_integer_samples_are_scaled_to_one(dtype):
    lowest = np.full(10, np.iinfo(dtype).min, dtype=dtype)

    for array in (lowest, torch.tensor(lowest)):
        np.testing.assert_array_equal(read_audio((array, 8000), 8000), np.full(10, -1, np.float32))


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_wav_flac_ogg_and_mp3_files_are_read(tmp_path, suffix):
    path = tmp_path / f"voice.{suffix}"
    soundfile.write(path, sine(2, 44100), 44100)

    clip = read_audio(path, 24000, start=0.5, duration=1.0)

    assert clip.shape == (24000,)
    assert 0.3 < np.abs(clip).max() < 0.7


@pytest.mark.slow
def test_ten_minutes_are_not_loaded_for_three_seconds(tmp_path):
    rate = 44100
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", rate, 1, "PCM_16") as file:
        for second in range(600):
            file.write(np.full(rate, second / 1000, dtype=np.float32))
    read_audio(path, 24000, duration=0.1)  # so that the libraries are loaded before measuring

    tracemalloc.start()
    clip = read_audio(path, 24000, start=500.0, duration=3.0)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    np.testing.assert_allclose(clip[1000:23000], 0.5, atol=1e-3)
    assert peak < 5e6  # the whole file is 106 MB of float32


def test_resample_keeps_the_length_ratio():
    assert resample(sine(1, 44100), 44100, 16000).shape == (16000,)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"no audio file '.*none\.wav'; check the path"):
        read_audio(tmp_path / "none.wav", 16000)


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="is a folder"):
        read_audio(tmp_path, 16000)


def test_a_url_is_refused():
    with pytest.raises(ValueError, match="download it first"):
        read_audio("https://example.org/voice.wav", 16000)


@pytest.mark.parametrize("content", [b"", b"RIF", b"not audio at all, by any means" * 100])
def test_a_file_that_is_no_audio_gives_one_line(tmp_path, content):
    path = tmp_path / "broken.wav"
    path.write_bytes(content)

    with pytest.raises(ValueError, match=r"cannot read 'broken\.wav' \(.*\); expected WAV") as info:
        read_audio(path, 16000)

    assert "\n" not in str(info.value)


def test_text_with_the_ending_of_audio_is_not_called_a_missing_file(tmp_path):
    (tmp_path / "song.mp3").write_text("no sound at all\n" * 1000)

    with pytest.raises(ValueError, match=r"cannot read 'song\.mp3' \(no audio format was rec"):
        read_audio(tmp_path / "song.mp3", 16000)


def test_channels_are_read_with_their_own_rate(stereo_file):
    channels, rate = read_channels(stereo_file, start=0.25, duration=0.5)

    whole, true_rate = soundfile.read(stereo_file, dtype="float32")
    assert rate == true_rate
    np.testing.assert_array_equal(channels.T, whole[rate // 4 : rate // 4 + rate // 2])


def test_audio_without_samples_is_refused(tmp_path):
    path = write(tmp_path / "empty.wav", np.zeros((1, 0), np.float32), 16000)

    for source in (path, (np.zeros(0, np.float32), 16000), (np.zeros((2, 0), np.float32), 16000)):
        with pytest.raises(ValueError, match="holds no audio"):
            read_audio(source, 16000)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_samples_that_are_no_numbers_are_refused(tmp_path, bad):
    waveform = sine(0.1, 16000)
    waveform[5] = bad
    path = write(tmp_path / "bad.wav", waveform[None], 16000)

    for source in (path, (waveform, 16000)):
        with pytest.raises(ValueError, match="NaN or infinite samples"):
            read_audio(source, 16000)


@pytest.mark.parametrize("rate", [0, -16000, 44.1, 16, 10**9, True, None, "16000", float("nan")])
def test_an_implausible_sampling_rate_is_refused(rate):
    with pytest.raises(ValueError, match="whole number of Hz from 1000 to 768000"):
        check_sampling_rate(rate)


def test_an_array_needs_its_sampling_rate():
    with pytest.raises(ValueError, match=r"needs its rate: pass \(array, rate\)"):
        read_audio(sine(0.1, 16000), 16000)


def test_a_start_beyond_the_end_is_refused():
    with pytest.raises(ValueError, match=r"lasts 1\.00 s, .* start at 1 s; choose an earlier"):
        read_audio((sine(1, 8000), 8000), 8000, start=1.0)


@pytest.mark.parametrize("start", [-1, float("nan"), "0"])
def test_a_start_that_is_no_time_is_refused(start):
    with pytest.raises(ValueError, match="start must be a number of seconds >= 0"):
        read_audio((sine(1, 8000), 8000), 8000, start=start)


@pytest.mark.parametrize("duration", [0, -1, float("inf")])
def test_a_duration_that_is_no_time_is_refused(duration):
    with pytest.raises(ValueError, match="duration must be a number of seconds > 0"):
        read_audio((sine(1, 8000), 8000), 8000, duration=duration)


@pytest.mark.parametrize("source", [3.5, object(), ["a.wav"], ("a.wav", "b.wav"), None])
def test_a_source_of_another_kind_is_refused(source):
    with pytest.raises(TypeError, match="audio must be a path, bytes, .* got "):
        read_audio(source, 16000)


def test_a_mapping_without_audio_names_its_keys():
    with pytest.raises(ValueError, match=r"got the keys \['text'\]"):
        read_audio({"text": "la"}, 16000)


def test_an_array_of_another_type_or_shape_is_refused():
    with pytest.raises(TypeError, match="float, int16 or int32, got uint8"):
        read_audio((np.zeros(10, np.uint8), 16000), 16000)
    with pytest.raises(ValueError, match=r"\[channels, samples\], got \[1, 2, 10\]"):
        read_audio((np.zeros((1, 2, 10), np.float32), 16000), 16000)

"""Reference voices: which files are read and which are refused."""

import shutil
import subprocess
import zipfile

import numpy as np
import pytest
import soundfile

from songgen_hf.space.limits import Limits
from songgen_hf.space.voice import read_voice

LIMITS = Limits()
TONE = 0.3 * np.sin(np.arange(24000) * 0.06).astype(np.float32)


def test_without_a_file_there_is_no_voice():
    assert read_voice(None, 0, LIMITS) is None


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3"])
def test_recordings_are_read_from_the_given_start(tmp_path, ending):
    path = tmp_path / f"voice.{ending}"
    soundfile.write(path, np.tile(TONE, 3), 24000)

    voice, rate = read_voice(path, 1.0, LIMITS)

    assert len(voice) / rate == pytest.approx(2.0, abs=0.1)
    assert np.abs(voice).max() > 0.2


def test_an_archive_named_wav_is_refused(tmp_path):
    path = tmp_path / "voice.wav"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../evil.txt", "x" * 1000)

    with pytest.raises(ValueError, match="cannot read the reference voice .*expected WAV, FLAC"):
        read_voice(path, 0, LIMITS)


@pytest.mark.slow
def test_a_recording_of_two_hours_is_refused_without_decoding_it(tmp_path):
    path = tmp_path / "long.flac"
    with soundfile.SoundFile(path, "w", 8000, 1, "PCM_16") as file:
        for _ in range(120):
            file.write(np.zeros(8000 * 60, np.int16))
    assert path.stat().st_size < LIMITS.upload_bytes

    with pytest.raises(ValueError, match=r"lasts 2.0 h: up to 10 min are accepted"):
        read_voice(path, 0, LIMITS)


def test_large_files_are_refused(tmp_path):
    path = tmp_path / "large.wav"
    path.write_bytes(b"RIFF" + bytes(3000))

    with pytest.raises(ValueError, match="has 0 MB: up to 0 MB are accepted"):
        read_voice(path, 0, Limits(upload_bytes=1000))


@pytest.mark.parametrize("content", [b"", b"hello", b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n"])
def test_a_file_without_audio_is_refused(tmp_path, content):
    path = tmp_path / "voice.wav"
    path.write_bytes(content)

    with pytest.raises(ValueError, match="the reference voice"):
        read_voice(path, 0, LIMITS)


def test_a_silent_recording_is_refused(tmp_path):
    path = tmp_path / "muted.wav"
    soundfile.write(path, np.zeros(24000), 24000)

    with pytest.raises(ValueError, match="silent .* check the microphone"):
        read_voice(path, 0, LIMITS)


def test_a_start_after_the_end_is_refused(tmp_path):
    path = tmp_path / "short.wav"
    soundfile.write(path, TONE, 24000)

    with pytest.raises(ValueError, match="lasts 1.00 s, but reading was to start at 5 s"):
        read_voice(path, 5, LIMITS)


@pytest.mark.debian
@pytest.mark.parametrize("ending", ["webm", "m4a"])
def test_recordings_of_browsers_and_phones_are_read(tmp_path, ending):
    if shutil.which("ffmpeg") is None:
        pytest.fail("ffmpeg is not installed")
    soundfile.write(tmp_path / "voice.wav", np.tile(TONE, 3), 24000)
    path = tmp_path / f"voice.{ending}"
    command = ["ffmpeg", "-v", "error", "-i", str(tmp_path / "voice.wav"), str(path)]
    subprocess.run(command, check=True)

    voice, rate = read_voice(path, 1.0, LIMITS)

    assert len(voice) / rate == pytest.approx(2.0, abs=0.2)
    assert np.abs(voice).max() > 0.2


@pytest.mark.debian
def test_a_container_without_audio_is_refused(tmp_path):
    path = tmp_path / "voice.m4a"
    path.write_bytes(b"\0\0\0\x18ftypM4A " + bytes(2000))

    with pytest.raises(ValueError, match="no sound that ffmpeg understands"):
        read_voice(path, 0, LIMITS)

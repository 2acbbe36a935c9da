"""Reference voices: what is read, and what is refused before it is decoded."""

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


def test_no_voice_is_none():
    assert read_voice(None, 0, LIMITS) is None


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3"])
def test_recordings_are_read_from_their_start_on(tmp_path, ending):
    path = tmp_path / f"voice.{ending}"
    soundfile.write(path, np.tile(TONE, 3), 24000)

    voice, rate = read_voice(path, 1.0, LIMITS)

    assert len(voice) / rate == pytest.approx(2.0, abs=0.1)
    assert np.abs(voice).max() > 0.2


def test_an_archive_that_is_called_wav_is_refused(tmp_path):
    path = tmp_path / "voice.wav"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../evil.txt", "x" * 1000)

    with pytest.raises(ValueError, match="cannot read the reference voice .*expected WAV, FLAC"):
        read_voice(path, 0, LIMITS)


@pytest.mark.slow
def test_two_hours_are_refused_without_reading_them(tmp_path):
    path = tmp_path / "long.flac"
    with soundfile.SoundFile(path, "w", 8000, 1, "PCM_16") as file:
        for _ in range(120):
            file.write(np.zeros(8000 * 60, np.int16))
    assert path.stat().st_size < LIMITS.upload_bytes

    with pytest.raises(ValueError, match=r"lasts 2.0 h: up to 10 min are taken"):
        read_voice(path, 0, LIMITS)


def test_large_files_are_refused(tmp_path):
    path = tmp_path / "large.wav"
    path.write_bytes(b"RIFF" + bytes(3000))

    with pytest.raises(ValueError, match="has 0 MB: up to 0 MB are taken"):
        read_voice(path, 0, Limits(upload_bytes=1000))


@pytest.mark.parametrize("content", [b"", b"hello", b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n"])
def test_what_is_no_sound_is_refused(tmp_path, content):
    path = tmp_path / "voice.wav"
    path.write_bytes(content)

    with pytest.raises(ValueError, match="the reference voice"):
        read_voice(path, 0, LIMITS)


def test_silence_is_told_apart_from_a_voice(tmp_path):
    path = tmp_path / "muted.wav"
    soundfile.write(path, np.zeros(24000), 24000)

    with pytest.raises(ValueError, match="silent .* check the microphone"):
        read_voice(path, 0, LIMITS)


def test_a_start_behind_the_end_is_refused(tmp_path):
    path = tmp_path / "short.wav"
    soundfile.write(path, TONE, 24000)

    with pytest.raises(ValueError, match="lasts 1.00 s, but reading was to start at 5 s"):
        read_voice(path, 5, LIMITS)


@pytest.mark.debian
@pytest.mark.parametrize("ending", ["webm", "m4a"])
def test_what_browsers_and_phones_record_is_read(tmp_path, ending):
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
def test_a_movie_of_nothing_is_refused(tmp_path):
    path = tmp_path / "voice.m4a"
    path.write_bytes(b"\0\0\0\x18ftypM4A " + bytes(2000))

    with pytest.raises(ValueError, match="no sound that ffmpeg understands"):
        read_voice(path, 0, LIMITS)

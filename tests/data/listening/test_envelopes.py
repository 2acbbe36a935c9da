"""Energy and pitch of recordings that are read in blocks."""

import numpy as np
import pytest
import soundfile

from songgen_hf.data.listening.envelopes import (
    FRAME_RATE,
    energy_envelope,
    gliding_share,
    held_pitch,
    pitch_envelope,
    sound_blocks,
)


def write(path, waveform, rate):
    soundfile.write(path, waveform, rate)
    return path


@pytest.mark.parametrize("rate", [16000, 22050, 44100, 11025])
def test_blocks_of_any_size_hold_the_same_frames(tmp_path, rate):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, (int(2.51 * rate), 2))
    path = write(tmp_path / "noise.wav", noise, rate)

    whole = energy_envelope(path)

    assert whole.duration == pytest.approx(2.51, abs=1 / rate)
    assert len(whole.decibels) == np.ceil(whole.duration * FRAME_RATE)
    for frames in (1, 7, 50, 126):
        parts = energy_envelope(path, block_frames=frames)
        np.testing.assert_array_equal(parts.decibels, whole.decibels)
        assert parts.duration == whole.duration


def test_the_margin_of_a_block_is_the_sound_around_it(tmp_path):
    path = write(tmp_path / "ramp.wav", np.linspace(-0.9, 0.9, 16000), 16000)

    blocks = list(sound_blocks(path, block_frames=10, margin=0.05))

    sound, _ = soundfile.read(path, dtype="float32")
    padded = np.pad(sound, 800)
    for block in blocks:
        first = block.first_frame * 320
        np.testing.assert_array_equal(block.samples, padded[first:][: len(block.samples)])
        assert block.starts[0] == 800


def test_levels_are_decibels_of_full_scale(tmp_path):
    times = np.arange(16000) / 16000
    path = write(tmp_path / "tone.wav", 0.5 * np.sin(2 * np.pi * 400 * times), 16000)

    levels = energy_envelope(path).decibels

    np.testing.assert_allclose(levels, 20 * np.log10(0.5 / np.sqrt(2)), atol=0.05)


@pytest.mark.parametrize("pitch", [90.0, 220.0, 523.0])
def test_the_pitch_of_a_voice_is_found_within_a_tenth_of_a_semitone(tmp_path, pitch):
    times = np.arange(24000) / 24000
    voice = sum(np.sin(2 * np.pi * pitch * k * times) / k for k in range(1, 9))
    path = write(tmp_path / "voice.wav", 0.2 * voice, 24000)

    found = pitch_envelope(path, np.ones(50, dtype=bool), block_frames=20)

    assert np.abs(12 * np.log2(found[2:-2] / pitch)).max() < 0.1


def test_noise_silence_and_unwanted_frames_have_no_pitch(tmp_path):
    sound = np.concatenate([np.zeros(16000), np.random.default_rng(0).normal(0, 0.1, 16000)])
    path = write(tmp_path / "noise.wav", sound, 16000)

    assert (pitch_envelope(path, np.ones(100, dtype=bool)) > 0).mean() < 0.05
    assert not pitch_envelope(path, np.zeros(100, dtype=bool)).any()


def test_notes_hold_their_pitch_with_vibrato_and_glides_do_not():
    times = np.arange(100) / FRAME_RATE
    vibrato = 220 * 2 ** (0.5 / 12 * np.sin(2 * np.pi * 5.5 * times))
    glide = 220 * 2 ** (6 / 12 * times)
    unvoiced = np.zeros(100)

    assert held_pitch(vibrato).mean() > 0.8 and gliding_share(vibrato) < 0.2
    assert not held_pitch(glide).any() and not held_pitch(unvoiced).any()
    assert gliding_share(glide) == 1.0 and np.isnan(gliding_share(unvoiced))
    assert not held_pitch(vibrato[:5]).any() and np.isnan(gliding_share(vibrato[:5]))


@pytest.mark.parametrize("rate", [4.6, 5.5, 6.5])
def test_a_deep_vibrato_of_a_short_note_is_no_glide(rate):
    times = np.arange(40) / FRAME_RATE
    shares = [
        gliding_share(220 * 2 ** (1.0 / 12 * np.sin(2 * np.pi * rate * times + phase)))
        for phase in np.linspace(0, 2 * np.pi, 8)
    ]

    assert np.mean(shares) < 0.3


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("text.mp3", b"no sound", r"^cannot read 'text.mp3' \(no audio format was recognized\)"),
        ("empty.wav", None, "holds no audio"),
    ],
)
def test_files_without_sound_are_named(tmp_path, name, content, message):
    path = tmp_path / name
    if content is None:
        write(path, np.zeros(0), 16000)
    else:
        path.write_bytes(content)

    with pytest.raises(ValueError, match=message):
        energy_envelope(path)


def test_infinite_samples_are_refused(tmp_path):
    path = tmp_path / "broken.wav"
    soundfile.write(path, np.array([0.0, np.inf, 0.1]), 16000, subtype="FLOAT")

    with pytest.raises(ValueError, match="NaN or infinite"):
        energy_envelope(path)

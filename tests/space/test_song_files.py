"""The files of a song: tracks that add up to the mix, pictures, a JSON file and remixes."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from PIL import Image

from songgen_hf.provenance import read_provenance
from songgen_hf.space.limits import Limits
from songgen_hf.space.pictures import HEIGHT, WIDTH, mel_picture
from songgen_hf.space.settings import MODES, Settings, read_link
from songgen_hf.space.song_files import balance_gains, remix

from .song_cases import RATE, RECORD, SETTINGS, write_song


def samples(path):
    waveform, rate = soundfile.read(path, dtype="float32")
    assert rate == RATE
    return waveform


@pytest.mark.slow
def test_the_tracks_add_up_to_the_mix(song):
    mix, vocal, accompaniment = (samples(track.audio) for track in song.tracks)

    np.testing.assert_allclose(mix, vocal + accompaniment, atol=3 / 32768)
    assert 0.9 < np.abs(mix).max() <= 1


@pytest.mark.slow
def test_all_files_are_in_the_folder_of_the_song_with_plain_names(song, store):
    folder = store.root / song.id

    files = sorted(folder.iterdir())
    assert [file.name for file in files] == [
        "oh-b-la-b-la-7.band.png", "oh-b-la-b-la-7.band.wav", "oh-b-la-b-la-7.json",
        "oh-b-la-b-la-7.png", "oh-b-la-b-la-7.vocal.png", "oh-b-la-b-la-7.vocal.wav",
        "oh-b-la-b-la-7.wav",
    ]  # fmt: skip
    assert {track.audio.parent for track in song.tracks} == {folder}


@pytest.mark.slow
def test_the_json_file_contains_the_settings_of_the_song(song):
    sidecar = json.loads(song.sidecar.read_text(encoding="utf-8"))

    assert (sidecar["seed"], sidecar["lyrics"], sidecar["voice"]) == (7, SETTINGS.lyrics, True)
    assert sidecar["files"] == {track.name: track.audio.name for track in song.tracks}
    assert read_provenance(song.sidecar) == RECORD
    assert sidecar["link"].startswith("?lyrics=") and sidecar["link"].endswith("voice=1")


@pytest.mark.slow
def test_every_audio_file_says_that_it_is_ai_generated(song):
    for track in song.tracks:
        assert read_provenance(track.audio)["ai_generated"] is True


@pytest.mark.slow
def test_a_song_of_few_steps_can_be_remixed(store):
    settings = replace(SETTINGS, mode="few steps")
    song = write_song(store, settings)

    karaoke = remix(song, -100)

    mix, accompaniment = samples(karaoke.track("mix").audio), samples(song.track("band").audio)
    np.testing.assert_allclose(mix, accompaniment, atol=2 / 32768)


def test_a_mixed_song_has_one_track_and_cannot_be_remixed(store):
    settings = Settings(text="pop", seed=7)
    song = write_song(store, settings, two_tracks=False)

    assert [track.name for track in song.tracks] == ["mix"]
    with pytest.raises(ValueError, match="sung as one mix"):
        remix(song, 50)


@pytest.mark.slow
@pytest.mark.parametrize("balance", [-100, -35, 35, 100])
def test_a_remix_is_the_weighted_sum_of_the_tracks(song, balance):
    vocal, accompaniment = (samples(song.track(name).audio) for name in ("vocal", "band"))
    weights = balance_gains(balance)

    mixed = remix(song, balance)

    expected = weights[0] * vocal + weights[1] * accompaniment
    expected /= max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(samples(mixed.track("mix").audio), expected, atol=3 / 32768)
    assert mixed.balance == balance and max(weights) == 1
    assert read_provenance(mixed.track("mix").audio)["options"]["balance"] == balance


@pytest.mark.slow
def test_balance_zero_restores_the_original_mix_and_leaves_no_other_files(song, store):
    before = {file.name for file in (store.root / song.id).iterdir()}
    original = samples(song.track("mix").audio)

    mixed = remix(remix(remix(song, 20), -20), 0)

    assert {file.name for file in (store.root / song.id).iterdir()} == before
    np.testing.assert_array_equal(samples(mixed.track("mix").audio), original)


@pytest.mark.slow
@pytest.mark.parametrize("balance", [-101, 1000, float("nan")])
def test_a_balance_out_of_range_is_refused(song, balance):
    with pytest.raises(ValueError, match="balance must be from -100"):
        remix(song, balance)


@pytest.mark.slow
def test_a_balance_that_is_not_a_number_is_refused(song):
    with pytest.raises(TypeError, match="balance must be a number"):
        remix(song, "loud")


@pytest.mark.slow
def test_the_link_of_a_song_restores_its_settings(song):
    from urllib.parse import parse_qsl

    from songgen_hf.space.song_markup import link

    query = dict(parse_qsl(link(song).removeprefix("?"), keep_blank_values=True))
    assert read_link(query, Settings(), Limits(), MODES) == (song.settings, [])


@pytest.mark.parametrize("length", [1, 100, RATE, 20 * RATE])
def test_a_picture_has_the_same_size_for_every_duration(length):
    picture = Image.open(io.BytesIO(mel_picture(np.zeros((1, length)), RATE)))

    assert picture.size == (WIDTH, HEIGHT)


def test_a_picture_shows_pitch_upwards_and_time_to_the_right():
    time = np.arange(2 * RATE) / RATE
    tone = np.where(time < 1, np.sin(2 * np.pi * 200 * time), np.sin(2 * np.pi * 4000 * time))

    picture = Image.open(io.BytesIO(mel_picture(tone, RATE))).convert("L")
    bright = np.asarray(picture, dtype=float)

    low = bright[:, : WIDTH // 3].mean(axis=1).argmax()
    high = bright[:, -WIDTH // 3 :].mean(axis=1).argmax()
    assert low > 0.75 * HEIGHT and high < 0.5 * HEIGHT

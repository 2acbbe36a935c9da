"""Songs as files: tracks that add up, pictures, a sidecar; re-mixing without singing."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from PIL import Image

from songgen_hf.provenance import read_provenance
from songgen_hf.space.generation import SungSong
from songgen_hf.space.pictures import HEIGHT, WIDTH, mel_picture
from songgen_hf.space.session_store import SessionStore
from songgen_hf.space.settings import Settings, from_query
from songgen_hf.space.song_files import gains, remix, write_song_files

RATE = 16000
SETTINGS = Settings(lyrics="../../Öh <b>la</b>\nla", text="pop", mode="two tracks", seed=7)
RECORD = {
    "ai_generated": True,
    "generator": {"name": "songgen-hf", "version": "0"},
    "model": "m",
    "licence": "apache-2.0",
    "seed": 7,
    "options": {"text": "pop"},
}


@pytest.fixture
def shelf(tmp_path):
    return SessionStore(tmp_path / "gradio", songs_each=3, keep_seconds=100)


def sung(*, two_tracks: bool = True) -> SungSong:
    """A song of noise, loud enough to need a gain."""
    rng = np.random.default_rng(0)
    vocal, band = rng.uniform(-0.9, 0.9, (2, 1, RATE)).astype(np.float32)
    if not two_tracks:
        return SungSong(7, RATE, vocal, None, None, 1.0)
    return SungSong(7, RATE, vocal + band, vocal, band, 1.0)


@pytest.fixture
def song(shelf):
    return write_song_files(
        shelf.new_folder(), sung(), SETTINGS, RECORD, voiced=True, versions={"torch": "1"}
    )


def samples(path):
    sound, rate = soundfile.read(path, dtype="float32")
    assert rate == RATE
    return sound


@pytest.mark.slow
def test_the_tracks_add_up_to_the_mix(song):
    mix, vocal, band = (samples(track.sound) for track in song.tracks)

    np.testing.assert_allclose(mix, vocal + band, atol=3 / 32768)
    assert 0.9 < np.abs(mix).max() <= 1


@pytest.mark.slow
def test_all_files_lie_in_the_songs_own_folder_under_plain_names(song, shelf):
    folder = shelf.root / song.id

    files = sorted(folder.iterdir())
    assert [file.name for file in files] == [
        "oh-b-la-b-la-7.band.png", "oh-b-la-b-la-7.band.wav", "oh-b-la-b-la-7.json",
        "oh-b-la-b-la-7.png", "oh-b-la-b-la-7.vocal.png", "oh-b-la-b-la-7.vocal.wav",
        "oh-b-la-b-la-7.wav",
    ]  # fmt: skip
    assert {track.sound.parent for track in song.tracks} == {folder}


@pytest.mark.slow
def test_the_sidecar_says_how_to_sing_it_again(song):
    sidecar = json.loads(song.sidecar.read_text(encoding="utf-8"))

    assert (sidecar["seed"], sidecar["lyrics"], sidecar["voice"]) == (7, SETTINGS.lyrics, True)
    assert sidecar["files"] == {track.name: track.sound.name for track in song.tracks}
    assert read_provenance(song.sidecar) == RECORD
    assert sidecar["link"].startswith("?lyrics=") and sidecar["link"].endswith("voice=1")


@pytest.mark.slow
def test_every_sound_file_says_that_it_is_generated(song):
    for track in song.tracks:
        assert read_provenance(track.sound)["ai_generated"] is True


@pytest.mark.slow
def test_a_song_of_few_steps_is_balanced_too(shelf):
    settings = replace(SETTINGS, mode="few steps")
    song = write_song_files(shelf.new_folder(), sung(), settings, RECORD, voiced=False, versions={})

    karaoke = remix(song, -100)

    mix, band = samples(karaoke.track("mix").sound), samples(song.track("band").sound)
    np.testing.assert_allclose(mix, band, atol=2 / 32768)


def test_a_mixed_song_is_one_track(shelf):
    settings = Settings(text="pop", seed=7)
    song = write_song_files(
        shelf.new_folder(), sung(two_tracks=False), settings, RECORD, voiced=False, versions={}
    )

    assert [track.name for track in song.tracks] == ["mix"]
    with pytest.raises(ValueError, match="sung as one mix"):
        remix(song, 50)


@pytest.mark.slow
@pytest.mark.parametrize("balance", [-100, -35, 35, 100])
def test_another_balance_is_the_weighted_sum_of_the_tracks(song, balance):
    vocal, band = (samples(song.track(name).sound) for name in ("vocal", "band"))
    weights = gains(balance)

    mixed = remix(song, balance)

    expected = weights[0] * vocal + weights[1] * band
    expected /= max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(samples(mixed.track("mix").sound), expected, atol=3 / 32768)
    assert mixed.balance == balance and max(weights) == 1
    assert read_provenance(mixed.track("mix").sound)["options"]["balance"] == balance


@pytest.mark.slow
def test_balancing_back_gives_the_mix_as_it_was_and_leaves_no_files(song, shelf):
    before = {file.name for file in (shelf.root / song.id).iterdir()}
    original = samples(song.track("mix").sound)

    mixed = remix(remix(remix(song, 20), -20), 0)

    assert {file.name for file in (shelf.root / song.id).iterdir()} == before
    np.testing.assert_array_equal(samples(mixed.track("mix").sound), original)


@pytest.mark.slow
@pytest.mark.parametrize("balance", [-101, 1000, float("nan")])
def test_a_balance_out_of_range_is_refused(song, balance):
    with pytest.raises(ValueError, match="balance must be from -100"):
        remix(song, balance)


@pytest.mark.slow
def test_a_balance_that_is_no_number_is_refused(song):
    with pytest.raises(TypeError, match="balance must be a number"):
        remix(song, "loud")


@pytest.mark.slow
def test_a_history_keeps_the_newest_and_deletes_the_rest(shelf):
    songs = []
    for number in range(5):
        made = write_song_files(
            shelf.new_folder(), sung(), SETTINGS, RECORD, voiced=False, versions={}
        )
        shelf.add("me", made)
        songs.append(made)
        assert shelf.songs("me")[0] == made, number

    assert shelf.songs("me") == songs[:1:-1]
    assert {folder.name for folder in shelf.root.iterdir()} == {song.id for song in songs[2:]}


@pytest.mark.slow
def test_a_session_sees_its_own_songs_only(shelf, song):
    shelf.add("me", song)

    assert shelf.song("me", song.id) == song
    for session, name in (("you", song.id), ("me", "../x"), ("me", "")):
        with pytest.raises(ValueError, match="no longer here"):
            shelf.song(session, name)


@pytest.mark.slow
def test_who_leaves_takes_everything_along(shelf, song):
    shelf.add("me", song)

    shelf.forget("me")

    assert shelf.songs("me") == [] and list(shelf.root.iterdir()) == []


def test_old_songs_are_swept_also_those_of_nobody(tmp_path):
    shelf = SessionStore(tmp_path, songs_each=3, keep_seconds=0.0)
    shelf.new_folder()

    shelf.sweep()

    assert list(shelf.root.iterdir()) == []


@pytest.mark.slow
def test_closing_deletes_the_folder(shelf, song):
    shelf.close()

    assert not shelf.root.exists()


@pytest.mark.slow
def test_a_link_of_a_song_restores_its_settings(song):
    from urllib.parse import parse_qsl

    from songgen_hf.space.markup import link

    query = dict(parse_qsl(link(song).removeprefix("?"), keep_blank_values=True))
    assert from_query(query, Settings()) == song.settings


@pytest.mark.parametrize("length", [1, 100, RATE, 20 * RATE])
def test_a_picture_has_one_size_whatever_the_song(length):
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


@pytest.mark.slow
def test_a_shelf_that_nobody_visits_is_swept_too(tmp_path):
    from ..tools.waiting import wait_until

    shelf = SessionStore(tmp_path, songs_each=3, keep_seconds=0.1)
    folder = shelf.new_folder()
    shelf.start_sweeping()

    wait_until(lambda: not folder.exists())
    shelf.close()


@pytest.mark.slow
def test_a_song_that_is_ready_after_its_visitor_left_is_deleted(shelf, song):
    shelf.forget("me")

    shelf.add("me", song)

    assert shelf.songs("me") == [] and list(shelf.root.iterdir()) == []


@pytest.mark.slow
def test_who_comes_back_keeps_new_songs(shelf, song):
    shelf.forget("me")
    shelf.welcome("me")

    shelf.add("me", song)

    assert shelf.songs("me") == [song]

"""The song service without the page: stopping, later requests and the end of a session."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile

from songgen_hf.space.adapters import Adapters
from songgen_hf.space.limits import Limits
from songgen_hf.space.live_songs import LiveSong
from songgen_hf.space.session_store import SessionStore
from songgen_hf.space.settings import Settings
from songgen_hf.space.song_files import Song
from songgen_hf.space.song_service import SHORTEST, SongService

from ..tools.waiting import wait_until

ME, OTHER = "me", "other"
LONG = Settings(lyrics="la", seed=7, seconds=3.0, variations=4, mode="mixed")
SHORT = Settings(lyrics="la", seed=7, seconds=1.0, mode="mixed")


@pytest.fixture
def service(generator, tmp_path):
    limits = Limits()
    store = SessionStore(tmp_path, songs_per_session=9, keep_seconds=100)
    adapters = Adapters([], limits)
    yield SongService(generator, store, adapters=adapters, limits=limits, defaults=SHORT)
    store.close()


def songs_of(items) -> list[Song]:
    return [item for item in items if isinstance(item, Song)]


@pytest.mark.slow
def test_stop_ends_the_requests_of_its_own_session_only(service):
    service.begin_request(ME)
    items = service.generate(ME, LONG)
    next(items)

    service.stop(OTHER)
    assert next(items) is not None
    service.stop(ME)

    assert len(songs_of(items)) < LONG.variations
    wait_until(lambda: service.generator.running == 0)
    service.begin_request(OTHER)
    assert len(songs_of(service.generate(OTHER, SHORT))) == 1


@pytest.mark.slow
def test_a_stopped_song_is_kept_and_can_be_edited(service):
    service.begin_request(ME)
    items = service.generate(ME, replace(LONG, mode="two tracks"))
    live = next(item for item in items if isinstance(item, LiveSong) and item.seconds > SHORTEST)

    (kept,) = service.stop(ME)

    assert songs_of(items) == [] and service.store.songs(ME) == [kept]
    assert kept.made == "stopped" and kept.id == live.id and SHORTEST < kept.seconds < 3
    wait_until(lambda: service.generator.running == 0)
    service.begin_request(ME)
    (edited,) = songs_of(service.redo(ME, kept.id, kept.settings, start=0.1, end=0.25))
    assert edited.parent == kept.id and edited.family == kept.family


def test_nothing_is_left_of_a_song_that_nobody_waits_for(service):
    service.begin_request(ME)
    items = service.generate(ME, LONG)
    live = next(item for item in items if isinstance(item, LiveSong))
    assert list(live.folder.glob("part-*.wav"))

    items.close()

    assert not live.folder.exists() and service.stop(ME) == []


def test_a_session_that_ends_leaves_nothing_of_its_live_song(service):
    items = service.generate(ME, LONG)
    live = next(item for item in items if isinstance(item, LiveSong))

    service.end_session(ME)
    items.close()

    assert not live.folder.exists()


def test_a_session_that_ends_between_two_chunks_leaves_nothing(service):
    items = service.generate(ME, LONG)
    next(item for item in items if isinstance(item, LiveSong))

    service.end_session(ME)

    assert songs_of(items) == []  # nobody closes the iterator: the next chunk ends it
    assert list(service.store.root.iterdir()) == []


def wave(song: Song, track: str):
    return soundfile.read(song.track(track).audio, dtype="int16")[0]


@pytest.mark.slow
def test_a_redone_stretch_leaves_the_other_samples_of_every_take(service):
    (song,) = songs_of(service.generate(ME, replace(SHORT, mode="two tracks", seconds=1.5)))

    takes = songs_of(
        service.redo(ME, song.id, song.settings, start=0.4, end=0.8, track="vocal", takes=2)
    )

    assert len(takes) == 2 and takes[0].score >= takes[1].score
    for take in takes:
        np.testing.assert_array_equal(wave(take, "band"), wave(song, "band"))
        changed = np.flatnonzero(wave(take, "vocal") != wave(song, "vocal")) / 16000
        assert 0.4 <= changed.min() and changed.max() <= 0.8
        assert take.made == "redo vocal 0.4 0.8" and take.family == song.family == song.id


@pytest.mark.slow
def test_edits_are_sung_with_the_reference_voice_of_the_song(service, tmp_path):
    voice = tmp_path / "voice.wav"
    soundfile.write(voice, 0.3 * np.sin(np.arange(24000) / 20), 24000)
    (song,) = songs_of(service.generate(ME, SHORT, voice))
    changed = replace(song.settings, lyrics="lo", seed=3)

    def redone(of, **arguments):
        (take,) = songs_of(service.redo(ME, of.id, changed, start=0.2, end=0.4, **arguments))
        return take

    once, given = redone(song), redone(song, voice=voice)
    twice, plain = redone(once), redone(songs_of(service.generate(ME, SHORT))[0])

    assert once.with_voice and twice.with_voice and not plain.with_voice
    np.testing.assert_array_equal(wave(once, "mix"), wave(given, "mix"))


@pytest.mark.slow
def test_a_song_is_continued_up_to_the_limit(service):
    (song,) = songs_of(service.generate(ME, SHORT))
    service.limits = replace(service.limits, seconds=song.seconds + 1.0)

    (longer,) = songs_of(service.go_on(ME, song.id, replace(song.settings, seconds=9.0)))

    assert song.seconds < longer.seconds <= song.seconds + 1.0
    inside = len(wave(song, "mix")) - round(0.06 * 16000)
    np.testing.assert_array_equal(wave(longer, "mix")[:inside], wave(song, "mix")[:inside])
    with pytest.raises(ValueError, match="leaves no room to continue it"):
        songs_of(service.go_on(ME, longer.id, longer.settings))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "kept"), [("band", "band"), ("vocal", "vocal")])
def test_a_recording_is_sung_over_and_stays_as_it_is(service, tmp_path, kind, kept):
    time = np.arange(16000) / 16000
    soundfile.write(tmp_path / "up.wav", 0.4 * np.sin(900 * time), 16000)
    settings = replace(SHORT, mode="two tracks")

    (song,) = songs_of(service.sing_over(ME, tmp_path / "up.wav", settings, kind=kind))

    uploaded = soundfile.read(tmp_path / "up.wav", dtype="int16")[0]
    np.testing.assert_allclose(wave(song, kept)[: len(uploaded)], uploaded, atol=1)
    with pytest.raises(ValueError, match="a recording needs a mode with two tracks"):
        songs_of(service.sing_over(ME, tmp_path / "up.wav", SHORT))
    with pytest.raises(ValueError, match="there is no recording"):
        songs_of(service.sing_over(ME, None, settings))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"start": 0.5, "end": 0.5}, "at least 0.1 s within the song"),
        ({"end": 99.0}, "stretch is 0 to 99 s: expected .* within the song of"),
        ({"track": "drums"}, "the track is 'drums'"),
        ({"track": "vocal"}, "sung as one mix"),
        ({"takes": 99}, "takes must be a whole number from 1 to 4: got 99"),
        ({"takes": float("inf")}, "takes must be a whole number from 1 to 4: got inf"),
    ],
)
def test_an_impossible_edit_is_refused(service, change, message):
    (song,) = songs_of(service.generate(ME, SHORT))

    with pytest.raises(ValueError, match=message):
        songs_of(service.redo(ME, song.id, song.settings, **({"start": 0.0, "end": 0.5} | change)))
    with pytest.raises(ValueError, match="no longer here"):
        songs_of(service.redo(OTHER, song.id, song.settings, start=0.0, end=0.5))
    with pytest.raises(ValueError, match="has 1 track"):
        other = replace(song.settings, mode="two tracks")
        songs_of(service.redo(ME, song.id, other, start=0.0, end=0.5))


def test_a_request_that_was_stopped_before_it_started_yields_no_song(service):
    service.begin_request(ME)
    service.stop(ME)

    assert songs_of(service.generate(ME, SHORT)) == []


@pytest.mark.slow
def test_a_new_request_does_not_resume_a_stopped_one(service):
    service.begin_request(ME)
    stopped = service.generate(ME, LONG)
    next(stopped)
    service.stop(ME)
    service.begin_request(ME)

    assert len(songs_of(service.generate(ME, SHORT))) == 1

    assert len(songs_of(stopped)) < LONG.variations


def test_a_request_that_was_not_announced_is_handled(service):
    assert len(songs_of(service.generate(ME, SHORT))) == 1


def test_the_end_of_a_session_deletes_its_state_and_affects_no_other(service):
    service.begin_request(ME)
    service.stop(ME)

    service.end_session(ME)

    assert service.store.songs(ME) == []
    assert len(songs_of(service.generate(OTHER, SHORT))) == 1

"""The desk without its page: what a session stops, and what it asks for afterwards."""

import pytest

from songgen_hf.space.adapters import Adapters
from songgen_hf.space.limits import Limits
from songgen_hf.space.session_store import SessionStore
from songgen_hf.space.settings import Settings
from songgen_hf.space.song_files import Song
from songgen_hf.space.song_service import SongService

from ..tools.waiting import wait_until

ME, OTHER = "me", "other"
LONG = Settings(lyrics="la", seed=7, seconds=3.0, variations=4, mode="mixed")
SHORT = Settings(lyrics="la", seed=7, seconds=1.0, mode="mixed")


@pytest.fixture
def desk(singer, tmp_path):
    limits = Limits()
    shelf = SessionStore(tmp_path, songs_each=9, keep_seconds=100)
    yield SongService(singer, shelf, adapters=Adapters([], limits), limits=limits, defaults=SHORT)
    shelf.close()


def songs_of(items) -> list[Song]:
    return [item for item in items if isinstance(item, Song)]


@pytest.mark.slow
def test_stop_ends_the_songs_of_its_session_alone(desk):
    desk.expect(ME)
    items = desk.sing(ME, LONG)
    next(items)

    desk.stop(OTHER)
    assert next(items) is not None
    desk.stop(ME)

    assert len(songs_of(items)) < LONG.variations
    wait_until(lambda: desk.singer.singing == 0)
    desk.expect(OTHER)
    assert len(songs_of(desk.sing(OTHER, SHORT))) == 1


def test_what_was_stopped_while_it_waited_is_not_sung(desk):
    desk.expect(ME)
    desk.stop(ME)

    assert songs_of(desk.sing(ME, SHORT)) == []


@pytest.mark.slow
def test_asking_again_brings_back_nothing_that_was_stopped(desk):
    desk.expect(ME)
    stopped = desk.sing(ME, LONG)
    next(stopped)
    desk.stop(ME)
    desk.expect(ME)

    assert len(songs_of(desk.sing(ME, SHORT))) == 1

    assert len(songs_of(stopped)) < LONG.variations


def test_a_session_that_never_pressed_anything_sings(desk):
    assert len(songs_of(desk.sing(ME, SHORT))) == 1


def test_who_leaves_is_forgotten(desk):
    desk.expect(ME)
    desk.stop(ME)

    desk.leave(ME)

    assert desk.shelf.songs(ME) == []
    assert len(songs_of(desk.sing(OTHER, SHORT))) == 1

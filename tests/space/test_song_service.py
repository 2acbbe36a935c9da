"""The song service without the page: stopping, later requests and the end of a session."""

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

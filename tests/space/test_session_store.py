"""The songs of each session: access, history, expiry and deletion."""

import pytest

from songgen_hf.space.session_store import SessionStore

from .song_cases import write_song


@pytest.mark.slow
def test_a_session_keeps_the_newest_songs_and_deletes_the_others(store):
    songs = []
    for number in range(5):
        made = write_song(store)
        store.add("me", made)
        songs.append(made)
        assert store.songs("me")[0] == made, number

    assert store.songs("me") == songs[:1:-1]
    assert {folder.name for folder in store.root.iterdir()} == {song.id for song in songs[2:]}


@pytest.mark.slow
def test_a_session_has_access_to_its_own_songs_only(store, song):
    store.add("me", song)

    assert store.song("me", song.id) == song
    for session, name in (("you", song.id), ("me", "../x"), ("me", "")):
        with pytest.raises(ValueError, match="no longer here"):
            store.song(session, name)


@pytest.mark.slow
def test_deleting_a_session_deletes_its_songs(store, song):
    store.add("me", song)

    store.delete_session("me")

    assert store.songs("me") == [] and list(store.root.iterdir()) == []


def test_expired_songs_are_deleted_even_without_a_session(tmp_path):
    store = SessionStore(tmp_path, songs_per_session=3, keep_seconds=0.0)
    store.new_folder()

    store.delete_expired()

    assert list(store.root.iterdir()) == []


@pytest.mark.slow
def test_closing_the_store_deletes_its_folder(store, song):
    store.close()

    assert not store.root.exists()


@pytest.mark.slow
def test_the_cleanup_thread_deletes_expired_songs(tmp_path):
    from ..tools.waiting import wait_until

    store = SessionStore(tmp_path, songs_per_session=3, keep_seconds=0.1)
    folder = store.new_folder()
    store.start_cleanup()

    wait_until(lambda: not folder.exists())
    store.close()


@pytest.mark.slow
def test_a_song_that_is_added_to_a_deleted_session_is_deleted(store, song):
    store.delete_session("me")

    store.add("me", song)

    assert store.songs("me") == [] and list(store.root.iterdir()) == []


@pytest.mark.slow
def test_a_session_that_is_opened_again_keeps_new_songs(store, song):
    store.delete_session("me")
    store.open_session("me")

    store.add("me", song)

    assert store.songs("me") == [song]

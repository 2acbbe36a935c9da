"""Songs as ``write_song_files`` writes them, for the tests of files and sessions."""

import numpy as np

from songgen_hf.space.generation import GeneratedSong
from songgen_hf.space.session_store import SessionStore
from songgen_hf.space.settings import Settings
from songgen_hf.space.song_files import Song, write_song_files

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


def write_song(
    store: SessionStore,
    settings: Settings = SETTINGS,
    *,
    two_tracks: bool = True,
    with_voice: bool = False,
) -> Song:
    """Write a song of noise that is loud enough to need a gain."""
    rng = np.random.default_rng(0)
    vocal, accompaniment = rng.uniform(-0.9, 0.9, (2, 1, RATE)).astype(np.float32)
    generated = GeneratedSong(7, RATE, vocal + accompaniment, vocal, accompaniment, 1.0)
    if not two_tracks:
        generated = GeneratedSong(7, RATE, vocal, None, None, 1.0)
    return write_song_files(
        store.new_folder(),
        generated,
        settings,
        RECORD,
        with_voice=with_voice,
        versions={"torch": "1"},
    )

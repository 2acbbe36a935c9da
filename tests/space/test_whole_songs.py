"""Whole songs of the Space: their sound while they are sung, stopping, finishing and redoing."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile

from songgen_hf.space.adapters import Adapters
from songgen_hf.space.generation import SongGenerator
from songgen_hf.space.limits import Limits
from songgen_hf.space.live_songs import LiveSong
from songgen_hf.space.section_markup import plan_cards, section_cards
from songgen_hf.space.session_store import SessionStore
from songgen_hf.space.settings import Settings
from songgen_hf.space.song_files import Song
from songgen_hf.space.song_markup import feed, live_view, song_view
from songgen_hf.space.song_service import SongService
from songgen_hf.space.streams import joined
from songgen_hf.space.strings import speaker
from songgen_hf.space.whole_form import plan_view
from songgen_hf.space.whole_songs import described, plan_settings

from ..tools.waiting import wait_until

ME, RATE = "me", 16000
LYRICS = "[intro 0.2s]\n[verse 0.4s]\nla lo\n[chorus 0.3s]\nsing on\n[inst 0.2s]\n[chorus 0.3s]"
ENDS = [0.2, 0.6, 0.9, 1.1, 1.4]
SETTINGS = Settings(
    lyrics=LYRICS, text="folk", seed=7, seconds=1.0, mode="two tracks", whole=True, window=1.0,
    context=0.1, steps=3,
)  # fmt: skip
LIMITS = Limits(seconds=2.0, whole_seconds=20.0)


@pytest.fixture
def service(pipelines, tiny_masked, tmp_path, monkeypatch):
    """A service of the tiny pipelines, which write no special ids into sections."""
    for pipeline in pipelines.values():
        settings = pipeline.model.generation_config
        monkeypatch.setattr(settings, "suppress_tokens", list(range(1025, 1088)), raising=False)
    generator = SongGenerator({**pipelines, "few steps": tiny_masked()})
    store = SessionStore(tmp_path, songs_per_session=9, keep_seconds=100)
    adapters = Adapters([], LIMITS)
    yield SongService(generator, store, adapters=adapters, limits=LIMITS, defaults=Settings())
    wait_until(lambda: generator.running == 0)
    store.close()


def run(items):
    """The song of a request, and the states of its live form: section, seconds and rewinds."""
    songs, heard = [], []
    for item in items:
        if isinstance(item, Song):
            songs.append(item)
        elif isinstance(item, LiveSong):
            heard.append((item.section, item.seconds, item.rewinds, item))
    (song,) = songs
    return song, heard


def wave(song, track="mix"):
    return soundfile.read(song.track(track).audio, dtype="int16")[0]


@pytest.mark.parametrize("mode", ["two tracks", "few steps"])
def test_a_whole_song_is_heard_section_by_section(service, pipelines, mode):
    settings = replace(SETTINGS, mode=mode)

    song, heard = run(service.generate(ME, settings))

    sections = [section for section, *_ in heard]
    assert sections == sorted(sections) and set(sections) == set(range(5))
    assert heard[0][1] == 0 and any(0 < seconds < 1 for _, seconds, *_ in heard)
    live = heard[-1][-1]
    assert [round(section["end"], 2) for section in song.sections] == ENDS
    assert song.seconds == pytest.approx(1.4) and song.title == "la lo"
    sound = joined(live.chunks, "mixture") * song.gain * 32768
    np.testing.assert_allclose(sound, wave(song), atol=2)
    if mode == "two tracks":
        expected = pipelines[mode].whole_song(
            "folk", plan=plan_settings(settings, LIMITS), seed=7, guidance_scale=1.0, top_k=50,
            temperature=1.0, do_sample=True, separate_voice="auto",
            timestamps=bool(pipelines[mode].model.config.lyrics_cross_attention),
        )  # fmt: skip
        np.testing.assert_allclose(wave(song) / 32768, song.gain * expected["audio"][0], atol=1e-4)
    cards = song_view(song, [song])
    assert cards.count('class="sg-section"') == 5 and cards.count("data-resing") == 5
    assert "as Chorus 1" in cards and 'class="sg-mark"' in cards


def test_a_section_that_is_sung_twice_replaces_its_sound(service, monkeypatch):
    seconds = iter((0.0, 5.0, 0.5, 0.0))
    misplaced = "songgen_hf.pipelines.tracks_in_place.misplaced_seconds"
    monkeypatch.setattr(misplaced, lambda *_, **__: next(seconds, 0.0))
    stretches = "songgen_hf.pipelines.tracks_in_place.swapped_stretches"
    monkeypatch.setattr(stretches, lambda *_, **__: [])  # of noise, any would be found

    settings = replace(SETTINGS, lyrics="[verse 0.4s]\nla\n[verse 0.4s]\nlo\n[verse 0.3s]\noh")
    song, heard = run(service.generate(ME, settings))

    assert heard[-1][2] == 1
    live = heard[-1][-1]
    np.testing.assert_allclose(
        joined(live.chunks, "mixture") * song.gain * 32768, wave(song), atol=2
    )
    assert len(live.parts) == len(live.chunks) == len(set(live.parts))
    assert "&quot;rewinds&quot;: 1" in feed(live)


def test_a_stopped_whole_song_is_kept_and_finished_to_the_same_song(service):
    service.begin_request(ME)
    items = service.generate(ME, SETTINGS)
    live = next(item for item in items if isinstance(item, LiveSong) and item.seconds > 0.65)
    assert "being sung" in live_view(live)

    (part,) = service.stop(ME)

    assert [item for item in items if isinstance(item, Song)] == []
    assert part.is_unfinished and 0.6 < part.seconds < 1.4
    assert [section["state"] for section in part.sections][:2] == ["sung", "sung"]
    page = song_view(part)
    assert "Sing the rest" in page and page.count("data-resing") == 1
    with pytest.raises(ValueError, match="no finished sections"):
        next(service.redo_section(ME, part.id, 0))
    wait_until(lambda: service.generator.running == 0)
    service.begin_request(ME)
    done, heard = run(service.finish(ME, part.id))
    whole, _ = run(service.generate(ME, SETTINGS))

    np.testing.assert_array_equal(wave(done), wave(whole))
    assert done.family == part.family and not done.is_unfinished
    assert heard[-1][1] == pytest.approx(1.4, abs=0.05)
    with pytest.raises(ValueError, match="this song is complete"):
        next(service.finish(ME, done.id))


def test_one_section_is_sung_again_and_the_rest_keeps_its_samples(service):
    song, _ = run(service.generate(ME, SETTINGS))

    again, heard = run(service.redo_section(ME, song.id, 1, seed=3))
    twice, _ = run(service.redo_section(ME, again.id, 2, seed=3))

    assert heard == [] and again.parent == song.id and again.family == twice.family == song.family
    for before, after, start, end in ((song, again, 0.2, 0.6), (again, twice, 0.6, 0.9)):
        changed = np.flatnonzero(wave(before) != wave(after)) / RATE
        assert len(changed) and start <= changed.min() and changed.max() <= end
    assert again.settings == song.settings and again.made == "section 1"
    assert "Verse again" in song_view(again) and "Strophe neu" in song_view(
        again, (), speaker("de")
    )
    for section, error in ((5, "whole number from 0 to 4"), (True, "must be a number")):
        with pytest.raises((ValueError, TypeError), match=error):
            next(service.redo_section(ME, song.id, section))


def test_sections_are_sung_with_the_reference_voice_of_the_song(service, tmp_path):
    voice = tmp_path / "voice.wav"
    soundfile.write(voice, 0.3 * np.sin(np.arange(24000) / 20), 24000)
    service.begin_request(ME)
    items = service.generate(ME, SETTINGS, voice)
    next(item for item in items if isinstance(item, LiveSong) and item.seconds > 0.65)
    (part,) = service.stop(ME)
    assert [item for item in items if isinstance(item, Song)] == []
    wait_until(lambda: service.generator.running == 0)

    service.begin_request(ME)
    done, _ = run(service.finish(ME, part.id))
    again, _ = run(service.redo_section(ME, done.id, 1, seed=3))
    whole, _ = run(service.generate(ME, SETTINGS, voice))

    assert done.with_voice and again.with_voice
    np.testing.assert_array_equal(wave(done), wave(whole))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lyrics": "[solo]\nla"}, r"unknown tag \[solo\]"),
        ({"lyrics": "[inst 15s]\n[inst 15s]"}, "takes 30 s: whole songs here are up to 20 s"),
        ({"variations": 2}, "sung one by one"),
        ({"context": 0.9}, "at most half"),
        ({"window": 9.0}, "the window must be a number from 1 to 2"),
        ({"whole": 1}, "whole must be true or false"),
    ],
)
def test_an_impossible_whole_song_is_refused(service, change, message):
    with pytest.raises((ValueError, TypeError), match=message):
        next(service.generate(ME, replace(SETTINGS, **change)))


def test_edits_of_a_whole_song_name_the_way_to_do_them(service):
    song, _ = run(service.generate(ME, SETTINGS))

    with pytest.raises(ValueError, match="sing one of its sections again"):
        next(service.redo(ME, song.id, song.settings, start=0.1, end=0.5))


def test_the_plan_is_shown_as_cards_in_both_languages():
    plan = plan_settings(SETTINGS.checked(LIMITS), LIMITS)

    english, german = (plan_cards(described(plan), speaker(name)) for name in ("en", "de"))

    assert "5 sections, about 0:01" in english and english.count("<li") == 5
    assert "Refrain 1" in german and "wie Refrain 1" in german and "data-sg" not in german
    assert section_cards([]) == ""


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({}, "5 Abschnitte"),
        ({"lyrics": "[solo]"}, "Unbekannter Abschnitt [solo]"),
        ({"lyrics": " "}, "Die Abschnitte erscheinen hier"),
        ({"whole": False}, "Dieser Text hat Abschnitte"),
        ({"whole": False, "lyrics": "la"}, ""),
    ],
)
def test_the_form_shows_the_plan_or_why_there_is_none(change, shown):
    page = plan_view(replace(SETTINGS, **change), LIMITS, speaker("de"))

    assert shown in page and bool(shown) == bool(page)

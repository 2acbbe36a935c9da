"""Segmentation of recordings into clips."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile

from songgen_hf.data.preparation import voice_activity
from songgen_hf.data.preparation.segmentation import (
    Activity,
    SegmentationOptions,
    columns,
    find_clips,
    listen,
    segment,
)

from ...tools.miniature_models import write_silero

RATE = 8000
OPTIONS = SegmentationOptions()


def note(seconds, pitch=220.0, glide=0.0):
    """A voice: harmonics of a pitch that moves by ``glide`` semitones a second."""
    times = np.arange(round(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(pitch * 2 ** (glide / 12 * times)) / RATE
    return 0.2 * sum(np.sin(k * phase) / k for k in range(1, 6))


def silence(seconds):
    return np.zeros(round(seconds * RATE))


def phrases(rng, count):
    """Lines of 1 to 4 s with pauses of 0.3 to 1 s, and the start and end of each."""
    parts, spans, now = [], [], 0.0
    for _ in range(count):
        for part, sung in (
            (note(rng.uniform(1, 4), rng.uniform(110, 400)), True),
            (silence(rng.uniform(0.3, 1)), False),
        ):
            if sung:
                spans.append((now, now + len(part) / RATE))
            parts.append(part)
            now += len(part) / RATE
    return np.concatenate(parts), spans


def recording(folder, vocal, band=None):
    band = 0.05 * np.sin(2 * np.pi * 70 * np.arange(len(vocal)) / RATE) if band is None else band
    soundfile.write(folder / "mixture.wav", vocal + band, RATE)
    soundfile.write(folder / "vocal.wav", vocal, RATE)
    return {
        "recording_id": "album",
        "path": str(folder / "mixture.wav"),
        "vocal": str(folder / "vocal.wav"),
        "year": 1971,
    }


def edges(clip):
    return clip["clip_start"], clip["clip_start"] + clip["clip_seconds"]


@pytest.mark.parametrize("seed", range(3))
def test_clips_are_cut_in_pauses_and_hold_all_singing_once(tmp_path, seed):
    rng = np.random.default_rng(seed)
    vocal, spans = phrases(rng, 20)
    clips = segment(recording(tmp_path, vocal), OPTIONS)

    for one, two in zip(clips, clips[1:], strict=False):
        assert edges(one)[1] <= edges(two)[0] + 1e-9
    assert clips[0]["clip_start"] >= 0 and edges(clips[-1])[1] <= len(vocal) / RATE + 1e-6
    for start, end in spans:
        inside = [a - 0.03 <= start and end <= b + 0.03 for a, b in map(edges, clips)]
        assert sum(inside) == 1, (start, end)
    assert all(OPTIONS.min_seconds <= clip["clip_seconds"] <= OPTIONS.max_seconds for clip in clips)
    assert 10 < np.mean([clip["clip_seconds"] for clip in clips]) < 20
    assert all(clip["sung"] and clip["edge_pause"] > 0.2 for clip in clips)
    assert clips[1]["id"] == f"album-{round(clips[1]['clip_start'] * 1000):09d}"
    assert clips[0]["year"] == 1971


def random_activity(rng):
    """Random singing and silence of up to four minutes."""
    frames = int(rng.integers(50, 12000))
    sung, silent = np.zeros(frames, dtype=bool), np.zeros(frames, dtype=bool)
    now = 0
    while now < frames:
        kind, length = rng.integers(4), int(rng.exponential(rng.choice([20, 200, 1500]))) + 10
        sung[now : now + length] = kind >= 2
        silent[now : now + length] = kind == 0 and length > 50
        now += length + 10
    spoken = sung & (np.arange(frames) // 1000 % 3 == 1)
    level = np.where(silent, -90.0, rng.uniform(-40, -10, frames))
    return Activity(sung, spoken, silent, level, np.zeros(frames), None, None, frames / 50)


@pytest.mark.parametrize("seed", range(40))
def test_any_singing_gives_clips_of_the_right_lengths_that_hold_it(seed):
    activity = random_activity(np.random.default_rng(seed))
    options = replace(OPTIONS, min_seconds=3.0, max_seconds=20.0, mean_seconds=8.0)
    clips = find_clips(activity, options)

    covered = np.zeros(len(activity.sung), dtype=int)
    for first, last in clips:
        assert 0 <= first < last <= len(activity.sung)
        assert last - first <= 20 * 50
        if len(activity.sung) >= 150:
            assert last - first >= 3 * 50
        covered[first:last] += 1
    assert covered.max(initial=0) <= 1
    assert (covered[activity.sung] == 1).all()


def test_long_silence_is_left_out_and_instrumental_parts_stand_alone(tmp_path):
    vocal = np.concatenate(
        [note(4), silence(12), note(4), silence(1), silence(3), silence(1), note(4)]
    )
    band = 0.05 * np.sin(2 * np.pi * 70 * np.arange(len(vocal)) / RATE)
    band[21 * RATE : 24 * RATE] = 0.0  # silence between two songs

    clips = segment(recording(tmp_path, vocal, band), OPTIONS)

    assert [clip["sung"] for clip in clips] == [True, False, True, True]
    assert clips[1]["sung_seconds"] == 0 and clips[1]["sung_spans"] == []
    assert clips[1]["gliding_share"] is None
    assert edges(clips[2])[1] == pytest.approx(21, abs=0.05)
    assert clips[3]["clip_start"] == pytest.approx(24, abs=0.05)


def test_speech_is_cut_from_singing_and_has_a_high_score(tmp_path):
    glides = [note(0.6, pitch, step) for pitch, step in ((150, 14), (260, -16), (170, 15)) * 2]
    vocal = np.concatenate([note(5), silence(0.6), *glides, silence(0.6), note(5, 180)])

    clips = segment(recording(tmp_path, vocal), OPTIONS)

    assert len(clips) == 3
    scores = [clip["gliding_share"] for clip in clips]
    assert scores[1] > 0.6 > 0.3 > max(scores[0], scores[2])
    assert edges(clips[0])[1] == pytest.approx(5.3, abs=0.3)


def test_a_note_without_pause_is_cut_and_says_so(tmp_path):
    clips = segment(recording(tmp_path, note(40)), OPTIONS)

    assert [clip["edge_pause"] for clip in clips].count(0.0) == len(clips)
    assert len(clips) > 1 and all(clip["clip_seconds"] <= 30 for clip in clips)


def test_the_rest_of_a_band_in_the_stem_is_not_singing(tmp_path):
    rng = np.random.default_rng(0)
    band = 0.1 * rng.standard_normal(40 * RATE)
    vocal = np.concatenate([note(8), silence(16), note(8), silence(8)])
    row = recording(tmp_path, vocal, band)
    soundfile.write(row["vocal"], vocal + 0.15 * band, RATE)

    sung = [clip["sung"] for clip in segment(row, OPTIONS)]

    assert sung.count(False) >= 2 and sung.count(True) >= 2


def test_without_a_stem_nothing_is_said_of_singing(tmp_path):
    row = recording(tmp_path, np.concatenate([note(5), silence(2), note(5)]))
    clips = segment({**row, "vocal": None}, OPTIONS)

    assert clips and all(clip["sung"] is None for clip in clips)
    assert segment(recording(tmp_path, silence(5), silence(5)), OPTIONS) == []


def test_the_columns_are_those_of_the_rows(tmp_path):
    row = recording(tmp_path, note(4))
    (clip,) = segment(row, OPTIONS)

    assert {field.name for field in columns()} == set(clip) - set(row)


@pytest.fixture
def install_detector(tmp_path, monkeypatch):
    """Write a package ``silero_vad`` with a tiny network in the place of its own."""

    def install(bound):
        write_silero(tmp_path / "site", bound)
        monkeypatch.syspath_prepend(str(tmp_path / "site"))
        voice_activity._silero.cache_clear()

    yield install
    voice_activity._silero.cache_clear()


def test_the_detector_decides_on_quiet_endings(tmp_path, install_detector):
    install_detector(0.05)
    vocal = np.concatenate([note(4), 0.02 * note(2), silence(1), note(3)])
    row = recording(tmp_path, vocal, 0.001 * np.ones(len(vocal)))

    with_vote = listen(row["path"], row["vocal"], replace(OPTIONS, detector="silero"))
    without = listen(row["path"], row["vocal"], OPTIONS)

    assert not with_vote.detector_failed and without.detector_failed is None
    assert without.sung[220:290].all() and not with_vote.sung[220:290].any()
    for clip in segment(row, replace(OPTIONS, detector="silero")):
        assert clip["detector_share"] > 0.95 and clip["detector_failed"] is False


def test_a_detector_that_misses_the_singing_loses_its_vote(tmp_path, install_detector):
    install_detector(2.0)
    row = recording(tmp_path, phrases(np.random.default_rng(0), 8)[0])

    found = segment(row, replace(OPTIONS, detector="silero"))

    assert all(clip["detector_failed"] and clip["detector_share"] == 0 for clip in found)
    plain = segment(row, OPTIONS)
    assert [edges(clip) for clip in found] == [edges(clip) for clip in plain]


def test_a_detector_that_is_not_installed_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    voice_activity._silero.cache_clear()

    with pytest.raises(ImportError, match=r"pip install 'songgen-hf\[prepare\]'"):
        segment(recording(tmp_path, note(4)), replace(OPTIONS, detector="silero"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"detector": "funasr"}, "voice detector 'funasr'.*none, silero"),
        ({"min_seconds": 20.0}, "min_seconds <= mean_seconds"),
        ({"min_seconds": 14.5}, "twice min_seconds"),
        ({"min_pause": 0.0}, "min_pause must be more than 0"),
        ({"quiet_level": 10.0}, "quiet_level that is not less"),
    ],
)
def test_options_out_of_range_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(OPTIONS, **changes)

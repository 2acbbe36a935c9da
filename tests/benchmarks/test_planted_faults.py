"""The benchmark of planted faults of recordings, on synthetic songs."""

import numpy as np
import pytest

from songgen_hf.data.preparation.quality import ScoreOptions

from ..data.preparation.sounds import stems

SOUND_FAULTS = ("duplicate", "clipping", "silence", "8 kHz", "truncated", "text")


@pytest.fixture(scope="module")
def clips(benchmark, tmp_path_factory):
    """A song for each fault with its faulty copy, prepared."""
    drawn = (stems(seed, 3.5) for seed in range(len(SOUND_FAULTS)))
    songs = [benchmark.Song(vocal, 1.8 * accompaniment, None) for vocal, accompaniment in drawn]
    rows = benchmark.recordings(songs, tmp_path_factory.mktemp("songs"), 0)
    return benchmark.prepared(rows, ScoreOptions(music=False))


@pytest.mark.slow
def test_every_planted_fault_is_named_by_its_reason_and_no_good_song_is_lost(benchmark, clips):
    found, lost = benchmark.found_faults(clips)

    assert found == {fault: [True] for fault in SOUND_FAULTS}
    assert lost == []
    assert len(clips) == 2 * len(SOUND_FAULTS)


@pytest.mark.slow
def test_a_fault_that_is_not_there_is_not_found_and_a_good_song_with_one_is_lost(benchmark, clips):
    original, clipped = next(
        pair for pair in zip(clips[::2], clips[1::2], strict=True) if pair[1]["fault"] == "clipping"
    )

    missed, _ = benchmark.found_faults([{**original, "fault": "8 kHz"}])
    _, lost = benchmark.found_faults([{**clipped, "fault": None, "recording_id": "0000"}])

    assert missed == {"8 kHz": [False]}
    assert [row["recording_id"] for row in lost] == ["0000"]


def test_rates_are_those_of_clips_beyond_each_bound(benchmark):
    scores = {None: [0.9, 0.5, 0.32, 0.8], "lyrics": [0.0, 0.22, 0.1, None]}
    clips = [
        {"fault": fault, "lyrics_match": score}
        for fault, several in scores.items()
        for score in several
    ]

    found = benchmark.rates(clips, "lyrics")

    assert [bound for bound, _, _ in found] == [0.2, 0.25, 0.3, 0.35, 0.4]
    assert [lost for _, lost, _ in found] == [0, 0, 0, 0.25, 0.25]
    assert [share for _, _, share in found] == pytest.approx([2 / 3, 1, 1, 1, 1])


@pytest.mark.debian
def test_songs_in_other_languages_keep_their_notes_and_their_level(benchmark):
    notes = [{"start": 0.5 + 0.4 * i, "end": 0.9 + 0.4 * i, "pitch": 50 + i} for i in range(5)]
    labels = {"voice_id": "male_1", "notes": notes}
    labels["words"] = [{"word": "us", "start": 0.45, "end": 2.5, "line": 0}]
    vocal = np.zeros(48000, np.float32)
    vocal[8000:40000] = 0.1
    song = benchmark.Song(vocal, vocal, "us", labels)

    for language in benchmark.FOREIGN:
        sung, lyrics = benchmark.sing_abroad(song, language, np.random.default_rng(0))

        assert sung.shape == vocal.shape and sung.dtype == np.float32
        assert not sung[:3000].any() and np.abs(sung[10000:38000]).max() > 0.1
        assert set(lyrics.split()) <= set(benchmark.FOREIGN[language].split())
        level = np.sqrt(np.square(sung[np.abs(sung) > 1e-4]).mean())
        assert level == pytest.approx(0.1, rel=0.1)

"""The benchmark of planted faults of recordings, on synthetic songs."""

import pytest

from songgen_hf.data.preparation.quality import ScoreOptions

from ..data.preparation.sounds import stems

SOUND_FAULTS = ("duplicate", "clipping", "silence", "8 kHz", "truncated", "text")


@pytest.fixture(scope="module")
def clips(benchmark, tmp_path_factory):
    """A song for each fault with its faulty copy, prepared."""
    drawn = (stems(seed, 3.5) for seed in range(len(SOUND_FAULTS)))
    songs = [(vocal, 1.8 * accompaniment, None) for vocal, accompaniment in drawn]
    rows = benchmark.recordings(songs, tmp_path_factory.mktemp("songs"), 0)
    return benchmark.prepared(rows, ScoreOptions(music=False))


def test_every_planted_fault_is_named_by_its_reason_and_no_good_song_is_lost(benchmark, clips):
    found, lost = benchmark.found_faults(clips)

    assert found == {fault: [True] for fault in SOUND_FAULTS}
    assert lost == []
    assert len(clips) == 2 * len(SOUND_FAULTS)


def test_a_fault_that_is_not_there_is_not_found_and_a_good_song_with_one_is_lost(benchmark, clips):
    original, clipped = next(
        pair for pair in zip(clips[::2], clips[1::2], strict=True) if pair[1]["fault"] == "clipping"
    )

    missed, _ = benchmark.found_faults([{**original, "fault": "8 kHz"}])
    _, lost = benchmark.found_faults([{**clipped, "fault": None, "recording_id": "0000"}])

    assert missed == {"8 kHz": [False]}
    assert [row["recording_id"] for row in lost] == ["0000"]

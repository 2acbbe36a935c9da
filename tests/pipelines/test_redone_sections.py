"""Sections of whole songs that are generated again."""

import numpy as np
import pytest

from .whole_song_cases import (
    CONTEXT,
    ENDS,
    FADE,
    FEW,
    HOP,
    LENGTHS,
    LYRICS,
    OPTIONS,
    RATE,
    same_songs,
    sounds_of,
)


@pytest.mark.slow
@pytest.mark.parametrize("index", [0, 1, 4, 5])
@pytest.mark.parametrize("kind", FEW)
def test_a_redone_section_leaves_all_other_samples(singer, songs, kind, index):
    pipe, _ = singer(kind)
    song = songs(kind)

    redone = pipe.redo_section(song, index, seed=9)

    start, stop = ENDS[index] - LENGTHS[index], ENDS[index]
    changed = np.flatnonzero((redone["codes"] != song["codes"]).any(axis=(0, 1)))
    if index == 0:  # without words
        assert np.array_equal(redone["codes"][1], song["codes"][1])
    assert changed.size > LENGTHS[index] / 2 and start <= changed.min() and changed.max() < stop
    for name, samples in sounds_of(song).items():
        same = samples == redone[name]
        assert same[:, : start * HOP].all() and same[:, stop * HOP :].all()
        is_kept = index == 0 and name == "vocal"
        assert same[:, start * HOP + FADE : stop * HOP - FADE].all() == is_kept
    assert redone["sections"][index]["seed"] in range(9, 13)
    assert "quotes" not in redone["sections"][index]
    others = [place for place in range(6) if place != index]
    assert [redone["sections"][i] for i in others] == [song["sections"][i] for i in others]


@pytest.mark.slow
def test_takes_of_a_redone_section_are_ranked_by_what_follows(singer, songs, heard):
    pipe, _ = singer("interleaving_A_V")
    calls = heard(pipe)

    pipe.redo_section(songs("interleaving_A_V"), 1, seed=9, takes=3)

    (call,) = calls
    assert call["takes"] == 3 and call["song"].shape[-1] == CONTEXT + 12 + CONTEXT
    assert call["regions"] == (0.08, 0.32) and call["keep_track"] is None
    assert call["lyrics"] == "la lo\nsing"


@pytest.mark.slow
@pytest.mark.parametrize("kind", FEW)
def test_sections_of_a_folder_are_redone_one_after_another(singer, songs, tmp_path, kind):
    pipe, settings = singer(kind)
    request = {"folder": tmp_path, **OPTIONS, **settings}
    pipe.whole_song("folk", LYRICS, **request)
    song = songs(kind)

    for index, seed in ((2, 9), (1, 5), (2, 7)):
        song = pipe.redo_section(song, index, seed=seed)
        same_songs(song, pipe.redo_section(tmp_path, index, seed=seed))
        same_songs(song, pipe.whole_song("folk", LYRICS, **request))


@pytest.mark.slow
def test_a_redone_section_of_a_folder_needs_all_sections_and_the_same_voice(singer, tmp_path):
    pipe, settings = singer("parallel_A_V")
    voice = (np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32), RATE)
    request = {"seed": 1, "folder": tmp_path, "reference_voice": voice, **settings}
    pipe.whole_song("folk", "[inst 0.1s]\n[outro 0.1s]", **request)

    with pytest.raises(ValueError, match=r"holds another song \(voice differ\)"):
        pipe.redo_section(tmp_path, 0, seed=2)
    assert pipe.redo_section(tmp_path, 0, seed=2, reference_voice=voice)["seed"] == 1
    (tmp_path / "section-02.npz").unlink()
    with pytest.raises(ValueError, match="has 1 of 2 sections: finish the song first"):
        pipe.redo_section(tmp_path, 0, seed=2, reference_voice=voice)


def test_wrong_sections_and_songs_cannot_be_redone(singer, songs, tmp_path):
    pipe, settings = singer("mixed_pro")

    with pytest.raises(ValueError, match="the song has sections 0 to 5: got 6"):
        pipe.redo_section(songs("mixed_pro"), 6)
    with pytest.raises(ValueError, match="was not made by whole_song: give one that was"):
        pipe.redo_section(pipe("folk", seconds=0.1, seed=1, **settings), 0)
    with pytest.raises(ValueError, match="holds no whole song: give the folder of whole_song"):
        pipe.redo_section(tmp_path, 0)
    with pytest.raises(ValueError, match="does not take seconds"):
        pipe.redo_section(songs("mixed_pro"), 0, seconds=3)

import random

import pytest

from songgen_hf.data.corpus.arrangement import arrange, choose_band
from songgen_hf.data.corpus.genres import GENRES
from songgen_hf.data.corpus.harmony import Key
from songgen_hf.data.corpus.instruments import INSTRUMENTS
from songgen_hf.data.corpus.song import make_form


def test_the_corpus_is_as_wide_as_it_says():
    played = {name for g in GENRES.values() for name in g.leads + g.comps + g.basses + g.pads}

    assert len(GENRES) >= 8
    assert len(played) >= 20
    assert played == set(INSTRUMENTS)
    assert min(g.tempo[0] for g in GENRES.values()) == 70
    assert max(g.tempo[1] for g in GENRES.values()) == 160


@pytest.mark.parametrize("genre", sorted(GENRES))
def test_patterns_fill_whole_bars(genre):
    genre = GENRES[genre]

    for pattern in [*genre.drums.values(), genre.bass, genre.comping]:
        assert len(pattern) == 4 * genre.beats_per_bar


@pytest.mark.parametrize("genre", sorted(GENRES))
def test_nobody_shares_the_family_of_the_lead(genre):
    for seed in range(60):
        band = choose_band(random.Random(seed), GENRES[genre])

        assert band.lead.family not in {band.comp.family, band.bass.family}
        assert band.pad is None or band.pad.family != band.lead.family
        assert band.names[0] == band.lead.name


@pytest.mark.parametrize("genre", sorted(GENRES))
def test_pitched_parts_play_the_chord_that_sounds(genre):
    genre = GENRES[genre]
    rng = random.Random(7)
    key = Key(8, "minor")
    form = make_form(rng, genre, key, genre.tempo[1])

    parts = arrange(rng, genre, key, form, choose_band(rng, genre)).parts

    for part in ("bass", "comp", "pad", "lead"):
        for note in parts[part]:
            assert note.pitch % 12 in form.chord_at(note.start).pitch_classes
    assert all(note.start <= form.close for notes in parts.values() for note in notes)
    assert all(note.start + note.duration <= form.total + 2.5 for note in parts["lead"])

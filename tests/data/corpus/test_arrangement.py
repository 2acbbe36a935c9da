"""The genres and the notes of the accompaniment."""

import random

import pytest

from songgen_hf.data.corpus.arrangement import arrange, choose_instruments
from songgen_hf.data.corpus.genres import GENRES
from songgen_hf.data.corpus.harmony import Key
from songgen_hf.data.corpus.instruments import INSTRUMENTS
from songgen_hf.data.corpus.song import make_form


def test_the_corpus_has_the_documented_numbers_of_genres_and_instruments():
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
def test_no_other_instrument_has_the_family_of_the_lead(genre):
    for seed in range(60):
        chosen = choose_instruments(random.Random(seed), GENRES[genre])

        assert chosen.lead.family not in {chosen.comp.family, chosen.bass.family}
        assert chosen.pad is None or chosen.pad.family != chosen.lead.family
        assert chosen.names[0] == chosen.lead.name


@pytest.mark.parametrize("genre", sorted(GENRES))
def test_pitched_parts_play_tones_of_the_current_chord(genre):
    genre = GENRES[genre]
    rng = random.Random(7)
    key = Key(8, "minor")
    form = make_form(rng, genre, key, genre.tempo[1])

    parts = arrange(rng, genre, key, form, choose_instruments(rng, genre)).parts

    for part in ("bass", "comp", "pad", "lead"):
        for note in parts[part]:
            assert note.pitch % 12 in form.chord_at(note.start).pitch_classes
    assert all(note.start <= form.close for notes in parts.values() for note in notes)
    assert all(note.start + note.duration <= form.total + 2.5 for note in parts["lead"])

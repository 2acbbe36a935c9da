"""The form, the rhythm and the melody of a song."""

import random

import pytest

from songgen_hf.data.corpus.genres import GENRES
from songgen_hf.data.corpus.harmony import Key
from songgen_hf.data.corpus.melody import (
    BREATH,
    SHORTEST_NOTE,
    line_melody,
    line_rhythm,
    syllables_that_fit,
)
from songgen_hf.data.corpus.song import LONGEST_SONG, SHORTEST_SONG, TAIL, make_form


@pytest.mark.parametrize("genre", sorted(GENRES))
def test_every_tempo_of_a_genre_has_a_form_of_valid_duration(genre):
    low, high = GENRES[genre].tempo

    for tempo in range(low, high + 1):
        form = make_form(random.Random(tempo), GENRES[genre], Key(2, "minor"), tempo)

        assert SHORTEST_SONG <= form.total * 60 / tempo + TAIL <= LONGEST_SONG
        assert form.lines[-1][1] == form.close
        assert [span[1] for span in form.chords[:-1]] == [span[0] for span in form.chords[1:]]


@pytest.mark.parametrize("tempo", [70, 91, 118, 126, 160])
def test_a_rhythm_has_no_gaps_no_short_notes_and_a_final_rest(tempo):
    beat = 60 / tempo
    beats = 4 if tempo < 100 else 8
    most = syllables_that_fit(beats, beat)

    for syllables in range(3, most + 1):
        rhythm = line_rhythm(random.Random(syllables), syllables, beats, beat)
        ends = [start + duration for start, duration in rhythm]

        assert len(rhythm) == syllables and rhythm[0][0] == 0
        assert [start for start, _ in rhythm[1:]] == ends[:-1]
        assert min(duration for _, duration in rhythm) * beat >= SHORTEST_NOTE - 1e-9
        assert (beats - ends[-1]) * beat >= BREATH - 1e-9


def test_too_many_syllables_are_refused_with_the_possible_number():
    with pytest.raises(ValueError, match="at most 7 fit"):
        line_rhythm(random.Random(0), 9, 4, 60 / 80)


@pytest.mark.parametrize("mode", ["major", "minor"])
def test_a_melody_stays_in_range_and_scale_and_ends_on_the_tonic(mode):
    key = Key(5, mode)
    form = make_form(random.Random(1), GENRES["folk"], key, 96)

    for seed in range(40):
        rng = random.Random(seed)
        rhythm = line_rhythm(rng, 6, 8, 60 / 96)
        notes = line_melody(
            rng, rhythm, 4.0, key=key, chord_at=form.chord_at, low=57, high=70, closing=True
        )

        assert all(57 <= note.pitch <= 70 for note in notes)
        assert all(
            note.pitch % 12 in form.chord_at(note.start).scale_in(key) for note in notes[:-1]
        )
        assert notes[-1].pitch % 12 == key.tonic

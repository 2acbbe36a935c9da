"""Keys, chords and progressions."""

import random

import pytest

from songgen_hf.data.corpus.genres import GENRES
from songgen_hf.data.corpus.harmony import Key, chords_of_song, nearest_pitch, parse_chord


@pytest.mark.parametrize(
    ("numeral", "key", "pitch_classes"),
    [
        ("I", Key(0, "major"), (0, 4, 7)),
        ("vi", Key(0, "major"), (9, 0, 4)),
        ("V7", Key(2, "major"), (9, 1, 4, 7)),
        ("IVM7", Key(0, "major"), (5, 9, 0, 4)),
        ("bVII", Key(0, "major"), (10, 2, 5)),
        ("V", Key(9, "minor"), (4, 8, 11)),
        ("VI", Key(9, "minor"), (5, 9, 0)),
        ("iio", Key(9, "minor"), (11, 2, 5)),
    ],
)
def test_a_numeral_is_parsed_to_its_pitch_classes(numeral, key, pitch_classes):
    assert parse_chord(numeral, key).pitch_classes == pitch_classes


def test_every_progression_of_every_genre_can_be_parsed():
    for genre in GENRES.values():
        for progression in genre.major:
            assert all(parse_chord(numeral, Key(4, "major")) for numeral in progression.split())
        for progression in genre.minor:
            assert all(parse_chord(numeral, Key(4, "minor")) for numeral in progression.split())


def test_the_chords_of_a_song_end_with_dominant_and_tonic():
    chords = chords_of_song(random.Random(0), ["i VI III VII"], Key(7, "minor"), 6)

    assert [chord.numeral for chord in chords] == ["i", "VI", "III", "VII", "V", "i"]


def test_the_leading_tone_of_a_minor_dominant_replaces_its_neighbors_in_the_scale():
    key = Key(9, "minor")

    assert parse_chord("V", key).scale_in(key) == (11, 0, 2, 4, 5, 8)
    assert parse_chord("i", key).scale_in(key) == key.scale


@pytest.mark.parametrize("around", [41.0, 60.4, 71.5])
def test_the_nearest_pitch_has_its_pitch_class_and_is_within_a_tritone(around):
    for pitch_class in range(12):
        pitch = nearest_pitch(pitch_class, around)

        assert pitch % 12 == pitch_class
        assert abs(pitch - around) <= 6.5


def test_invalid_keys_and_chords_are_refused():
    with pytest.raises(ValueError, match="got chord 'VIII'"):
        parse_chord("VIII", Key(0, "major"))
    with pytest.raises(ValueError, match="pitch class 0 to 11"):
        Key(12, "major")
    with pytest.raises(ValueError, match="got 1 chords"):
        chords_of_song(random.Random(0), ["I V"], Key(0, "major"), 1)

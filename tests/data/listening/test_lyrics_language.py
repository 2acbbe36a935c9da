"""The language of written lyrics."""

import random

import pytest

from songgen_hf.data.corpus.large_grammar import compose_line
from songgen_hf.data.listening.lyrics_language import identify_language

LYRICS = {
    "en": "I was walking through the rain\nand you were not there",
    "de": "Sah ein Knab ein Röslein stehn\nwar so jung und morgenschön",
    "es": "Volverán las oscuras golondrinas\nen tu balcón sus nidos a colgar",
    "fr": "Sur le pont d'Avignon\non y danse tous en rond\nles beaux messieurs font comme ça",
    "it": "Nel mezzo del cammin di nostra vita\nmi ritrovai per una selva oscura",
    "pt": "As armas e os barões assinalados\nque da ocidental praia lusitana",
    "nl": "Wilhelmus van Nassouwe\nben ik van Duitsen bloed\nhet vaderland getrouwe",
    "ru": "Выхожу один я на дорогу",
    "ja": "古池や蛙飛びこむ水の音",
    "zh": "床前明月光",
    "ko": "아리랑 아리랑 아라리요",
}


@pytest.mark.parametrize("language", LYRICS)
def test_a_few_lines_tell_the_language(language):
    assert identify_language(LYRICS[language]) == language


@pytest.mark.parametrize(
    "lyrics", ["Stille Nacht heilige Nacht\nalles schläft", "Leise rieselt der Schnee\nstill ruht"]
)
def test_two_short_lines_tell_german(lyrics):
    assert identify_language(lyrics) == "de"


@pytest.mark.parametrize("lyrics", ["", "la la la la\nna na na", "Anna Maria", "42 ♪ …"])
def test_too_few_words_tell_nothing(lyrics):
    assert identify_language(lyrics) is None


@pytest.mark.slow
def test_lines_of_rare_and_invented_english_words_are_never_foreign():
    rng = random.Random(0)
    songs = ["\n".join(compose_line(rng, 7, "test")[0] for _ in range(3)) for _ in range(300)]

    assert {identify_language(song) for song in songs} <= {"en", None}

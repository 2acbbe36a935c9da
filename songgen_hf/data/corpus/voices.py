"""The singers of the corpus: parameters of the synthetic voices.

Fourteen singers were chosen by hand. The further singers of the large edition are drawn: their
voices of espeak-ng and formants are spread evenly, everything else comes from a generator that is
seeded with the name, so that a singer never changes.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True)
class Singer:
    """A synthetic singing voice.

    Args:
        voice_id: name of the singer.
        gender: ``female`` or ``male``.
        variant: voice of espeak-ng.
        spoken_pitch: flat pitch at which espeak-ng speaks the variant, in Hz.
        formants: factor on all formant frequencies.
        low: lowest note, as a MIDI pitch.
        high: highest note, as a MIDI pitch.
        vibrato_rate: frequency of the vibrato in Hz.
        vibrato_depth: depth of the vibrato in semitones.
        vibrato_onset: seconds from the start of a note to that of its vibrato.
        glide_frames: half of the duration of the glide between two notes, in frames of 5 ms.
        formant_slope: how much more high formants are moved than low ones.
        tilt: change of the spectrum above 500 Hz, in dB per octave.
        ring: level of the singer's formant in dB.
        ring_frequency: frequency of the singer's formant in Hz.
        breathiness: share of the harmonic part above 3.5 kHz that is replaced by noise.
        jitter: standard deviation of the rapid changes of the pitch in semitones.
    """

    voice_id: str
    gender: str
    variant: str
    spoken_pitch: float
    formants: float
    low: int
    high: int
    vibrato_rate: float
    vibrato_depth: float
    vibrato_onset: float = 0.2
    glide_frames: int = 8
    formant_slope: float = 0.0
    tilt: float = 0.0
    ring: float = 0.0
    ring_frequency: float = 2800.0
    breathiness: float = 0.0
    jitter: float = 0.0


SINGERS = {
    singer.voice_id: singer
    for singer in (
        Singer("male_1", "male", "en-us+m1", 82.3, 1.00, 43, 56, 5.2, 0.35),
        Singer("male_2", "male", "en-us+m3", 91.0, 1.00, 45, 58, 5.5, 0.40),
        Singer("male_3", "male", "en-us+m7", 89.9, 1.04, 45, 58, 5.0, 0.30),
        Singer("male_4", "male", "en-us+m8", 73.6, 0.97, 41, 54, 4.8, 0.35),
        Singer("male_5", "male", "en-us", 89.2, 1.06, 46, 58, 5.8, 0.25),
        Singer("male_6", "male", "en-us+m2", 91.9, 0.96, 43, 56, 5.3, 0.45),
        Singer("female_1", "female", "en-us+f4", 160.5, 1.06, 57, 70, 5.6, 0.40),
        Singer("female_2", "female", "en-us+m7", 89.9, 1.15, 58, 71, 6.0, 0.35),
        Singer("female_3", "female", "en-us+Annie", 186.9, 1.00, 59, 72, 5.4, 0.30),
        Singer("female_4", "female", "en-us+f1", 159.9, 1.05, 56, 69, 5.2, 0.45),
        Singer("female_5", "female", "en-us+m3", 91.0, 1.17, 57, 70, 5.8, 0.30),
        Singer("female_6", "female", "en-us+f4", 160.5, 0.98, 59, 72, 6.1, 0.35),
    )
}

HELD_OUT_SINGERS = {
    singer.voice_id: singer
    for singer in (
        Singer("male_7", "male", "en-us+m6", 89.7, 0.88, 39, 52, 4.6, 0.20),
        Singer("female_7", "female", "en-us+f5", 183.4, 1.20, 61, 74, 6.4, 0.25),
    )
}
"""Singers that are only used if they are requested by name, for tests with unknown voices: one is
deeper and one is brighter than all others."""

# Voices of espeak-ng with their flat pitch in Hz.
_MALE_VARIANTS = {
    "Diogo": 92.0, "john": 90.2, "Hugo": 89.5, "quincy": 73.7, "Andy": 87.8, "Henrique": 89.5,
    "Mike": 77.1, "Denis": 87.6, "Alex": 100.7, "boris": 89.1, "Gene2": 105.4, "michel": 92.0,
    "Lee": 87.8, "marcelo": 79.9, "gustave": 91.4, "paul": 75.4, "ed": 107.2, "victor": 85.3,
    "kaukovalta": 84.9, "Mario": 89.8, "rob": 79.0, "max": 89.2, "m4": 80.1, "Gene": 85.3,
    "adam": 89.0, "travis": 87.4, "michael": 89.2, "robert": 79.8, "norbert": 90.2, "sandro": 86.7,
}  # fmt: skip
_FEMALE_VARIANTS = {
    "f2": 170.2, "Alicia": 216.1, "steph": 173.1, "linda": 213.2, "f5": 183.4, "Andrea": 221.7,
    "Annie": 186.9, "belinda": 213.3, "f1": 159.9, "shelby": 143.2, "f4": 160.5, "aunty": 182.2,
    "john": 90.2, "Lee": 87.8, "boris": 89.1,
}  # fmt: skip
DRAWN_PER_GENDER = 30
UNHEARD_PER_GENDER = 4
UNHEARD_CHANCE = 0.25
_FIRST_DRAWN = 8  # male_1 to male_7 were chosen by hand, as were female_1 to female_7


@cache
def drawn_singers() -> dict[str, Singer]:
    """The 60 drawn singers of the large edition, by name: male_8 to female_37."""
    singers = {}
    for gender, variants in (("male", _MALE_VARIANTS), ("female", _FEMALE_VARIANTS)):
        for index in range(DRAWN_PER_GENDER):
            name = f"{gender}_{index + _FIRST_DRAWN}"
            variant = list(variants)[index % len(variants)]
            singers[name] = _draw(name, gender, variant, variants[variant], index)
    return singers


def _draw(name: str, gender: str, variant: str, spoken_pitch: float, index: int) -> Singer:
    rng = random.Random(f"songgen-singer/{name}")
    if gender == "male":
        least, most, lowest = 0.90, 1.10, 40
    elif variant in _MALE_VARIANTS:
        least, most, lowest = 1.14, 1.22, 56
    else:
        least, most, lowest = 0.94, 1.14, 56
    low = lowest + rng.randint(0, 6)
    # Multiples of the golden ratio spread evenly, also among the singers of one variant.
    place = (index * 0.6180339887) % 1.0
    return Singer(
        voice_id=name,
        gender=gender,
        variant=f"en-us+{variant}",
        spoken_pitch=spoken_pitch,
        formants=round(least + (most - least) * place, 3),
        low=low,
        high=low + 13,
        vibrato_rate=round(rng.uniform(4.3, 7.0), 2),
        vibrato_depth=round(rng.uniform(0.1, 0.6), 2),
        vibrato_onset=round(rng.uniform(0.1, 0.4), 2),
        glide_frames=rng.randint(5, 14),
        formant_slope=round(rng.uniform(-0.08, 0.08), 3),
        tilt=round(rng.uniform(-1.2, 2.4), 2),
        ring=round(rng.uniform(0.0, 9.0), 2),
        ring_frequency=round(rng.uniform(2400.0, 3400.0)),
        breathiness=round(rng.uniform(0.0, 0.6), 2),
        jitter=round(rng.uniform(0.0, 0.08), 3),
    )


@cache
def unheard_singers() -> frozenset[str]:
    """Names of the drawn singers that no training song of the large edition has."""
    last = _FIRST_DRAWN + DRAWN_PER_GENDER
    numbers = range(last - UNHEARD_PER_GENDER, last)
    return frozenset(f"{gender}_{number}" for gender in ("male", "female") for number in numbers)


def singers_named(names: Sequence[str]) -> list[Singer]:
    """The singers with the given names; without names, those of the small edition.

    Raises:
        ValueError: for an unknown name.
    """
    everyone = SINGERS | HELD_OUT_SINGERS | drawn_singers()
    if unknown := sorted(set(names) - everyone.keys()):
        raise ValueError(
            f"there is no singer {unknown[0]!r}: expected {', '.join(SINGERS)} or, held out, "
            f"{', '.join(HELD_OUT_SINGERS)}, or of the large edition male_8 to male_37 and "
            "female_8 to female_37"
        )
    return [everyone[name] for name in names or SINGERS]


def choose_singer(
    rng: random.Random, gender: str, edition: str, split: str, names: Sequence[str] = ()
) -> Singer:
    """Choose the singer of a song.

    Args:
        rng: random number generator.
        gender: gender of the singer, unless no named singer has it.
        edition: ``small`` or ``large``.
        split: split of the song. In the large edition, one in four singers of validation and test
            songs occurs in no training song.
        names: names of the singers to choose from, if they are restricted.
    """
    singers = singers_named(names)
    if edition == "large" and not names:
        unheard = split != "train" and rng.random() < UNHEARD_CHANCE
        singers += drawn_singers().values()
        singers = [one for one in singers if (one.voice_id in unheard_singers()) == unheard]
    return rng.choice([one for one in singers if one.gender == gender] or singers)

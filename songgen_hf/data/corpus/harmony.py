"""Keys, scales and chords, which are parsed from roman numerals.

Pitches are MIDI numbers (60 is middle C). Pitch classes are numbers from 0 (C) to 11.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from ..listening.pitch_classes import PITCH_CLASSES

MODES = ("major", "minor")

_SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
_NUMERALS = ("I", "II", "III", "IV", "V", "VI", "VII")
_LEADING_TONE = 11


@dataclass(frozen=True)
class Key:
    """A tonic pitch class and a mode, ``major`` or ``minor``."""

    tonic: int
    mode: str

    def __post_init__(self) -> None:
        if not 0 <= self.tonic < 12 or self.mode not in MODES:
            raise ValueError(
                f"got tonic {self.tonic} and mode {self.mode!r}, "
                "expected a pitch class 0 to 11 and major or minor"
            )

    def __str__(self) -> str:
        return f"{PITCH_CLASSES[self.tonic]} {self.mode}"

    @property
    def scale(self) -> tuple[int, ...]:
        """The seven pitch classes, tonic first; minor is natural minor."""
        return tuple((self.tonic + step) % 12 for step in _SCALES[self.mode])


@dataclass(frozen=True)
class Chord:
    """A chord as pitch classes, root first."""

    numeral: str
    pitch_classes: tuple[int, ...]

    @property
    def root(self) -> int:
        return self.pitch_classes[0]

    def scale_in(self, key: Key) -> tuple[int, ...]:
        """The scale of a key, with the tones that this chord raises or lowers."""
        foreign = [tone for tone in self.pitch_classes if tone not in key.scale]
        beside = {(tone + step) % 12 for tone in foreign for step in (1, 11)}
        kept = [t for t in key.scale if t in self.pitch_classes or t not in beside]
        return tuple(sorted(set(kept) | set(foreign), key=lambda tone: (tone - key.tonic) % 12))


def parse_chord(numeral: str, key: Key) -> Chord:
    """Parse a roman numeral in a key.

    Args:
        numeral: degree in capital letters (major third) or small letters (minor third), with the
            prefix ``b`` for a lowered degree and the suffix ``o`` (diminished), ``7`` (minor
            seventh), ``M7`` (major seventh) or none.
        key: key in which the degree is counted.
    Returns:
        The chord; ``V`` and ``V7`` of a minor key contain the leading tone.
    Raises:
        ValueError: if the numeral is invalid.
    """
    body = numeral[1:] if numeral.startswith("b") else numeral
    stem = body.rstrip("M7o")
    suffix = body[len(stem) :]
    if stem.upper() not in _NUMERALS or suffix not in ("", "7", "M7", "o"):
        raise ValueError(f"got chord {numeral!r}, expected for example I, vi, V7, IVM7, iio, bVII")
    degree = _NUMERALS.index(stem.upper())
    root = _SCALES[key.mode][degree] - (1 if numeral.startswith("b") else 0)
    intervals = [0, 4 if stem.isupper() else 3, 6 if suffix == "o" else 7]
    if suffix in ("7", "M7"):
        intervals.append(_LEADING_TONE if suffix == "M7" else 10)
    return Chord(numeral, tuple((key.tonic + root + step) % 12 for step in intervals))


def chords_of_song(
    rng: random.Random, progressions: Sequence[str], key: Key, count: int
) -> list[Chord]:
    """The chords of a song: a repeated progression that ends with dominant and tonic.

    Args:
        rng: random number generator, which chooses the progression.
        progressions: roman numerals, separated by spaces, of each progression.
        key: key of the song.
        count: number of chords, at least 2.
    Raises:
        ValueError: if ``count`` is below 2.
    """
    if count < 2:
        raise ValueError(f"got {count} chords, expected at least 2: a dominant and a tonic")
    numerals = rng.choice(list(progressions)).split()
    song = [numerals[index % len(numerals)] for index in range(count)]
    tonic = "I" if key.mode == "major" else "i"
    song[-2:] = ["V", tonic] if count > 2 else [tonic, tonic]
    return [parse_chord(numeral, key) for numeral in song]


def nearest_pitch(pitch_class: int, around: float) -> int:
    """The MIDI pitch of a pitch class that is closest to ``around``."""
    base = round(around)
    return min(
        (pitch for pitch in range(base - 6, base + 7) if pitch % 12 == pitch_class % 12),
        key=lambda pitch: abs(pitch - around),
    )

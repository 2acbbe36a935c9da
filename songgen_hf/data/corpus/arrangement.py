"""Writes the accompaniment of a song: drums, bass, comping, pad and lead, as notes.

The times of the notes are in beats; ``performance.py`` converts them to seconds and renders them.
"""

import random
from dataclasses import dataclass

from .genres import CLOSED_HAT, Genre
from .harmony import Chord, Key, nearest_pitch
from .instruments import INSTRUMENTS, Instrument
from .melody import Note

_LOUD, _SOFT = 100, 66
_RIFFS = ((0, 2, 1, 2), (0, 1, 2, 1), (2, 1, 0, 1), (0, 1, 2, 3), (3, 2, 1, 0))


@dataclass(frozen=True)
class Instrumentation:
    """The instruments of the accompaniment; ``pad`` is optional."""

    lead: Instrument
    comp: Instrument
    bass: Instrument
    pad: Instrument | None

    @property
    def names(self) -> list[str]:
        """Names of the instruments, the lead first."""
        instruments = [self.lead, self.comp, self.bass, *([self.pad] if self.pad else [])]
        return [instrument.name for instrument in instruments]


@dataclass(frozen=True)
class Arrangement:
    """The notes of each part: drums (pitch = percussion key), bass, comp, pad and lead."""

    parts: dict[str, list[Note]]


@dataclass(frozen=True)
class Form:
    """The form of a song in beats: an intro, the sung lines and a close, with chords.

    Args:
        beats_per_bar: beats of a bar.
        intro: beat at which the intro ends.
        total: beat at which the song ends.
        close: beat at which the close begins.
        chords: (start, end, chord), without gaps.
        lines: (start, end) of each sung line.
    """

    beats_per_bar: int
    intro: float
    total: float
    close: float
    chords: tuple[tuple[float, float, Chord], ...]
    lines: tuple[tuple[float, float], ...]

    def chord_at(self, beat: float) -> Chord:
        """The chord at a beat; the last chord after the end of the song."""
        for start, end, chord in self.chords:
            if start <= beat < end:
                return chord
        return self.chords[-1][2]


def choose_instruments(rng: random.Random, genre: Genre) -> Instrumentation:
    """Choose the instruments of a song.

    No other instrument has the family of the lead, so that the lead can be recognized.
    """
    lead = INSTRUMENTS[rng.choice(genre.leads)]
    others = [INSTRUMENTS[name] for name in genre.comps]
    comp = rng.choice([one for one in others if one.family != lead.family] or others)
    pads = [INSTRUMENTS[name] for name in genre.pads]
    pads = [pad for pad in pads if pad.family not in (lead.family, comp.family)]
    pad = rng.choice(pads) if pads and rng.random() < 0.6 else None
    return Instrumentation(lead, comp, INSTRUMENTS[rng.choice(genre.basses)], pad)


def arrange(
    rng: random.Random, genre: Genre, key: Key, form: Form, instruments: Instrumentation
) -> Arrangement:
    """Write the notes of every part.

    Args:
        rng: random number generator.
        genre: genre, which defines the patterns.
        key: key of the song.
        form: times of the chords and of the sung lines.
        instruments: instruments of the accompaniment.
    """
    parts = {
        "drums": _drums(genre, form),
        "bass": _bass(genre, form),
        "comp": _comping(genre, form),
        "pad": _pad(form) if instruments.pad else [],
        "lead": _lead(rng, key, form, instruments.lead),
    }
    return Arrangement(parts)


def _hits(pattern: str, beats_per_bar: int, start: float, end: float) -> list[tuple[float, str]]:
    """(beat, letter) of each hit of a pattern that is repeated between two beats."""
    hits = []
    sixteenths = beats_per_bar * 4
    for step in range(round(start * 4), round(end * 4)):
        letter = pattern[step % sixteenths]
        if letter != ".":
            hits.append((step / 4, letter))
    return hits


def _drums(genre: Genre, form: Form) -> list[Note]:
    notes = []
    for key, pattern in genre.drums.items():
        for beat, letter in _hits(pattern, form.beats_per_bar, 0.0, form.close):
            quiet = 0.8 if key == CLOSED_HAT else 1.0
            velocity = round(quiet * (112 if letter == "x" else 70))
            notes.append(Note(beat, 0.2, key, velocity))
    first_key = next(iter(genre.drums))
    notes.append(Note(form.close, 0.5, first_key, 110))
    return sorted(notes, key=lambda note: (note.start, note.pitch))


def _bass(genre: Genre, form: Form) -> list[Note]:
    hits = _hits(genre.bass, form.beats_per_bar, 0.0, form.close)
    notes = []
    previous_chord = None
    for index, (beat, letter) in enumerate(hits):
        chord = form.chord_at(beat)
        tone = {"3": 1, "5": 2}.get(letter, 0) if chord is previous_chord else 0
        previous_chord = chord
        root = nearest_pitch(chord.root, 35)
        above = (chord.pitch_classes[tone] - chord.root) % 12 + (12 if letter == "8" else 0)
        until = hits[index + 1][0] if index + 1 < len(hits) else form.close
        notes.append(Note(beat, max(0.2, (until - beat) * 0.92), root + above, 96))
    tonic = form.chords[-1][2].root
    notes.append(Note(form.close, form.total - form.close, nearest_pitch(tonic, 35), 100))
    return notes


def _voicing(chord: Chord, around: float = 60.0) -> list[int]:
    return sorted(nearest_pitch(tone, around) for tone in chord.pitch_classes)


def _comping(genre: Genre, form: Form) -> list[Note]:
    hits = _hits(genre.comping, form.beats_per_bar, 0.0, form.close)
    notes = []
    for index, (beat, letter) in enumerate(hits):
        voicing = _voicing(form.chord_at(beat))
        velocity = _LOUD - 8 if letter == "x" else _SOFT
        until = hits[index + 1][0] if index + 1 < len(hits) else form.close
        duration = min(until - beat, 2.0) * 0.9
        if genre.broken_chords:
            voicing = [voicing[(0, 2, 1, 2)[index % 4]]]
        notes += [Note(beat, duration, pitch, velocity) for pitch in voicing]
    closing = _voicing(form.chords[-1][2])
    notes += [Note(form.close, form.total - form.close, pitch, 92) for pitch in closing]
    return notes


def _pad(form: Form) -> list[Note]:
    return [
        Note(start, (end - start) * 0.98, pitch, 62)
        for start, end, chord in form.chords
        for pitch in _voicing(chord, 64.0)
    ]


def _lead(rng: random.Random, key: Key, form: Form, lead: Instrument) -> list[Note]:
    """The lead: a riff that is softer and slower while the voice sings."""
    riff = rng.choice(_RIFFS)
    motion = rng.choice((0.5, 1.0))
    notes: list[Note] = []
    beat = 0.0
    index = 0
    while beat < form.close - 1e-9:
        singing = any(start <= beat < end - 1.0 for start, end in form.lines)
        step = (2.0 if lead.sustained else 1.0) if singing else motion
        step = min(step, form.close - beat)
        pitch = _ladder_pitch(form.chord_at(beat), lead.center, riff[index % 4])
        velocity = 92 if singing else 112
        notes.append(Note(beat, step * (0.95 if lead.sustained else 1.1), pitch, velocity))
        beat += step
        index += 1
    final = nearest_pitch(key.tonic, lead.center)
    notes.append(Note(form.close, form.total - form.close, final, 108))
    return notes


def _ladder_pitch(chord: Chord, center: int, rung: int) -> int:
    """The chord tone number ``rung``, counted upwards from the pitches around ``center``."""
    ladder = [p for p in range(center - 5, center + 20) if p % 12 in chord.pitch_classes[:3]]
    return ladder[rung]

"""Composes the melody of a sung line: rhythm and pitches for a number of syllables.

Times are in beats from the start of the song, and pitches are MIDI numbers.
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from .harmony import Chord, Key, nearest_pitch

SHORTEST_NOTE = 0.24  # seconds; shorter syllables are unintelligible
BREATH = 0.35  # seconds of rest at the end of a line
_STEPS = (-2, -1, -1, -1, 0, 1, 1, 1, 2)  # scale steps of the random walk


@dataclass(frozen=True)
class Note:
    """A note: start and duration in beats, MIDI pitch, and velocity from 1 to 127."""

    start: float
    duration: float
    pitch: int
    velocity: int = 90


def line_rhythm(
    rng: random.Random, syllables: int, beats: float, beat_seconds: float
) -> list[tuple[float, float]]:
    """Compose the rhythm of a line, on a grid of eighth notes.

    Args:
        rng: random number generator, which chooses the longer notes.
        syllables: number of notes.
        beats: length of the line, including the rest at its end.
        beat_seconds: duration of a beat in seconds.
    Returns:
        Start and duration of each note, in beats from the start of the line, without gaps. A rest
        of at least ``BREATH`` seconds follows.
    Raises:
        ValueError: if notes for all syllables would be shorter than ``SHORTEST_NOTE``.
    """
    shortest = shortest_note(beat_seconds)
    available = round(beats * 2) - max(1, math.ceil(BREATH / (beat_seconds / 2)))
    spare = available - shortest * syllables
    if spare < 0:
        raise ValueError(
            f"got {syllables} syllables for {beats} beats of {beat_seconds:.2f} s: "
            f"at most {available // shortest} fit"
        )
    eighths = [shortest] * syllables
    longest = max(shortest + 1, round(1.1 / (beat_seconds / 2)))
    final = min(spare, max(0, round(0.8 / (beat_seconds / 2)) - shortest))
    eighths[-1] += final
    for _ in range(spare - final):
        open_notes = [index for index, length in enumerate(eighths) if length < longest]
        if not open_notes:
            break
        # Prefer to lengthen notes after which the next note would not start on a beat.
        late = [index for index in open_notes if sum(eighths[: index + 1]) % 2]
        eighths[rng.choice(late or open_notes)] += 1
    starts = [sum(eighths[:index]) / 2 for index in range(syllables)]
    return [(start, length / 2) for start, length in zip(starts, eighths, strict=True)]


def shortest_note(beat_seconds: float) -> int:
    """Duration of the shortest note, in eighth notes."""
    return max(1, math.ceil(SHORTEST_NOTE / (beat_seconds / 2) - 1e-6))


def syllables_that_fit(beats: float, beat_seconds: float) -> int:
    """Largest number of syllables in a line of ``beats``."""
    available = round(beats * 2) - max(1, math.ceil(BREATH / (beat_seconds / 2)))
    return available // shortest_note(beat_seconds)


def line_melody(
    rng: random.Random,
    rhythm: list[tuple[float, float]],
    start: float,
    *,
    key: Key,
    chord_at: Callable[[float], Chord],
    low: int,
    high: int,
    previous: int | None = None,
    closing: bool = False,
) -> list[Note]:
    """Compose the pitches of a line as a random walk on the scale.

    Long notes and notes on strong beats are chord tones.

    Args:
        rng: random number generator.
        rhythm: start and duration of each note, in beats from the start of the line.
        start: beat at which the line begins.
        key: key of the song.
        chord_at: returns the chord at a beat.
        low: lowest pitch.
        high: highest pitch, at least an octave above ``low``.
        previous: pitch of the last note of the previous line.
        closing: whether the last note must be the tonic.
    """
    pitch = previous if previous is not None else round(rng.uniform(low + 4, high - 4))
    notes = []
    for index, (offset, duration) in enumerate(rhythm):
        beat = start + offset
        chord = chord_at(beat)
        ladder = [p for p in range(low, high + 1) if p % 12 in chord.scale_in(key)]
        place = min(range(len(ladder)), key=lambda rung: abs(ladder[rung] - pitch))
        step = rng.choice(_STEPS)
        if abs(pitch - (low + high) / 2) > (high - low) / 3:
            step = -abs(step) if pitch > (low + high) / 2 else abs(step)
        pitch = ladder[min(max(place + step, 0), len(ladder) - 1)]
        strong = index == 0 or duration >= 1.5 or beat % 2 == 0
        if strong:
            tones = [p for p in ladder if p % 12 in chord.pitch_classes[:3]]
            pitch = min(tones, key=lambda tone: (abs(tone - pitch), tone))
        if closing and index == len(rhythm) - 1:
            pitch = nearest_pitch(key.tonic, pitch)
            pitch += 12 if pitch < low else -12 if pitch > high else 0
        notes.append(Note(beat, duration, pitch))
    return notes

"""The tune of a sung line: rhythm and pitches for a number of syllables.

Times are in beats from the start of the song, pitches MIDI numbers. Knows nothing of words.
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass

from .harmony import Chord, Key, nearest_pitch

SHORTEST_NOTE = 0.24  # seconds: faster syllables blur
BREATH = 0.35  # seconds of rest that a line keeps at its end
_STEPS = (-2, -1, -1, -1, 0, 1, 1, 1, 2)  # scale steps of the random walk


@dataclass(frozen=True)
class Note:
    """A note: start and duration in beats, MIDI pitch, velocity 1 to 127."""

    start: float
    duration: float
    pitch: int
    velocity: int = 90


def line_rhythm(
    rng: random.Random, syllables: int, beats: float, beat_seconds: float
) -> list[tuple[float, float]]:
    """Starts and durations, in beats from the line's start, on a grid of eighth notes.

    Args:
        rng: places the longer notes.
        syllables: number of notes.
        beats: length of the line, the final rest included.
        beat_seconds: seconds of one beat.
    Returns:
        One (start, duration) per syllable, without gaps; a rest of at least ``BREATH`` follows.
    Raises:
        ValueError: if so many syllables would be shorter than ``SHORTEST_NOTE``.
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
        # An eighth more where the next note would otherwise miss the beat.
        late = [index for index in open_notes if sum(eighths[: index + 1]) % 2]
        eighths[rng.choice(late or open_notes)] += 1
    starts = [sum(eighths[:index]) / 2 for index in range(syllables)]
    return [(start, length / 2) for start, length in zip(starts, eighths, strict=True)]


def shortest_note(beat_seconds: float) -> int:
    """Eighth notes of the shortest syllable."""
    return max(1, math.ceil(SHORTEST_NOTE / (beat_seconds / 2) - 1e-6))


def syllables_that_fit(beats: float, beat_seconds: float) -> int:
    """The most syllables that a line of ``beats`` can hold."""
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
    """Pitches for a rhythm: steps through the scale, chord tones where a note is long or strong.

    Args:
        rng: source of every choice.
        rhythm: (start, duration) in beats from the line's start.
        start: beat at which the line begins.
        key: of the song.
        chord_at: the chord that sounds at a beat.
        low: lowest pitch.
        high: highest pitch, at least an octave above ``low``.
        previous: pitch of the note before, to lead on from.
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

"""Plans a song: everything that is decided before audio is rendered.

``plan_song(seed, split, index)`` draws genre, key, tempo, singer, instruments, lyrics and melody
from one seed. The same three values give the same plan in every process. ``performance.py`` renders
the plan.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .arrangement import Arrangement, Form, Instrumentation, arrange, choose_instruments
from .captions import write_captions
from .genres import GENRES, Genre
from .harmony import Key, chords_of_song, parse_chord
from .large_grammar import compose_line as compose_large_line
from .lyrics_grammar import SPLITS, compose_line
from .melody import Note, line_melody, line_rhythm, syllables_that_fit
from .speech import Speaker, SpokenLine
from .voices import Singer, choose_singer, unheard_singers

SHORTEST_SONG, LONGEST_SONG = 6.0, 12.0  # seconds
TAIL = 0.3  # seconds after the last beat

_LINE_SECONDS = (2.3, 4.6)
_CLOSE_SECONDS = 1.3
_SYLLABLES_PER_SECOND = (2.1, 2.7)
_MIN_LINE_SYLLABLES, _MAX_LINE_SYLLABLES = 5, 10


@dataclass(frozen=True)
class SungLine:
    """A line: its text, the speech of espeak-ng and one note for each syllable (in beats)."""

    text: str
    spoken: SpokenLine
    notes: list[Note]
    unseen_words: tuple[str, ...]


@dataclass(frozen=True)
class SongPlan:
    """Everything that determines a song except for small random variations."""

    song_id: str
    split: str
    edition: str
    genre: Genre
    key: Key
    tempo: int  # bpm
    mood: str
    singer: Singer
    instruments: Instrumentation
    form: Form
    arrangement: Arrangement
    lines: tuple[SungLine, ...]
    captions: list[str]

    @property
    def duration(self) -> float:
        """Duration of the song in seconds."""
        return self.seconds_at(self.form.total) + TAIL

    def seconds_at(self, beat: float) -> float:
        """The time of a beat in seconds; with swing, the second eighth note is late."""
        whole, part = divmod(beat, 1.0)
        swing = self.genre.swing
        bent = part * 2 * swing if part < 0.5 else swing + (part - 0.5) * 2 * (1 - swing)
        return (whole + bent) * 60.0 / self.tempo

    @property
    def facts(self) -> dict[str, Any]:
        """The metadata that do not depend on the rendered audio."""
        facts = {
            "song_id": self.song_id,
            "split": self.split,
            "genre": self.genre.name,
            "mood": self.mood,
            "tempo": self.tempo,
            "key": str(self.key),
            "gender": self.singer.gender,
            "voice_id": self.singer.voice_id,
            "lead_instrument": self.instruments.lead.name,
            "lead_family": self.instruments.lead.family,
            "instruments": self.instruments.names,
            "lyrics": "\n".join(line.text for line in self.lines),
            "unseen_words": [word for line in self.lines for word in line.unseen_words],
            "captions": self.captions,
        }
        if self.edition == "large":
            facts["unseen_voice"] = self.singer.voice_id in unheard_singers()
        return facts


def plan_song(
    seed: int,
    split: str,
    index: int,
    speaker: Speaker,
    voices: Sequence[str] = (),
    edition: str = "small",
) -> SongPlan:
    """Plan a song.

    Args:
        seed: seed of the corpus.
        split: one of ``SPLITS``.
        index: index of the song in its split, from 0.
        speaker: speaks the lines, which determines their syllables.
        voices: names of the singers to choose from; by default those of the edition.
        edition: ``small`` or ``large``.
    Raises:
        ValueError: if the split or a voice is unknown, or the index is negative.
    """
    if split not in SPLITS or index < 0:
        raise ValueError(
            f"got split {split!r} and index {index}, expected {', '.join(SPLITS)} and 0 or more"
        )
    name = f"{seed}/{split}/{index}" if edition == "small" else f"{edition}/{seed}/{split}/{index}"
    rng = random.Random(f"songgen-corpus/{name}")
    genre = GENRES[rng.choice(sorted(GENRES))]
    mode = "minor" if rng.random() < genre.minor_chance else "major"
    key = Key(rng.randrange(12), mode)
    tempo = rng.randint(*genre.tempo)
    mood = rng.choice(genre.moods_minor if mode == "minor" else genre.moods_major)
    gender = rng.choice(("female", "male"))
    singer = choose_singer(rng, gender, edition, split, voices)
    instruments = choose_instruments(rng, genre)
    form = make_form(rng, genre, key, tempo)
    lines = _sung_lines(rng, split, tempo, key, form, singer, speaker, edition)
    arrangement = arrange(rng, genre, key, form, instruments)
    plan = SongPlan(
        f"{split}-{index:06d}", split, edition, genre, key, tempo, mood, singer, instruments,
        form, arrangement, lines, [],
    )  # fmt: skip
    plan.captions.extend(write_captions(rng, plan.facts))
    return plan


def make_form(rng: random.Random, genre: Genre, key: Key, tempo: int) -> Form:
    """Choose a form of 6 to 12 seconds with an intro, two or three lines and a close.

    Args:
        rng: random number generator, which chooses among the forms that fit.
        genre: genre, which defines the bar and the chord progressions.
        key: key of the chords.
        tempo: tempo in bpm.
    """
    beat = 60.0 / tempo
    bar = genre.beats_per_bar
    half = bar // 2 if bar % 2 == 0 else bar
    intro = bar if bar * beat <= 2.1 else half
    unit = bar if bar * beat <= 2.7 else half  # beats of a chord
    close = next(beats for beats in range(2, 9) if beats * beat >= _CLOSE_SECONDS)
    forms = [
        (length, count)
        for length in range(half, 4 * bar + 1, half)
        for count in (2, 3, 3)
        if _LINE_SECONDS[0] <= length * beat <= _LINE_SECONDS[1]
        and syllables_that_fit(length, beat) >= _MIN_LINE_SYLLABLES
        and SHORTEST_SONG <= (intro + length * count + close) * beat + TAIL <= LONGEST_SONG
    ]
    # The longer one of two random forms, so that most of a song has singing.
    length, count = max(rng.choice(forms), rng.choice(forms), key=lambda form: form[0] * form[1])
    end = intro + length * count
    spans = list(range(intro, end, unit))
    chords = chords_of_song(
        rng, genre.major if key.mode == "major" else genre.minor, key, len(spans)
    )
    tonic = parse_chord("I" if key.mode == "major" else "i", key)
    timed = [(0.0, float(intro), tonic)]
    timed += [
        (float(start), float(min(start + unit, end)), chord)
        for start, chord in zip(spans, chords, strict=True)
    ]
    timed.append((float(end), float(end + close), tonic))
    lines = tuple(
        (float(intro + index * length), float(intro + (index + 1) * length))
        for index in range(count)
    )
    return Form(bar, float(intro), float(end + close), float(end), tuple(timed), lines)


def _sung_lines(
    rng: random.Random,
    split: str,
    tempo: int,
    key: Key,
    form: Form,
    singer: Singer,
    speaker: Speaker,
    edition: str,
) -> tuple[SungLine, ...]:
    beat = 60.0 / tempo
    lines: list[SungLine] = []
    previous = None
    for start, end in form.lines:
        most = syllables_that_fit(end - start, beat)
        wanted = round(rng.uniform(*_SYLLABLES_PER_SECOND) * ((end - start) * beat - 0.35))
        wanted = max(_MIN_LINE_SYLLABLES, min(wanted, most, _MAX_LINE_SYLLABLES))
        text, unseen, spoken = _spoken_line(rng, wanted, most, split, singer, speaker, edition)
        rhythm = line_rhythm(rng, spoken.syllables, end - start, beat)
        notes = line_melody(
            rng, rhythm, start, key=key, chord_at=form.chord_at, low=singer.low, high=singer.high,
            previous=previous, closing=end == form.close,
        )  # fmt: skip
        previous = notes[-1].pitch
        lines.append(SungLine(text, spoken, notes, unseen))
    return tuple(lines)


def _spoken_line(
    rng: random.Random,
    wanted: int,
    most: int,
    split: str,
    singer: Singer,
    speaker: Speaker,
    edition: str,
) -> tuple[str, tuple[str, ...], SpokenLine]:
    """Compose a line in which espeak-ng speaks every word separately; it joins some pairs."""
    large = edition == "large"
    while True:
        text, unseen = (compose_large_line if large else compose_line)(rng, wanted, split)
        spoken = speaker.speak(text, singer.variant, skip_unnamed=large)
        sung_words = {phoneme.word for phoneme in spoken.phonemes if phoneme.is_vowel}
        if len(sung_words) == len(text.split(" ")) and spoken.syllables <= most:
            return text, unseen, spoken.without_pause() if large else spoken

"""Turns speech into singing with the vocoder WORLD.

The spectral envelope and the aperiodicity of a spoken line are analyzed at the known flat pitch of
espeak-ng. They are read along a warped time axis, where consonants keep about their spoken
duration, vowels last as long as their notes, and a vowel starts with its note. The result is
synthesized with the pitch of the melody, with glides and vibrato.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import soxr

from ...optional import require
from .speech import Phoneme, SpokenLine

FRAME_PERIOD = 0.005  # seconds between two frames of WORLD
_FFT_SIZE = 1024
_LOWEST_POWER = 1e-12
_FADE = 0.04  # seconds of the fades at both ends of a line


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


def singers_named(names: Sequence[str]) -> list[Singer]:
    """The singers with the given names; without names, all but the held-out singers.

    Raises:
        ValueError: for an unknown name.
    """
    if unknown := sorted(set(names) - SINGERS.keys() - HELD_OUT_SINGERS.keys()):
        raise ValueError(
            f"there is no singer {unknown[0]!r}: expected {', '.join(SINGERS)} or, held out, "
            f"{', '.join(HELD_OUT_SINGERS)}"
        )
    everyone = SINGERS | HELD_OUT_SINGERS
    return [everyone[name] for name in names or SINGERS]


@dataclass(frozen=True)
class SungNote:
    """The note of a syllable: start and end in seconds, pitch as a MIDI number."""

    start: float
    end: float
    pitch: float


def world() -> ModuleType:
    """Import pyworld without the warning of its import of pkg_resources."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return require("pyworld", "corpus")


def sing_line(
    spoken: SpokenLine,
    notes: list[SungNote],
    singer: Singer,
    sampling_rate: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, float, list[Phoneme]]:
    """Synthesize a line with one note for each syllable.

    Args:
        spoken: the line, spoken by espeak-ng with the variant of the singer.
        notes: one note for each syllable, in order, with times in seconds of the song.
        singer: the singer.
        sampling_rate: sampling rate of the result in Hz.
        rng: random number generator for the drift of the pitch.
    Returns:
        The waveform (float64 [S]), the time of its first sample in seconds of the song, and the
        phonemes with times in seconds of the song.
    Raises:
        ValueError: if the numbers of notes and syllables differ.
    """
    if len(notes) != spoken.syllables:
        raise ValueError(
            f"got {len(notes)} notes for {spoken.syllables} syllables: give one note per syllable"
        )
    sung = place_phonemes(spoken.phonemes, notes)
    first, last = sung[0].start, sung[-1].end
    times = np.arange(first, last + FRAME_PERIOD, FRAME_PERIOD)  # [T] in the song
    source_times = np.interp(times, *_warp(spoken.phonemes, sung))

    envelope, aperiodicity = _analyze(spoken, singer, sampling_rate)
    envelope = np.exp(_read_frames(envelope, source_times))
    aperiodicity = _read_frames(aperiodicity, source_times)
    pitch = _pitch_curve(times, notes, singer, rng)  # [T] in MIDI numbers
    frequency = 440.0 * 2.0 ** ((pitch - 69.0) / 12.0)
    waveform = world().synthesize(
        frequency, envelope, aperiodicity, sampling_rate, FRAME_PERIOD * 1000.0
    )
    return _fade(waveform, sampling_rate), first, sung


def place_phonemes(phonemes: tuple[Phoneme, ...], notes: list[SungNote]) -> list[Phoneme]:
    """Place phonemes in the song: vowels start with their notes, consonants before the next vowel.

    Args:
        phonemes: spoken phonemes, with times in seconds of the speech.
        notes: one note for each vowel.
    Returns:
        The phonemes with times in seconds of the song, without gaps. The line ends with its last
        note. It begins before its first note if it begins with consonants.
    """
    vowels = [index for index, phoneme in enumerate(phonemes) if phoneme.is_vowel]
    sung: list[Phoneme] = []

    def lay(indices: range, start: float, end: float) -> None:
        spoken = sum(phonemes[i].end - phonemes[i].start for i in indices)
        scale = (end - start) / spoken if spoken else 0.0
        for i in indices:
            length = (phonemes[i].end - phonemes[i].start) * scale
            sung.append(Phoneme(phonemes[i].symbol, start, start + length, phonemes[i].word))
            start += length

    opening = range(0, vowels[0])
    lead_in = sum(phonemes[i].end - phonemes[i].start for i in opening)
    lay(opening, notes[0].start - lead_in, notes[0].start)
    for note_index, vowel in enumerate(vowels):
        is_last = note_index + 1 == len(vowels)
        start = notes[note_index].start
        end = notes[note_index].end if is_last else notes[note_index + 1].start
        consonants = range(vowel + 1, len(phonemes) if is_last else vowels[note_index + 1])
        spoken = sum(phonemes[i].end - phonemes[i].start for i in consonants)
        boundary = end - min(spoken, 0.5 * (end - start))
        lay(range(vowel, vowel + 1), start, boundary)
        lay(consonants, boundary, end)
    return sung


def _warp(spoken: tuple[Phoneme, ...], sung: list[Phoneme]) -> tuple[np.ndarray, np.ndarray]:
    """Increasing song times and speech times of the breakpoints of the time axis.

    A vowel that is longer than spoken keeps about the spoken pace at its start and its end and is
    stretched in between. A diphthong is held early and glides late.
    """
    song_times, speech_times = [sung[0].start], [spoken[0].start]
    for before, after in zip(spoken, sung, strict=True):
        natural, length = before.end - before.start, after.end - after.start
        if before.is_vowel and length > natural:
            gliding = len(before.symbol.rstrip("ː")) > 1
            held_from, held_to = (0.2, 0.45) if gliding else (0.3, 0.65)
            song_times += [after.start + held_from * natural, after.end - (1 - held_to) * natural]
            speech_times += [before.start + held_from * natural, before.start + held_to * natural]
        song_times.append(after.end)
        speech_times.append(before.end)
    return np.array(song_times), np.array(speech_times)


def _analyze(
    spoken: SpokenLine, singer: Singer, sampling_rate: int
) -> tuple[np.ndarray, np.ndarray]:
    """The log power envelope and the aperiodicity of the speech, both [T, F]."""
    pyworld = world()
    speech = soxr.resample(spoken.waveform, spoken.sampling_rate, sampling_rate)
    times = np.arange(int(len(speech) / sampling_rate / FRAME_PERIOD) + 1) * FRAME_PERIOD
    pitch = np.full(len(times), singer.spoken_pitch)
    envelope = pyworld.cheaptrick(speech, pitch, times, sampling_rate, fft_size=_FFT_SIZE)
    aperiodicity = pyworld.d4c(speech, pitch, times, sampling_rate, fft_size=_FFT_SIZE)
    envelope = np.log(np.maximum(envelope, _LOWEST_POWER))
    return _move_formants(envelope, singer), _move_formants(aperiodicity, singer)


def _move_formants(spectra: np.ndarray, singer: Singer) -> np.ndarray:
    """Stretch the frequency axis of spectra [T, F] by the formant factor of the singer."""
    if singer.formants == 1.0:
        return spectra
    bins = np.minimum(np.arange(spectra.shape[1]) / singer.formants, spectra.shape[1] - 1)
    lower = np.minimum(bins.astype(int), spectra.shape[1] - 2)
    weight = bins - lower
    return spectra[:, lower] * (1 - weight) + spectra[:, lower + 1] * weight


def _read_frames(frames: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Interpolate frames [T, F] linearly at times in seconds."""
    positions = np.clip(times / FRAME_PERIOD, 0, len(frames) - 1)
    lower = np.minimum(positions.astype(int), len(frames) - 2)
    weight = (positions - lower)[:, None]
    return frames[lower] * (1 - weight) + frames[lower + 1] * weight


def _pitch_curve(
    times: np.ndarray, notes: list[SungNote], singer: Singer, rng: np.random.Generator
) -> np.ndarray:
    """The pitch [T] in MIDI numbers: notes with glides, delayed vibrato and a slow drift."""
    starts = np.array([note.start for note in notes])
    current = np.clip(np.searchsorted(starts, times + 0.02, side="right") - 1, 0, None)
    pitch = np.array([note.pitch for note in notes])[current]
    kernel = np.hanning(17)  # glides of about 60 ms
    padded = np.pad(pitch, 8, mode="edge")
    pitch = np.convolve(padded, kernel / kernel.sum(), mode="valid")

    lengths = np.array([note.end - note.start for note in notes])[current]
    age = times - starts[current]
    depth = singer.vibrato_depth * np.clip((age - 0.2) / 0.3, 0, 1) * (lengths > 0.4)
    phase = rng.uniform(0, 2 * np.pi)
    vibrato = depth * np.sin(2 * np.pi * singer.vibrato_rate * times + phase)
    knots = rng.normal(0.0, 0.06, size=max(2, int(len(times) * FRAME_PERIOD / 0.2) + 2))
    drift = np.interp(times, np.linspace(times[0], times[-1], len(knots)), knots)
    return pitch + vibrato + drift


def _fade(waveform: np.ndarray, sampling_rate: int) -> np.ndarray:
    length = min(int(_FADE * sampling_rate), len(waveform) // 2)
    ramp = np.sin(np.linspace(0, np.pi / 2, length)) ** 2
    waveform = waveform.copy()
    waveform[:length] *= ramp
    waveform[len(waveform) - length :] *= ramp[::-1]
    return waveform

"""Turns speech into singing with the vocoder WORLD.

The spectral envelope and the aperiodicity of a spoken line are analyzed at the known flat pitch of
espeak-ng. They are read along a warped time axis, where consonants keep about their spoken
duration, vowels last as long as their notes, and a vowel starts with its note. The result is
synthesized with the pitch of the melody, with glides and vibrato.
"""

import warnings
from dataclasses import dataclass
from types import ModuleType

import numpy as np
import soxr

from ...optional import require
from .speech import Phoneme, SpokenLine
from .voices import Singer

FRAME_PERIOD = 0.005  # seconds between two frames of the synthesis
_FFT_SIZE = 1024
_LOWEST_POWER = 1e-12
_RING_WIDTH = 450.0  # Hz, standard deviation of the singer's formant
_JITTER = np.hanning(7)[1:-1] / np.sqrt(np.sum(np.hanning(7) ** 2))
_FADE = 0.04  # seconds of the fades at both ends of a line


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
    *,
    fast: bool = False,
) -> tuple[np.ndarray, float, list[Phoneme]]:
    """Synthesize a line with one note for each syllable.

    Args:
        spoken: the line, spoken by espeak-ng with the variant of the singer.
        notes: one note for each syllable, in order, with times in seconds of the song.
        singer: the singer.
        sampling_rate: sampling rate of the result in Hz.
        rng: random number generator for the drift of the pitch.
        fast: analyze every 10 ms instead of every 5 ms and halve the resolution of the spectra.
            The windows of the analysis are longer than 20 ms, so that little is lost.
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

    period = 2 * FRAME_PERIOD if fast else FRAME_PERIOD
    envelope, aperiodicity = _analyze(spoken, singer, sampling_rate, period)
    if fast:
        envelope, aperiodicity = envelope[:, ::2].copy(), aperiodicity[:, ::2].copy()
    envelope = np.exp(_read_frames(envelope, source_times / period))
    aperiodicity = _read_frames(aperiodicity, source_times / period)
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
    spoken: SpokenLine, singer: Singer, sampling_rate: int, period: float
) -> tuple[np.ndarray, np.ndarray]:
    """The log power envelope and the aperiodicity of the speech, both [T, F]."""
    pyworld = world()
    speech = soxr.resample(spoken.waveform, spoken.sampling_rate, sampling_rate)
    times = np.arange(int(len(speech) / sampling_rate / period) + 1) * period
    pitch = np.full(len(times), singer.spoken_pitch)
    envelope = pyworld.cheaptrick(speech, pitch, times, sampling_rate, fft_size=_FFT_SIZE)
    aperiodicity = pyworld.d4c(speech, pitch, times, sampling_rate, fft_size=_FFT_SIZE)
    envelope = _move_formants(np.log(np.maximum(envelope, _LOWEST_POWER)), singer)
    aperiodicity = _move_formants(aperiodicity, singer)
    hertz = np.fft.rfftfreq(_FFT_SIZE, 1 / sampling_rate)
    if singer.tilt or singer.ring:
        envelope += _timbre(hertz, singer)
    if singer.breathiness:
        breath = singer.breathiness * np.clip((hertz - 500.0) / 3000.0, 0.0, 1.0)
        aperiodicity = 1.0 - (1.0 - aperiodicity) * (1.0 - breath)
    return envelope, aperiodicity


def _timbre(hertz: np.ndarray, singer: Singer) -> np.ndarray:
    """What the singer adds to the log power envelope: spectral tilt and singer's formant, [F]."""
    octaves = np.clip(np.log2(np.maximum(hertz, 1.0) / 500.0), 0.0, 3.5)
    distance = (hertz - singer.ring_frequency) / _RING_WIDTH
    decibels = singer.tilt * octaves + singer.ring * np.exp(-0.5 * distance**2)
    return decibels * np.log(10.0) / 10.0


def _move_formants(spectra: np.ndarray, singer: Singer) -> np.ndarray:
    """Stretch the frequency axis of spectra [T, F] by the formant factor of the singer."""
    if singer.formants == 1.0 and not singer.formant_slope:
        return spectra
    bins = np.arange(spectra.shape[1])
    if singer.formant_slope:  # the factor changes from low to high formants
        bins = bins / (1.0 + singer.formant_slope * (bins / spectra.shape[1] - 0.25))
    bins = np.minimum(bins / singer.formants, spectra.shape[1] - 1)
    lower = np.minimum(bins.astype(int), spectra.shape[1] - 2)
    weight = bins - lower
    return spectra[:, lower] * (1 - weight) + spectra[:, lower + 1] * weight


def _read_frames(frames: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Interpolate frames [T, F] linearly at positions in frames."""
    positions = np.clip(positions, 0, len(frames) - 1)
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
    kernel = np.hanning(2 * singer.glide_frames + 1)
    padded = np.pad(pitch, singer.glide_frames, mode="edge")
    pitch = np.convolve(padded, kernel / kernel.sum(), mode="valid")

    lengths = np.array([note.end - note.start for note in notes])[current]
    age = times - starts[current]
    depth = (
        singer.vibrato_depth * np.clip((age - singer.vibrato_onset) / 0.3, 0, 1) * (lengths > 0.4)
    )
    phase = rng.uniform(0, 2 * np.pi)
    vibrato = depth * np.sin(2 * np.pi * singer.vibrato_rate * times + phase)
    knots = rng.normal(0.0, 0.06, size=max(2, int(len(times) * FRAME_PERIOD / 0.2) + 2))
    drift = np.interp(times, np.linspace(times[0], times[-1], len(knots)), knots)
    if singer.jitter:
        drift = drift + singer.jitter * np.convolve(rng.normal(size=len(times)), _JITTER, "same")
    return pitch + vibrato + drift


def _fade(waveform: np.ndarray, sampling_rate: int) -> np.ndarray:
    length = min(int(_FADE * sampling_rate), len(waveform) // 2)
    ramp = np.sin(np.linspace(0, np.pi / 2, length)) ** 2
    waveform = waveform.copy()
    waveform[:length] *= ramp
    waveform[len(waveform) - length :] *= ramp[::-1]
    return waveform

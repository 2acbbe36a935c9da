"""A plan made audible: two stems, exactly aligned, whose sum is the song at -14 LUFS."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import soxr

from ..loudness import at_loudness, integrated_loudness, limiting_gain
from .melody import Note
from .singer import SungNote, sing_line
from .song import SongPlan
from .synthesizer import DRUM_CHANNEL, RENDER_RATE, Event, Synthesizer

SAMPLING_RATE = 16000  # Hz
LOUDNESS = -14.0  # LUFS of the mixture

_CHANNELS = {"bass": 0, "comp": 1, "pad": 2, "lead": 3, "drums": DRUM_CHANNEL}
# Parts that are balanced as one, and their loudness against each other in LU.
_GROUPS = ((("drums",), -1.0), (("bass", "comp", "pad"), -1.0), (("lead",), 1.0))
_VOCAL_OVER_BAND = (1.5, 4.0)  # LU
_CEILING = 0.95
_LIMITER_WINDOW = 161  # samples: 10 ms
_ROOM_SECONDS, _ROOM_LEVEL = 0.35, 0.12


@dataclass(frozen=True)
class Performance:
    """int16 stems [S] at ``SAMPLING_RATE``; ``vocal + accompaniment`` is the mixture, exactly.

    ``words``, ``phonemes`` and ``notes`` are rows of metadata with times in seconds.
    """

    vocal: np.ndarray
    accompaniment: np.ndarray
    words: list[dict[str, Any]]
    phonemes: list[dict[str, Any]]
    notes: list[dict[str, Any]]

    @property
    def mixture(self) -> np.ndarray:
        """The song, int16 [S]."""
        return self.vocal + self.accompaniment


def perform(plan: SongPlan, synthesizer: Synthesizer, seed: int) -> Performance:
    """Sing and play a plan.

    Args:
        plan: of the song.
        synthesizer: plays the accompaniment.
        seed: of the small irregularities (pitch drift, room).
    """
    rng = np.random.default_rng(seed)
    samples = round(plan.duration * SAMPLING_RATE)
    vocal, phonemes, words, notes = _sing(plan, samples, rng)
    accompaniment = _play(plan, synthesizer, samples, rng)
    vocal, accompaniment = _mix(vocal, accompaniment, rng)
    return Performance(_to_int16(vocal), _to_int16(accompaniment), words, phonemes, notes)


def _sing(
    plan: SongPlan, samples: int, rng: np.random.Generator
) -> tuple[np.ndarray, list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """The vocal [S], float64, and rows of its phonemes, words and notes."""
    vocal = np.zeros(samples)
    phonemes: list[dict[str, Any]] = []
    words: list[dict[str, Any]] = []
    notes: list[dict[str, Any]] = []
    for line_index, line in enumerate(plan.lines):
        sung_notes = [
            SungNote(
                plan.seconds_at(note.start), plan.seconds_at(note.start + note.duration), note.pitch
            )
            for note in line.notes
        ]
        waveform, start, sung = sing_line(line.spoken, sung_notes, plan.singer, SAMPLING_RATE, rng)
        first = round(start * SAMPLING_RATE)
        piece = vocal[first : first + len(waveform)]
        piece += waveform[: len(piece)]
        for word_index, text in enumerate(line.text.split(" ")):
            parts = [phoneme for phoneme in sung if phoneme.word == word_index]
            for phoneme in parts:
                phonemes.append(
                    {
                        "symbol": phoneme.symbol,
                        "start": round(phoneme.start, 4),
                        "end": round(phoneme.end, 4),
                        "word": len(words),
                    }
                )
            words.append(
                {
                    "word": text,
                    "start": round(parts[0].start, 4),
                    "end": round(parts[-1].end, 4),
                    "line": line_index,
                }
            )
        notes += [
            {"pitch": int(note.pitch), "start": round(note.start, 4), "end": round(note.end, 4)}
            for note in sung_notes
        ]
    return vocal, phonemes, words, notes


def _play(
    plan: SongPlan, synthesizer: Synthesizer, samples: int, rng: np.random.Generator
) -> np.ndarray:
    """The accompaniment [S], float64, its groups balanced."""
    band = plan.band
    programs = {0: band.bass.program, 1: band.comp.program, 3: band.lead.program}
    if band.pad:
        programs[2] = band.pad.program
    accompaniment = np.zeros(samples)
    for parts, level in _GROUPS:
        events = [
            _event(plan, note, _CHANNELS[part])
            for part in parts
            for note in plan.arrangement.parts[part]
        ]
        if events:
            sound = synthesizer.render(events, programs, samples / SAMPLING_RATE)
            sound = _fit(soxr.resample(sound, RENDER_RATE, SAMPLING_RATE), samples)
            accompaniment += at_loudness(sound, SAMPLING_RATE, LOUDNESS + level)
    return _fade_out(_in_room(accompaniment, rng))


def _event(plan: SongPlan, note: Note, channel: int) -> Event:
    start = plan.seconds_at(note.start)
    end = max(plan.seconds_at(note.start + note.duration), start + 0.05)
    return (start, end, channel, note.pitch, note.velocity)


def _in_room(waveform: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Add a small room: exponentially decaying noise, 60 dB down at its end."""
    length = int(_ROOM_SECONDS * SAMPLING_RATE)
    response = rng.normal(size=length) * 10 ** (-3 * np.arange(length) / length)
    response *= _ROOM_LEVEL / np.sqrt(np.sum(response**2))
    size = 1 << (len(waveform) + length).bit_length()
    spectrum = np.fft.rfft(waveform, size) * np.fft.rfft(response, size)
    return waveform + np.fft.irfft(spectrum, size)[: len(waveform)]


def _mix(
    vocal: np.ndarray, accompaniment: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Set the vocal over the band, then one gain for both: loudness, and peaks below full scale."""
    band = integrated_loudness(accompaniment, SAMPLING_RATE)
    vocal = at_loudness(vocal, SAMPLING_RATE, band + rng.uniform(*_VOCAL_OVER_BAND))
    gain: float | np.ndarray = 1.0
    for _ in range(2):  # limiting takes a little loudness away, so once more
        mixture = (vocal + accompaniment) * gain
        gain = gain * 10 ** ((LOUDNESS - integrated_loudness(mixture, SAMPLING_RATE)) / 20)
        tracks = np.stack([vocal, accompaniment, vocal + accompaniment]) * gain  # [3, S]
        level = np.abs(tracks).max(axis=0)
        gain = gain * limiting_gain(level, _CEILING, _LIMITER_WINDOW)
    return vocal * gain, accompaniment * gain


def _fade_out(waveform: np.ndarray) -> np.ndarray:
    length = int(0.25 * SAMPLING_RATE)
    waveform = waveform.copy()
    waveform[-length:] *= np.cos(np.linspace(0, np.pi / 2, length)) ** 2
    return waveform


def _fit(waveform: np.ndarray, samples: int) -> np.ndarray:
    return np.pad(waveform[:samples], (0, max(0, samples - len(waveform))))


def _to_int16(waveform: np.ndarray) -> np.ndarray:
    return np.round(np.clip(waveform, -1.0, 1.0) * 32767).astype(np.int16)

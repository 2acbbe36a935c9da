"""Renders a song plan to two aligned stems whose sum is the mixture at -14 LUFS."""

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
# Parts that form a group, and the loudness of the group relative to the others in LU.
_GROUPS = ((("drums",), -1.0), (("bass", "comp", "pad"), -1.0), (("lead",), 1.0))
_VOCAL_OVER_ACCOMPANIMENT = (1.5, 4.0)  # LU
_CEILING = 0.95
_LIMITER_WINDOW = 161  # samples: 10 ms
_ROOM_SECONDS, _ROOM_LEVEL = 0.35, 0.12


@dataclass(frozen=True)
class Performance:
    """A rendered song.

    Args:
        vocal: int16 [S] at ``SAMPLING_RATE``.
        accompaniment: int16 [S] at ``SAMPLING_RATE``.
        words: labels of the words, with times in seconds.
        phonemes: labels of the phonemes, with times in seconds.
        notes: labels of the sung notes, with times in seconds.
    """

    vocal: np.ndarray
    accompaniment: np.ndarray
    words: list[dict[str, Any]]
    phonemes: list[dict[str, Any]]
    notes: list[dict[str, Any]]

    @property
    def mixture(self) -> np.ndarray:
        """The sum of both stems, int16 [S]."""
        return self.vocal + self.accompaniment


def perform(plan: SongPlan, synthesizer: Synthesizer, seed: int) -> Performance:
    """Render a song plan.

    Args:
        plan: plan of the song.
        synthesizer: renders the accompaniment.
        seed: seed of small random variations (drift of the pitch, reverberation, levels).
    """
    rng = np.random.default_rng(seed)
    samples = round(plan.duration * SAMPLING_RATE)
    vocal, phonemes, words, notes = _render_vocal(plan, samples, rng)
    accompaniment = _render_accompaniment(plan, synthesizer, samples, rng)
    vocal, accompaniment = _set_levels(vocal, accompaniment, rng)
    return Performance(_to_int16(vocal), _to_int16(accompaniment), words, phonemes, notes)


def _render_vocal(
    plan: SongPlan, samples: int, rng: np.random.Generator
) -> tuple[np.ndarray, list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """The vocal, float64 [S], and the labels of its phonemes, words and notes."""
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
        waveform, start, sung = sing_line(
            line.spoken, sung_notes, plan.singer, SAMPLING_RATE, rng,
            fast=plan.edition == "large",
        )  # fmt: skip
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


def _render_accompaniment(
    plan: SongPlan, synthesizer: Synthesizer, samples: int, rng: np.random.Generator
) -> np.ndarray:
    """The accompaniment, float64 [S], with balanced groups of instruments."""
    chosen = plan.instruments
    programs = {0: chosen.bass.program, 1: chosen.comp.program, 3: chosen.lead.program}
    if chosen.pad:
        programs[2] = chosen.pad.program
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
    """Add the reverberation of a small room: noise that decays by 60 dB."""
    length = int(_ROOM_SECONDS * SAMPLING_RATE)
    response = rng.normal(size=length) * 10 ** (-3 * np.arange(length) / length)
    response *= _ROOM_LEVEL / np.sqrt(np.sum(response**2))
    size = 1 << (len(waveform) + length).bit_length()
    spectrum = np.fft.rfft(waveform, size) * np.fft.rfft(response, size)
    return waveform + np.fft.irfft(spectrum, size)[: len(waveform)]


def _set_levels(
    vocal: np.ndarray, accompaniment: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Set the level of the vocal relative to the accompaniment, then limit both with one gain."""
    loudness = integrated_loudness(accompaniment, SAMPLING_RATE)
    vocal = at_loudness(vocal, SAMPLING_RATE, loudness + rng.uniform(*_VOCAL_OVER_ACCOMPANIMENT))
    gain: float | np.ndarray = 1.0
    for _ in range(2):  # twice, because limiting reduces the loudness a little
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

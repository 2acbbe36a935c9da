"""Speaks lines with espeak-ng and reports the time of every phoneme.

The library ``libespeak-ng`` is called in this process through ctypes; its events contain the start
of each phoneme and word. The pitch is flat, so that it need not be estimated. espeak-ng keeps state
between utterances (breath noise, flutter); see ``isolation.py`` for reproducible results.
"""

import ctypes
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..listening.espeak import open_espeak

WORDS_PER_MINUTE = 120

_MARGIN = 0.1  # seconds after the last phoneme, longer than half a window of the analysis
_UTF8_WITH_PAUSE = 1 | 0x1000
_RATE, _PITCH, _RANGE = 1, 3, 4
_EVENT_END_OF_LIST, _EVENT_PHONEME = 0, 7
_VOWEL_LETTERS = frozenset("aeiouyæɐɑɒɔəɚɛɜɝɪʊʌɵᵻøœ")
_SYLLABIC = frozenset(("l̩", "n̩", "əl"))


@dataclass(frozen=True)
class Phoneme:
    """A phoneme.

    Args:
        symbol: IPA symbol of espeak-ng, without stress marks.
        start: start in seconds.
        end: end in seconds.
        word: index of its word in the line.
    """

    symbol: str
    start: float
    end: float
    word: int

    @property
    def is_vowel(self) -> bool:
        """Whether the phoneme is the nucleus of a syllable and can be sung on a note."""
        return self.symbol in _SYLLABIC or self.symbol[:1] in _VOWEL_LETTERS


@dataclass(frozen=True)
class SpokenLine:
    """A spoken line: float64 waveform [S], sampling rate in Hz, and phonemes."""

    waveform: np.ndarray
    sampling_rate: int
    phonemes: tuple[Phoneme, ...]

    @property
    def syllables(self) -> int:
        """Number of vowels."""
        return sum(phoneme.is_vowel for phoneme in self.phonemes)

    def without_pause(self) -> "SpokenLine":
        """The line without the pause at its end, which need not be analyzed."""
        last = round((self.phonemes[-1].end + _MARGIN) * self.sampling_rate)
        return replace(self, waveform=self.waveform[:last])


class Speaker:
    """The speech synthesizer espeak-ng, which can be opened once in a process.

    Raises:
        ImportError: if the Debian package is missing.
    """

    def __init__(self) -> None:
        self._library, self.sampling_rate = open_espeak()
        self._chunks: list[np.ndarray] = []
        self._events: list[tuple[int, int, str]] = []  # text position, sample, symbol
        # The attribute keeps the callback alive, because the library stores only a pointer to it.
        self._callback = _CALLBACK(self._receive)
        self._library.espeak_SetSynthCallback(self._callback)

    def speak(self, text: str, voice: str, *, skip_unnamed: bool = False) -> SpokenLine:
        """Speak a line at a flat pitch.

        Args:
            text: words, separated by single spaces.
            voice: voice and variant of espeak-ng, for example ``"en-us+m3"``.
            skip_unnamed: whether a sound without a symbol inside a word (as after the first vowel
                of ``piano``) belongs to the phoneme before it; by default it ends the line, as the
                songs of the small edition were rendered.
        Returns:
            The speech. Every word has at least one phoneme unless espeak-ng joined two words.
        Raises:
            ValueError: if espeak-ng does not have the voice, or the text is empty.
        """
        if not text.strip():
            raise ValueError("cannot speak an empty line: give at least one word")
        library = self._library
        if library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise ValueError(f"espeak-ng has no voice {voice!r}: see `espeak-ng --voices=variant`")
        library.espeak_SetParameter(_RATE, WORDS_PER_MINUTE, 0)
        library.espeak_SetParameter(_PITCH, 50, 0)
        library.espeak_SetParameter(_RANGE, 0, 0)
        self._chunks.clear()
        self._events.clear()
        encoded = text.encode() + b"\0"
        library.espeak_Synth(encoded, len(encoded), 0, 1, 0, _UTF8_WITH_PAUSE, None, None)
        library.espeak_Synchronize()
        waveform = np.concatenate(self._chunks).astype(np.float64) / 32768.0
        phonemes = _phonemes(text, self._events, self.sampling_rate, skip_unnamed)
        return SpokenLine(waveform, self.sampling_rate, phonemes)

    def _receive(self, samples: Any, count: int, events: Any) -> int:
        if count > 0:
            self._chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        index = 0
        while events[index].type != _EVENT_END_OF_LIST:
            event = events[index]
            if event.type == _EVENT_PHONEME:
                symbol = bytes(event.id.string).split(b"\0")[0].decode("utf-8", "ignore")
                self._events.append((event.text_position, event.sample, symbol))
            index += 1
        return 0


def _phonemes(
    text: str, events: list[tuple[int, int, str]], sampling_rate: int, skip_unnamed: bool = False
) -> tuple[Phoneme, ...]:
    """Convert events to phonemes.

    A pause ends the line. A phoneme without duration gets part of the one before.
    """
    starts = []
    position = 1  # espeak-ng counts characters from one
    for word in text.split(" "):
        starts.append(position)
        position += len(word) + 1
    sounding: list[tuple[str, float, int]] = []
    end = events[-1][1] / sampling_rate if events else 0.0
    events = [(position, sample, symbol.strip("ˈˌ‿ ")) for position, sample, symbol in events]
    for index, (text_position, sample, symbol) in enumerate(events):
        if not symbol:
            following = next((event for event in events[index:] if event[2]), None)
            if skip_unnamed and following and following[0] == text_position:
                continue
            if sounding:
                end = sample / sampling_rate
                break
            continue
        word_index = max(0, sum(start <= text_position for start in starts) - 1)
        sounding.append((symbol, sample / sampling_rate, word_index))
    times = [start for _, start, _ in sounding] + [end]
    for index in range(1, len(sounding)):
        if times[index + 1] - times[index] < 0.005:
            times[index] = times[index - 1] + 0.6 * (times[index + 1] - times[index - 1])
    return tuple(
        Phoneme(symbol, times[index], times[index + 1], word)
        for index, (symbol, _, word) in enumerate(sounding)
    )


class _EventId(ctypes.Union):
    _fields_ = [
        ("number", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("string", ctypes.c_char * 8),
    ]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    ]


_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)

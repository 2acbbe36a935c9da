"""Renders notes with FluidSynth and a General-MIDI soundfont.

Each process opens one synthesizer, because loading the soundfont takes most of a second. It renders
offline and in mono, without chorus and reverb. The voices of FluidSynth keep state between songs;
see ``isolation.py`` for reproducible results.
"""

import ctypes
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..listening.espeak import load_library, missing_packages

FLUIDSYNTH = "libfluidsynth.so.3"
SOUNDFONTS = (
    "/usr/share/sounds/sf2/FluidR3_GM.sf2",
    "/usr/share/sounds/sf2/default-GM.sf2",
    "/usr/share/soundfonts/FluidR3_GM.sf2",
)
RENDER_RATE = 32000  # Hz; twice the rate of the corpus, so that cymbals do not alias
DRUM_CHANNEL = 9

_BLOCK = 64  # samples; FluidSynth starts and ends notes at multiples of this number

Event = tuple[float, float, int, int, int]
"""Start and end in seconds, channel, key and velocity of a note."""


class Synthesizer:
    """The synthesizer FluidSynth with a soundfont.

    Args:
        soundfont: path of a .sf2 file; by default that of Debian's package fluid-soundfont-gm.
    Raises:
        ImportError: if the library or the soundfont is missing.
    """

    def __init__(self, soundfont: str | None = None) -> None:
        self._library = _declare(load_library(FLUIDSYNTH))
        path = find_soundfont(soundfont)
        settings = self._library.new_fluid_settings()
        self._library.fluid_settings_setnum(settings, b"synth.sample-rate", float(RENDER_RATE))
        self._library.fluid_settings_setnum(settings, b"synth.gain", 0.5)
        self._library.fluid_settings_setint(settings, b"synth.reverb.active", 0)
        self._library.fluid_settings_setint(settings, b"synth.chorus.active", 0)
        self._synth = self._library.new_fluid_synth(settings)
        if self._library.fluid_synth_sfload(self._synth, path.encode(), 1) < 0:
            raise ImportError(f"FluidSynth cannot read {path}: {missing_packages('a soundfont')}")

    def render(
        self, events: Sequence[Event], programs: dict[int, int], duration: float
    ) -> np.ndarray:
        """Render notes.

        Args:
            events: notes; channel 9 is percussion.
            programs: General-MIDI program (from 0) of each channel.
            duration: duration of the result in seconds.
        Returns:
            float64 waveform [S], the mean of both channels, at ``RENDER_RATE`` Hz.
        """
        library, synth = self._library, self._synth
        library.fluid_synth_system_reset(synth)
        for channel, program in programs.items():
            library.fluid_synth_program_change(synth, channel, program)
        actions = [(_block_of(event[0]), 1, event) for event in events]
        actions += [(_block_of(event[1]), 0, event) for event in events]
        actions.sort(key=lambda action: (action[0], action[1], action[2][2:]))
        blocks = -(-round(duration * RENDER_RATE) // _BLOCK)
        left = np.zeros(blocks * _BLOCK, np.float32)
        right = np.zeros_like(left)
        done = 0
        for block, is_on, (_, _, channel, key, velocity) in actions:
            done = self._write(left, right, done, min(block, blocks))
            if is_on:
                library.fluid_synth_noteon(synth, channel, key, velocity)
            else:
                library.fluid_synth_noteoff(synth, channel, key)
        self._write(left, right, done, blocks)
        return (left.astype(np.float64) + right) / 2

    def _write(self, left: np.ndarray, right: np.ndarray, first: int, last: int) -> int:
        if last <= first:
            return first
        offset = first * _BLOCK
        self._library.fluid_synth_write_float(
            self._synth, (last - first) * _BLOCK,
            left.ctypes.data, offset, 1, right.ctypes.data, offset, 1,
        )  # fmt: skip
        return last


def find_soundfont(soundfont: str | None = None) -> str:
    """The path of the soundfont; by default the first of ``SOUNDFONTS`` that exists.

    Raises:
        ImportError: if there is no such file.
    """
    paths = SOUNDFONTS if soundfont is None else (soundfont,)
    for path in paths:
        if Path(path).is_file():
            return path
    raise ImportError(missing_packages(f"a General-MIDI soundfont ({paths[0]})"))


def _block_of(seconds: float) -> int:
    return round(seconds * RENDER_RATE / _BLOCK)


def _declare(library: ctypes.CDLL) -> ctypes.CDLL:
    """Declare the types of the functions, because ctypes truncates undeclared pointers."""
    pointer, integer = ctypes.c_void_p, ctypes.c_int
    signatures = {
        "new_fluid_settings": (pointer, []),
        "new_fluid_synth": (pointer, [pointer]),
        "fluid_settings_setnum": (integer, [pointer, ctypes.c_char_p, ctypes.c_double]),
        "fluid_settings_setint": (integer, [pointer, ctypes.c_char_p, integer]),
        "fluid_synth_sfload": (integer, [pointer, ctypes.c_char_p, integer]),
        "fluid_synth_system_reset": (integer, [pointer]),
        "fluid_synth_program_change": (integer, [pointer, integer, integer]),
        "fluid_synth_noteon": (integer, [pointer, integer, integer, integer]),
        "fluid_synth_noteoff": (integer, [pointer, integer, integer]),
        "fluid_synth_write_float": (
            integer,
            [pointer, integer, pointer, integer, integer, pointer, integer, integer],
        ),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library

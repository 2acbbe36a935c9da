"""Calls that leave no trace: each runs in a fork of a process in which nothing has been played.

espeak-ng and FluidSynth keep state from sound to sound (breath noise, filters, running phases) and
offer no way to reset it. A worker therefore opens both once and never uses them; every song is
rendered in a fork of it, which starts from that same untouched state. So a song's bytes depend on
its seed alone, not on the songs before it, the number of workers or a restart. A fork costs about
10 ms; opening both costs most of a second.
"""

import ctypes
import os
import pickle
import signal
import sys
import traceback
import warnings
from collections.abc import Callable
from typing import Any

from ...optional import require
from .singer import world
from .speech import ESPEAK, Speaker, load_library
from .synthesizer import FLUIDSYNTH, Synthesizer, find_soundfont

_PR_SET_PDEATHSIG = 1


class Studio:
    """Both synthesizers, opened and kept untouched.

    Args:
        soundfont: .sf2 file; by default Debian's.
    Raises:
        ImportError: if a Debian package or one of the extra ``corpus`` is missing.
    """

    def __init__(self, soundfont: str | None = None) -> None:
        for module in ("pyloudnorm", "scipy.ndimage"):  # here once, not in every fork
            require(module, "corpus")
        world()
        self.speaker = Speaker()
        self.synthesizer = Synthesizer(soundfont)

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """``function(speaker, synthesizer, *arguments)`` in a fork.

        Args:
            function: its result must be picklable.
            arguments: passed on.
        Returns:
            The function's result.
        Raises:
            RuntimeError: if the function raised (with its traceback) or the fork died.
        """
        reading, writing = os.pipe()
        with warnings.catch_warnings():
            # Python warns of forks beside threads; those of numpy's BLAS are idle here.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            os.close(reading)
            self._work(writing, function, arguments)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            answer = pipe.read()
        os.waitpid(child, 0)
        if not answer:
            raise RuntimeError("the process that rendered a song ended without an answer")
        succeeded, result = pickle.loads(answer)
        if not succeeded:
            raise RuntimeError(f"rendering a song failed:\n{result}")
        return result

    def _work(self, writing: int, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        """The fork's life: never returns."""
        try:
            end_with_parent()
            try:
                answer = (True, function(self.speaker, self.synthesizer, *arguments))
            except Exception:
                answer = (False, traceback.format_exc())
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(pickle.dumps(answer))
        finally:
            os._exit(0)


def check_system(soundfont: str | None = None) -> None:
    """Look for the Debian packages without opening them.

    Raises:
        ImportError: naming what is missing and how to install it.
    """
    load_library(ESPEAK)
    load_library(FLUIDSYNTH)
    find_soundfont(soundfont)


def end_with_parent() -> None:
    """Ask Linux to end this process when its parent dies, so that a killed run leaves none."""
    if sys.platform != "linux":
        return  # no other system has such a request; Ctrl-C still ends all of them
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

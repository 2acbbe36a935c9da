"""Renders every song from the same state of the synthesizers, by forking an unused process.

espeak-ng and FluidSynth keep state between sounds (breath noise, filters, phases), which cannot be
reset. A worker process therefore opens both and never uses them; every song is rendered in a fork
of the worker. As a result, the samples of a song depend on its seed alone, and not on earlier
songs, the number of workers or a restart. A fork takes about 10 ms; opening both synthesizers takes
most of a second.
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
from ..listening.espeak import ESPEAK, load_library
from .singer import world
from .speech import Speaker
from .synthesizer import FLUIDSYNTH, Synthesizer, find_soundfont

_PR_SET_PDEATHSIG = 1


class IsolatedSynthesizers:
    """Both synthesizers in their initial state, for use in forks of this process.

    Args:
        soundfont: path of a .sf2 file; by default Debian's.
    Raises:
        ImportError: if a Debian package or a package of the extra ``corpus`` is missing.
    """

    def __init__(self, soundfont: str | None = None) -> None:
        for module in ("scipy.ndimage", "pyloudnorm"):  # imported once, not in every fork
            require(module, "corpus")
        world()
        self.speaker = Speaker()
        self.synthesizer = Synthesizer(soundfont)

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call ``function(speaker, synthesizer, *arguments)`` in a fork.

        Args:
            function: function with a picklable result.
            arguments: further arguments of the function.
        Returns:
            The result of the function.
        Raises:
            RuntimeError: with its traceback if the function raised an error, or if the forked
                process ended without a result.
        """
        reading, writing = os.pipe()
        with warnings.catch_warnings():
            # Python warns about forks in processes with threads; those of numpy's BLAS are idle.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            os.close(reading)
            self._work(writing, function, arguments)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            message = pipe.read()
        os.waitpid(child, 0)
        if not message:
            raise RuntimeError("the process that rendered a song ended without a result")
        succeeded, result = pickle.loads(message)
        if not succeeded:
            raise RuntimeError(f"rendering a song failed:\n{result}")
        return result

    def _work(self, writing: int, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        """Call the function in the fork, send its result and end the process."""
        try:
            end_with_parent()
            try:
                result = (True, function(self.speaker, self.synthesizer, *arguments))
            except Exception:
                result = (False, traceback.format_exc())
            with os.fdopen(writing, "wb") as pipe:
                pipe.write(pickle.dumps(result))
        finally:
            os._exit(0)


def check_system(soundfont: str | None = None) -> None:
    """Check that the libraries and the soundfont are installed.

    Raises:
        ImportError: if one is missing, with the Debian packages to install.
    """
    load_library(ESPEAK)
    load_library(FLUIDSYNTH)
    find_soundfont(soundfont)


def end_with_parent() -> None:
    """Make Linux end this process when its parent ends, so that a killed run leaves no process."""
    if sys.platform != "linux":
        return  # other systems have no such function; Ctrl-C still ends all processes
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

"""Opens system libraries, among them espeak-ng, which pronounces words."""

import ctypes

DEBIAN_PACKAGES = "espeak-ng fluidsynth fluid-soundfont-gm"
ESPEAK = "libespeak-ng.so.1"

_SYNCHRONOUS = 2
_PHONEME_EVENTS_IN_IPA_NO_EXIT = 1 | 2 | 0x8000


def open_espeak() -> tuple[ctypes.CDLL, int]:
    """Open espeak-ng in the same way for everyone in this process.

    Returns:
        The library and its sampling rate in Hz.
    Raises:
        ImportError: if the library or its voices are missing.
    """
    library = load_library(ESPEAK)
    rate = library.espeak_Initialize(_SYNCHRONOUS, 0, None, _PHONEME_EVENTS_IN_IPA_NO_EXIT)
    if rate <= 0:
        raise ImportError(missing_packages("the voice data of espeak-ng"))
    return library, int(rate)


def load_library(name: str) -> ctypes.CDLL:
    """Open a system library.

    Raises:
        ImportError: if it is missing, with the Debian packages to install.
    """
    try:
        return ctypes.CDLL(name)
    except OSError as error:
        raise ImportError(missing_packages(name)) from error


def missing_packages(what: str) -> str:
    """The error message for a system without the required packages."""
    return (
        f"{what} is missing. The corpus needs Debian packages: apt-get install -y {DEBIAN_PACKAGES}"
    )


__all__ = ["DEBIAN_PACKAGES", "ESPEAK", "load_library", "missing_packages", "open_espeak"]

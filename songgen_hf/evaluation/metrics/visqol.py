"""ViSQOL: predicted opinion of listeners about a decoded waveform, by the package visqol-python.

Units: mean opinion score from 1 to 5, of the audio mode, which compares at 48 kHz; higher is
better. The package is optional.
Source: Chinen et al. (2020), ViSQOL v3.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

import numpy as np

from ...modeling.audio_io import resample

PACKAGE = "visqol-python"
SAMPLING_RATE = 48000


def is_installed() -> bool:
    """Return whether the package is there."""
    return find_spec("visqol") is not None


def validate(reference: np.ndarray, estimate: np.ndarray) -> None:
    """Raise ValueError unless both waveforms are [S], not empty, and finite."""
    for wave in (reference, estimate):
        if wave.ndim != 1 or not len(wave) or not np.isfinite(wave).all():
            raise ValueError(
                f"got waveforms of shapes {list(reference.shape)} and {list(estimate.shape)}, "
                "expected finite samples [S], at least one on both sides"
            )


def visqol_scorer() -> Callable[[np.ndarray, np.ndarray, int], float]:
    """Load ViSQOL and return a function of reference [S], estimate [S] and sampling rate in Hz.

    Raises:
        ImportError: if the package is missing.
    """
    if not is_installed():
        raise ImportError(f"ViSQOL needs the package: pip install {PACKAGE}")
    from visqol import VisqolApi  # type: ignore[import-not-found, unused-ignore]

    api = VisqolApi()
    api.create(mode="audio")

    def score(reference: np.ndarray, estimate: np.ndarray, sampling_rate: int) -> float:
        validate(reference, estimate)
        pair = [resample(wave, sampling_rate, SAMPLING_RATE) for wave in (reference, estimate)]
        size = min(map(len, pair))
        found = api.measure_from_arrays(
            *(wave[:size].astype(float) for wave in pair), SAMPLING_RATE
        )
        return float(found.moslqo)

    return score


__all__ = ["PACKAGE", "is_installed", "validate", "visqol_scorer"]

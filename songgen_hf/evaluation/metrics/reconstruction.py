"""Reconstruction: how close the output of a codec is to its input.

Units: ``mel_distance`` is the mean absolute difference of log10 mel magnitudes (80 bands, windows
of 1024 samples), which codec training minimizes; 0 for equal waveforms, lower is better.
``stft_distance`` is the mean over three resolutions of spectral convergence plus the mean absolute
difference of log magnitudes; 0 for equal waveforms, lower is better. ``si_sdr``
is the scale-invariant signal-to-distortion ratio of the samples in dB, higher is better; a decoder
that produces the right spectrum with other phases sounds right and scores low.
Source: Le Roux et al. (2019) for ``si_sdr``; ``training/codec/stft_losses.py`` for the distances.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

MAX_DECIBELS = 100.0  # of an estimate that equals the reference


def validate(references: Sequence[object], estimates: Sequence[object]) -> None:
    """Raise ValueError unless there is one estimate for each reference."""
    if len(references) != len(estimates):
        raise ValueError(
            f"got {len(references)} references and {len(estimates)} estimates, expected pairs"
        )


def si_sdr(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Return the scale-invariant signal-to-distortion ratio in dB, with both means removed.

    Args:
        reference, estimate: float [S].
    Returns:
        ``10 log10(|a r|^2 / |a r - e|^2)`` with ``a = <e, r> / |r|^2``, limited to -100 to 100.
    Raises:
        ValueError: if lengths differ, or the reference is silent, for which it is undefined.
    """
    if reference.shape != estimate.shape or reference.ndim != 1:
        raise ValueError(
            f"got waveforms of shapes {list(reference.shape)} and {list(estimate.shape)}, expected "
            "two of one length [S]; cut the longer one"
        )
    r, e = (np.asarray(wave, np.float64) - np.mean(wave) for wave in (reference, estimate))
    energy = float(r @ r)
    if energy == 0:
        raise ValueError("got a silent reference, expected sound; leave such songs out")
    target = (float(e @ r) / energy) * r
    distortion = target - e
    ratio = (float(target @ target) + 1e-20) / (float(distortion @ distortion) + 1e-20)
    return float(np.clip(10 * np.log10(ratio), -MAX_DECIBELS, MAX_DECIBELS))


def reconstruction_scores(
    references: Sequence[np.ndarray], estimates: Sequence[np.ndarray], sampling_rate: int
) -> dict[str, np.ndarray]:
    """Score each song.

    Args:
        references: float32 [S], not silent.
        estimates: float32 [S'], such as ``codec_round_trip`` returns; the longer of two waveforms
            is cut to the shorter one.
        sampling_rate: in Hz.
    Returns:
        ``mel_distance``, ``stft_distance`` and ``si_sdr``, float64 [N] each.
    Raises:
        ValueError: if the numbers differ.
    """
    import torch

    from ...training.codec.stft_losses import MelDistance, MultiResolutionStftLoss

    validate(references, estimates)
    distances = {
        "mel_distance": MelDistance(sampling_rate),
        "stft_distance": MultiResolutionStftLoss(),
    }
    scores: dict[str, list[float]] = {**{name: [] for name in distances}, "si_sdr": []}
    for reference, estimate in zip(references, estimates, strict=True):
        size = min(len(reference), len(estimate))
        pair = (estimate[:size], reference[:size])
        tensors = [torch.from_numpy(np.array(wave, np.float32))[None] for wave in pair]
        for name, distance in distances.items():
            with torch.no_grad():
                scores[name].append(float(distance(*tensors)))
        scores["si_sdr"].append(si_sdr(reference[:size], estimate[:size]))
    return {name: np.array(values) for name, values in scores.items()}


__all__ = ["reconstruction_scores", "si_sdr", "validate"]

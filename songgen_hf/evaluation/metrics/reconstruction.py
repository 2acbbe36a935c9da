"""How much of a waveform survives the codec: mel distance and SI-SDR of what is decoded.

- ``mel_distance``: L1 distance of log10 mel magnitudes (80 bands, windows of 1024 samples), the
  measure of codec training. 0 for equal sound, lower is better.
- ``si_sdr``: scale-invariant signal-to-distortion ratio in dB, of the samples themselves. A decoder
  that draws the right spectrum with other phases sounds right and scores low.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

CEILING = 100.0  # dB, of an estimate that is the reference


def si_sdr(reference: np.ndarray, estimate: np.ndarray) -> float:
    """Scale-invariant signal-to-distortion ratio in dB (Le Roux et al., 2019), means removed.

    Args:
        reference, estimate: float [S].
    Returns:
        ``10 log10(|a r|^2 / |a r - e|^2)`` with ``a = <e, r> / |r|^2``, between -100 and 100.
    Raises:
        ValueError: if lengths differ, or the reference is silent, for which it is undefined.
    """
    if reference.shape != estimate.shape or reference.ndim != 1:
        raise ValueError(
            f"got waveforms of shapes {list(reference.shape)} and {list(estimate.shape)}, expected "
            "two of one length [S]; cut them to the shorter"
        )
    r, e = (np.asarray(wave, np.float64) - np.mean(wave) for wave in (reference, estimate))
    energy = float(r @ r)
    if energy == 0:
        raise ValueError("got a silent reference, expected sound; leave such songs out")
    target = (float(e @ r) / energy) * r
    distortion = target - e
    ratio = (float(target @ target) + 1e-20) / (float(distortion @ distortion) + 1e-20)
    return float(np.clip(10 * np.log10(ratio), -CEILING, CEILING))


def code_and_decode(codec: Any, waveforms: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Waveforms [S] at the codec's rate through all its codebooks and back: float32 [S'] each.

    S' is S, or the codec's frames times its hop if that is less.
    """
    import torch

    decoded = []
    for waveform in waveforms:
        values = torch.from_numpy(np.ascontiguousarray(waveform, dtype=np.float32))[None, None]
        with torch.no_grad():
            codes = codec.encode(values, return_dict=False)
            sound = codec.decode(codes, return_dict=False)[0, 0, : len(waveform)]
        decoded.append(sound.float().cpu().numpy())
    return decoded


def reconstruction_scores(
    references: Sequence[np.ndarray], estimates: Sequence[np.ndarray], sampling_rate: int
) -> dict[str, np.ndarray]:
    """Scores of each song, ``mel_distance`` and ``si_sdr`` [N].

    Args:
        references: float32 [S], not silent.
        estimates: float32 [S'], as ``code_and_decode`` gives them; compared over the shorter.
        sampling_rate: Hz.
    Raises:
        ValueError: if there are not as many estimates as references.
    """
    import torch

    from ...training.codec.stft_losses import MelDistance

    if len(references) != len(estimates):
        raise ValueError(
            f"got {len(references)} references and {len(estimates)} estimates, expected pairs"
        )
    mel = MelDistance(sampling_rate)
    scores: dict[str, list[float]] = {"mel_distance": [], "si_sdr": []}
    for reference, estimate in zip(references, estimates, strict=True):
        size = min(len(reference), len(estimate))
        pair = (estimate[:size], reference[:size])
        with torch.no_grad():
            distance = mel(*(torch.from_numpy(np.array(wave, np.float32))[None] for wave in pair))
        scores["mel_distance"].append(float(distance))
        scores["si_sdr"].append(si_sdr(reference[:size], estimate[:size]))
    return {name: np.array(values) for name, values in scores.items()}


__all__ = ["code_and_decode", "reconstruction_scores", "si_sdr"]

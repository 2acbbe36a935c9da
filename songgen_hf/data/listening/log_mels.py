"""Log mels, the input of recognizer and judges: mel power relative to the mean of the song.

It is separate from the mels of codecs and models, so that a change of those leaves the networks
unchanged.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor
from transformers.audio_utils import mel_filter_bank

SAMPLING_RATE = 16000  # Hz, the rate of the corpus and of X-Codec
HOP_LENGTH = 160  # samples; 100 frames per second
FRAME_RATE = SAMPLING_RATE / HOP_LENGTH
NUM_MELS = 80
FLOOR = 1e-5  # smallest power, relative to the mean
_FFT_SIZE, _WINDOW_LENGTH = 512, 400
_SILENCE = 1e-8  # mean power of mels that counts as silence


@cache
def _filters() -> Tensor:
    filters = mel_filter_bank(
        _FFT_SIZE // 2 + 1,
        NUM_MELS,
        min_frequency=40.0,
        max_frequency=SAMPLING_RATE / 2,
        sampling_rate=SAMPLING_RATE,
        mel_scale="htk",
        triangularize_in_mel_space=True,
    )
    return torch.from_numpy(filters).float().T.contiguous()  # [mels, F]


def mel_power(waveform: np.ndarray | Tensor) -> Tensor:
    """Compute the power in mel bands.

    Args:
        waveform: float [S] at ``SAMPLING_RATE``.
    Returns:
        float32 [``NUM_MELS``, 1 + S // ``HOP_LENGTH``], frame t centered on sample 160 t.
    Raises:
        ValueError: unless the waveform has one dimension and no NaN or infinity.
    """
    samples = torch.as_tensor(waveform, dtype=torch.float32)
    if samples.ndim != 1:
        raise ValueError(
            f"got a waveform of shape {tuple(samples.shape)}, expected [S]: pass one channel of "
            "one song"
        )
    if not torch.isfinite(samples).all():
        raise ValueError("got a waveform with NaN or infinity, expected numbers in [-1, 1]")
    window = torch.hann_window(_WINDOW_LENGTH)
    spectrum = torch.stft(
        samples, _FFT_SIZE, HOP_LENGTH, _WINDOW_LENGTH, window, pad_mode="constant",
        return_complex=True,
    )  # fmt: skip
    return _filters() @ (spectrum.real.square() + spectrum.imag.square())


def relative_log(power: Tensor) -> Tensor:
    """Return log10 of power over its mean, about -5 to 2, which does not depend on the gain.

    Args:
        power: [mels, T] of one song; silence gives log10 of ``FLOOR`` everywhere.
    """
    mean = power.mean() if power.numel() else power.new_zeros(())
    return (power / mean.clamp(min=_SILENCE) + FLOOR).log10()


def log_mels(waveform: np.ndarray | Tensor) -> Tensor:
    """Apply :func:`mel_power` and :func:`relative_log`: waveform [S] -> float32 [mels, T]."""
    return relative_log(mel_power(waveform))


__all__ = [
    "FLOOR",
    "FRAME_RATE",
    "HOP_LENGTH",
    "NUM_MELS",
    "SAMPLING_RATE",
    "log_mels",
    "mel_power",
    "relative_log",
]

"""Augmentations that make the judges robust to mixing, noise, equalizers and codec artifacts.

The judges are trained on rendered songs and evaluate songs that a codec has decoded. The functions
take mel power [mels, M] and a random generator.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...data.listening.log_mels import FLOOR, relative_log

_LOG_FLOOR = math.log10(FLOOR)


def mix_power(vocal: Tensor, accompaniment: Tensor, rng: np.random.Generator) -> Tensor:
    """The power of the sum of two independent sounds.

    The cross term has a random phase in each bin. A mel band has several bins, so half of the cross
    term remains.
    """
    phase = torch.from_numpy(rng.random(vocal.shape, dtype=np.float32)) * (2 * math.pi)
    return vocal + accompaniment + phase.cos() * (vocal * accompaniment).sqrt()


def with_accompaniment(vocal: Tensor, accompaniment: Tensor, rng: np.random.Generator) -> Tensor:
    """Mix a vocal with an accompaniment, except for one vocal in three.

    Half of the accompaniments keep their level, the others are attenuated by up to 30 dB.
    """
    if rng.random() < 1 / 3:
        return vocal
    decibels = 0.0 if rng.random() < 0.5 else -30.0 * rng.random()
    return mix_power(vocal, accompaniment * 10.0 ** (decibels / 10), rng)


def equalize(power: Tensor, rng: np.random.Generator) -> Tensor:
    """Apply a smooth gain within about 10 dB, and with probability 1/4 a steep low-pass."""
    mels = len(power)
    place = np.linspace(0, np.pi, mels)
    decibels = sum(4.0 * rng.standard_normal() * np.cos(order * place) for order in (1, 2, 3))
    gain = 10.0 ** (np.clip(decibels, -12, 12) / 10)
    if rng.random() < 0.25:
        gain = gain * np.where(np.arange(mels) > rng.integers(mels * 5 // 8, mels), 1e-4, 1.0)
    return power * torch.from_numpy(gain.astype(np.float32))[:, None]


def add_noise(power: Tensor, rng: np.random.Generator) -> Tensor:
    """Add noise of a random color, 15 to 70 dB below the mean power."""
    mels, frames = power.shape
    level = float(power.mean()) * 10.0 ** (-rng.uniform(1.5, 7.0))
    color = 10.0 ** (rng.uniform(-1.0, 1.0) * np.linspace(0.5, -0.5, mels))
    noise = rng.gamma(3.0, 1 / 3.0, (mels, frames)) * color[:, None] * level
    return power + torch.from_numpy(noise.astype(np.float32))


def blur(power: Tensor, rng: np.random.Generator) -> Tensor:
    """Average over neighboring bands, neighboring frames, both, or neither."""
    bands, frames = (1 + 2 * int(rng.random() < 0.25) for _ in range(2))
    if bands == frames == 1:
        return power
    pooled = F.avg_pool2d(
        power[None, None], (bands, frames), 1, (bands // 2, frames // 2), count_include_pad=False
    )
    return pooled[0, 0]


def roughen(power: Tensor, rng: np.random.Generator) -> Tensor:
    """Multiply each cell by a random factor of up to 3 dB deviation, with probability 1/2."""
    if rng.random() < 0.5:
        return power
    deviation = 0.3 * rng.random()
    decades = deviation * rng.standard_normal(power.shape, dtype=np.float32)
    return power * 10.0 ** torch.from_numpy(decades)


def smear(power: Tensor, rng: np.random.Generator) -> Tensor:
    """Replace part of each cell by noise with the local envelope, with probability 1/3.

    Sounds that a codec decodes from few codes have the envelope, but noise in place of harmonics.
    """
    if rng.random() < 2 / 3:
        return power
    bands, frames = 3 + 2 * int(rng.integers(3)), 1 + 2 * int(rng.integers(3))
    envelope = F.avg_pool2d(
        power[None, None], (bands, frames), 1, (bands // 2, frames // 2), count_include_pad=False
    )[0, 0]
    share = 10.0 ** rng.uniform(-1.5, 0.0)
    noise = torch.from_numpy(rng.gamma(2.0, 0.5, power.shape).astype(np.float32))
    return (1 - share) * power + share * noise * envelope


def shift_bands(power: Tensor, rng: np.random.Generator) -> Tensor:
    """Shift all bands by one or two, with probability 1/3, as for other singers and tunings."""
    if rng.random() < 2 / 3:
        return power
    shift = int(rng.choice([-2, -1, 1, 2]))
    shifted = power.roll(shift, dims=0)
    edge = slice(0, shift) if shift > 0 else slice(shift, None)
    shifted[edge] = power[0 if shift > 0 else -1]
    return shifted


def hide(mels: Tensor, rng: np.random.Generator, *, frames: int) -> Tensor:
    """Mask up to two ranges of up to ten mels and three gaps of up to ``frames`` (SpecAugment)."""
    mels = mels.clone()
    for _ in range(int(rng.integers(3))):
        width = int(rng.integers(1, 11))
        low = int(rng.integers(len(mels) - width))
        mels[low : low + width] = mels.mean()
    for _ in range(int(rng.integers(4))):
        width = min(int(rng.integers(1, frames + 1)), mels.shape[1])
        first = int(rng.integers(mels.shape[1] - width + 1))
        mels[:, first : first + width] = _LOG_FLOOR
    return mels


def augmented(
    power: Tensor, rng: np.random.Generator, *, shifted: bool = True, longest_gap: int = 5
) -> Tensor:
    """Turn mel power into log mels with all augmentations applied.

    Args:
        power: [mels, M].
        rng: source of all random numbers.
        shifted: shift bands, which changes the voice.
        longest_gap: longest gap in frames.
    """
    if shifted:
        power = shift_bands(power, rng)
    power = roughen(blur(add_noise(smear(equalize(power, rng), rng), rng), rng), rng)
    level = rng.uniform(-0.4, 0.4)  # as the mean of a crop differs from the mean of its song
    mels = (relative_log(power) + level).clamp(min=_LOG_FLOOR)
    return hide(mels, rng, frames=longest_gap)


__all__ = [
    "add_noise",
    "augmented",
    "blur",
    "equalize",
    "hide",
    "mix_power",
    "roughen",
    "shift_bands",
    "smear",
    "with_accompaniment",
]

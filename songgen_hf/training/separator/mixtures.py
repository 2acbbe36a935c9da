"""Random mixtures of a vocal and an accompaniment, of one song or of two, with augmentations.

A mixture follows from seed, step and place alone. Its sounds are changed as recordings differ from
rendered stems: another speed, equalizers, copies that a stereo image leaves in one channel, noise,
low-pass filters and the holes that lossy codecs leave in a spectrum.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ...data.tables import local_files
from ...modeling.audio_io import resample
from ..codec.waveform_crops import WaveformCrops

SAME_SONG = 0.5  # share of the mixtures that are made from one song
NO_VOCAL, NO_ACCOMPANIMENT = 0.1, 0.03  # shares of the mixtures that lack a stem
CHANGED_SPEED, SPEEDS = 0.5, (0.88, 1.12)
GAINS = (-8.0, 8.0)  # level of the vocal in dB, relative to that of its song
LEVELS = (-30.0, 0.0)  # gain of the mixture in dB


class Mixture(NamedTuple):
    """The spectra, complex64 [B, F, T], of mixtures and of the vocals in them."""

    mixture: Tensor
    vocal: Tensor


class Mixtures:
    """Mixtures of the stems in parquet files.

    Args:
        path: parquet file, folder or pattern, with the columns ``vocal`` and ``accompaniment``.
        sampling_rate: rate of the mixtures in Hz.
    Raises:
        FileNotFoundError: if the path does not exist.
        ValueError: if there are no parquet files, or one of the columns is missing.
    """

    def __init__(self, path: str | Path, sampling_rate: int) -> None:
        if not local_files(path, (".parquet",)):
            raise ValueError(
                f"{path} holds no parquet files: expected songs with the columns vocal and "
                "accompaniment, as `songgen-hf corpus` renders them"
            )
        self.sampling_rate = sampling_rate
        self.vocals, self.accompaniments = (
            WaveformCrops(path, sampling_rate, columns=(name,))
            for name in ("vocal", "accompaniment")
        )

    def batch(
        self,
        batch_size: int,
        num_samples: int,
        spectrum_of: Callable[[Tensor, int], Tensor],
        *,
        seed: int,
        step: int,
        first: int = 0,
        augment: bool = True,
    ) -> Mixture:
        """The mixtures of one step.

        Args:
            batch_size: B.
            num_samples: samples of each mixture; shorter songs are padded with zeros at the end.
            spectrum_of: spectrum [B, F, T] of waveforms [B, S] and their rate.
            seed: seed of the run.
            step: number of the step.
            first: index of the first mixture in the batch of all processes (rank times B).
            augment: change the sounds; otherwise they are stems of one song at its own levels.
        Raises:
            ValueError: if a sound cannot be read.
        """
        drawn = []
        for place in range(batch_size):
            rng = np.random.default_rng([seed, step, first + place])
            stems = self._stems(rng, num_samples, augment=augment)
            spectra = spectrum_of(torch.from_numpy(stems), self.sampling_rate)
            drawn.append(augmented(spectra, self.sampling_rate, rng) if augment else spectra)
        spectra = torch.stack(drawn)  # [B, 2, F, T]
        return Mixture(spectra.sum(dim=1), spectra[:, 0])

    def _stems(self, rng: np.random.Generator, num_samples: int, *, augment: bool) -> np.ndarray:
        """A vocal and an accompaniment, float32 [2, S]."""
        songs = rng.integers(len(self.vocals), size=2)
        positions = rng.random(2)
        changed = augment & (rng.random(2) < CHANGED_SPEED)
        speeds = np.where(changed, rng.uniform(*SPEEDS, size=2), 1.0)
        if not augment or rng.random() < SAME_SONG:
            songs[1], positions[1], speeds[1] = songs[0], positions[0], speeds[0]
        stems = np.zeros((2, num_samples), np.float32)
        for row, crops in enumerate((self.vocals, self.accompaniments)):
            rate = round(self.sampling_rate * speeds[row])
            wanted = -(-num_samples * rate // self.sampling_rate)
            read = crops.read(int(songs[row]), wanted, position=positions[row])
            made = resample(read, rate, self.sampling_rate)[:num_samples]
            stems[row, : len(made)] = made
        return stems


def augmented(spectra: Tensor, rate: int, rng: np.random.Generator) -> Tensor:
    """Change the spectra of a vocal and an accompaniment.

    Args:
        spectra: complex64 [2, F, T].
        rate: sampling rate in Hz.
        rng: random number generator.
    Returns:
        complex64 [2, F, T]; noise and holes belong to the accompaniment.
    """
    bins = spectra.shape[1]
    frequencies = np.linspace(0, rate / 2, bins)
    factors = np.ones((2, bins), np.complex64)
    for row in range(2):
        if rng.random() < 0.5:
            factors[row] *= equalizer(bins, rng)
        if rng.random() < 0.25:
            factors[row] *= copies(frequencies, rng)
    factors[0] *= 10 ** (rng.uniform(*GAINS) / 20)
    kind = rng.random()
    if kind < NO_VOCAL + NO_ACCOMPANIMENT:
        factors[0 if kind < NO_VOCAL else 1] = 0
    if rng.random() < 0.25:
        cutoff = rng.uniform(0.4, 1.0) * rate / 2
        factors /= 1 + (frequencies / cutoff) ** 24
    factors *= 10 ** (rng.uniform(*LEVELS) / 20)
    spectra = spectra * torch.from_numpy(factors.astype(np.complex64))[:, :, None]
    vocal, accompaniment = spectra
    power = (vocal + accompaniment).abs().square()
    if rng.random() < 0.25:
        level = power.mean().sqrt().item() * 10 ** (rng.uniform(-60, -25) / 20)
        parts = rng.standard_normal((2, *power.shape), dtype=np.float32) * np.float32(level)
        accompaniment = accompaniment + torch.complex(*torch.from_numpy(parts))
    if rng.random() < 0.25:
        threshold = 10 ** (rng.uniform(-60, -35) / 10)
        holes = power < threshold * power.amax(dim=0, keepdim=True)
        accompaniment = torch.where(holes, -vocal, accompaniment)
    return torch.stack([vocal, accompaniment])


def equalizer(bins: int, rng: np.random.Generator) -> np.ndarray:
    """Smooth gains of up to 12 dB, float [bins]."""
    place = np.sqrt(np.linspace(0, 1, bins)) * np.pi
    decibels = sum(rng.normal(0, 3) * np.cos(order * place) for order in (1, 2, 3, 4))
    return 10 ** (np.clip(decibels, -12, 12) / 20)


def copies(frequencies: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The comb filter of a sound and its delayed copy in the other channel, complex [bins]."""
    gain, delay = rng.uniform(-0.7, 0.7), rng.uniform(0.0003, 0.02)
    return 1 + gain * np.exp(-2j * np.pi * frequencies * delay)


__all__ = ["Mixture", "Mixtures", "augmented", "copies", "equalizer"]

"""Distances between waveforms: STFT of the whole band and of sub-bands, mel scale, and samples.

Each is a module that maps (estimate, target), float [B, C, S] or [B, S] with S at least half the
longest FFT, to a scalar that is 0 for equal waveforms. Nothing here depends on a codec.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MAGNITUDE_FLOOR = 1e-7  # of power, before its root


class Resolution(NamedTuple):
    """One STFT, all in samples."""

    fft_size: int
    hop_length: int
    window_length: int


FULL_BAND = (Resolution(512, 120, 480), Resolution(1024, 240, 960), Resolution(2048, 300, 1200))
SUB_BAND = (Resolution(128, 20, 80), Resolution(256, 40, 120), Resolution(256, 50, 200))


class MultiResolutionStftLoss(nn.Module):
    """Mean over resolutions of spectral convergence plus L1 distance of log magnitudes.

    Spectral convergence is ``|| |Y| - |X| || / || |Y| ||`` (Frobenius norm of the batch) for an
    estimate X of Y.

    Args:
        resolutions: resolutions of the STFTs.
    """

    def __init__(self, resolutions: Sequence[Resolution] = FULL_BAND) -> None:
        super().__init__()
        self.resolutions = tuple(Resolution(*values) for values in resolutions)

    def forward(self, estimate: Tensor, target: Tensor) -> Tensor:
        """Return the loss, a scalar."""
        losses = []
        for resolution in self.resolutions:
            found, wanted = (stft_magnitude(wave, resolution) for wave in (estimate, target))
            convergence = torch.linalg.norm(wanted - found) / torch.linalg.norm(wanted)
            losses.append(convergence + F.l1_loss(found.log(), wanted.log()))
        return torch.stack(losses).mean()


class PseudoQuadratureMirrorFilters(nn.Module):
    """A cosine-modulated filter bank that splits a waveform into equal bands and joins them again.

    The cutoff of its Kaiser low-pass follows from the number of bands: neighboring bands add up to
    one if the low-pass is 3 dB down at the edge of its band. With 6 bands the error of splitting
    and joining is -60 dB; with the cutoff 0.142 of a 4-band filter bank it would be -5 dB.

    Args:
        num_bands: number of bands, 2 or more.
        taps: order of the low-pass, even.
        beta: parameter of the Kaiser window.
    Raises:
        ValueError: for fewer than two bands or an odd order.
    """

    analysis_filters: Tensor
    synthesis_filters: Tensor

    def __init__(self, num_bands: int = 6, *, taps: int = 62, beta: float = 9.0) -> None:
        super().__init__()
        if num_bands < 2 or taps < 2 or taps % 2:
            raise ValueError(
                f"got {num_bands} bands and {taps} taps, expected at least 2 bands and an even "
                "number of taps."
            )
        self.num_bands, self.taps = num_bands, taps
        self.cutoff = band_edge_cutoff(num_bands, taps, beta)
        low_pass = kaiser_low_pass(taps, self.cutoff, beta)
        band = torch.arange(num_bands, dtype=torch.float64)[:, None]
        time = torch.arange(taps + 1, dtype=torch.float64) - taps / 2
        angle = (2 * band + 1) * math.pi / (2 * num_bands) * time
        phase = torch.where(band % 2 == 0, 1.0, -1.0) * math.pi / 4
        analysis, synthesis = (2 * low_pass * torch.cos(angle + sign * phase) for sign in (1, -1))
        self.register_buffer("analysis_filters", analysis.float()[:, None], persistent=False)
        self.register_buffer("synthesis_filters", synthesis.float()[None], persistent=False)

    def analyze(self, waveform: Tensor) -> Tensor:
        """Split [B, 1, S] into [B, bands, ceil(S / bands)]."""
        filters = self.analysis_filters.to(waveform)
        return F.conv1d(waveform, filters, stride=self.num_bands, padding=self.taps // 2)

    def synthesize(self, bands: Tensor) -> Tensor:
        """Join [B, bands, T] to [B, 1, T * bands]."""
        spread = bands.new_zeros(*bands.shape[:2], bands.shape[2], self.num_bands)
        spread[..., 0] = bands * self.num_bands
        return F.conv1d(spread.flatten(2), self.synthesis_filters.to(bands), padding=self.taps // 2)


class SubBandStftLoss(nn.Module):
    """:class:`MultiResolutionStftLoss` of the sub-bands of both waveforms.

    Args:
        num_bands: number of bands of the filter bank.
        resolutions: resolutions of the STFTs, in samples of a band.
    """

    def __init__(self, num_bands: int = 6, resolutions: Sequence[Resolution] = SUB_BAND) -> None:
        super().__init__()
        self.filters = PseudoQuadratureMirrorFilters(num_bands)
        self.stft = MultiResolutionStftLoss(resolutions)

    def forward(self, estimate: Tensor, target: Tensor) -> Tensor:
        """Return the loss, a scalar."""
        flat = (wave.reshape(-1, 1, wave.shape[-1]) for wave in (estimate, target))
        return self.stft(*(self.filters.analyze(wave) for wave in flat))


class MelDistance(nn.Module):
    """Mean over window lengths of the L1 distance of log10 mel magnitudes.

    Args:
        sampling_rate: sampling rate in Hz.
        windows: FFT and window lengths in samples; the hop is a quarter.
        num_mels: number of mel bands for each window, from 0 Hz to half the sampling rate.
        floor: least magnitude.
    Raises:
        ValueError: unless there are as many ``num_mels`` as ``windows``.
    """

    def __init__(
        self,
        sampling_rate: int,
        *,
        windows: Sequence[int] = (1024,),
        num_mels: Sequence[int] = (80,),
        floor: float = 1e-5,
    ) -> None:
        super().__init__()
        if len(windows) != len(num_mels):
            raise ValueError(
                f"got {len(windows)} windows and {len(num_mels)} num_mels, expected one for each."
            )
        self.resolutions = [Resolution(window, window // 4, window) for window in windows]
        self.floor = floor
        for window, bands in zip(windows, num_mels, strict=True):
            filters = mel_filters(sampling_rate, window, bands)
            self.register_buffer(f"filters_{window}", filters, persistent=False)

    def forward(self, estimate: Tensor, target: Tensor) -> Tensor:
        """Return the distance, a scalar."""
        pairs = zip(self.log_mels(estimate), self.log_mels(target), strict=True)
        return torch.stack([F.l1_loss(*pair) for pair in pairs]).mean()

    def log_mels(self, waveform: Tensor) -> list[Tensor]:
        """log10 mel magnitudes [B * C, mels, frames], one for each window."""
        spectra = []
        for resolution in self.resolutions:
            filters = getattr(self, f"filters_{resolution.fft_size}").to(waveform)
            mel = filters @ stft_magnitude(waveform, resolution)
            spectra.append(mel.clamp(min=self.floor).log10())
        return spectra


class RelativeErrorLoss(nn.Module):
    """Mean over clips of the root of error energy over target energy: 1 for a silent estimate.

    Unlike magnitudes it depends on phases, so that the decoder learns in a short run to use the
    information of the codes instead of filling an envelope with noise. It is 1e-4 for equal clips.

    Args:
        floor: added to the mean square of the target, so that silent clips do not dominate.
    """

    def __init__(self, floor: float = 1e-4) -> None:
        super().__init__()
        self.floor = floor

    def forward(self, estimate: Tensor, target: Tensor) -> Tensor:
        """Return the loss, a scalar."""
        error = (estimate - target).square().mean(dim=-1)
        # The root has no gradient at zero.
        return (error / (target.square().mean(dim=-1) + self.floor) + 1e-8).sqrt().mean()


def stft_magnitude(waveform: Tensor, resolution: Resolution) -> Tensor:
    """Magnitudes [B * C, fft_size / 2 + 1, frames] under a Hann window, centered frames."""
    fft_size, hop, length = resolution
    window = torch.hann_window(length, device=waveform.device)
    flat = waveform.reshape(-1, waveform.shape[-1]).float()
    spectrum = torch.stft(flat, fft_size, hop, length, window, return_complex=True)
    power = spectrum.real.square() + spectrum.imag.square()
    # The root has no gradient at zero, and the logarithm no value.
    return power.clamp(min=MAGNITUDE_FLOOR).sqrt()


def mel_filters(sampling_rate: int, fft_size: int, num_mels: int) -> Tensor:
    """Triangular filters [mels, fft_size / 2 + 1] with peak 1 on the mel scale of HTK."""
    top = 2595 * math.log10(1 + sampling_rate / 2 / 700)
    edges = 700 * (10 ** (torch.linspace(0, top, num_mels + 2, dtype=torch.float64) / 2595) - 1)
    bins = torch.linspace(0, sampling_rate / 2, fft_size // 2 + 1, dtype=torch.float64)
    # A triangle narrower than a bin could lie between two of them and be zero.
    width = sampling_rate / fft_size
    center = edges[1:-1, None]
    left = torch.minimum(edges[:-2, None], center - width)
    right = torch.maximum(edges[2:, None], center + width)
    rise, fall = (bins - left) / (center - left), (right - bins) / (right - center)
    return torch.minimum(rise, fall).clamp(min=0).float()


def kaiser_low_pass(taps: int, cutoff: float, beta: float) -> Tensor:
    """A windowed sinc [taps + 1] float64; ``cutoff`` is a fraction of half the sampling rate."""
    time = torch.arange(taps + 1, dtype=torch.float64) - taps / 2
    window = torch.kaiser_window(taps + 1, periodic=False, beta=beta, dtype=torch.float64)
    return cutoff * torch.sinc(cutoff * time) * window


def band_edge_cutoff(num_bands: int, taps: int, beta: float) -> float:
    """The cutoff at which the low-pass has half its power at ``1 / (2 * num_bands)``."""
    time = torch.arange(taps + 1, dtype=torch.float64) - taps / 2
    edge = torch.cos(math.pi / (2 * num_bands) * time)
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low_pass = kaiser_low_pass(taps, middle, beta)
        wide = (low_pass @ edge) > low_pass.sum() / math.sqrt(2)
        low, high = (low, middle) if wide else (middle, high)
    return (low + high) / 2


__all__ = [
    "FULL_BAND",
    "SUB_BAND",
    "MelDistance",
    "MultiResolutionStftLoss",
    "PseudoQuadratureMirrorFilters",
    "RelativeErrorLoss",
    "Resolution",
    "SubBandStftLoss",
    "band_edge_cutoff",
    "kaiser_low_pass",
    "mel_filters",
    "stft_magnitude",
]

"""Resemblyzer's voice encoder in torch, for the singer similarity of published results.

A sound is brought to -30 dBFS if it is quieter, and cut into windows of 1.6 s, 1.3 a second. Each
window becomes a mel spectrogram (power, 40 bands, 25 ms windows every 10 ms at 16 kHz) and, by
three LSTM layers, an embedding of length 1. Resemblyzer also removes long pauses with webrtcvad,
which this module does not: singing over music has few of them.

Source: Wan et al. (2018, generalized end-to-end loss); keys of the weights as in Resemblyzer 0.1,
whose package holds them (``resemblyzer/pretrained.pt``).
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from transformers.audio_utils import mel_filter_bank

from ...checkpoints.devices import checked_device
from ...data.preparation.stages import loading
from .weights import file_settings, load_exactly, read_weights_file

SAMPLING_RATE = 16000
WINDOW_FRAMES, WINDOWS_PER_SECOND, LEAST_COVERAGE = 160, 1.3, 0.75
_WINDOW, _HOP, _BANDS = 400, 160, 40
_LEAST_LEVEL = -30.0  # dBFS


class VoiceEncoder(nn.Module):
    """The network: mel spectrograms [N, 160, 40] to embeddings [N, D] of length 1.

    Args:
        hidden_size: size of the LSTM layers.
        embedding_size: D.
        num_layers: number of LSTM layers.
    """

    def __init__(
        self, hidden_size: int = 256, embedding_size: int = 256, num_layers: int = 3
    ) -> None:
        super().__init__()
        self.lstm = nn.LSTM(_BANDS, hidden_size, num_layers, batch_first=True)
        self.linear = nn.Linear(hidden_size, embedding_size)

    def forward(self, mels: Tensor) -> Tensor:
        """Embed windows [N, frames, 40]."""
        _, (hidden, _) = self.lstm(mels)
        return nn.functional.normalize(self.linear(hidden[-1]).relu(), dim=1)

    @classmethod
    def from_weights(cls, weights: dict[str, Tensor]) -> VoiceEncoder:
        """Make the network of Resemblyzer's state dict.

        Raises:
            ValueError: for other names or shapes.
        """
        weights = {key: one for key, one in weights.items() if key.startswith(("lstm.", "linear."))}
        sizes = weights["linear.weight"].shape if "linear.weight" in weights else (1, 1)
        model = cls(int(sizes[1]), int(sizes[0]), max(1, len(weights) // 4))
        load_exactly(model, weights, "Resemblyzer's voice encoder")
        return model.eval()


def window_starts(num_samples: int) -> list[int]:
    """Return the first frames of the windows of a sound, of which the last may reach beyond it."""
    step = round(SAMPLING_RATE / WINDOWS_PER_SECOND / _HOP)
    num_frames = math.ceil((num_samples + 1) / _HOP)
    starts = list(range(0, max(1, num_frames - WINDOW_FRAMES + step + 1), step))
    covered = (num_samples - starts[-1] * _HOP) / (WINDOW_FRAMES * _HOP)
    return starts[:-1] if covered < LEAST_COVERAGE and len(starts) > 1 else starts


def mel_windows(waveform: np.ndarray) -> Tensor:
    """Compute the windows of a waveform.

    Args:
        waveform: float [S] at 16 kHz.
    Returns:
        float32 [N, 160, 40], at least one window.
    """
    samples = np.asarray(waveform, dtype=np.float64)
    level = math.sqrt(np.mean(np.square(samples))) if len(samples) else 0.0
    if 0 < level < 10 ** (_LEAST_LEVEL / 20):
        samples = samples * (10 ** (_LEAST_LEVEL / 20) / level)
    starts = window_starts(len(samples))
    needed = (starts[-1] + WINDOW_FRAMES) * _HOP
    samples = np.pad(samples, (0, max(0, needed - len(samples))))
    spectrum = torch.stft(
        torch.from_numpy(samples), _WINDOW, _HOP, window=torch.hann_window(_WINDOW).double(),
        pad_mode="constant", return_complex=True,
    ).abs() ** 2  # [201, frames]  # fmt: skip
    mels = (spectrum.T @ torch.from_numpy(_mel_filters())).float()
    return torch.stack([mels[start : start + WINDOW_FRAMES] for start in starts])


@cache
def _mel_filters() -> Any:
    return mel_filter_bank(
        _WINDOW // 2 + 1, _BANDS, 0.0, SAMPLING_RATE / 2, SAMPLING_RATE, "slaney", "slaney"
    )


class Resemblyzer:
    """Resemblyzer's voice encoder: ``embeddings`` [windows, D].

    Args:
        name: file of the weights, or a folder with that file alone.
        device: name of a device.
        batch_size: windows that are heard at once.
    """

    def __init__(self, name: str, device: str = "cpu", *, batch_size: int = 8) -> None:
        with loading(f"Resemblyzer's voice encoder from {name!r}"):
            path, weights = read_weights_file(name, "Resemblyzer's pretrained.pt")
            model = VoiceEncoder.from_weights(weights)
        self.settings = {
            **file_settings(path, model),
            "sampling_rate": SAMPLING_RATE,
            "windows_per_second": WINDOWS_PER_SECOND,
            "pauses_removed": False,
        }
        self.model = model.to(checked_device(device))
        self.batch_size, self.sampling_rate = batch_size, SAMPLING_RATE

    def __call__(self, waveform: np.ndarray) -> dict[str, np.ndarray]:
        """Embed the windows of a waveform."""
        device = next(self.model.parameters()).device
        with torch.inference_mode():
            found = [
                self.model(batch.to(device)).cpu()
                for batch in mel_windows(waveform).split(self.batch_size)
            ]
        return {"embeddings": torch.cat(found).numpy()}


__all__ = ["Resemblyzer", "VoiceEncoder", "mel_windows", "window_starts"]

"""VGGish in torch: its log mels and its network, for the Frechet distance of published results.

The input are log mels of 0.96 s: 25 ms windows every 10 ms at 16 kHz, 64 mel bands from 125 to
7500 Hz of the magnitude spectrum, and the logarithm of their sum with 0.01. The embedding is the
last linear layer's output without a ReLU, as most tools for the distance use it, and without the
PCA and the quantization of AudioSet's release.

Source: Hershey et al. (2017); keys of the weights as in torchvggish.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from torch import Tensor, nn
from transformers.audio_utils import mel_filter_bank

SAMPLING_RATE = 16000
EXAMPLE_FRAMES = 96  # 0.96 s
EMBEDDING_SIZE = 128
_WINDOW, _HOP, _FFT = 400, 160, 512
_BANDS, _LOWEST, _HIGHEST = 64, 125.0, 7500.0
_OFFSET = 0.01
_CHANNELS = (64, None, 128, None, 256, 256, None, 512, 512, None)  # None: maximum of 2 x 2


class VGGish(nn.Module):
    """The network: log mels [N, 96, 64] to embeddings [N, 128].

    Args:
        width: divides all channels, for tests.
    """

    def __init__(self, width: int = 1) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        size = 1
        for channels in _CHANNELS:
            if channels is None:
                layers.append(nn.MaxPool2d(2))
            else:
                layers += [nn.Conv2d(size, channels // width, 3, padding=1), nn.ReLU()]
                size = channels // width
        hidden = 4096 // width
        self.features = nn.Sequential(*layers)
        self.embeddings = nn.Sequential(
            nn.Linear(size * 4 * 6, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, EMBEDDING_SIZE),
        )

    def forward(self, log_mels: Tensor) -> Tensor:
        """Embed examples [N, 96, 64]."""
        states = self.features(log_mels[:, None])  # [N, C, 6, 4]
        # TensorFlow, where the weights come from, flattens the channels last.
        return self.embeddings(states.permute(0, 2, 3, 1).flatten(1))

    @classmethod
    def from_weights(cls, weights: dict[str, Tensor]) -> VGGish:
        """Make the network of a state dict with torchvggish's names.

        Entries of the post-processing are not used.

        Raises:
            ValueError: for other names or shapes.
        """
        weights = {
            key: value
            for key, value in weights.items()
            if key.startswith(("features.", "embeddings."))
        }
        try:
            model = cls(64 // len(weights["features.0.weight"]))
            model.load_state_dict(weights)
        except (KeyError, RuntimeError, ZeroDivisionError) as error:
            raise ValueError(
                f"the weights are not those of VGGish ({' '.join(str(error).split())[:120]}): "
                "expected features.0.weight to embeddings.4.bias, as torchvggish saves them"
            ) from error
        return model.eval()


def log_mels(waveform: np.ndarray) -> np.ndarray:
    """Compute the examples of a waveform.

    Args:
        waveform: float [S] at 16 kHz; one that is too short for an example is padded with silence.
    Returns:
        float32 [N, 96, 64]; what is left after the last whole example is not used.
    """
    needed = _WINDOW + (EXAMPLE_FRAMES - 1) * _HOP
    waveform = np.pad(np.asarray(waveform, dtype=np.float64), (0, max(0, needed - len(waveform))))
    count = 1 + (len(waveform) - _WINDOW) // _HOP
    examples = count // EXAMPLE_FRAMES
    frames = np.lib.stride_tricks.sliding_window_view(waveform, _WINDOW)[::_HOP]
    frames = frames[: examples * EXAMPLE_FRAMES]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW)  # periodic
    spectrum = np.abs(np.fft.rfft(frames * window, _FFT))
    logarithms = np.log(spectrum @ _mel_filters() + _OFFSET)
    return logarithms.reshape(examples, EXAMPLE_FRAMES, _BANDS).astype(np.float32)


@cache
def _mel_filters() -> Any:
    return mel_filter_bank(
        _FFT // 2 + 1,
        _BANDS,
        _LOWEST,
        _HIGHEST,
        SAMPLING_RATE,
        norm=None,
        mel_scale="kaldi",  # 1127 ln(1 + f / 700)
        triangularize_in_mel_space=True,
    )


__all__ = ["EMBEDDING_SIZE", "EXAMPLE_FRAMES", "SAMPLING_RATE", "VGGish", "log_mels"]

"""Embeddings of audio and texts by CLAP models, in windows of the model's length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def cut_windows(waveform: np.ndarray, window: int, hop: int, shortest: int) -> list[np.ndarray]:
    """Cut a waveform [S] into windows.

    Args:
        waveform: float [S].
        window, hop: samples of a window, and from the start of one to that of the next.
        shortest: samples that the last window has at least; shorter rests are left out.
    Returns:
        Windows of ``window`` samples, the last ones shorter; at least one.
    """
    starts = range(0, max(1, len(waveform) - shortest + 1), hop)
    return [waveform[start : start + window] for start in starts]


class ClapEmbedder:
    """A CLAP model that embeds audio and texts in the same space.

    Args:
        name: Hub id or folder.
        device: device of the model.
        revision: branch, tag or commit of a Hub id.
    """

    def __init__(self, name: str, device: Any = "cpu", *, revision: str | None = None) -> None:
        from transformers import ClapModel, ClapProcessor

        model = ClapModel.from_pretrained(name, revision=revision, dtype="float32")
        self.model = model.eval().to(device)
        self.processor = ClapProcessor.from_pretrained(name, revision=revision)
        self.sampling_rate = int(self.processor.feature_extractor.sampling_rate)
        self.window = int(self.processor.feature_extractor.nb_max_samples)

    def audio(
        self, waveform: np.ndarray, *, hop_seconds: float | None = None, batch_size: int = 64
    ) -> np.ndarray:
        """Embed the windows of a waveform.

        The library would crop a longer sound at random, so no window is longer than the model's
        (10 s). A rest of less than a second is left out.

        Args:
            waveform: float [S] at ``sampling_rate``.
            hop_seconds: from the start of a window to that of the next; by default its length.
            batch_size: windows that the model hears at once.
        Returns:
            float32 [windows, D].
        """
        import torch

        rate = self.sampling_rate
        hop = self.window if hop_seconds is None else max(1, round(hop_seconds * rate))
        windows = cut_windows(waveform, self.window, hop, rate)
        found = []
        for start in range(0, len(windows), batch_size):
            batch = windows[start : start + batch_size]
            audio = self.processor.feature_extractor(batch, sampling_rate=rate, return_tensors="pt")
            audio["is_longer"] = torch.zeros(len(batch), 1, dtype=torch.bool)  # no window is
            with torch.inference_mode():
                output = self.model.get_audio_features(**audio.to(self.model.device))
            found.append(output.pooler_output.float().cpu().numpy())
        return np.concatenate(found)

    def text(self, texts: Sequence[str]) -> np.ndarray:
        """Embed texts, cut to the model's length, as float32 [N, D]."""
        import torch

        inputs = self.processor.tokenizer(
            list(texts),
            padding=True,
            truncation=True,
            max_length=self.model.config.text_config.max_position_embeddings - 2,
            return_tensors="pt",
        )
        with torch.inference_mode():
            output = self.model.get_text_features(**inputs.to(self.model.device))
        return output.pooler_output.float().cpu().numpy()


__all__ = ["ClapEmbedder", "cut_windows"]

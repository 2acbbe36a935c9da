"""Mel spectrograms in decibels, for the pictures of evaluated songs and of the Space."""

from __future__ import annotations

from functools import cache

import numpy as np
from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

FRAME_LENGTH = 1024  # samples of a Hann window


def mel_decibels(
    waveform: np.ndarray,
    sampling_rate: int,
    *,
    num_bands: int,
    hop_length: int,
    min_frequency: float,
    max_frequency: float,
    decibel_range: float | None = None,
) -> np.ndarray:
    """Power of a waveform in mel bands, in decibels.

    Args:
        waveform: float [S].
        sampling_rate: in Hz.
        num_bands: number of mel bands.
        hop_length: samples between two frames.
        min_frequency, max_frequency: in Hz, where the first band begins and the last one ends.
        decibel_range: values lie at most this far below the loudest one; None leaves them as they
            are.
    Returns:
        float32 [``num_bands``, frames], 0 dB for a power of 1, at least -100 dB.
    """
    window = window_function(FRAME_LENGTH, "hann", periodic=False)
    return spectrogram(
        waveform,
        window,
        FRAME_LENGTH,
        hop_length,
        power=2.0,
        pad_mode="constant",
        mel_filters=_mel_filters(num_bands, min_frequency, max_frequency, sampling_rate),
        log_mel="dB",
        db_range=decibel_range,
    )


@cache
def _mel_filters(num_bands: int, lowest: float, highest: float, sampling_rate: int) -> np.ndarray:
    return mel_filter_bank(FRAME_LENGTH // 2 + 1, num_bands, lowest, highest, sampling_rate)


__all__ = ["mel_decibels"]

"""Waveforms encoded by a codec and decoded again: the upper bound of a model of its codes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def codec_round_trip(
    codec: Any, waveforms: Sequence[np.ndarray], *, num_codebooks: int | None = None
) -> list[np.ndarray]:
    """Encode each waveform and decode it.

    Args:
        codec: an :class:`~songgen_hf.modeling.modeling_xcodec.XCodecModel`.
        waveforms: float32 [S] at the codec's rate.
        num_codebooks: number of codebooks to decode from, counted from the first; None for all.
    Returns:
        float32 [S'] for each, where S' is S, or the codec's frames times its hop if that is less.
    """
    import torch

    decoded = []
    for waveform in waveforms:
        values = torch.from_numpy(np.ascontiguousarray(waveform, dtype=np.float32))[None, None]
        with torch.no_grad():
            codes = codec.encode(values, return_dict=False)
            output = codec.decode(codes[:, :num_codebooks], return_dict=False)[
                0, 0, : len(waveform)
            ]
        decoded.append(output.float().cpu().numpy())
    return decoded


__all__ = ["codec_round_trip"]

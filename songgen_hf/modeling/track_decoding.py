"""Decodes tracks of unequal lengths together: windows of one length form a batch of the codec."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .execution_device import execution_device
from .modeling_xcodec import XCodecModel
from .xcodec_windows import DECODED_FRAMES, windows

BATCH_WINDOWS = 24
"""Largest number of windows that the codec decodes at once."""


def decode_tracks(
    codec: Any, tracks: Sequence[Tensor], codebook_size: int, chunk_frames: int | None = None
) -> list[Tensor]:
    """Decode tracks [K, T] as waveforms [S] in float32, without the frames that hold special ids.

    A track without frames is one zero sample. On a CPU the tracks are decoded one by one: a batch
    is not faster there, and its rounding would depend on the other songs.
    """
    kept = [track[:, (track < codebook_size).all(dim=0)] for track in tracks]
    whole = [track for track in kept if track.shape[-1]]
    if len(whole) > 1 and whole[0].device.type != "cpu" and isinstance(codec, XCodecModel):
        decoded = iter(decode_together(codec, whole, chunk_frames))
    else:
        decoded = (
            codec.decode(track[None], chunk_frames=chunk_frames).audio_values[0, 0]
            for track in whole
        )
    silence = torch.zeros(1, device=tracks[0].device)
    return [next(decoded).float() if track.shape[-1] else silence for track in kept]


def decode_together(
    codec: Any, tracks: Sequence[Tensor], chunk_frames: int | None = None
) -> list[Tensor]:
    """Decode tracks, each as the codec decodes it alone but for rounding.

    Memory does not grow with the number of the tracks beyond their waveforms.

    Args:
        codec: an :class:`XCodecModel`.
        tracks: codes [K, T_i] without special ids, T_i at least 1.
        chunk_frames: number of frames of a window; None for ``DECODED_FRAMES``.
    Returns:
        Waveforms [hop_length * T_i] in the dtype of the codec.
    """
    hop, size = codec.config.hop_length, chunk_frames or DECODED_FRAMES
    context, period = codec.decode_context_frames, codec.decode_period_frames
    device = execution_device(codec)
    waveforms = [
        torch.empty(track.shape[-1] * hop, dtype=codec.dtype, device=device) for track in tracks
    ]
    by_length: dict[int, list[tuple[int, int, int, int, int]]] = defaultdict(list)
    for index, track in enumerate(tracks):
        count = track.shape[-1]
        for start, stop, left, right in windows(count, size, context, period=period):
            by_length[right - left].append((index, start, stop, left, right))
    for same in by_length.values():
        for first in range(0, len(same), BATCH_WINDOWS):
            batch = same[first : first + BATCH_WINDOWS]
            codes = torch.stack(
                [tracks[index][:, left:right] for index, _, _, left, right in batch]
            )
            decoded = codec._decode_window(codes.to(device))[:, 0]
            for samples, (index, start, stop, left, _) in zip(decoded, batch, strict=True):
                inside = samples[(start - left) * hop : (stop - left) * hop]
                waveforms[index][start * hop : stop * hop] = inside
    return waveforms


def pad_waveforms(waveforms: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Stack waveforms [S_i] as [B, 1, S] with zeros at the end, and return their lengths [B]."""
    lengths = torch.tensor(
        [waveform.shape[-1] for waveform in waveforms], device=waveforms[0].device
    )
    if len(waveforms) == 1:  # minutes of one song are not copied
        return waveforms[0][None, None], lengths
    return nn.utils.rnn.pad_sequence(waveforms, batch_first=True)[:, None], lengths


__all__ = ["BATCH_WINDOWS", "decode_together", "decode_tracks", "pad_waveforms"]

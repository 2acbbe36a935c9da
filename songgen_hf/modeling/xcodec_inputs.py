"""Checks the inputs of the codec: waveforms, padding masks, codes and bandwidths."""

from __future__ import annotations

import torch
from torch import Tensor

from .configuration_xcodec import XCodecConfig


def check_bandwidth(bandwidth: float | None, config: XCodecConfig) -> float:
    """Return a checked bandwidth in kbps; None stands for the highest.

    Raises:
        ValueError: for a bandwidth that the codec does not have.
    """
    allowed = list(config.target_bandwidths)
    if bandwidth is None:
        return allowed[-1]
    if bandwidth not in allowed:
        raise ValueError(f"bandwidth is {bandwidth}, expected one of {allowed} kbps.")
    return bandwidth


def check_chunk_frames(chunk_frames: int | None) -> None:
    """Raise ValueError unless ``chunk_frames`` is None or a positive number of frames."""
    if chunk_frames is not None and chunk_frames < 1:
        raise ValueError(
            f"chunk_frames is {chunk_frames}, expected at least 1, or None for the whole."
        )


def check_waveforms(
    input_values: Tensor, padding_mask: Tensor | None, *, hop_length: int
) -> list[int]:
    """Check the waveforms for :meth:`XCodecModel.encode` and return the samples of each clip.

    Raises:
        TypeError: if the waveforms are not floating point.
        ValueError: for a wrong shape, NaN or infinity, a wrong padding mask, or a clip that is too
            short.
    """
    if not isinstance(input_values, Tensor) or not input_values.is_floating_point():
        kind = getattr(input_values, "dtype", type(input_values).__name__)
        raise TypeError(
            f"input_values is {kind}, expected a floating-point tensor in [-1, 1]; divide "
            "integer samples by their full scale."
        )
    if input_values.ndim != 3 or input_values.shape[1] not in (1, 2) or not len(input_values):
        raise ValueError(
            f"input_values has shape {list(input_values.shape)}, expected [batch, 1 or 2 "
            "channels, samples] with at least one clip; add the missing axes with [None]."
        )
    if not torch.compiler.is_compiling() and not torch.isfinite(input_values).all():
        raise ValueError(
            "input_values holds NaN or infinity, expected finite samples; check the file it was "
            "read from or clean it with torch.nan_to_num."
        )
    batch, _, samples = input_values.shape
    lengths = [samples] * batch
    if padding_mask is not None:
        lengths = _mask_lengths(padding_mask, batch, samples)
    for row, length in enumerate(lengths):
        if length < hop_length:
            raise ValueError(
                f"Clip {row} has {length} samples, expected at least one frame of {hop_length}; "
                "drop the clip or pad it with zeros."
            )
    return lengths


def _mask_lengths(padding_mask: Tensor, batch: int, samples: int) -> list[int]:
    """Return the number of samples of each clip for a mask of padding on the right."""
    if not isinstance(padding_mask, Tensor):
        raise TypeError(
            f"padding_mask is {type(padding_mask).__name__}, expected a tensor of 0 and 1 or None; "
            "pass the bandwidth by name."
        )
    mask = padding_mask[:, 0] if padding_mask.ndim == 3 else padding_mask
    if list(mask.shape) != [batch, samples]:
        raise ValueError(
            f"padding_mask has shape {list(padding_mask.shape)}, expected [{batch}, {samples}] "
            "as the waveforms have."
        )
    mask = mask.bool()
    lengths = mask.sum(dim=-1)
    positions = torch.arange(samples, device=mask.device)
    if not torch.equal(mask, positions < lengths[:, None]):
        raise ValueError(
            "padding_mask has zeros before ones, expected padding on the right alone; cut or shift "
            "the clips so that each starts at sample 0."
        )
    return lengths.tolist()


def check_codes(codes: Tensor, config: XCodecConfig) -> None:
    """Check the codes for :meth:`XCodecModel.decode`.

    Raises:
        TypeError: if the codes are not integers.
        ValueError: for a wrong shape or an id outside the codebooks.
    """
    if torch.compiler.is_compiling():  # values cannot be looked at within a graph
        return
    if codes.is_floating_point() or codes.is_complex() or codes.dtype == torch.bool:
        raise TypeError(f"audio_codes is {codes.dtype}, expected integers such as torch.int64.")
    levels = config.num_quantizers
    if codes.ndim != 3 or not 1 <= codes.shape[1] <= levels or 0 in codes.shape:
        raise ValueError(
            f"audio_codes has shape {list(codes.shape)}, expected [batch, 1 to {levels} "
            "codebooks, frames] with at least one frame; "
            "decode each track on its own and skip empty ones."
        )
    low, high = codes.min().item(), codes.max().item()
    if low < 0 or high >= config.codebook_size:
        raise ValueError(
            f"audio_codes holds ids from {low} to {high}, expected 0 to "
            f"{config.codebook_size - 1}; drop the frames with special ids (padding, end "
            "of sequence) first."
        )


__all__ = ["check_bandwidth", "check_chunk_frames", "check_codes", "check_waveforms"]

"""How fast the codec encodes and decodes a second of audio, with the floor of both."""

import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from songgen_hf.modeling.modeling_xcodec import XCodecModel
from songgen_hf.presets.models import build_config
from songgen_hf.training.precision import fast_bfloat16

CODEC_SECONDS = 4
"""Seconds of audio that the codec encodes and decodes in one turn."""


def codec_calls(preset: str, dtype: torch.dtype, seed: int) -> dict[str, Callable[[], Any]]:
    """Encoding and decoding of the codec of a preset, with random weights."""
    torch.manual_seed(seed)
    model = XCodecModel(build_config(preset, "mixed").audio_encoder).eval().to(dtype)
    waveform = 0.1 * torch.randn(1, 1, CODEC_SECONDS * model.config.sampling_rate)
    with torch.inference_mode():
        codes = model.encode(waveform.to(dtype)).audio_codes
    return {
        "encode": lambda: model.encode(waveform.to(dtype)),
        "decode": lambda: model.decode(codes),
    }


def codec(call: Callable[[], Any]) -> Callable[[], list[float]]:
    """Measure milliseconds of a call of the codec for a second of audio."""

    @torch.inference_mode()
    def measure() -> list[float]:
        start = time.perf_counter()
        call()
        return [1e3 * (time.perf_counter() - start) / CODEC_SECONDS]

    return measure


def codec_floor(call: Callable[[], Any], dtype: torch.dtype) -> float:
    """Milliseconds for a second of audio at the speed of a large product or convolution.

    They are in float32 where the CPU has no instructions for bfloat16, which it emulates.
    """
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        call()
    fast = dtype if fast_bfloat16() else torch.float32
    factors = torch.ones(2, 2048, 2048).to(fast)
    kernel = torch.ones(256, 256, 1, 7).to(fast)
    image = torch.ones(1, 256, 1, 8198).to(fast).contiguous(memory_format=torch.channels_last)
    per_second = max(
        _operations_per_second(lambda: torch.mm(factors[0], factors[1])),
        _operations_per_second(lambda: F.conv2d(image, kernel)),
    )
    return 1e3 * counter.get_total_flops() / CODEC_SECONDS / per_second


def _operations_per_second(call: Callable[[], Any]) -> float:
    with FlopCounterMode(display=False) as counter:
        call()
    times = []
    for _ in range(5):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return counter.get_total_flops() / min(times)

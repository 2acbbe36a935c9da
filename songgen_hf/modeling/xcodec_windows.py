"""Computes the codec in windows over time, so that memory does not grow with the length of audio.

The module holds the arithmetic of windows and of the reach of convolutions, the convolutional front
end of the semantic model in windows, and the decoder of a stream of codes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from torch import Tensor, baddbmm, cat, empty, float32, float64, nn, no_grad
from torch.nn.functional import pad

from .execution_device import execution_device, loaded_weights
from .xcodec_inputs import check_chunk_frames, check_codes

DECODED_FRAMES = 150
"""Frames that convolutions compute at a time: 3 s, so that memory does not grow with a song.

In float32 on a CPU ten seconds at a time take a quarter longer (docs/speed.md)."""
ROUNDED_FRAMES = 50
"""Frames of which the length of a window is a multiple, if it is not longer than it may be."""
ATTENTION_FRAMES = 15000
"""Frames of the longest clip that attention covers as a whole: five minutes.

Its time grows with the square of the length."""
ATTENTION_WINDOW = 3000
"""Frames of a longer clip that attention covers at a time: a minute. Memory grows no further."""
ATTENTION_CONTEXT = 250
"""Frames on each side that attention covers beyond those that it encodes of a longer clip."""


class XCodecStreamDecoder:
    """Decoder of a stream of codes, whose joined chunks equal the waveform of all codes.

    A frame can be decoded when ``codec.decode_context_frames`` frames follow it (0.24 s at full
    size), or at :meth:`finish`.

    Args:
        codec: the codec, in evaluation mode.
        chunk_frames: number of frames that the codec decodes at a time.
        first_frames: number of frames of the first chunk, if smaller; the following chunks double
            in length up to ``chunk_frames``. None for chunks of one length.
    """

    def __init__(self, codec: Any, chunk_frames: int = 25, first_frames: int | None = None) -> None:
        check_chunk_frames(chunk_frames)
        check_chunk_frames(first_frames)
        self.codec = codec
        self.chunk_frames = chunk_frames
        self.first_frames = min(chunk_frames, first_frames or chunk_frames)
        self._size = self.first_frames
        self._context = codec.decode_context_frames
        self._codes: Tensor | None = None  # [B, K, T], decoded frames of context, then waiting ones
        self._done = 0

    def push(self, codes: Tensor) -> Iterator[Tensor]:
        """Add codes [B, K, n] and return the waveforms [B, 1, S] that can now be decoded."""
        check_codes(codes, self.codec.config)
        self._codes = codes if self._codes is None else cat([self._codes, codes], dim=-1)
        return iter(self._ready(self._context))

    def finish(self) -> Iterator[Tensor]:
        """Return the waveforms of all waiting frames and reset the decoder for another stream."""
        chunks = [*self._ready(0, flush=True)] if self._codes is not None else []
        self._codes, self._done, self._size = None, 0, self.first_frames
        return iter(chunks)

    @no_grad()
    def _ready(self, right: int, flush: bool = False) -> list[Tensor]:
        hop, chunks = self.codec.config.hop_length, []
        while self._codes is not None:
            ready = self._codes.shape[-1] - right - self._done
            count = min(ready, self._size)
            if count < (1 if flush else self._size):
                break
            self._size = min(self.chunk_frames, 2 * self._size)
            stop = self._done + count
            window = self.codec._decode_window(
                self._codes[..., : stop + self._context].to(execution_device(self.codec))
            )
            chunks.append(window[..., self._done * hop : stop * hop])
            kept = max(0, stop - self._context)
            kept -= kept % self.codec.decode_period_frames
            self._codes, self._done = self._codes[..., kept:], stop - kept
        return chunks


class WindowedConvolutions(nn.Module):
    """The convolutional front end of HuBERT, computed in windows: [B, S] -> [B, C, T].

    The result is the same but for rounding. The convolutions have no padding, so windows need no
    context. A group norm over time uses the statistics of the whole clip, which are computed first.

    Args:
        extractor: the front end.
        chunk_frames: number of frames of a window.
        padding: zeros before and after each clip.
    """

    def __init__(self, extractor: Any, chunk_frames: int, padding: int = 0) -> None:
        super().__init__()
        self.layers: Any = extractor.conv_layers
        self.chunk_frames = chunk_frames
        self.padding = padding

    def forward(self, input_values: Tensor) -> Tensor:
        kernel, hop = valid_window(self.layers)
        num_frames = (input_values.shape[-1] + 2 * self.padding - kernel) // hop + 1
        return self.features(input_values, 0, num_frames, self.statistics(input_values))

    def features(
        self, input_values: Tensor, begin: int, end: int, statistics: tuple[Tensor, Tensor] | None
    ) -> Tensor:
        """Return the features [B, C, end - begin] of some frames of clips [B, S].

        Args:
            input_values: [B, S], the whole clips.
            begin, end: the frames.
            statistics: those of the whole clips.
        """
        first, rest = self.layers[0], self.layers[1:]
        kernel, hop = valid_window(self.layers)
        factors = None if statistics is None else self._normed_kernels(*statistics)
        parts = []
        for start, stop, _, _ in windows(end, self.chunk_frames, 0, begin):
            hidden = self._window(input_values, start * hop, (stop - 1) * hop + kernel)
            if factors is None:
                hidden = first(hidden)
            else:
                frames = _frames(hidden, first.conv).float()
                normed = baddbmm(factors[0], frames, factors[1]).to(hidden.dtype)
                hidden = first.activation(normed.transpose(1, 2))
            for layer in rest:
                hidden = layer(hidden)
            parts.append(hidden)
        return cat(parts, dim=-1)

    def _normed_kernels(self, mean: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        """Shifts [B, 1, C] and kernels [B, W, C] of the first layer together with its norm.

        They are float32: rounded kernels would pass on what theirs cancel.
        """
        norm, conv = self.layers[0].layer_norm, self.layers[0].conv
        with loaded_weights(norm), loaded_weights(conv):
            gain = scale * norm.weight
            bias = 0.0 if conv.bias is None else conv.bias
            shift = norm.bias + (bias - mean) * gain
            kernels = conv.weight[:, 0] * gain[..., None]  # [B, C, W]
        return shift[:, None].float(), kernels.mT.float()

    def statistics(self, input_values: Tensor) -> tuple[Tensor, Tensor] | None:
        """Return mean and inverse deviation [B, C] of the first layer's channels over clips.

        A channel is a linear function of the frames of samples below the kernel, so its mean and
        its mean square follow from those of the frames and of their products. What a kernel cancels
        may be far louder than what it leaves: the sums are float64, where the device has it.

        None if the first layer has no group norm.
        """
        norm, conv = getattr(self.layers[0], "layer_norm", None), self.layers[0].conv
        if not isinstance(norm, nn.GroupNorm):
            return None
        _, hop = valid_window(self.layers)
        width, stride = conv.kernel_size[0], conv.stride[0]
        count = (input_values.shape[-1] + 2 * self.padding - width) // stride + 1
        precision = float32 if input_values.device.type == "mps" else float64
        total: Any = 0.0
        products: Any = 0.0
        for start, stop, _, _ in windows(count, self.chunk_frames * hop // stride, 0):
            window = self._window(input_values, start * stride, (stop - 1) * stride + width)
            frames = _frames(window, conv).to(precision)  # [B, n, W]
            total = total + frames.sum(dim=1)
            products = products + frames.mT @ frames
        with loaded_weights(conv):
            kernel = conv.weight[:, 0].to(precision)  # [C, W]
            bias = 0.0 if conv.bias is None else conv.bias.to(precision)
        mean = total / count @ kernel.T  # [B, C]
        square = (kernel @ (products / count) * kernel).sum(dim=-1) + bias * (2 * mean + bias)
        groups, size = (norm.num_groups, -1), norm.num_channels // norm.num_groups
        mean, square = (one.unflatten(1, groups).mean(dim=2) for one in (mean + bias, square))
        scale = (square - mean.square() + norm.eps).rsqrt()
        return mean.repeat_interleave(size, dim=1), scale.repeat_interleave(size, dim=1)

    def _window(self, input_values: Tensor, start: int, stop: int) -> Tensor:
        """Samples [B, 1, stop - start] of the padded clips."""
        return padded_window(input_values, start - self.padding, stop - self.padding)[:, None]


def acoustic_features(
    codec: Any,
    waveform: Tensor,
    num_frames: int,
    chunk_frames: int,
    begin: int = 0,
    end: int | None = None,
) -> Tensor:
    """Return features [B, D, end - begin] of the acoustic encoder, computed in windows.

    Args:
        codec: an :class:`XCodecModel`.
        waveform: [B, 1, S], whole clips.
        num_frames: number of frames of the clips.
        chunk_frames: number of frames of a window, without its context.
        begin, end: the frames that are needed; all by default.
    """
    hop, context = codec.config.hop_length, codec.encode_context_frames
    before, after = codec._alignment(waveform.shape[-1], num_frames)
    parts = []
    for start, stop, left, right in windows(num_frames, chunk_frames, context, begin, end):
        last = waveform.shape[-1] + after if right == num_frames else right * hop - before
        window = codec.acoustic_encoder(padded_window(waveform, left * hop - before, last))
        parts.append(window[..., start - left : stop - left])
    return cat(parts, dim=-1)


def padded_window(waveform: Tensor, start: int, stop: int) -> Tensor:
    """Samples [start, stop) of clips [..., S], with zeros where the clips have none.

    A padded copy of whole clips would take as much memory as the clips.
    """
    length = waveform.shape[-1]
    inside = waveform[..., max(0, start) : min(length, stop)]
    return pad(inside, (max(0, -start), max(0, stop - length)))


def encode_in_windows(codec: Any, waveform: Tensor, bandwidth: float, chunk_frames: int) -> Tensor:
    """Encode clips that attention covers in windows: [B, 1, S] -> codes [K, B, T].

    Memory does not grow beyond the waveform and its codes. The statistics of the group norm are
    those of the whole clips.
    """
    num_frames = codec.get_num_frames(waveform.shape[-1])
    extractor, clips = codec.semantic_model.feature_extractor, waveform[:, 0]
    convolutions = WindowedConvolutions(extractor, chunk_frames, codec.pad)
    statistics, codes = convolutions.statistics(clips), []
    for start, stop, left, right in windows(num_frames, ATTENTION_WINDOW, ATTENTION_CONTEXT):
        features = convolutions.features(clips, left, right, statistics)
        semantic = codec.encoder_semantic(codec._semantic_states(features).transpose(1, 2))
        semantic = semantic[..., start - left : stop - left]
        acoustic = acoustic_features(codec, waveform, num_frames, chunk_frames, start, stop)
        codes.append(codec._quantize(codec._joined(acoustic, semantic), bandwidth))
    return cat(codes, dim=-1)


def decode_in_windows(codec: Any, codes: Tensor, chunk_frames: int) -> Tensor:
    """Decode codes in windows of ``chunk_frames`` and their context: [B, K, T] -> [B, 1, S]."""
    hop, count = codec.config.hop_length, codes.shape[-1]
    waveform = empty((len(codes), 1, count * hop), dtype=codec.dtype, device=codes.device)
    context, period = codec.decode_context_frames, codec.decode_period_frames
    for start, stop, left, right in windows(count, chunk_frames, context, period=period):
        window = codec._decode_window(codes[..., left:right])
        inside = window[..., (start - left) * hop : (stop - left) * hop]
        waveform[..., start * hop : stop * hop] = inside
    return waveform


def _frames(window: Tensor, conv: nn.Conv1d) -> Tensor:
    """The samples [B, n, W] below the kernel of a convolution of clips [B, 1, S]."""
    return window[:, 0].unfold(-1, conv.kernel_size[0], conv.stride[0])


def windows(
    count: int, size: int, context: int, begin: int = 0, end: int | None = None, *, period: int = 1
) -> Iterator[tuple[int, int, int, int]]:
    """Yield (start, stop, left, right): frames [start, stop) and their window [left, right).

    The window has ``context`` frames more on each side, where the clip of ``count`` frames has
    them. All windows have one length, if the clip is long enough, and clips have few lengths of
    windows: libraries keep memory for every shape. There are as few windows as ``size``, the most
    frames of one, allows, and they share the frames evenly. With ``begin`` and ``end`` only these
    frames of the clip are in the windows. A window begins at a multiple of ``period``.
    """
    end = count if end is None else end
    share = -(-(end - begin) // max(1, -(-(end - begin) // size)))
    size = min(size, -(-share // ROUNDED_FRAMES) * ROUNDED_FRAMES)
    for start in range(begin, end, size):
        stop = min(end, start + size)
        right = min(count, max(0, start - context) + size + 2 * context)
        left = max(0, right - size - 2 * context)
        yield start, stop, left - left % period, right


def valid_window(layers: Any) -> tuple[int, int]:
    """Return the receptive field and the hop, in samples, of a stack of unpadded convolutions."""
    kernel, hop = 1, 1
    for layer in layers:
        kernel += (layer.conv.kernel_size[0] - 1) * hop
        hop *= layer.conv.stride[0]
    return kernel, hop


def context_frames(stack: nn.Module, steps_per_frame: float) -> int:
    """Return a bound of the frames on each side that one frame of a convolution stack depends on.

    It is the sum of the reach of the layers, in frames, and one more frame for the alignment of
    strided layers.
    """
    reach, steps = 0.0, steps_per_frame
    for module in stack.modules():
        if not isinstance(module, nn.Conv1d | nn.ConvTranspose1d):
            continue
        layer: Any = module
        padding, stride = layer.padding[0], layer.stride[0]
        span = layer.dilation[0] * (layer.kernel_size[0] - 1)
        if isinstance(module, nn.Conv1d):
            reach += max(padding, span - padding) / steps
            steps /= stride
        else:
            reach += max(padding, span - padding) / stride / steps
            steps *= stride
    return math.ceil(reach) + 1


__all__ = [
    "ATTENTION_CONTEXT",
    "ATTENTION_FRAMES",
    "ATTENTION_WINDOW",
    "DECODED_FRAMES",
    "WindowedConvolutions",
    "XCodecStreamDecoder",
    "acoustic_features",
    "context_frames",
    "decode_in_windows",
    "encode_in_windows",
    "padded_window",
    "valid_window",
    "windows",
]

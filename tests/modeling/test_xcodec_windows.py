"""The codec in windows, and in a stream, equals the codec of whole clips."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from songgen_hf.modeling import modeling_xcodec, xcodec_windows
from songgen_hf.modeling.configuration_xcodec import XCodecConfig
from songgen_hf.modeling.modeling_xcodec import XCodecModel, XCodecStreamDecoder
from songgen_hf.modeling.xcodec_windows import WindowedConvolutions, valid_window

from .test_xcodec import HOP, SIZES, noise, random_codes, randomize


@pytest.fixture(scope="module")
def codec():
    return randomize(XCodecModel(XCodecConfig.from_reference_sizes(SIZES))).eval()


@pytest.mark.slow
@pytest.mark.parametrize("chunk_frames", [*range(1, 26), 47, 48, 49, 1000])
def test_decoding_in_chunks_equals_the_whole(codec, chunk_frames):
    codes = random_codes(2, 4, 48)

    chunked = codec.decode(codes, chunk_frames).audio_values

    whole = codec.decode(codes).audio_values
    torch.testing.assert_close(chunked, whole, atol=1e-3, rtol=1e-5)


def test_eight_frames_of_context_are_not_enough_and_twelve_are(codec, monkeypatch):
    codes = random_codes(1, 4, 60)
    whole = codec.decode(codes).audio_values

    def worst(context):
        monkeypatch.setattr(XCodecModel, "decode_context_frames", context)
        return (codec.decode(codes, 10).audio_values - whole).abs().max() / whole.std()

    assert codec.decode_context_frames == 12
    assert worst(12) < 1e-4
    assert worst(8) > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("chunk_frames", [1, 7, 25])
@pytest.mark.parametrize("pushed", [1, 5, 60])
def test_a_stream_joins_to_the_whole_decode(codec, chunk_frames, pushed):
    codes = random_codes(2, 4, 60)
    stream = XCodecStreamDecoder(codec, chunk_frames)

    chunks = [chunk for part in codes.split(pushed, dim=-1) for chunk in stream.push(part)]
    before_the_end = sum(chunk.shape[-1] for chunk in chunks) // HOP
    chunks += stream.finish()

    assert before_the_end == (60 - codec.decode_context_frames) // chunk_frames * chunk_frames
    whole = codec.decode(codes).audio_values
    torch.testing.assert_close(torch.cat(chunks, dim=-1), whole, atol=1e-3, rtol=1e-5)


def test_a_stream_decoder_can_be_used_again_after_the_end(codec):
    stream = XCodecStreamDecoder(codec, 5)
    first, second = random_codes(1, 4, 30), random_codes(1, 4, 3, seed=1)
    for codes in (first, second):
        chunks = [*stream.push(codes), *stream.finish()]
        torch.testing.assert_close(
            torch.cat(chunks, dim=-1), codec.decode(codes).audio_values, atol=1e-3, rtol=1e-5
        )

    assert list(stream.finish()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("samples", "chunk_frames"),
    [(480, 1), (3360, 1), (16000, 9), (16160, 9), (25000, 13), (25000, 1000)],
)
def test_encoding_in_windows_agrees_with_the_whole(codec, samples, chunk_frames):
    waveform = noise(2, 1, samples) * torch.linspace(0.1, 3, samples)

    whole = codec.extract_features(waveform)
    windowed = codec.extract_features(waveform, chunk_frames=chunk_frames)

    # Rounding may decide ties between codes, so a few codes may differ.
    torch.testing.assert_close(windowed.embeddings, whole.embeddings, atol=1e-3, rtol=1e-4)
    codes = codec.encode(waveform, chunk_frames=chunk_frames).audio_codes
    assert (codes == codec.encode(waveform).audio_codes).float().mean() > 0.99


@pytest.mark.parametrize("samples", [16000, 16160, 25000])
def test_long_clips_are_encoded_in_windows_of_attention(codec, samples, monkeypatch):
    waveform = noise(2, 1, samples) * torch.linspace(0.1, 3, samples)
    whole = codec.encode(waveform).audio_codes
    monkeypatch.setattr(modeling_xcodec, "ATTENTION_FRAMES", 40)
    monkeypatch.setattr(xcodec_windows, "ATTENTION_WINDOW", 20)

    # Windows that see all of the clip give its codes; rounding may decide ties.
    monkeypatch.setattr(xcodec_windows, "ATTENTION_CONTEXT", 1000)
    codes = codec.encode(waveform, chunk_frames=7).audio_codes
    assert codes.shape == whole.shape and (codes == whole).float().mean() > 0.99

    # In others, what comes after the window changes nothing but the statistics of the group norm.
    monkeypatch.setattr(xcodec_windows, "ATTENTION_CONTEXT", 10)
    statistics = xcodec_windows.WindowedConvolutions.statistics
    monkeypatch.setattr(
        xcodec_windows.WindowedConvolutions,
        "statistics",
        lambda self, values: statistics(self, torch.ones_like(values).cumsum(dim=-1).sin()),
    )
    windowed = codec.encode(waveform).audio_codes
    changed = waveform.clone()
    changed[..., 45 * HOP :] = 0
    assert windowed.shape == whole.shape
    same = (codec.encode(changed).audio_codes == windowed).float()
    assert same[..., :20].mean() > 0.99 > same[..., 45:].mean()


def test_windowed_encoding_follows_a_semantic_model_with_layer_norm():
    hubert = {**SIZES["hubert"], "feat_extract_norm": "layer", "do_stable_layer_norm": True}
    config = XCodecConfig.from_reference_sizes({**SIZES, "hubert": hubert})
    codec = randomize(XCodecModel(config)).eval()
    waveform = noise(1, 1, 9000)

    windowed = codec.extract_features(waveform, chunk_frames=4)

    whole = codec.extract_features(waveform)
    torch.testing.assert_close(windowed.embeddings, whole.embeddings, atol=1e-3, rtol=1e-4)


class NormedLayer(nn.Module):
    """A layer like the first one of HuBERT, of any groups and with a bias or without one."""

    def __init__(self, groups: int, bias: bool):
        super().__init__()
        self.conv = nn.Conv1d(1, 6, 10, stride=5, bias=bias)
        self.layer_norm = nn.GroupNorm(groups, 6)
        self.activation = nn.GELU()

    def forward(self, samples):
        return self.activation(self.layer_norm(self.conv(samples)))


class PlainLayer(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(6, 6, 3, stride=2, bias=False)

    def forward(self, states):
        return torch.relu(self.conv(states))


@pytest.mark.parametrize("chunk_frames", [1, 7, 200])
@pytest.mark.parametrize("groups", [6, 3, 1])
@pytest.mark.parametrize("bias", [False, True])
@torch.no_grad()
def test_windows_have_the_norm_of_the_whole_clips(groups, bias, chunk_frames):
    torch.manual_seed(0)
    layers = nn.ModuleList([NormedLayer(groups, bias), PlainLayer()])
    for weight in layers[0].layer_norm.parameters():
        nn.init.normal_(weight)
    # A loud low tone, which the first kernel cancels almost, below a quiet noise.
    layers[0].conv.weight -= layers[0].conv.weight.mean(dim=-1, keepdim=True)
    times = torch.arange(1200) / 1000
    clips = torch.sin(torch.tensor([[3.0], [5.0]]) * times) + 0.01 * torch.randn(2, 1200)
    padding = 4

    found = WindowedConvolutions(SimpleNamespace(conv_layers=layers), chunk_frames, padding)(clips)

    expected = nn.Sequential(*layers).double()(
        nn.functional.pad(clips, (padding,) * 2)[:, None].double()
    )
    kernel, hop = valid_window(layers)
    assert found.shape[-1] == (1200 + 2 * padding - kernel) // hop + 1
    torch.testing.assert_close(found.double(), expected, rtol=1e-4, atol=1e-4)

"""Tests of a codec with the spectral network: lengths, windows, batches, files and errors."""

import pytest
import torch

from songgen_hf.modeling.configuration_xcodec import XCodecConfig
from songgen_hf.modeling.modeling_xcodec import XCodecModel
from songgen_hf.modeling.spectral_codec import SpectralDecoder
from songgen_hf.modeling.xcodec_windows import XCodecStreamDecoder

SIZES = {"encoder_channels": 8, "encoder_layers": 2, "decoder_channels": 12, "decoder_layers": 2}
TINY = {
    "acoustic_network": "spectral",
    "spectral_sizes": SIZES,
    "acoustic_model_config": {
        "encoder_hidden_size": 2,
        "decoder_hidden_size": 32,
        "hidden_size": 8,
    },
    "semantic_model_config": {
        "hidden_size": 12,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 20,
        "conv_dim": [6] * 7,
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 3,
    },
    "codebook_size": 16,
    "target_bandwidths": [0.2, 0.4, 0.8],
}


def build(**changes):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        codec = XCodecModel(XCodecConfig(**(TINY | changes)))
        for level in codec.quantizer.quantizers:
            level.codebook.embed.normal_()
    return codec.eval()


@pytest.fixture(scope="module")
def codec():
    return build()


def noise(*shape, seed=0):
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("samples", [320, 321, 399, 400, 640, 16000, 20123])
def test_the_number_of_frames_is_that_of_the_semantic_encoder(codec, samples):
    output = codec.encode(noise(1, 1, samples))

    frames = codec.get_num_frames(samples)
    assert output.audio_codes.shape == (1, 4, frames)
    assert codec.decode(output.audio_codes).audio_values.shape == (1, 1, 320 * frames)


def test_encoding_in_windows_gives_the_same_codes(codec):
    waveform = noise(2, 1, 31111)

    whole = codec.encode(waveform, return_dict=False)

    for chunk_frames in (7, 20, 500):
        assert torch.equal(
            codec.encode(waveform, chunk_frames=chunk_frames, return_dict=False), whole
        )


def test_decoding_in_windows_and_as_a_stream_gives_the_same_waveform(codec):
    codes = torch.randint(0, 16, (2, 4, 90), generator=torch.Generator().manual_seed(1))
    whole = codec.decode(codes, return_dict=False)

    for chunk_frames in (7, 40):
        chunked = codec.decode(codes, chunk_frames=chunk_frames, return_dict=False)
        torch.testing.assert_close(chunked, whole, atol=1e-6, rtol=1e-5)
    stream = XCodecStreamDecoder(codec, chunk_frames=10)
    parts = [*stream.push(codes[..., :33]), *stream.push(codes[..., 33:]), *stream.finish()]
    torch.testing.assert_close(torch.cat(parts, dim=-1), whole, atol=1e-6, rtol=1e-5)


def test_a_batch_has_the_codes_of_its_clips(codec):
    waveforms = noise(3, 1, 9000)
    mask = torch.ones(3, 9000, dtype=torch.int64)
    mask[1, 5000:] = 0

    codes = codec.encode(waveforms, mask).audio_codes

    assert torch.equal(codes[:1], codec.encode(waveforms[:1], return_dict=False))
    single = codec.encode(waveforms[1:2, :, :5000], return_dict=False)
    assert torch.equal(codes[1:2, :, : single.shape[-1]], single)


def test_frames_beyond_the_context_change_nothing(codec):
    codes = torch.randint(0, 16, (1, 4, 80), generator=torch.Generator().manual_seed(2))
    other = codes.clone()
    other[..., 40 + codec.decode_context_frames :] = 3

    first, second = (codec.decode(one, return_dict=False) for one in (codes, other))

    torch.testing.assert_close(first[..., : 40 * 320], second[..., : 40 * 320])
    assert not torch.allclose(first, second)


def test_tables_that_hold_a_tone_are_joined_to_this_tone():
    decoder = SpectralDecoder(320, 4, channels=4, num_layers=0)
    time = torch.arange(20 * 320 + decoder.table_length) - (decoder.window_length - 320) // 2
    tone = torch.sin(2 * torch.pi * 206.25 / 16000 * time)  # 33 periods in a table
    tables = tone[: decoder.table_length].expand(2, 20, -1)

    waveform = decoder._overlap_add(tables)

    start = (decoder.window_length - 320) // 2
    expected = tone[start : start + 20 * 320].expand(2, -1)
    torch.testing.assert_close(waveform, expected, atol=1e-4, rtol=1e-4)


def test_a_held_frame_can_have_any_multiple_of_the_frequency_of_a_table():
    decoder = SpectralDecoder(320, 4, channels=4, num_layers=0).eval()
    spectrum = torch.zeros(decoder.table_length // 2 + 1)
    spectrum[33] = 1.0
    with torch.no_grad():
        decoder.output.weight.zero_()
        decoder.output.bias[: len(spectrum)] = (spectrum + 1e-6).log()
        decoder.output.bias[len(spectrum) :] = 0.0
        waveform = decoder(torch.zeros(1, 4, 50))[0, 0]

    power = torch.fft.rfft(waveform).abs()
    assert torch.fft.rfftfreq(len(waveform), 1 / 16000)[power.argmax()] == 206.0


@pytest.mark.slow
def test_a_spectral_codec_survives_saving_and_loading_in_both_precisions(codec, tmp_path):
    codec.save_pretrained(tmp_path)
    codes = torch.randint(0, 16, (1, 4, 12))

    loaded = XCodecModel.from_pretrained(tmp_path)
    half = XCodecModel.from_pretrained(tmp_path, dtype=torch.bfloat16)

    assert torch.equal(
        loaded.decode(codes, return_dict=False), codec.decode(codes, return_dict=False)
    )
    assert torch.equal(
        loaded.encode(noise(1, 1, 5000), return_dict=False),
        codec.encode(noise(1, 1, 5000), return_dict=False),
    )
    assert half.decode(codes, return_dict=False).dtype == torch.bfloat16
    assert half.encode(noise(1, 1, 5000), return_dict=False).shape == (1, 4, 16)


def test_gradients_reach_every_weight_of_both_halves(codec):
    features = codec.extract_features(noise(1, 1, 3200))
    codec.acoustic_decoder(features.acoustic).square().sum().backward()

    for part in (codec.acoustic_encoder, codec.acoustic_decoder):
        assert all(weight.grad is not None for weight in part.parameters())


def test_a_spectral_codec_cannot_be_saved_in_the_original_layout(codec, tmp_path):
    with pytest.raises(ValueError, match="save it with save_original_format=False"):
        codec.save_pretrained(tmp_path, save_original_format=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"acoustic_network": "magic"}, "expected waveform or spectral"),
        ({"spectral_sizes": None}, "expected decoder_channels, decoder_layers"),
        ({"spectral_sizes": SIZES | {"more": 1}}, "each a number"),
    ],
)
def test_an_unknown_acoustic_network_and_wrong_sizes_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        XCodecConfig(**(TINY | changes))

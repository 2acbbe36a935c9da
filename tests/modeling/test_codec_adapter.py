"""Codecs of transformers behave like X-Codec: codes in, sound out, prefixes, batches, lengths."""

import pytest
import torch
from transformers import DacConfig, EncodecConfig, MimiConfig

from songgen_hf.modeling.codec_adapter import (
    CodecAdapter,
    as_codec,
    code_vectors,
    latent_frames,
    new_codec,
)
from songgen_hf.modeling.codec_sizes import codec_sizes
from tests.tools.codecs import CODEC_KINDS, mini_codec


@pytest.fixture(params=CODEC_KINDS)
def tiny_codec(request):
    return mini_codec(request.param)


def test_sizes_are_those_of_the_codes(tiny_codec):
    codec = tiny_codec
    samples = 10 * codec.config.hop_length

    codes = codec.encode(torch.randn(2, 1, samples), return_dict=False)

    assert codes.shape == (2, codec.config.num_quantizers, 10)
    assert 0 <= codes.min() <= codes.max() < codec.config.codebook_size


def test_a_round_trip_equals_that_of_the_library(tiny_codec):
    torch.manual_seed(0)
    codec, model = tiny_codec, tiny_codec.model
    values = torch.randn(1, 1, 10 * codec.config.hop_length)

    found = codec.decode(codec.encode(values).audio_codes).audio_values

    bandwidth = {"bandwidth": 1.6} if codec.config.model_type == "encodec" else {}
    with torch.no_grad():
        expected = model(values, **bandwidth).audio_values
    expected = expected.reshape(1, 1, -1)
    torch.testing.assert_close(found[..., : expected.shape[-1]], expected, atol=1e-5, rtol=1e-4)


def test_a_padded_batch_equals_its_clips_one_by_one(tiny_codec):
    torch.manual_seed(0)
    hop = tiny_codec.config.hop_length
    clips = [torch.randn(1, 1, length) for length in (7 * hop, 4 * hop + 3)]
    values, mask = torch.zeros(2, 1, 7 * hop), torch.zeros(2, 7 * hop, dtype=torch.long)
    for row, clip in enumerate(clips):
        values[row, :, : clip.shape[-1]] = clip
        mask[row, : clip.shape[-1]] = 1

    encoded = tiny_codec.encode(values, mask)

    assert encoded.num_frames.tolist() == [7, 5]
    for row, clip in enumerate(clips):
        alone = tiny_codec.encode(clip, return_dict=False)[0]
        assert torch.equal(encoded.audio_codes[row, :, : alone.shape[-1]], alone)


def test_stereo_is_averaged(tiny_codec):
    torch.manual_seed(0)
    stereo = torch.randn(1, 2, 6 * tiny_codec.config.hop_length)

    found = tiny_codec.encode(stereo, return_dict=False)

    mono = stereo.mean(dim=1, keepdim=True)
    assert torch.equal(found, tiny_codec.encode(mono, return_dict=False))


def test_code_vectors_of_a_prefix_near_the_latents_and_decode(tiny_codec):
    torch.manual_seed(0)
    values = torch.randn(1, 1, 8 * tiny_codec.config.hop_length)
    codes = tiny_codec.encode(values, return_dict=False)

    latents = latent_frames(tiny_codec, values)
    vectors = [code_vectors(tiny_codec, codes[:, :count]) for count in (1, 2)]

    assert latents.shape == vectors[0].shape == vectors[1].shape
    assert latents.shape[-1] == codes.shape[-1]
    assert not torch.equal(*vectors)
    assert tiny_codec.decode(codes[:, :1], return_dict=False).shape[:2] == (1, 1)


def test_wrong_codes_and_waveforms_are_refused(tiny_codec):
    sizes = tiny_codec.config
    with pytest.raises(ValueError, match="codes must lie in"):
        tiny_codec.decode(torch.full((1, 1, 3), sizes.codebook_size))
    with pytest.raises(ValueError, match="K up to"):
        tiny_codec.decode(torch.zeros(1, sizes.num_quantizers + 1, 3, dtype=torch.long))
    with pytest.raises(ValueError, match="NaN"):
        tiny_codec.encode(torch.full((1, 1, 4 * sizes.hop_length), torch.nan))


def test_published_configurations_have_their_published_sizes():
    published = {
        "encodec": (EncodecConfig(), 24000, 75.0, 32, 1024),
        "dac": (DacConfig(n_codebooks=12), 16000, 31.25, 12, 1024),
        "mimi": (MimiConfig(), 24000, 12.5, 32, 2048),
    }
    for config, rate, frames, codebooks, codes in published.values():
        sizes = codec_sizes(config)

        found = sizes.sampling_rate, sizes.frame_rate, sizes.num_quantizers, sizes.codebook_size
        assert found == (rate, frames, codebooks, codes)


def test_codecs_whose_codes_do_not_make_a_sound_are_refused():
    with pytest.raises(ValueError, match="chunks of a song and their loudness"):
        new_codec(EncodecConfig(normalize=True, chunk_length_s=1.0, overlap=0.01))
    with pytest.raises(ValueError, match="codec of type 'hubert'"):
        codec_sizes(type("Config", (), {"model_type": "hubert"}))


def test_our_codec_needs_no_adapter(tiny_model):
    codec = tiny_model("mixed").audio_encoder

    assert as_codec(codec) is codec
    assert isinstance(as_codec(mini_codec("dac").model), CodecAdapter)

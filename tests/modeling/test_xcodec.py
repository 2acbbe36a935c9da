"""Tests of the codec on a tiny random model, compared with XcodecModel of transformers."""

import pytest
import torch
from transformers import XcodecConfig, XcodecModel
from transformers.utils.output_capturing import install_all_output_capturing_hooks

from songgen_hf.modeling.configuration_xcodec import XCodecConfig
from songgen_hf.modeling.modeling_xcodec import XCodecModel, XCodecStreamDecoder

SIZES = {
    "D": 8,
    "encoder_d_model": 4,
    "decoder_channels": 32,
    "ratios": [8, 5, 4, 2],
    "bins": 64,
    "target_bandwidths": [0.3, 0.6, 1.2],
    "semantic_dim": 12,
    "hubert": {
        "hidden_size": 12,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 20,
        "conv_dim": [6] * 7,
        "num_conv_pos_embeddings": 16,
        "num_conv_pos_embedding_groups": 3,
    },
}
HOP = 320
# Lengths around every edge of the rule for frames: whole frames, one sample less and more, and
# those for which the numbers of acoustic and semantic frames differ at first.
LENGTHS = [320, 321, 399, 400, 480, 639, 640, 719, 720, 951, 952, 3200, 6401, 16159, 16160]


def randomize(model, seed=0):
    """Set random weights that use every code and context, with a gain that keeps rounding small."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in sorted(model.state_dict().items()):
            if name.endswith(("inited", "cluster_size")) or "parametrizations" in name:
                continue
            noise = torch.randn(tensor.shape, generator=generator)
            if tensor.ndim == 1:
                tensor.copy_(0.1 * noise + (1.0 if name.endswith("weight") else 0.0))
            elif "alpha" in name:
                tensor.copy_(0.5 + noise.abs())
            elif "embed" in name:
                tensor.copy_(noise)
            else:
                tensor.copy_(0.7 * noise / tensor[0].numel() ** 0.5)
    return model


@pytest.fixture(scope="module")
def codec():
    return randomize(XCodecModel(XCodecConfig.from_reference_sizes(SIZES))).eval()


@pytest.fixture(scope="module")
def oracle(codec):
    config = {k: v for k, v in codec.config.to_dict().items() if k != "model_type"}
    model = XcodecModel(XcodecConfig(**config)).eval()
    model.load_state_dict(codec.state_dict())
    return model


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def random_codes(batch, levels, frames, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, SIZES["bins"], (batch, levels, frames), generator=generator)


def test_class_defaults_are_the_full_size_codec():
    config = XCodecConfig()

    assert config.model_type == "songgen_xcodec"
    assert (config.sampling_rate, config.hop_length, config.frame_rate) == (16000, 320, 50)
    assert (config.num_quantizers, config.codebook_size) == (8, 1024)
    assert config.acoustic_model_config.hidden_size == 256
    assert config.semantic_model_config.hidden_size == 768
    assert config.semantic_model_config.num_hidden_layers == 12


def test_a_config_survives_its_file(tmp_path, codec):
    codec.config.save_pretrained(tmp_path)

    assert XCodecConfig.from_pretrained(tmp_path).to_dict() == codec.config.to_dict()


@pytest.mark.slow
@pytest.mark.parametrize("samples", LENGTHS)
def test_codes_and_waveforms_equal_the_library(codec, oracle, samples):
    waveform = noise(1, 1, samples)

    codes = codec.encode(waveform).audio_codes

    expected = oracle.encode(waveform).audio_codes
    assert torch.equal(codes, expected)
    assert codes.shape[-1] == codec.get_num_frames(samples)
    decoded = codec.decode(codes).audio_values
    assert decoded.shape == (1, 1, HOP * codes.shape[-1])
    torch.testing.assert_close(decoded, oracle.decode(codes).audio_values, atol=1e-3, rtol=1e-4)


def test_every_length_from_one_frame_on_has_as_many_acoustic_as_semantic_frames(codec):
    def acoustic(samples):
        return codec._get_conv1d_output_lengths(samples, codec.acoustic_encoder)

    for samples in range(HOP, 5 * HOP):
        frames = codec.get_num_frames(samples)
        assert frames in (acoustic(samples), acoustic(samples + HOP)), samples


def test_quantization_is_the_nearest_entry_of_each_residual(codec):
    embeddings = noise(2, 20, 9)

    codes = codec._quantize(embeddings, 1.2)

    residual = embeddings.double()
    for level, quantizer in enumerate(codec.quantizer.quantizers):
        table = quantizer.codebook.embed.double()
        for row in range(2):
            for frame in range(9):
                distances = [(residual[row, :, frame] - entry).square().sum() for entry in table]
                assert codes[level, row, frame] == min(range(64), key=distances.__getitem__)
                residual[row, :, frame] -= table[codes[level, row, frame]]


def test_a_padded_batch_has_the_codes_of_its_clips_one_by_one(codec):
    lengths = [16160, 3200, 16000, 3200, 321]
    clips = [noise(1, length, seed=seed) for seed, length in enumerate(lengths)]
    batch = torch.full((len(clips), 1, max(lengths)), 0.7)
    mask = torch.zeros(len(clips), max(lengths), dtype=torch.long)
    for row, clip in enumerate(clips):
        batch[row, :, : clip.shape[-1]] = clip
        mask[row, : clip.shape[-1]] = 1

    output = codec.encode(batch, mask)

    assert output.num_frames.tolist() == [codec.get_num_frames(length) for length in lengths]
    for row, clip in enumerate(clips):
        single = codec.encode(clip[None]).audio_codes[0]
        frames = output.num_frames[row]
        assert torch.equal(output.audio_codes[row, :, :frames], single)
        assert (output.audio_codes[row, :, frames:] == 0).all()


def test_a_mask_with_a_channel_axis_gives_the_same_codes(codec):
    batch, mask = noise(2, 1, 2000), torch.ones(2, 2000, dtype=torch.bool)
    mask[1, 700:] = False

    assert torch.equal(
        codec.encode(batch, mask[:, None]).audio_codes, codec.encode(batch, mask).audio_codes
    )


def test_stereo_is_averaged(codec):
    stereo = noise(2, 2, 4000)

    codes = codec.encode(stereo).audio_codes

    assert torch.equal(codes, codec.encode(stereo.mean(dim=1, keepdim=True)).audio_codes)


@pytest.mark.parametrize(("bandwidth", "levels"), [(0.3, 1), (0.6, 2), (1.2, 4), (None, 4)])
def test_a_bandwidth_keeps_the_first_codebooks(codec, bandwidth, levels):
    waveform = noise(1, 1, 3200)

    codes = codec.encode(waveform, bandwidth=bandwidth).audio_codes

    assert torch.equal(codes, codec.encode(waveform).audio_codes[:, :levels])
    assert codec.decode(codes).audio_values.shape == (1, 1, 3200)


@pytest.mark.parametrize(("kbps", "levels"), [(0.5, 1), (1, 2), (1.5, 3), (2, 4), (4, 8)])
def test_full_size_bandwidths_give_their_codebooks(kbps, levels):
    with torch.device("meta"):
        quantizer = XCodecModel(XCodecConfig()).quantizer

    assert quantizer.get_num_quantizers_for_bandwidth(kbps) == levels


def test_return_dict_false_gives_the_bare_tensors(codec):
    codes = codec.encode(noise(1, 1, 640), return_dict=False)

    assert codes.shape == (1, 4, 2)
    assert codec.decode(codes, return_dict=False).shape == (1, 1, 640)


def test_codes_stay_when_the_library_collects_hidden_states_around_the_codec(codec):
    waveform = noise(1, 1, 3200)
    expected = codec.encode(waveform).audio_codes
    twice = XCodecModel(codec.config).eval()
    twice.load_state_dict(codec.state_dict())
    for _ in range(2):
        install_all_output_capturing_hooks(twice.semantic_model)

    assert torch.equal(twice.encode(waveform).audio_codes, expected)


def test_training_mode_never_changes_codes(codec):
    waveform = noise(1, 1, 16000)
    expected = codec.encode(waveform).audio_codes
    outer = torch.nn.ModuleDict({"codec": codec})

    try:
        outer.train()
        assert codec.training and not codec.semantic_model.training
        assert not any(module.training for module in codec.semantic_model.modules())
        assert torch.equal(codec.encode(waveform).audio_codes, expected)
    finally:
        outer.eval()


def test_gradients_reach_both_encoders_and_the_decoder_but_not_the_semantic_model(codec):
    features = codec.extract_features(noise(1, 1, 3200))
    (features.embeddings.sum() + codec.decode(random_codes(1, 4, 5)).audio_values.sum()).backward()

    assert codec.acoustic_encoder.conv1.weight.grad is not None
    assert codec.encoder_semantic.conv.weight.grad is not None
    assert codec.acoustic_decoder.conv1.weight.grad is not None
    assert all(p.grad is None for p in codec.semantic_model.parameters())
    codec.zero_grad(set_to_none=True)


def test_a_new_codec_has_distinct_codes():
    codec = XCodecModel(XCodecConfig.from_reference_sizes(SIZES)).eval()

    assert codec.encode(noise(1, 1, 16000)).audio_codes.unique().numel() > 8


def test_forward_encodes_and_decodes_to_the_length_of_the_input(codec):
    waveform = noise(2, 1, 16159)

    output = codec(waveform, bandwidth=0.6)

    assert output.audio_values.shape == waveform.shape
    assert torch.equal(output.audio_codes, codec.encode(waveform, bandwidth=0.6).audio_codes)
    again = codec(waveform, audio_codes=output.audio_codes)
    assert torch.equal(again.audio_values, output.audio_values)


def test_bfloat16_follows_the_module(codec):
    half = XCodecModel(codec.config).eval()
    half.load_state_dict(codec.state_dict())
    half.to(torch.bfloat16)

    codes = half.encode(noise(2, 1, 3200)).audio_codes

    waveform = half.decode(codes, 3).audio_values
    assert waveform.dtype == torch.bfloat16 and waveform.isfinite().all()
    assert codes.dtype == torch.int64 and codes.max() < 64


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_quantizes_in_float32(codec, dtype):
    half, full = (XCodecModel(codec.config).eval() for _ in range(2))
    half.load_state_dict(codec.state_dict())
    half.to(dtype)
    full.load_state_dict(half.state_dict())
    embeddings = noise(2, 20, 50).to(dtype)

    assert torch.equal(half._quantize(embeddings, 0.6), full._quantize(embeddings.float(), 0.6))


@pytest.mark.parametrize(
    ("waveform", "options", "error", "message"),
    [
        (torch.zeros(1, 640), {}, ValueError, r"shape \[1, 640\], expected \[batch, 1 or 2"),
        (torch.zeros(1, 3, 640), {}, ValueError, r"shape \[1, 3, 640\]"),
        (torch.zeros(0, 1, 640), {}, ValueError, "at least one clip"),
        (torch.zeros(1, 1, 319), {}, ValueError, "Clip 0 has 319 samples, .* one frame of 320"),
        (torch.zeros(1, 1, 640, dtype=torch.int16), {}, TypeError, "int16, expected a floating"),
        ([[[0.0]]], {}, TypeError, "list, expected a floating"),
        (torch.full((1, 1, 640), torch.nan), {}, ValueError, "holds NaN"),
        (torch.full((1, 1, 640), torch.inf), {}, ValueError, "holds NaN or infinity"),
        (torch.zeros(1, 1, 640), {"bandwidth": 3}, ValueError, r"bandwidth is 3, .*0.3, 0.6, 1.2"),
        (torch.zeros(1, 1, 640), {"chunk_frames": 0}, ValueError, "chunk_frames is 0"),
        (torch.zeros(1, 1, 640), {"padding_mask": 1.2}, TypeError, "bandwidth by name"),
        (
            torch.zeros(1, 1, 640),
            {"padding_mask": torch.ones(1, 600)},
            ValueError,
            r"shape \[1, 600\], expected \[1, 640\]",
        ),
        (
            torch.zeros(2, 1, 640),
            {"padding_mask": torch.ones(2, 640).tril(300)},
            ValueError,
            "Clip 0 has 301 samples",
        ),
        (
            torch.zeros(1, 1, 640),
            {"padding_mask": torch.ones(1, 640).triu(10)},
            ValueError,
            "padding on the right alone",
        ),
    ],
)
def test_encode_refuses_invalid_input(codec, waveform, options, error, message):
    with pytest.raises(error, match=message):
        codec.encode(waveform, **options)


@pytest.mark.parametrize(
    ("codes", "error", "message"),
    [
        (torch.full((1, 4, 3), 64), ValueError, "ids from 64 to 64, expected 0 to 63; drop"),
        (torch.full((1, 4, 3), -1), ValueError, "ids from -1 to -1"),
        (torch.zeros(4, 3, dtype=torch.long), ValueError, r"shape \[4, 3\], .*1 to 4 codebooks"),
        (torch.zeros(1, 5, 3, dtype=torch.long), ValueError, r"shape \[1, 5, 3\]"),
        (torch.zeros(1, 4, 0, dtype=torch.long), ValueError, "at least one frame"),
        (torch.zeros(1, 4, 3), TypeError, "float32, expected integers"),
    ],
)
def test_decode_refuses_invalid_codes(codec, codes, error, message):
    with pytest.raises(error, match=message):
        codec.decode(codes)
    with pytest.raises(error, match=message):
        XCodecStreamDecoder(codec).push(codes)


@pytest.mark.parametrize("chunk_frames", [0, -3])
def test_decode_refuses_empty_chunks(codec, chunk_frames):
    with pytest.raises(ValueError, match=f"chunk_frames is {chunk_frames}"):
        codec.decode(random_codes(1, 4, 3), chunk_frames)


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"D": 8, "n_filters": 4}, r"Unknown size names \['n_filters'\]"),
        ({"semantic_dim": 13, "hubert": SIZES["hubert"]}, "semantic_dim is 13 but .* 12"),
        ({"target_bandwidths": [4, 0.5]}, "ascending order"),
    ],
)
def test_the_config_refuses_sizes_that_do_not_fit(sizes, message):
    with pytest.raises(ValueError, match=message):
        XCodecConfig.from_reference_sizes(sizes)


def test_the_config_refuses_rates_that_differ_between_encoder_and_decoder():
    with pytest.raises(ValueError, match="same factors in both"):
        XCodecConfig(acoustic_model_config={"upsampling_ratios": [8, 5, 4, 4]})


@pytest.mark.parametrize("dtype", [torch.int16, torch.uint8, torch.int32])
def test_codes_of_any_integers_are_decoded(codec, dtype):
    codes = random_codes(1, 2, 5)

    with torch.no_grad():
        expected, found = codec.decode(codes), codec.decode(codes.to(dtype))

    assert torch.equal(found.audio_values, expected.audio_values)

"""Tests of the codec against the reference: exact codes, and waveforms with a tolerance of 1e-3.

Waveforms of the recorded miniature reach 40, so 1e-3 is 2.5e-5 of the range, the effect of another
order of summation in float32.
"""

import re

import pytest
import torch
from safetensors.torch import load_file

from songgen_hf.modeling.configuration_xcodec import XCodecConfig
from songgen_hf.modeling.modeling_xcodec import XCodecModel

from .cases import golden_root, read_json
from .test_full_size_keys import TABLE, layouts, unfold

TINY = "xcodec/tiny"
FEATURES = {
    "semantic_target": "semantic_target",
    "acoustic_features": "acoustic",
    "semantic_features": "semantic",
    "prior": "embeddings",
}


def recorded_lengths() -> list[int]:
    """Return the lengths of the recorded waveforms."""
    if not (golden_root() / TINY / "golden.json").is_file():
        return []
    return sorted(int(length) for length in read_json(f"{TINY}/golden.json")["lengths"])


@pytest.fixture(scope="module")
def recorded():
    path = golden_root() / TINY / "golden.safetensors"
    if not path.is_file():
        pytest.skip(f"the golden folder has no {TINY}/golden.safetensors")
    return {
        name: tensor if tensor.is_floating_point() else tensor.long()
        for name, tensor in load_file(path).items()
    }


@pytest.fixture(scope="module")
def codec():
    config = XCodecConfig.from_reference_sizes(read_json(f"{TINY}/config.json"))
    weights = golden_root() / TINY / "xcodec_original_keys.safetensors"
    return XCodecModel.from_original_checkpoint(weights, config, dtype=torch.float32)


@pytest.mark.slow
@pytest.mark.parametrize("length", recorded_lengths())
def test_features_equal_the_recorded_ones(codec, recorded, length):
    features = codec.extract_features(recorded[f"len{length}.wav"])

    for theirs, ours in FEATURES.items():
        expected = recorded[f"len{length}.{theirs}"]
        torch.testing.assert_close(features[ours], expected, atol=1e-4, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("length", recorded_lengths())
def test_codes_equal_the_recorded_ones_at_every_bandwidth(codec, recorded, length):
    waveform = recorded[f"len{length}.wav"]
    names = [name for name in recorded if name.startswith(f"len{length}.codes_bw")]
    assert names

    for name in names:
        kbps = float(re.search(r"bw([\d.]+)$", name)[1])
        codes = codec.encode(waveform, bandwidth=kbps).audio_codes
        assert torch.equal(codes.transpose(0, 1), recorded[name]), name
        windowed = codec.encode(waveform, bandwidth=kbps, chunk_frames=16).audio_codes
        assert torch.equal(windowed, codes), name
    wrapped = recorded[f"len{length}.wrapper_codes"]  # [1, B, K, T]
    assert torch.equal(codec.encode(waveform).audio_codes, wrapped[0])


@pytest.mark.slow
@pytest.mark.parametrize("length", recorded_lengths())
@pytest.mark.parametrize("chunk_frames", [None, 11])
def test_decoded_waveforms_equal_the_recorded_ones(codec, recorded, length, chunk_frames):
    for kbps in ("1", "4"):
        expected = recorded.get(f"len{length}.decoded_bw{kbps}")
        if expected is None:
            continue
        codes = recorded[f"len{length}.codes_bw4"].transpose(0, 1)
        levels = codec.quantizer.get_num_quantizers_for_bandwidth(float(kbps))
        waveform = codec.decode(codes[:, :levels], chunk_frames).audio_values
        torch.testing.assert_close(waveform, expected, atol=1e-3, rtol=1e-5)


def test_a_padded_batch_of_all_recorded_clips_has_the_recorded_codes(codec, recorded):
    clips = [recorded[f"len{length}.wav"][0] for length in recorded_lengths()]
    batch = torch.zeros(len(clips), 1, max(clip.shape[-1] for clip in clips))
    mask = torch.zeros(len(clips), batch.shape[-1], dtype=torch.long)
    for row, clip in enumerate(clips):
        batch[row, :, : clip.shape[-1]] = clip
        mask[row, : clip.shape[-1]] = 1

    output = codec.encode(batch, mask)

    for row, length in enumerate(recorded_lengths()):
        expected = recorded[f"len{length}.wrapper_codes"][0, 0]
        assert torch.equal(output.audio_codes[row, :, : output.num_frames[row]], expected)


def test_a_batch_of_codes_decodes_to_the_recorded_waveforms(codec, recorded):
    codes = recorded["batch_decode.codes"].transpose(0, 1)

    waveform = codec.decode(codes).audio_values

    torch.testing.assert_close(waveform, recorded["batch_decode.audio"], atol=1e-3, rtol=1e-5)


def test_a_recorded_forward_call_is_reproduced(codec, recorded):
    waveform = recorded["len16000.wav"]

    audio = codec(waveform).audio_values

    torch.testing.assert_close(audio, recorded["forward.audio"], atol=1e-3, rtol=1e-5)


def test_the_padded_rerun_is_needed_for_the_recorded_lengths(codec):
    scan = read_json(f"{TINY}/golden.json")["scan"]
    first, last = scan["range"]
    at_once = {n for low, high in scan["ok_first_try"] for n in range(low, high + 1)}

    for samples in range(first, last + 1):
        acoustic = codec._get_conv1d_output_lengths(samples, codec.acoustic_encoder)
        agrees = acoustic == codec.get_num_frames(samples)
        assert agrees == (samples in at_once), samples


@pytest.mark.slow
def test_the_full_size_codec_has_the_recorded_names_and_shapes():
    from transformers.core_model_loading import revert_weight_conversion

    if not layouts():
        pytest.skip(f"the golden folder has no {TABLE}")
    prefix = "audio_encoder.model."
    with torch.device("meta"):
        codec = XCodecModel(XCodecConfig())

    reverted = revert_weight_conversion(codec, codec.state_dict())

    ours = {prefix + name: tuple(tensor.shape) for name, tensor in reverted.items()}
    for entries in layouts().values():
        table = unfold(entries)
        assert ours == {name: table[name] for name in table if name.startswith("audio_encoder.")}

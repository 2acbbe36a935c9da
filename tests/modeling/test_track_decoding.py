"""Tracks that are decoded together have the waveforms that each has alone."""

import copy

import pytest
import torch

from songgen_hf.modeling import track_decoding
from songgen_hf.modeling.track_decoding import decode_together
from songgen_hf.modeling.xcodec_windows import windows

ROUNDING = {"atol": 1e-9, "rtol": 1e-9}  # of float64; the waveforms reach 40


@pytest.mark.slow
@pytest.mark.parametrize("chunk_frames", [None, 7, 100])
@pytest.mark.parametrize("batch", [2, 8])
def test_tracks_together_are_decoded_as_each_alone(tiny_model, monkeypatch, chunk_frames, batch):
    monkeypatch.setattr(track_decoding, "BATCH_WINDOWS", batch)
    codec = copy.deepcopy(tiny_model("mixed").codec).double()
    generator = torch.Generator().manual_seed(0)
    count = codec.config.num_quantizers
    tracks = [torch.randint(0, 1024, (count, n), generator=generator) for n in (60, 1, 33, 60)]

    with torch.no_grad():
        together = decode_together(codec, tracks, chunk_frames)

        for track, waveform in zip(tracks, together, strict=True):
            alone = codec.decode(track[None]).audio_values[0, 0]
            torch.testing.assert_close(waveform, alone, **ROUNDING)


@pytest.mark.slow
def test_a_batch_of_windows_is_bounded(tiny_model):
    codec, sizes = tiny_model("mixed").codec, []
    handle = codec.acoustic_decoder.register_forward_hook(
        lambda module, inputs, output: sizes.append(inputs[0].shape[0])
    )
    tracks = [torch.zeros(codec.config.num_quantizers, 80, dtype=torch.int64)] * 12

    with torch.no_grad():
        decode_together(codec, tracks, 10)
    handle.remove()

    assert max(sizes) == track_decoding.BATCH_WINDOWS


@pytest.mark.parametrize("count", [1, 7, 100, 149, 150, 151, 160, 550, 1501])
@pytest.mark.parametrize("size", [7, 150])
def test_few_windows_share_the_frames_of_a_clip_evenly(count, size):
    found = [*windows(count, size, context=24)]

    assert [start for start, *_ in found] == [0, *(stop for _, stop, *_ in found[:-1])]
    assert found[-1][1] == count and len(found) == -(-count // size)
    for start, stop, left, right in found:
        assert 0 < stop - start <= size
        assert left <= max(0, start - 24) and right >= min(count, stop + 24)
        assert left >= 0 and right <= count
    assert len({right - left for _, _, left, right in found}) == 1, "one shape"
    # At most 49 frames of a window are more than its share.
    assert found[0][3] <= -(-count // len(found)) + 49 + 2 * 24

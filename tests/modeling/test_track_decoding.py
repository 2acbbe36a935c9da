"""Tracks that are decoded together have the waveforms that each has alone."""

import copy

import pytest
import torch

from songgen_hf.modeling import track_decoding
from songgen_hf.modeling.track_decoding import decode_together

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

"""The filter bank with which a small HuBERT begins."""

import torch
from transformers import HubertConfig, HubertModel

from songgen_hf.training.codec.filter_bank import PHASES, gabor_filters, set_filter_bank
from songgen_hf.training.codec.semantic_teacher import network_of_preset, pad_half_frame

from ...tools.codec_cases import TINY_CODEC


def test_every_band_passes_its_own_frequencies():
    filters = gabor_filters(16, 400, 16000)

    spectra = torch.fft.rfft(filters, 4096).abs()
    peaks = spectra.argmax(dim=1).view(16, PHASES) * 16000 / 4096
    assert (peaks.amax(dim=1) - peaks.amin(dim=1) < 20).all()  # the phases of a band agree
    centers = peaks.mean(dim=1)
    assert (centers.diff() > 0).all() and 60 < centers[0] < 300 and 6000 < centers[-1] < 8000
    torch.testing.assert_close(filters.norm(dim=1), torch.ones(16 * PHASES))


def test_the_rectified_phases_of_a_band_follow_the_loudness_of_a_tone():
    filters = gabor_filters(16, 400, 16000).view(16, PHASES, 400)
    time = torch.arange(8000) / 16000
    spectra = torch.fft.rfft(filters[6, 0], 4096).abs()
    tone = torch.sin(2 * torch.pi * float(spectra.argmax()) * 16000 / 4096 * time)

    found = torch.nn.functional.conv1d(tone[None, None], filters[6][:, None], stride=80)
    envelope = found.relu().sum(dim=1)[0]

    assert envelope.std() < 0.25 * envelope.mean()


def test_a_teacher_of_the_mini_preset_begins_with_a_filter_bank():
    config, rate = network_of_preset("mini", "semantic")
    model = HubertModel(config).eval()

    assert set_filter_bank(model, rate)

    weight = model.feature_extractor.conv_layers[0].conv.weight[:, 0]
    assert torch.equal(weight, gabor_filters(len(weight) // PHASES, weight.shape[1], rate))
    for seconds in (0.1, 1.0):
        waveform = torch.randn(1, int(seconds * rate), generator=torch.Generator().manual_seed(0))
        states = model(pad_half_frame(waveform, config.inputs_to_logits_ratio)).last_hidden_state
        assert states.shape[1] == waveform.shape[1] // config.inputs_to_logits_ratio


def test_short_kernels_stay_random():
    model = HubertModel(HubertConfig(**TINY_CODEC["semantic_model_config"]))
    before = model.feature_extractor.conv_layers[0].conv.weight.clone()

    assert not set_filter_bank(model, 16000)
    assert torch.equal(model.feature_extractor.conv_layers[0].conv.weight, before)

"""The objective of codec training: losses, gradients, codebooks, first weights, evaluation."""

import copy

import pytest
import torch

from songgen_hf.modeling.modeling_xcodec import XCodecModel
from songgen_hf.training.codec.evaluation import evaluate_codec
from songgen_hf.training.codec.objective import (
    CodecObjective,
    balance_initial_weights,
    count_of_step,
    fused_state,
)
from songgen_hf.training.codec.stft_losses import MelDistance, RelativeErrorLoss

from ...tools.codec_cases import (
    codec_options,
    noise,
    tiny_config,
)


def objective(**changes):
    codec = XCodecModel(tiny_config())
    balance_initial_weights(codec, seed=0)
    made = CodecObjective(codec, codec_options("data", "out", **changes))
    made.start_codebooks(0.1 * noise(4, 1, 6400, seed=8), seed=0)
    return made.train()


@pytest.mark.slow
def test_codes_of_a_training_step_are_those_of_inference():
    made = objective()
    waveform = 0.1 * noise(2, 1, 6400)
    before = copy.deepcopy(made.codec).eval()

    result = made(waveform)

    assert torch.equal(result.codes, before.encode(waveform, return_dict=False))
    decoded = before.decode(result.codes, return_dict=False)
    torch.testing.assert_close(result.waveform, decoded, atol=1e-4, rtol=1e-4)


@pytest.mark.slow
def test_every_part_but_the_teacher_gets_a_gradient():
    made = objective()

    made.weighted(made(0.1 * noise(2, 1, 6400)).losses).backward()

    for name, weight in made.codec.named_parameters():
        if name.startswith("semantic_model."):
            assert weight.grad is None, name
        else:
            assert weight.grad is not None and torch.isfinite(weight.grad).all(), name


def test_the_teacher_stays_in_evaluation_mode():
    made = objective()

    made.train()

    assert made.codec.training and made.quantizer.training
    assert not any(module.training for module in made.codec.semantic_model.modules())


@pytest.mark.slow
def test_the_objective_is_the_sum_of_weighted_losses():
    weights = {"stft": 2.0, "sub_band": 0.0, "mel": 3.0, "semantic": 5.0, "waveform": 7.0}
    made = objective(**{f"{name}_weight": weight for name, weight in weights.items()})
    waveform = 0.1 * noise(2, 1, 6400)

    result = made(waveform)

    losses = result.losses
    assert set(losses) == {"commitment", "stft", "mel", "semantic", "waveform"}
    torch.testing.assert_close(losses["waveform"], RelativeErrorLoss()(result.waveform, waveform))
    wanted = sum(weights[name] * losses[name] for name in losses if name != "commitment")
    torch.testing.assert_close(made.weighted(losses), wanted + losses["commitment"])


def test_crops_that_are_not_a_multiple_of_the_hop_are_refused():
    with pytest.raises(ValueError, match="6401 samples, expected a multiple of 320"):
        objective()(noise(1, 1, 6401))


@pytest.mark.slow
def test_without_semantics_codes_depend_on_the_acoustic_half_alone():
    made = objective(semantics=False)
    waveform = 0.1 * noise(2, 1, 6400)

    features = made.codec.extract_features(waveform)
    result = made(waveform)
    made.weighted(result.losses).backward()

    assert features.semantic_target.abs().max() == 0
    assert "semantic" not in result.losses
    assert all(weight.grad is None for weight in made.codec.decoder_semantic.parameters())
    assert torch.isfinite(made.codec.fc.weight.grad).all()


def test_the_count_of_codebooks_changes_with_the_step_and_is_drawn_evenly():
    counts = [count_of_step([1, 2, 3, 4, 8], seed=5, step=step) for step in range(2000)]

    assert counts == [count_of_step([1, 2, 3, 4, 8], seed=5, step=step) for step in range(2000)]
    for count in (1, 2, 3, 4, 8):
        assert counts.count(count) / 2000 == pytest.approx(0.2, abs=0.03)


@pytest.mark.slow
def test_weight_norm_is_fused_to_the_bit():
    made = objective()
    for weight in made.codec.acoustic_decoder.parameters():
        weight.data += 0.01 * noise(*weight.shape)

    plain = XCodecModel(tiny_config())
    plain.load_state_dict(fused_state(made.codec))

    codes = torch.randint(16, (2, 4, 9))
    made.codec.eval(), plain.eval()
    assert torch.equal(
        made.codec.decode(codes, return_dict=False), plain.decode(codes, return_dict=False)
    )


def test_balanced_weights_keep_the_scale_of_signals():
    codec = XCodecModel(tiny_config())
    balance_initial_weights(codec, seed=0)
    wave = noise(2, 1, 6400)

    latent = codec.acoustic_encoder(wave)
    semantic = codec.decoder_semantic(codec.encoder_semantic(noise(2, 12, 20)))
    decoded = codec.acoustic_decoder(noise(2, 8, 20))

    assert 0.2 < latent.std() < 5
    assert 0.2 < semantic.std() < 5
    assert 0.02 < decoded.std() < 0.5


def test_codebook_counts_above_the_number_of_codebooks_are_refused():
    with pytest.raises(ValueError, match=r"codebook_counts is \[1, 8\], expected at most 4"):
        objective(codebook_counts=[1, 8])


@pytest.mark.slow
def test_evaluation_reports_distances_and_usage_and_keeps_the_training_mode():
    made = objective()
    waveforms = 0.1 * noise(3, 1, 6400)

    metrics = evaluate_codec(made.codec, waveforms, batch_size=2)

    assert made.codec.training
    for name in ("stft_distance", "mel_distance"):
        assert all(metrics[f"{name}/{kbps}"] > 0 for kbps in ("0.2", "0.4", "0.8"))
    codes = made.codec.eval().encode(waveforms, return_dict=False)
    decoded = made.codec.decode(codes[:, :1], return_dict=False).detach()
    pairs = zip(decoded, waveforms, strict=True)
    distance = sum(float(MelDistance(16000)(*pair)) for pair in pairs) / 3
    assert metrics["mel_distance/0.2"] == pytest.approx(distance, rel=1e-4)
    for level in range(4):
        assert metrics[f"usage/{level}"] == len(codes[:, level].unique()) / 16

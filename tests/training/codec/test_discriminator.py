"""Shapes, gradients and formulas of the discriminator."""

import pytest
import torch

from songgen_hf.training.codec.discriminator import (
    CHANNELS,
    HOP_LENGTHS,
    Judgment,
    MultiFrequencyDiscriminator,
    SpectrogramDiscriminator,
    adversarial_loss,
    discriminator_loss,
    feature_matching_loss,
)

from ...tools.codec_cases import noise


def make(hops=(64, 256), num_mels=None):
    torch.manual_seed(0)
    return MultiFrequencyDiscriminator(
        16000, hop_lengths=hops, channels=[32] * len(hops), num_mels=num_mels
    )


def judgments(*values, channels=3):
    return [
        Judgment(
            noise(2, 1, 4, 5, seed=v), [noise(2, channels, 6, 7, seed=v + k) for k in range(2)]
        )
        for v in values
    ]


def test_every_resolution_scores_every_clip():
    found = make()(noise(3, 1, 4000))

    assert len(found) == 2
    for judgment, frames, bins in zip(
        found, (4000 // 64 + 1, 4000 // 256 + 1), (129, 513), strict=True
    ):
        assert judgment.score.shape == (3, 1, -(-frames // 8), -(-bins // 8))
        assert [feature.shape[1] for feature in judgment.features] == [1, 2, 4, 8, 16, 32]


def test_the_published_discriminator_has_six_resolutions():
    assert HOP_LENGTHS == (32, 64, 128, 256, 512, 1024)
    assert CHANNELS == (64, 128, 256, 512, 512, 512)
    one = SpectrogramDiscriminator(16000, 32, 64)
    assert one.resolution == (128, 32, 128)
    assert [layer.out_channels for layer in one.layers] == [2, 4, 8, 16, 32, 64]


def test_planes_are_magnitude_and_normalized_logarithm():
    planes = SpectrogramDiscriminator(16000, 64, 32, num_mels=20).planes(noise(2, 1, 4000))

    assert planes.shape == (2, 2, 63, 20)
    assert (planes[:, 0] >= 0).all()
    torch.testing.assert_close(planes[:, 1].mean(dim=(1, 2)), torch.zeros(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(planes[:, 1].std(dim=(1, 2)), torch.ones(2), atol=1e-3, rtol=0)


def test_scores_of_a_batch_are_those_of_its_single_clips():
    discriminator, waveform = make(), noise(3, 1, 4000)

    together = discriminator(waveform)

    for row in range(3):
        for both, alone in zip(together, discriminator(waveform[row : row + 1]), strict=True):
            torch.testing.assert_close(both.score[row : row + 1], alone.score, atol=1e-5, rtol=1e-4)


def test_the_losses_are_their_formulas():
    real, fake = judgments(0, 10), judgments(20, 30)
    wanted = (
        sum(
            ((r.score - 1) ** 2).mean() + (f.score**2).mean()
            for r, f in zip(real, fake, strict=True)
        )
        / 2
    )
    matching = [
        (a - b).abs().mean()
        for r, f in zip(real, fake, strict=True)
        for a, b in zip(r.features, f.features, strict=True)
    ]

    torch.testing.assert_close(discriminator_loss(real, fake), wanted)
    torch.testing.assert_close(
        adversarial_loss(fake), sum(((f.score - 1) ** 2).mean() for f in fake) / 2
    )
    torch.testing.assert_close(feature_matching_loss(real, fake), sum(matching) / 4)


def test_feature_matching_has_no_gradient_for_real_waveforms():
    discriminator = make()
    real, fake = (noise(1, 1, 4000, seed=seed).requires_grad_() for seed in (0, 1))

    feature_matching_loss(discriminator(real), discriminator(fake)).backward()

    assert real.grad is None
    assert fake.grad.abs().sum() > 0


@pytest.mark.slow
def test_the_discriminator_learns_to_separate_noise_from_a_tone():
    discriminator = make(hops=(64,), num_mels=16)
    optimizer = torch.optim.Adam(discriminator.parameters(), lr=2e-3)
    tone = torch.sin(0.3 * torch.arange(2000))[None, None].repeat(2, 1, 1)
    losses = []

    for step in range(30):
        loss = discriminator_loss(
            discriminator(tone), discriminator(0.5 * noise(2, 1, 2000, seed=step))
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())

    assert losses[-1] < 0.2 * losses[0]


def test_wrong_sizes_are_refused():
    with pytest.raises(ValueError, match="channels is 48, expected a multiple of 32"):
        SpectrogramDiscriminator(16000, 64, 48)
    with pytest.raises(ValueError, match="got 2 hop lengths and 1 channels"):
        MultiFrequencyDiscriminator(16000, hop_lengths=(32, 64), channels=(32,))

"""Weights of labels in the training objective."""

import pytest
import torch

from songgen_hf.modeling.modeling_songgen import codebook_cross_entropy
from songgen_hf.modeling.patterns import CodebookPattern
from songgen_hf.training.language_model.objective import label_weights


def test_labels_are_weighted_by_track_codebook_and_sung_frame():
    pattern, frames = CodebookPattern("interleaving_V_A", 4), 6
    codes = torch.arange(2 * 4 * frames).view(1, 2, 4, frames)
    labels = pattern.labels(codes, bos_token_id=-1, eos_token_id=-2)
    sung_frames = torch.tensor([0, 1, 1, 0, 0, 1]).bool()
    rows, steps = pattern.index(frames)
    sung = torch.zeros(1, labels.shape[1], dtype=torch.bool)
    for track in (0, 1):
        sung[0, steps[track, 0] - 1] = sung_frames

    weights = label_weights(
        pattern,
        labels.shape[1],
        vocal_track=2.0,
        fine_accompaniment=0.25,
        sung_frame=3.0,
        sung=sung,
    )

    assert weights.shape == labels.shape
    expected = torch.ones(2, 4, frames)
    expected[1] = 2.0 * torch.where(sung_frames, 3.0, 1.0)
    expected[0, 2:] = 0.25
    places = labels[0] >= 0  # codes are their own indices
    assert torch.equal(weights[0][places], expected.flatten()[labels[0][places]])


def test_a_mixture_is_weighted_in_sung_frames():
    sung = torch.tensor([[True, False, True, False, False, False]])

    weights = label_weights(CodebookPattern("mixed", 2), 6, sung_frame=2.0, sung=sung)

    assert weights[0, :, 0].tolist() == [2, 1, 2, 1, 1, 1]
    assert weights[0, 1:, 1].tolist() == [2, 1, 2, 1, 1]


@pytest.mark.parametrize("name", ["mixed", "parallel_std"])
def test_tracks_are_weighted_within_rows_that_hold_both(name):
    with pytest.raises(ValueError, match=f"need an interleaved token pattern.*got {name}"):
        label_weights(CodebookPattern(name, 2), 6, vocal_track=2.0)


def test_the_loss_is_a_weighted_mean_over_the_counted_labels():
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 5, 7, generator=random)
    labels = torch.randint(0, 7, (2, 5, 3), generator=random)
    counted = torch.rand(2, 3, 5, generator=random) < 0.6
    weights = torch.rand(2, 5, 3, generator=random)
    counted[:, 2] = False

    found = codebook_cross_entropy(logits, labels, counted, weights)

    for row in range(3):
        pairs = [
            (
                float(weights[b, t, row]),
                -float(logits[b, row, t].log_softmax(-1)[labels[b, t, row]]),
            )
            for b in range(2)
            for t in range(5)
            if counted[b, row, t]
        ]
        total = sum(weight for weight, _ in pairs)
        expected = sum(weight * loss for weight, loss in pairs) / total if total else 0.0
        assert float(found[row]) == pytest.approx(expected, rel=1e-5)
    torch.testing.assert_close(
        codebook_cross_entropy(logits, labels, counted, torch.full_like(weights, 0.3)),
        codebook_cross_entropy(logits, labels, counted),
    )

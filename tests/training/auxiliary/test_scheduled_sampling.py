import pytest
import torch

from songgen_hf.modeling.masked.distributions import CodebookDistribution
from songgen_hf.modeling.patterns import CodebookPattern
from songgen_hf.training.auxiliary.scheduled_sampling import (
    after_errors,
    hide_codes,
    sample_history,
    sample_visible_codes,
)
from songgen_hf.training.language_model.options import LANGUAGE_MODEL_OPTIONS
from songgen_hf.training.language_model.run import train_language_model
from songgen_hf.training.option_parsing import make_options

SIZE = 10  # codes; 10 and 11 are special


def sampled(share: float, seed: int = 0, name: str = "interleaving_A_V"):
    """Input ids of 6 songs, the codes that a certain model samples, and the resulting input."""
    random = torch.Generator().manual_seed(9)
    pattern = CodebookPattern(name, 3)
    codes = torch.randint(0, SIZE, (6, pattern.num_tracks, 3, 20), generator=random)
    codes[0, ..., 15:] = 11  # a shorter song
    wanted = torch.randint(0, SIZE, codes.shape, generator=random)
    ids = pattern.apply(codes, bos_token_id=10, pad_token_id=11)
    samples = pattern.apply(wanted, bos_token_id=10, pad_token_id=11).roll(-1, -1)
    logits = 50.0 * torch.nn.functional.one_hot(samples, 12).float()
    logits[..., SIZE:] = 100.0  # special ids are never drawn
    mixed = sample_history(
        ids,
        logits,
        share,
        pattern=pattern,
        codebook_size=SIZE,
        generator=torch.Generator().manual_seed(seed),
    )
    return pattern, codes, wanted, ids, mixed


@pytest.mark.parametrize("name", ["mixed", "parallel_A_V", "interleaving_V_A"])
def test_an_input_code_is_replaced_by_the_sample_for_it(name):
    pattern, codes, wanted, ids, mixed = sampled(1e6, name=name)

    expected = torch.where(codes < SIZE, wanted, codes)
    assert torch.equal(pattern.revert(mixed), expected)
    rows, steps = pattern.index(20)
    others = torch.ones_like(ids, dtype=torch.bool)
    others[:, rows, steps] = False
    assert torch.equal(mixed[others], ids[others])


def test_whole_frames_are_replaced_at_a_rate_of_each_song():
    pattern, codes, wanted, _, mixed = sampled(0.5)

    found = pattern.revert(mixed)
    drawn = (found != codes).any(dim=2, keepdim=True)
    expected = torch.where(drawn & (codes < SIZE), wanted, codes)
    assert torch.equal(found, expected)
    rates = drawn.float().mean(dim=(1, 2, 3))
    assert rates.max() - rates.min() > 0.2 and 0.2 < rates.mean() < 0.6


def test_samples_have_the_distribution_of_the_logits():
    pattern = CodebookPattern("mixed", 2)
    ids = pattern.apply(torch.zeros(4, 1, 2, 3000).long(), bos_token_id=10, pad_token_id=11)
    logits = torch.log(torch.tensor([0.0, 0.5, 0.0, 0.3, 0.15, 0.05, 0.0, 0.0, 0.0, 0.0]))
    logits = logits.expand(*ids.shape, SIZE)
    mixed = sample_history(
        ids,
        logits,
        1e6,
        pattern=pattern,
        codebook_size=SIZE,
        generator=torch.Generator().manual_seed(0),
    )

    shares = pattern.revert(mixed).flatten().bincount(minlength=SIZE) / (4 * 2 * 3000)
    torch.testing.assert_close(shares, logits[0, 0, 0].exp(), atol=0.01, rtol=0)
    assert (shares[logits[0, 0, 0].exp() == 0] == 0).all()


def test_samples_follow_the_generator_and_a_share_of_zero_changes_nothing():
    assert torch.equal(sampled(0.5)[4], sampled(0.5)[4])
    assert not torch.equal(sampled(0.5)[4], sampled(0.5, seed=1)[4])
    *_, ids, mixed = sampled(0.0)
    assert torch.equal(ids, mixed)


@pytest.mark.parametrize("name", ["mixed", "parallel_V_A", "interleaving_A_V"])
def test_labels_are_masked_after_a_wrong_coarser_code_of_their_frame(name):
    pattern, codes, _, ids, mixed = sampled(0.5, name=name)
    masked = after_errors(mixed, ids, pattern)
    assert not after_errors(ids, ids, pattern).any()

    expected = torch.zeros_like(masked)
    heard = pattern.revert(mixed)
    rows, steps = pattern.index(20)
    for song in range(len(codes)):
        for track in range(pattern.num_tracks):
            for frame in range(20):
                wrong = False
                for book in range(3):
                    place = steps[track, book, frame] - 1, rows[track, book, frame]
                    expected[song][place] = wrong
                    wrong |= bool(
                        heard[song, track, book, frame] != codes[song, track, book, frame]
                    )
    assert torch.equal(masked, expected) and masked.any()
    # A label is the id one step later.
    assert masked.shape == (6, ids.shape[-1] - 1, ids.shape[1])


@pytest.fixture
def run(tiny_checkpoint, songs_folder, tmp_path):
    """Factory: a short run -> its objectives."""

    def train(out, pattern="interleaving_A_V", **changes):
        values = {
            "model": tiny_checkpoint(pattern, dropout=0.0),
            "dataset": songs_folder,
            "output_dir": str(tmp_path / out),
            "max_steps": 1,
            "learning_rate": 1e-2,
            "logging_steps": 1,
            "save_strategy": "no",
            "per_device_train_batch_size": 2,
            "gradient_accumulation_steps": 2,
            "disable_tqdm": True,
            "scheduled_sampling": 0.9,
            **changes,
        }
        trainer = train_language_model(*make_options(LANGUAGE_MODEL_OPTIONS, values))
        return [entry["objective"] for entry in trainer.state.log_history if "objective" in entry]

    return train


@pytest.mark.slow
@pytest.mark.parametrize("pattern", ["mixed_pro", "parallel_A_V"])
def test_scheduled_sampling_changes_training_in_every_kind_of_pattern(pattern, run):
    assert run("sampled", pattern) != run("plain", pattern, scheduled_sampling=0.0)


@pytest.mark.slow
def test_scheduled_sampling_follows_the_seed_of_the_run(run):
    mixed = run("sampled")

    assert mixed == run("again")
    assert mixed != run("plain", scheduled_sampling=0.0)


K, V = 8, 10


def masked_batch(seed: int = 3):
    """Codes [3, 2, 8, 50] and numbers of visible codebooks, some of which are complete."""
    random = torch.Generator().manual_seed(seed)
    codes = torch.randint(0, V, (3, 2, K, 50), generator=random)
    visible = torch.randint(0, K + 1, (3, 2, 50), generator=random)
    return codes, visible, random


def test_codes_are_hidden_only_in_incomplete_frames():
    _, visible, random = masked_batch()

    earlier = hide_codes(visible, 0.4, K, random)

    assert torch.equal(earlier[visible == K], visible[visible == K])
    assert (earlier >= 0).all() and (earlier <= visible).all() and (earlier < visible).any()
    assert torch.equal(hide_codes(visible, 0.0, K, random), visible)


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_the_share_of_hidden_codes_is_the_requested_one(share):
    random = torch.Generator().manual_seed(0)
    visible = torch.randint(0, K, (4000, 1, 20), generator=random)

    earlier = hide_codes(visible, share, K, random)

    hidden = (visible - earlier).sum(dim=(1, 2)) / visible.sum(dim=(1, 2))
    assert abs(hidden.mean() - share) < 0.02
    assert abs(hidden.var() - (2 * share) ** 2 / 12) < 0.02  # each song has its mixed rate


def test_codes_that_became_visible_are_samples_of_the_model():
    codes, visible, random = masked_batch()
    earlier = hide_codes(visible, 0.4, K, random)
    wanted = torch.randint(0, V, codes.shape, generator=random)
    logits = 100.0 * torch.nn.functional.one_hot(wanted.transpose(2, 3), V).float()

    mixed, wrong = sample_visible_codes(
        codes, visible, earlier, CodebookDistribution(logits), generator=random
    )

    depth = torch.arange(K)[:, None]
    new = (depth >= earlier[:, :, None]) & (depth < visible[:, :, None])
    assert torch.equal(mixed, torch.where(new, wanted, codes))
    assert torch.equal(wrong, ((wanted != codes) & new).any(dim=2))

"""Tests of the scheduler of masked songs: exact counts, coarse codebooks first, independence."""

import math
import random
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
import torch

pytest.importorskip("diffusers", reason="needs the extra diffusers")

from songgen_hf.modeling.guidance import Guidance
from songgen_hf.modeling.masked.distributions import CodebookDistribution
from songgen_hf.modeling.masked.noise import song_noise
from songgen_hf.modeling.masked.scheduler import (
    MaskedRVQScheduler,
    mask_at_random,
    num_masked,
)

SCHEDULES = ("circle", "cosine", "linear", "exp")
TRACKS, CODEBOOKS, VOCABULARY = 2, 4, 16


def model_output(batch_size, num_frames, seed=0, num_tracks=TRACKS):
    logits = torch.randn(
        (batch_size, num_tracks, num_frames, CODEBOOKS, VOCABULARY),
        generator=torch.Generator().manual_seed(seed),
    )
    return SimpleNamespace(distribution=CodebookDistribution(2 * logits))


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def sample(scheduler, steps, outputs, codes, visible, *, frame_mask=None, generator=None):
    """Run all steps and yield the output of each."""
    scheduler.set_timesteps(steps)
    for timestep in scheduler.timesteps:
        left = scheduler.step(
            outputs, timestep, codes, visible, frame_mask=frame_mask, generator=generator
        )
        codes, visible = left.codes, left.visible
        yield left


def masked_codes(visible, frame_mask):
    return ((CODEBOOKS - visible) * frame_mask[:, None]).sum(dim=(1, 2)).tolist()


def settings_at_random(draw):
    return {
        "schedule": draw.choice(SCHEDULES),
        "reveal": draw.choice(["random", "confidence"]),
        "choice_temperature": draw.choice([0.0, 1.0, 28.0, 500.0]),
        "anneal_choice": draw.random() < 0.5,
    }


@pytest.mark.slow
def test_counts_equal_exact_arithmetic_for_thousands_of_random_sizes():
    draw = random.Random(0)

    for _ in range(5000):
        total = draw.randint(0, 2000) * draw.randint(1, 16)
        below = draw.randint(1, 100)
        share = Fraction(draw.randint(0, below), below)

        assert num_masked("linear", share, total) == math.ceil((1 - share) * total)
        circle = num_masked("circle", share, total)
        squared = (1 - share**2) * total**2
        assert circle**2 >= squared
        assert circle == 0 or (circle - 1) ** 2 < squared
        cosine = num_masked("cosine", share, total)
        exact = 0.5 if share == Fraction(2, 3) else math.cos(math.pi / 2 * share)
        assert cosine - exact * total == pytest.approx(0.5, abs=0.5 + 1e-9)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule_falls_from_everything_to_nothing(schedule):
    for total in (0, 1, 7, 12000):
        counts = [num_masked(schedule, Fraction(step, 64), total) for step in range(65)]

        assert counts[0] == total and counts[-1] == 0
        assert counts == sorted(counts, reverse=True)


def test_exp_reveals_later_than_circle_and_circle_later_than_linear():
    half = Fraction(1, 2)

    counts = [num_masked(schedule, half, 1000) for schedule in ("exp", "circle", "linear")]

    assert counts == [925, 867, 500]


@pytest.mark.slow
def test_each_step_leaves_exactly_the_masked_codes_that_the_schedule_says():
    draw = random.Random(1)
    for trial in range(150):
        lengths = [draw.randint(1, 12) for _ in range(3)]
        frame_mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
        visible = torch.randint(0, CODEBOOKS + 1, (3, TRACKS, max(lengths)))
        visible[0] = 0
        codes = torch.randint(0, VOCABULARY, (3, TRACKS, CODEBOOKS, max(lengths)))
        totals = masked_codes(visible, frame_mask)
        scheduler = MaskedRVQScheduler(**settings_at_random(draw))
        steps = draw.randint(1, 9)
        outputs = model_output(3, max(lengths), trial)

        taken = sample(
            scheduler,
            steps,
            outputs,
            codes,
            visible,
            frame_mask=frame_mask,
            generator=generators(1, 2, 3),
        )

        for done, left in enumerate(taken, start=1):
            expected = [scheduler.num_masked(done, total) for total in totals]
            assert masked_codes(left.visible, frame_mask) == expected
        assert masked_codes(left.visible, frame_mask) == [0, 0, 0]


@pytest.mark.slow
def test_known_codes_stay_and_visible_codebooks_are_always_the_coarsest_whatever_the_noise():
    draw = random.Random(2)
    for trial in range(20):
        scheduler = MaskedRVQScheduler(**settings_at_random(draw))
        codes = torch.randint(0, VOCABULARY, (2, TRACKS, CODEBOOKS, 9))
        visible = torch.randint(0, CODEBOOKS + 1, (2, TRACKS, 9))
        depths = torch.arange(CODEBOOKS)[:, None]
        known, known_codes = visible, codes

        for left in sample(
            scheduler, 5, model_output(2, 9, trial), codes, visible, generator=generators(4, 5)
        ):
            was_known = depths < known[:, :, None]
            assert (left.visible >= known).all() and left.visible.max() <= CODEBOOKS
            assert torch.equal(left.codes[was_known], known_codes[was_known])
            assert torch.equal(left.candidates[was_known], known_codes[was_known])
            newly = (depths < left.visible[:, :, None]) & ~was_known
            assert torch.equal(left.codes[newly], left.candidates[newly])
            known, known_codes = left.visible, left.codes


def test_padding_frames_are_returned_unchanged():
    frame_mask = torch.tensor([[True, True, False, False]])
    codes = torch.randint(0, VOCABULARY, (1, TRACKS, CODEBOOKS, 4))
    visible = torch.zeros(1, TRACKS, 4, dtype=torch.int64)
    visible[..., 3] = 2

    *_, left = sample(
        MaskedRVQScheduler(), 3, model_output(1, 4), codes, visible, frame_mask=frame_mask
    )

    assert torch.equal(left.codes[..., 2:], codes[..., 2:])
    assert left.visible[0].tolist() == [[4, 4, 0, 2]] * TRACKS


@pytest.mark.parametrize("reveal", ["random", "confidence"])
def test_a_batch_of_unequal_lengths_equals_its_songs_one_by_one(reveal):
    scheduler = MaskedRVQScheduler(reveal=reveal)
    lengths = [7, 3, 5]
    frame_mask = torch.arange(7) < torch.tensor(lengths)[:, None]
    codes = torch.zeros(3, TRACKS, CODEBOOKS, 7, dtype=torch.int64)
    visible = torch.zeros(3, TRACKS, 7, dtype=torch.int64)
    outputs = model_output(3, 7)

    *_, together = sample(
        scheduler,
        4,
        outputs,
        codes,
        visible,
        frame_mask=frame_mask,
        generator=generators(10, 11, 12),
    )

    for row, length in enumerate(lengths):
        logits = outputs.distribution.logits[row : row + 1, :, :length]
        *_, alone = sample(
            scheduler,
            4,
            SimpleNamespace(distribution=CodebookDistribution(logits)),
            codes[:1, ..., :length],
            visible[:1, ..., :length],
            generator=generators(10 + row),
        )
        assert torch.equal(together.codes[row, ..., :length], alone.codes[0])


def test_random_reveal_follows_the_multivariate_hypergeometric_distribution():
    scheduler = MaskedRVQScheduler(schedule="linear", reveal="random")
    visible = torch.zeros(2000, 1, 3, dtype=torch.int64)
    visible[:, 0, 2] = 3  # capacities 4, 4, 1
    codes = torch.zeros(2000, 1, CODEBOOKS, 3, dtype=torch.int64)

    scheduler.set_timesteps(2)
    left = scheduler.step(
        model_output(2000, 3, num_tracks=1), 1, codes, visible, generator=generators(0)[0]
    )

    revealed = (left.visible - visible)[:, 0]
    assert set(revealed.sum(dim=1).tolist()) == {4}  # of 9 codes ceil(4.5) stay
    ways = {
        (a, b, c): math.comb(4, a) * math.comb(4, b) * math.comb(1, c) / math.comb(9, 4)
        for a in range(5)
        for b in range(5)
        for c in range(2)
        if a + b + c == 4
    }
    for counts, probability in ways.items():
        share = (revealed == torch.tensor(counts)).all(dim=1).float().mean().item()
        assert share == pytest.approx(probability, abs=4 * math.sqrt(0.25 / 2000))


def test_without_noise_the_most_confident_frames_come_first():
    scheduler = MaskedRVQScheduler(choice_temperature=0.0, schedule="linear")
    logits = torch.zeros(1, 1, 4, CODEBOOKS, VOCABULARY)
    logits[:, :, [1, 3], :, 5] = 30.0  # certain frames
    codes = torch.zeros(1, 1, CODEBOOKS, 4, dtype=torch.int64)
    visible = torch.zeros(1, 1, 4, dtype=torch.int64)

    scheduler.set_timesteps(2)
    left = scheduler.step(
        SimpleNamespace(distribution=CodebookDistribution(logits)), 1, codes, visible
    )

    assert left.visible.tolist() == [[[0, 4, 0, 4]]]


def test_an_improbable_coarse_code_delays_the_probable_fine_codes():
    scheduler = MaskedRVQScheduler(choice_temperature=0.0, schedule="linear")
    logits = torch.zeros(1, 1, 2, CODEBOOKS, VOCABULARY)
    logits[0, 0, 0, 1:, 5] = 30.0  # fine codes certain, the coarse one a guess
    logits[0, 0, 1, :, :2] = 30.0  # every code one of two
    codes = torch.zeros(1, 1, CODEBOOKS, 2, dtype=torch.int64)
    visible = torch.zeros(1, 1, 2, dtype=torch.int64)

    scheduler.set_timesteps(2)
    left = scheduler.step(
        SimpleNamespace(distribution=CodebookDistribution(logits)), 1, codes, visible
    )

    # Summed: -2.8 for each of the first frame's, -0.7, -1.4, -2.1, -2.8 for the second's.
    assert left.visible[0, 0, 1] >= 3


def test_the_accompaniment_leads_by_the_steps_asked_for():
    scheduler = MaskedRVQScheduler(schedule="linear", accompaniment_lead=0.5)
    codes = torch.zeros(1, TRACKS, CODEBOOKS, 8, dtype=torch.int64)
    visible = torch.zeros(1, TRACKS, 8, dtype=torch.int64)

    known = [
        left.visible.sum(dim=2)[0].tolist()
        for left in sample(scheduler, 4, model_output(1, 8), codes, visible)
    ]

    assert known == [[16, 0], [32, 0], [32, 16], [32, 32]]


def test_guidance_follows_the_steps_from_the_first_to_the_last():
    scheduler = MaskedRVQScheduler(guidance_scale=(1.0, 3.0))
    scheduler.set_timesteps(5)

    shares = [scheduler.share_of_steps(step) for step in range(5)]
    assert shares == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert [scheduler.guidance.weights(share)[0] for share in shares] == [1.0, 1.5, 2.0, 2.5, 3.0]
    assert scheduler.guidance.branches() and not MaskedRVQScheduler().guidance.branches()
    scheduler.set_timesteps(1)
    assert scheduler.share_of_steps(0) == 1.0
    with pytest.raises(ValueError, match="guidance_schedule is 'square'"):
        MaskedRVQScheduler(guidance_schedule="square")


def test_an_interval_of_guidance_that_no_step_lies_in_is_refused():
    scheduler = MaskedRVQScheduler(guidance_scale=2.0, guidance_interval=(0.2, 0.8))

    for steps in (1, 2):
        with pytest.raises(ValueError, match=f"none of {steps} steps lies in it .*give more steps"):
            scheduler.set_timesteps(steps)
    scheduler.set_timesteps(3)
    MaskedRVQScheduler(guidance_scale=2.0, guidance_interval=(0.2, 1.0)).set_timesteps(1)
    MaskedRVQScheduler(guidance_scale=1.0, guidance_interval=(0.2, 0.8)).set_timesteps(1)


def test_scheduler_settings_survive_saving(tmp_path):
    scheduler = MaskedRVQScheduler(
        schedule="exp",
        reveal="random",
        guidance_scale={"text": (1.02, 3.4), "voice": 2},
        guidance_schedule="cosine",
        guidance_interval=(0.1, 0.9),
    )

    scheduler.save_pretrained(tmp_path)
    loaded = MaskedRVQScheduler.from_pretrained(tmp_path)
    changed = MaskedRVQScheduler.from_config(loaded.config, top_p=0.9)

    assert loaded.config.schedule == "exp" and loaded.config.reveal == "random"
    assert loaded.guidance == scheduler.guidance
    assert (changed.config.top_p, changed.config.schedule) == (0.9, "exp")


def test_settings_of_numpy_and_torch_are_saved_as_numbers(tmp_path):
    scheduler = MaskedRVQScheduler(
        temperature=np.float32(0.5),
        top_p=torch.tensor(0.5),
        guidance_scale={"text": np.float32(2)},
        guidance_interval=np.array([0, 0.5]),
    )

    scheduler.save_pretrained(tmp_path)
    loaded = MaskedRVQScheduler.from_pretrained(tmp_path)

    assert (loaded.config.temperature, loaded.config.top_p) == (0.5, 0.5)
    assert loaded.guidance == scheduler.guidance
    assert loaded.guidance == Guidance.of({"text": 2}, None, (0, 0.5))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_training_masks_hide_the_finest_codebooks_and_the_scheduled_number_of_codes(schedule):
    frame_mask = torch.arange(11) < torch.tensor([[11], [4]])
    codes = torch.zeros(2, TRACKS, CODEBOOKS, 11, dtype=torch.int64)

    for seed in range(40):
        visible = mask_at_random(codes, frame_mask, schedule, generators(seed, seed + 100))

        assert visible.dtype == torch.int64 and 0 <= visible.min() <= visible.max() <= CODEBOOKS
        assert not visible[1, :, 4:].any()
        for row, (offset, length) in enumerate([(0, 11), (100, 4)]):
            drawn = generators(seed + offset)[0]
            share = song_noise((1, 1, 7), "uniform", generator=drawn)[0, 0, 0].item()
            total = TRACKS * CODEBOOKS * length
            hidden = total - visible[row].sum().item()
            assert hidden == num_masked(schedule, share, total) > 0


def test_training_masks_keep_a_track_or_a_range_with_the_given_probabilities():
    codes = torch.zeros(600, TRACKS, CODEBOOKS, 50, dtype=torch.int64)

    tracks = mask_at_random(codes, generator=generators(0)[0], track_probability=0.5)
    spans = mask_at_random(codes, generator=generators(0)[0], span_probability=1.0)

    whole = (tracks == CODEBOOKS).all(dim=2)
    assert whole.any(dim=1).float().mean().item() == pytest.approx(0.5, abs=0.08)
    assert whole.float().mean(dim=0).tolist() == pytest.approx([0.25, 0.25], abs=0.07)
    begins = (spans[:, :, :3] == CODEBOOKS).all(dim=2).all(dim=1)
    assert 0.4 < begins.float().mean().item() < 0.75
    assert (mask_at_random(codes, generator=generators(0)[0]) == CODEBOOKS).float().mean() < 0.3


def test_training_masks_of_a_batch_equal_those_of_its_songs():
    frame_mask = torch.arange(9) < torch.tensor([[9], [6]])
    codes = torch.zeros(2, TRACKS, CODEBOOKS, 9, dtype=torch.int64)
    options = {"track_probability": 0.5, "span_probability": 0.5}

    for seed in range(20):
        both = mask_at_random(codes, frame_mask, generator=generators(seed, seed + 1), **options)
        second = mask_at_random(codes[1:, ..., :6], generator=generators(seed + 1), **options)

        assert torch.equal(both[1:, :, :6], second)


def test_a_setting_that_there_is_not_is_refused(tmp_path):
    scheduler = MaskedRVQScheduler()
    scheduler.save_pretrained(tmp_path)

    message = "MaskedRVQScheduler has no choice_temprature: expected .*, choice_temperature, "
    with pytest.raises(ValueError, match=message):
        MaskedRVQScheduler.from_config(scheduler.config, choice_temprature=0.7)
    with pytest.raises(ValueError, match=message):
        MaskedRVQScheduler.from_pretrained(tmp_path, choice_temprature=0.7)


def test_wrong_settings_and_shapes_are_refused_with_the_expected_values():
    with pytest.raises(ValueError, match="schedule is 'square': expected circle, cosine"):
        MaskedRVQScheduler(schedule="square")
    with pytest.raises(ValueError, match="reveal is 'all': expected random, confidence"):
        MaskedRVQScheduler(reveal="all")
    with pytest.raises(ValueError, match="guidance_scale is .*1.0 is off"):
        MaskedRVQScheduler(guidance_scale=(1.0, 2.0, 3.0))
    with pytest.raises(ValueError, match="top_p is 0"):
        MaskedRVQScheduler(top_p=0)
    with pytest.raises(ValueError, match="accompaniment_lead is 1"):
        MaskedRVQScheduler(accompaniment_lead=1)
    with pytest.raises(ValueError, match="temperature is -1"):
        MaskedRVQScheduler(temperature=-1)
    for name in ("temperature", "choice_temperature", "top_p", "accompaniment_lead"):
        for wrong in ("1", True, None):
            with pytest.raises(TypeError, match=f"^{name} must be a number: got {wrong!r}"):
                MaskedRVQScheduler(**{name: wrong})
    scheduler = MaskedRVQScheduler()
    codes = torch.zeros(1, TRACKS, CODEBOOKS, 3, dtype=torch.int64)
    visible = torch.zeros(1, TRACKS, 3, dtype=torch.int64)
    with pytest.raises(ValueError, match="call set_timesteps first"):
        scheduler.step(model_output(1, 3), 0, codes, visible)
    with pytest.raises(ValueError, match="integer of at least 1"):
        scheduler.set_timesteps(0)
    scheduler.set_timesteps(4)
    with pytest.raises(ValueError, match="timestep is 4: expected one of 3 to 0"):
        scheduler.step(model_output(1, 3), 4, codes, visible)
    with pytest.raises(ValueError, match="visible has shape"):
        scheduler.step(model_output(1, 3), 3, codes, visible[..., :2])
    with pytest.raises(ValueError, match="visible holds 0 to 9, expected 0 to 4"):
        scheduler.step(model_output(1, 3), 3, codes, visible.index_fill(2, torch.tensor([1]), 9))
    with pytest.raises(ValueError, match="2 entries for 1 songs"):
        scheduler.step(model_output(1, 3), 3, codes, visible, generator=generators(1, 2))
    scheduler.step(model_output(1, 3), 3, codes, visible)
    with pytest.raises(ValueError, match="call set_timesteps before other songs"):
        scheduler.step(model_output(2, 3), 2, codes.repeat(2, 1, 1, 1), visible.repeat(2, 1, 1))
    with pytest.raises(ValueError, match="share is 1.5"):
        num_masked("circle", 1.5, 10)


def noisy_order(scores, choice_temperature, seed):
    """Which frames are revealed first, one after another, when only one depth is masked."""
    frames = scores.shape[-1]
    scheduler = MaskedRVQScheduler(choice_temperature=choice_temperature, schedule="linear")
    proposal = SimpleNamespace(
        scores=scores.expand(1, 1, 1, frames), codes=torch.zeros(1, 1, 1, frames, dtype=torch.long)
    )
    output = SimpleNamespace(distribution=SimpleNamespace(propose=lambda *_, **__: proposal))
    codes, ranks = proposal.codes, torch.zeros(frames)
    for count in range(1, frames):
        scheduler.set_timesteps(frames)
        left = scheduler.step(
            output,
            frames - count,
            codes,
            torch.zeros(1, 1, frames, dtype=torch.long),
            generator=generators(seed),
        )
        ranks += left.visible[0, 0]
    return ranks


def rank_correlation(first, second):
    """Spearman's, of numbers without ties in their order."""
    places = [values.argsort().argsort().float() for values in (first, second)]
    return torch.corrcoef(torch.stack(places))[0, 1].item()


@pytest.mark.slow
@pytest.mark.parametrize("spread", [0.01, 0.5, 30.0])
def test_the_default_noise_keeps_the_order_of_confidence_whatever_its_spread(spread):
    correlations = {}
    for temperature in (0.0, 0.4, math.inf):
        found = []
        for seed in range(6):
            scores = spread * torch.randn(80, generator=torch.Generator().manual_seed(seed))
            found.append(rank_correlation(noisy_order(scores, temperature, seed + 100), scores))
        correlations[temperature] = sum(found) / len(found)

    assert correlations[0.0] > 0.999
    assert correlations[0.4] >= 0.8
    assert abs(correlations[math.inf]) < 0.15
    assert MaskedRVQScheduler().config.choice_temperature == 0.4


def test_scaling_all_scores_reveals_the_same_codes():
    class Scaled(CodebookDistribution):
        factor = 1.0

        def propose(self, *arguments, **options):
            proposal = super().propose(*arguments, **options)
            return SimpleNamespace(codes=proposal.codes, scores=self.factor * proposal.scores)

    seen = []
    for factor in (0.01, 1.0, 64.0):
        distribution = Scaled(model_output(2, 9).distribution.logits)
        distribution.factor = factor
        scheduler = MaskedRVQScheduler(choice_temperature=0.7)
        codes = torch.zeros(2, TRACKS, CODEBOOKS, 9, dtype=torch.long)
        visible = torch.zeros(2, TRACKS, 9, dtype=torch.long)
        output = SimpleNamespace(distribution=distribution)
        steps = sample(scheduler, 5, output, codes, visible, generator=generators(3, 4))
        seen.append([left.visible for left in steps])

    for steps in seen[1:]:
        assert all(torch.equal(ours, first) for ours, first in zip(steps, seen[0], strict=True))

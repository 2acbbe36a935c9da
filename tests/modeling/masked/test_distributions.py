"""Tests of the distributions of hidden codes: densities, draws and losses."""

import dataclasses
import math

import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from songgen_hf.modeling.masked.code_vectors import hidden_codes, requantize, sum_code_vectors
from songgen_hf.modeling.masked.distributions import (
    CodebookDistribution,
    CumulativeMixture,
    sample_categorical,
)

BATCH, TRACKS, DEPTHS, FRAMES, CODES = 2, 2, 3, 5, 7


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def numbers(*shape, seed=0):
    return torch.randn(shape, generator=generator(seed))


def codebooks(width=2, depths=DEPTHS):
    """Return tables whose vectors become smaller with the codebook, as residuals do."""
    return numbers(depths, CODES, width, seed=9) * 0.6 ** torch.arange(depths)[:, None, None]


def mixture(width=2, components=4, rank=2, levels=DEPTHS, batch=BATCH, frames=FRAMES):
    places = (batch, TRACKS, frames)
    return CumulativeMixture(
        log_weights=numbers(*places, components, seed=1),
        means=numbers(*places, components, rank, seed=2),
        log_scale=-1 + 0.3 * numbers(*places, seed=3),
        shift=0.5 * numbers(*places, width, seed=4),
        basis=numbers(width, rank, seed=5),
        offsets=numbers(levels, components, width, seed=6),
        codebooks=codebooks(width),
        level_scale=torch.tensor([1.0, 0.7, 0.4]),
        deviations=torch.tensor([0.6, 0.5, 0.3]),
    )


def softmax(batch=BATCH, frames=FRAMES):
    return CodebookDistribution(numbers(batch, TRACKS, frames, DEPTHS, CODES, seed=1))


BOTH = pytest.mark.parametrize("build", [softmax, mixture], ids=["softmax", "mixture"])


def song(batch=BATCH, frames=FRAMES):
    """Return codes, all numbers of visible codebooks, and a mask with one padded song."""
    codes = torch.randint(CODES, (batch, TRACKS, DEPTHS, frames), generator=generator(7))
    visible = torch.randint(DEPTHS + 1, (batch, TRACKS, frames), generator=generator(8))
    mask = torch.ones(batch, frames, dtype=torch.bool)
    mask[-1, 3:] = False
    return codes, visible, mask


def repeated(dist, frames):
    """Return the distribution of a single frame, repeated for many frames."""
    return dataclasses.replace(
        dist,
        **{
            name: getattr(dist, name).expand(1, TRACKS, frames, *getattr(dist, name).shape[3:])
            for name in dist.batched
        },
    )


def stated(dist, visible, place):
    """Return the mixture at one place as a distribution of torch, with full centers."""
    level = int(visible[place])
    own = level if len(dist.offsets) > 1 else 0
    low = dist.means[place] @ dist.basis.T
    centers = dist.shift[place] + dist.level_scale[level] * (dist.offsets[own] + low)
    deviation = dist.log_scale[place].exp()
    parts = Independent(Normal(centers, deviation.expand_as(centers)), 1)
    return MixtureSameFamily(Categorical(logits=dist.log_weights[place]), parts)


@pytest.mark.parametrize("levels", [1, DEPTHS])
@pytest.mark.parametrize("width", [2, 24])
def test_the_density_is_that_of_the_stated_mixture(levels, width):
    dist = mixture(width=width, levels=levels)
    visible = song()[1].clamp(max=DEPTHS - 1)
    vectors = numbers(BATCH, TRACKS, FRAMES, width, seed=10)

    found = dist.log_prob(vectors, visible)

    for place in [(0, 0, 0), (0, 1, 3), (1, 0, 2), (1, 1, 4)]:
        expected = stated(dist, visible, place).log_prob(vectors[place])
        torch.testing.assert_close(found[place], expected, rtol=1e-4, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("level", range(DEPTHS))
def test_the_density_integrates_to_one(level):
    side = torch.linspace(-12, 12, 481)
    grid = torch.cartesian_prod(side, side)  # [P, 2]
    cell = float(side[1] - side[0]) ** 2
    dist = repeated(mixture(batch=1, frames=1), len(grid))
    visible = torch.full((1, TRACKS, len(grid)), level)

    mass = dist.log_prob(grid.expand(1, TRACKS, -1, 2), visible).exp().sum(-1) * cell

    torch.testing.assert_close(mass, torch.ones(1, TRACKS), rtol=1e-3, atol=0)


def test_draws_follow_the_density():
    dist, count = mixture(batch=1, frames=1), 40_000
    visible = torch.full((1, TRACKS, 1), 1)

    drawn = repeated(dist, count).sample(visible.expand(1, TRACKS, count), generator=generator())

    for track in range(TRACKS):
        expected = stated(dist, visible, (0, track, 0))
        torch.testing.assert_close(drawn[0, track].mean(0), expected.mean, atol=0.03, rtol=0)
        torch.testing.assert_close(drawn[0, track].var(0), expected.variance, atol=0.05, rtol=0.03)


def test_the_loss_bounds_the_likelihood_and_equals_it_with_one_component():
    codes, visible, mask = song()
    for components in (1, 4):
        dist = mixture(components=components)
        losses = dist.losses(codes, visible, mask)
        target = sum_code_vectors(codes, hidden_codes(visible, DEPTHS), dist.codebooks)
        counted = (visible < DEPTHS) & mask[:, None]
        likelihood = dist.log_prob(target, visible.clamp(max=DEPTHS - 1))[counted].mean()

        assert losses["classification"] >= -1e-6
        assert losses["loss"] >= -likelihood - 1e-4
        if components == 1:
            torch.testing.assert_close(losses["loss"], -likelihood, rtol=1e-5, atol=1e-5)


def test_the_loss_holds_the_logarithm_of_the_scale_for_every_dimension():
    """The determinant of a D-wide Gaussian is D log a, not log a."""
    width, (codes, visible, mask) = 24, song()
    dist = mixture(width=width, components=1)

    def loss(more):  # 6: so wide that distances no longer matter
        wide = dataclasses.replace(dist, log_scale=dist.log_scale + 6.0 + more)
        return wide.losses(codes, visible, mask)["regression"]

    torch.testing.assert_close(loss(1.0) - loss(0.0), torch.tensor(1.0 * width), atol=0.1, rtol=0)


def test_responsibilities_are_constant_to_the_gradient():
    dist, (codes, visible, mask) = mixture(), song()
    for name in ("log_weights", "means", "log_scale", "shift"):
        setattr(dist, name, getattr(dist, name).requires_grad_())
    losses = dist.losses(codes, visible, mask)

    places = (dist.means, dist.log_scale, dist.shift)
    grads = torch.autograd.grad(losses["classification"], dist.log_weights, retain_graph=True)
    assert grads[0].abs().sum() > 0
    with pytest.raises(RuntimeError, match="not have been used"):
        torch.autograd.grad(losses["classification"], places, retain_graph=True)
    with pytest.raises(RuntimeError, match="not have been used"):
        torch.autograd.grad(losses["regression"], dist.log_weights, retain_graph=True)
    for grad in torch.autograd.grad(losses["regression"], places):
        assert grad.abs().sum() > 0


def test_the_softmax_loss_is_that_of_a_plain_loop():
    dist, (codes, visible, mask) = softmax(), song()
    log_probs = dist.logits.log_softmax(-1)
    total, positions = 0.0, 0
    single = [[] for _ in range(DEPTHS)]
    for b in range(BATCH):
        for n in range(TRACKS):
            for t in range(FRAMES):
                if not mask[b, t] or visible[b, n, t] == DEPTHS:
                    continue
                positions += 1
                for k in range(int(visible[b, n, t]), DEPTHS):
                    single[k].append(-log_probs[b, n, t, k, codes[b, n, k, t]])
                    total = total + single[k][-1]

    losses = dist.losses(codes, visible, mask)

    torch.testing.assert_close(losses["loss"], total / positions)
    for k in range(DEPTHS):
        torch.testing.assert_close(losses[f"codebook_{k}"], torch.stack(single[k]).mean())


@BOTH
def test_losses_ignore_visible_codes_and_padding(build):
    dist, (codes, visible, mask) = build(), song()
    shown = ~hidden_codes(visible, DEPTHS) | ~mask[:, None, None]
    other = torch.where(shown, CODES + 5, codes)

    found = dist.losses(other, visible, mask)

    for name, value in dist.losses(codes, visible, mask).items():
        torch.testing.assert_close(found[name], value)


@BOTH
def test_a_song_without_hidden_codes_has_no_loss(build):
    codes, visible, mask = song()
    losses = build().losses(codes, torch.full_like(visible, DEPTHS), mask)

    assert all(float(value) == 0 for value in losses.values())


def brute_force(vectors, codes, visible, tables, deviations):
    """Search residuals one place and one codebook at a time."""
    found, scores = codes.clone(), torch.zeros(codes.shape)
    for b in range(codes.shape[0]):
        for n in range(codes.shape[1]):
            for t in range(codes.shape[3]):
                residual = vectors[b, n, t]
                for k in range(int(visible[b, n, t]), codes.shape[2]):
                    squared = (residual - tables[k]).square().sum(-1)
                    best = int(squared.argmin())
                    likely = (-squared / (2 * deviations[k] ** 2)).softmax(-1)
                    found[b, n, k, t], scores[b, n, k, t] = best, likely[best].log()
                    residual = residual - tables[k, best]
    return found, scores


def test_requantizing_equals_brute_force():
    width = 6
    codes, visible, _ = song(batch=4, frames=20)
    tables, deviations = codebooks(width), torch.tensor([0.6, 0.5, 0.3])
    vectors = numbers(4, TRACKS, 20, width, seed=11)

    found = requantize(vectors, codes, visible, tables, deviations)

    expected, scores = brute_force(vectors, codes, visible, tables, deviations)
    assert torch.equal(found.codes, expected)
    torch.testing.assert_close(found.scores, scores, rtol=1e-4, atol=1e-4)


def test_requantizing_a_single_code_vector_returns_its_code():
    codes = torch.randint(CODES, (1, 1, DEPTHS, 40), generator=generator(3))
    visible = torch.full((1, 1, 40), DEPTHS - 1)
    tables = codebooks(8)
    vectors = sum_code_vectors(codes, hidden_codes(visible, DEPTHS), tables)

    other = codes.clone()
    other[:, :, -1] = 0

    assert torch.equal(requantize(vectors, other, visible, tables, torch.ones(3)).codes, codes)


@BOTH
def test_visible_codes_are_returned_unchanged_and_hidden_ones_have_no_effect(build):
    dist, (codes, visible, _) = build(), song()
    hidden = hidden_codes(visible, DEPTHS)
    other = torch.where(hidden, -3, codes)

    first = dist.propose(visible, codes, generator=generator())
    second = dist.propose(visible, other, generator=generator())

    assert torch.equal(first.codes, second.codes)
    assert torch.equal(first.codes[~hidden], codes[~hidden])
    assert (first.scores <= 0).all() and (first.scores[~hidden] == 0).all()
    assert first.codes[hidden].min() >= 0 and first.codes[hidden].max() < CODES


@BOTH
def test_a_batch_draws_the_same_codes_as_its_songs_one_by_one(build):
    dist, (codes, visible, mask) = build(), song()
    options = {"top_p": 0.9, "temperature": 0.8}

    together = dist.propose(
        visible, codes, generator=[generator(1), generator(2)], frame_mask=mask, **options
    )

    for row, length in enumerate(mask.sum(1).tolist()):
        alone = build()
        for name in alone.batched:
            setattr(alone, name, getattr(alone, name)[row : row + 1, :, :length])
        one = alone.propose(
            visible[row : row + 1, :, :length],
            codes[row : row + 1, ..., :length],
            generator=[generator(row + 1)],
            **options,
        )
        assert torch.equal(one.codes[0], together.codes[row, ..., :length])
        torch.testing.assert_close(one.scores[0], together.scores[row, ..., :length])


def test_softmax_scores_are_log_probabilities_of_the_drawn_codes():
    dist, (codes, visible, _) = softmax(), song()
    visible = torch.zeros_like(visible)

    found = dist.propose(visible, codes, top_p=0.5, temperature=0.7, generator=generator())

    log_probs = dist.logits.log_softmax(-1).permute(0, 1, 3, 2, 4)
    expected = log_probs.gather(-1, found.codes[..., None])[..., 0]
    torch.testing.assert_close(found.scores, expected)


def test_categorical_draws_have_their_probabilities():
    logits, count = numbers(6, seed=12), 60_000
    uniform = torch.rand(count, generator=generator())

    for top_p, temperature in [(1.0, 1.0), (1.0, 0.5), (0.7, 1.0)]:
        drawn = sample_categorical(logits.expand(count, -1), uniform, top_p, temperature)
        expected = (logits / temperature).softmax(-1)
        order = expected.argsort(descending=True)
        before = expected[order].cumsum(0) - expected[order]
        expected[order[before >= top_p]] = 0
        share = torch.bincount(drawn, minlength=6) / count
        torch.testing.assert_close(share, expected / expected.sum(), atol=0.01, rtol=0)


def test_categorical_draws_never_leave_the_nucleus():
    logits = torch.tensor([-1e4, 0.0, 1.0, -1e4])
    edges = torch.tensor([0.0, 0.5, 1 - 2**-24])  # the smallest and largest of torch.rand

    for top_p in (1.0, 0.99):
        drawn = sample_categorical(logits.expand(3, -1), edges, top_p)
        assert set(drawn.tolist()) == {1, 2}
    assert sample_categorical(logits, edges[:1].squeeze(), 0.3) == 2


def test_temperature_zero_takes_the_most_probable():
    codes, visible, _ = song()
    visible = torch.zeros_like(visible)
    dist, mixed = softmax(), mixture()

    assert torch.equal(
        dist.propose(visible, codes, temperature=0.0).codes,
        dist.logits.argmax(-1).transpose(2, 3),
    )
    place = (1, 0, 2)
    expected = stated(mixed, visible, place).component_distribution.mean
    heaviest = int(mixed.log_weights[place].argmax())
    drawn = mixed.sample(visible, temperature=0.0)[place]
    torch.testing.assert_close(drawn, expected[heaviest])


@pytest.mark.parametrize("temperature", [0.25, 4.0])
def test_temperature_scales_the_deviation_by_its_root(temperature):
    frames = 4000
    dist = repeated(mixture(components=1, batch=1, frames=1), frames)
    visible = torch.zeros(1, TRACKS, frames, dtype=torch.int64)

    drawn = dist.sample(visible, temperature=temperature, generator=generator())

    expected = dist.log_scale[:, :, 0].exp() * math.sqrt(temperature)
    torch.testing.assert_close(drawn.std(dim=2).mean(-1), expected, rtol=0.05, atol=0)


@BOTH
def test_guidance_extrapolates_the_logits_and_nothing_else(build):
    cond, uncond = build(), build()
    name = cond.guidable
    setattr(uncond, name, getattr(uncond, name).flip(-1))

    def probabilities(dist):
        return getattr(dist, name).softmax(-1)

    guided = cond.guided([uncond], [2.5, -1.5])

    expected = getattr(cond, name) + 1.5 * (getattr(cond, name) - getattr(uncond, name))
    torch.testing.assert_close(probabilities(guided), expected.softmax(-1))
    torch.testing.assert_close(
        probabilities(cond.guided([uncond], [1.0, 0.0])), probabilities(cond)
    )
    for other in set(cond.batched) - {name}:
        assert torch.equal(getattr(guided, other), getattr(cond, other))


@BOTH
def test_a_doubled_batch_is_split_into_its_halves(build):
    dist = build(batch=4)

    first, second = dist.chunk(2)

    for name in dist.batched:
        halves = torch.cat([getattr(first, name), getattr(second, name)])
        assert torch.equal(halves, getattr(dist, name))
    assert len(first) == len(second) == 2
    with pytest.raises(ValueError, match="the batch has 3 rows, expected a multiple of 2"):
        build(batch=3).chunk(2)


@BOTH
def test_sampling_options_out_of_range_are_refused(build):
    dist, (codes, visible, _) = build(), song()

    with pytest.raises(ValueError, match=r"top_p is 0, expected more than 0"):
        dist.propose(visible, codes, top_p=0)
    with pytest.raises(ValueError, match=r"temperature is -1, expected 0 or more"):
        dist.propose(visible, codes, temperature=-1)
    with pytest.raises(ValueError, match="generator has 3 entries for 2 songs"):
        dist.propose(visible, codes, generator=[generator()] * 3)

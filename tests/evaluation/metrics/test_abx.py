"""ABX discriminability equals plain loops, and has its known values at both ends."""

import itertools

import numpy as np
import pytest

from songgen_hf.evaluation.metrics.abx import (
    Phones,
    abx_cells,
    abx_error,
    abx_interval,
    limit_phones,
    phone_frames,
    song_phones,
    warped_distances,
)


def make_phones(count, *, seed=0, symbols="pbt", contexts=2, singers=3):
    random = np.random.default_rng(seed)
    return Phones(
        random.choice(list(symbols), count),
        random.choice([f"a {c}" for c in range(contexts)], count),
        random.choice([f"s{s}" for s in range(singers)], count),
        np.zeros(count, int),
        np.zeros((count, 2)),
    )


def make_frames(count, *, seed=0, width=4):
    random = np.random.default_rng(seed)
    return [random.standard_normal((random.integers(1, 7), width)) for _ in range(count)]


def plain_warping(first, second, distance):
    """The least sum and the least length of a path, by recursion over all paths."""
    if distance == "hamming":
        costs = (first[:, None] != second[None]).mean(axis=-1)
    else:
        units = [side / np.linalg.norm(side, axis=1, keepdims=True) for side in (first, second)]
        costs = np.arccos(np.clip(units[0] @ units[1].T, -1, 1)) / np.pi

    def best(i, j):
        if i == j == 0:
            return costs[0, 0], 1
        before = [(i - 1, j), (i, j - 1), (i - 1, j - 1)]
        total, length = min(best(*place) for place in before if min(place) >= 0)
        return total + costs[i, j], length + 1

    total, length = best(len(first) - 1, len(second) - 1)
    return total / length


def plain_abx(frames, phones, condition):
    """Loops over all triples, then means over contexts, singers and pairs."""
    cells = {}
    indices = range(len(frames))
    for a, b, x in itertools.product(indices, indices, indices):
        same_context = phones.contexts[a] == phones.contexts[b] == phones.contexts[x]
        p, q = phones.symbols[a], phones.symbols[b]
        s, t = phones.singers[a], phones.singers[x]
        if a == x or not same_context or phones.symbols[x] != p or p == q:
            continue
        if phones.singers[b] != s or (s == t) != (condition == "within"):
            continue
        near, far = (plain_warping(frames[x], frames[one], "angular") for one in (a, b))
        key = (p, q), s, phones.contexts[a], t
        cells.setdefault(key, []).append(float(near > far) + 0.5 * (near == far))
    means = {key: np.mean(values) for key, values in cells.items()}
    while len(next(iter(means))) > 1:  # over singers of X, contexts, singers
        groups = {}
        for key, value in means.items():
            groups.setdefault(key[:-1], []).append(value)
        means = {key: np.mean(values) for key, values in groups.items()}
    return np.mean(list(means.values()))


@pytest.mark.parametrize("distance", ["angular", "hamming"])
def test_warped_distances_equal_the_least_path_of_a_search_over_all_paths(distance):
    frames = make_frames(8)
    if distance == "hamming":
        frames = [(np.abs(phone) * 2).astype(int) for phone in frames]
    pairs = np.array(list(itertools.product(range(8), range(8))))

    found = warped_distances(frames, pairs, distance=distance)

    expected = [plain_warping(frames[a], frames[b], distance) for a, b in pairs]
    np.testing.assert_allclose(found, expected, atol=1e-7)
    np.testing.assert_allclose(found.reshape(8, 8), found.reshape(8, 8).T, atol=1e-12)


def test_groups_that_fit_in_memory_do_not_change_distances(monkeypatch):
    frames, pairs = make_frames(12), np.array(list(itertools.combinations(range(12), 2)))
    whole = warped_distances(frames, pairs)

    monkeypatch.setattr("songgen_hf.evaluation.metrics.abx.CHUNK", 50)

    np.testing.assert_allclose(warped_distances(frames, pairs), whole, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("condition", ["within", "across"])
def test_the_error_equals_loops_over_all_triples(condition):
    phones, frames = make_phones(30), make_frames(30)

    found = abx_error(abx_cells(frames, phones, condition))

    assert found == pytest.approx(plain_abx(frames, phones, condition), abs=1e-12)


@pytest.mark.parametrize("condition", ["within", "across"])
def test_separated_phonemes_have_no_errors_and_noise_has_half(condition):
    phones, noise = make_phones(240, contexts=3), make_frames(240, seed=1)
    axes = dict(zip("pbt", np.eye(4), strict=False))
    separated = [
        0.01 * frames + axes[symbol] for frames, symbol in zip(noise, phones.symbols, strict=True)
    ]
    cells = abx_cells(noise, phones, condition)

    assert abx_error(abx_cells(separated, phones, condition)) == 0
    assert abx_error(cells) == pytest.approx(0.5, abs=0.05)
    low, high = abx_interval(cells, seed=0, draws=200)
    assert low < abx_error(cells) < high


def test_equal_frames_are_ties():
    phones = make_phones(30)

    cells = abx_cells([np.ones((3, 2))] * 30, phones, "within")

    assert set(cells.errors) == {0.5}


@pytest.mark.slow
def test_errors_grow_with_noise_and_the_interval_of_the_difference_shows_it():
    phones, noise = make_phones(240, contexts=3), make_frames(240, seed=1)
    axes = dict(zip("pbt", np.eye(4), strict=False))
    cells = [
        abx_cells(
            [level * one + axes[s] for one, s in zip(noise, phones.symbols, strict=True)],
            phones,
            "across",
        )
        for level in (0.2, 0.6, 2.0)
    ]

    errors = [abx_error(one) for one in cells]
    low, high = abx_interval(cells[2], cells[0], seed=0, draws=200)

    assert errors[0] < errors[1] < errors[2]
    assert 0 < low < errors[2] - errors[0] < high


def test_contexts_are_the_neighbors_and_end_at_pauses():
    def phoneme(symbol, start, end):
        return {"symbol": symbol, "start": start, "end": end}

    line = [phoneme("k", 0, 0.1), phoneme("æ", 0.1, 0.3), phoneme("t", 0.5, 0.6)]

    phones = song_phones([line, line[:1]], ["a", "b"])

    assert phones.contexts.tolist() == ["# æ", "k #", "# #", "# #"]
    assert phones.singers.tolist() == ["a", "a", "a", "b"]


def test_a_phone_has_the_frames_whose_middles_it_covers_and_at_least_one():
    frames = np.arange(10)[:, None]
    spans = np.array([[0.0, 0.04], [0.06, 0.061], [0.19, 0.4], [0.5, 0.6]])

    found = phone_frames(frames, spans, 50.0)

    assert [phone[:, 0].tolist() for phone in found] == [[0, 1], [3], [9], [9]]


def test_a_limit_keeps_phones_of_every_cell_and_drops_contexts_of_one_phoneme():
    phones = make_phones(200, contexts=2)
    phones.contexts[phones.symbols == "t"] = "alone"

    kept = limit_phones(phones, 2, seed=0)

    keys = list(zip(kept.symbols, kept.contexts, kept.singers, strict=True))
    assert {keys.count(key) for key in keys} == {2}
    assert len(set(keys)) == 2 * 2 * 3


def test_phones_without_triples_and_cells_of_other_phones_are_refused():
    phones = make_phones(30)
    with pytest.raises(ValueError, match="got frames of 2 phones, expected 30"):
        abx_cells(make_frames(2), phones, "within")
    with pytest.raises(ValueError, match="no context has two phonemes"):
        abx_cells(make_frames(1), phones.take(np.array([0])), "within")
    cells = abx_cells(make_frames(30), phones, "within")
    other = abx_cells(make_frames(30), make_phones(30, seed=3), "within")
    with pytest.raises(ValueError, match="cells of other phones"):
        abx_interval(cells, other, seed=0)
    with pytest.raises(ValueError, match="without phonemes"):
        song_phones([[]], ["a"])

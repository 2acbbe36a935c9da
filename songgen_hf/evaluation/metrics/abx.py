"""ABX discriminability: whether frames tell phonemes apart, within a singer and across singers.

A, B and X are phones between the same two neighbors (a context). A and X are the same phoneme, B is
another. The task is solved if X is nearer to A than to B; a tie counts half. Within a singer all
three are sung by one voice, across singers X is sung by another. Both orders of two phonemes are
measured.

Units: share of triples that are not solved, 0 to 1; 0.5 is chance, lower is better. Triples are
averaged in a cell (context, two phonemes, singer), cells over contexts, then over singers, then
over pairs of phonemes, so that frequent ones do not dominate.
Conventions: the distance of two phones is the mean distance of their frames along the path of
dynamic time warping with the least sum, the shortest of such paths. Frames are compared by the
angle between them (divided by pi), which Libri-light calls cosine, or by the share of codebooks
whose codes differ.
Source: Schatz et al. (Interspeech 2013); X-Codec (arXiv 2408.17175) measures codecs by it.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from .bootstrap import Interval, crossed_bootstrap

FrameDistance = Literal["angular", "hamming"]
Condition = Literal["within", "across"]
BOUNDARY = "#"
MAX_GAP = 0.02
"""Seconds of silence from which two phonemes are no neighbors."""
CHUNK = 2_000_000
"""Frame distances that are in memory at a time."""


@dataclass(frozen=True)
class Phones:
    """Labels of phones, in the order of their frames.

    Args:
        symbols: [N] phonemes.
        contexts: [N], the phonemes before and after.
        singers: [N].
        songs: [N], index of the song.
        spans: [N, 2] start and end in seconds.
    """

    symbols: np.ndarray
    contexts: np.ndarray
    singers: np.ndarray
    songs: np.ndarray
    spans: np.ndarray

    def take(self, chosen: np.ndarray) -> Phones:
        """Return the phones of some indices."""
        fields = (self.symbols, self.contexts, self.singers, self.songs, self.spans)
        return Phones(*(values[chosen] for values in fields))


@dataclass(frozen=True)
class AbxCells:
    """Errors of cells; cells of the same phones have the same order for all frames.

    Args:
        errors: [C] share of triples that are not solved.
        singers: [C] singer of A and B.
        pairs: [C, 2] phonemes of A and B.
        contexts: [C].
    """

    errors: np.ndarray
    singers: np.ndarray
    pairs: np.ndarray
    contexts: np.ndarray


def song_phones(songs: Sequence[Sequence[Mapping[str, Any]]], singers: Sequence[str]) -> Phones:
    """Collect the phones of songs with their contexts.

    Args:
        songs: for each song its phonemes: ``symbol``, ``start`` and ``end`` in seconds, in order.
        singers: the singer of each song.
    Raises:
        ValueError: if the numbers differ, or if there are no phonemes.
    """
    if len(songs) != len(singers):
        raise ValueError(f"got {len(songs)} songs and {len(singers)} singers, expected one each")
    rows = []
    for number, phonemes in enumerate(songs):
        for place, phoneme in enumerate(phonemes):
            before = phonemes[place - 1] if place else None
            after = phonemes[place + 1] if place + 1 < len(phonemes) else None
            context = f"{_neighbor(before, phoneme)} {_neighbor(phoneme, after, last=True)}"
            span = (phoneme["start"], phoneme["end"])
            rows.append((phoneme["symbol"], context, singers[number], number, span))
    if not rows:
        raise ValueError("got songs without phonemes, expected vocals with the times of phonemes")
    symbols, contexts, names, numbers, spans = zip(*rows, strict=True)
    return Phones(
        np.array(symbols),
        np.array(contexts),
        np.array(names),
        np.array(numbers),
        np.array(spans, dtype=np.float64),
    )


def _neighbor(first: Any, second: Any, *, last: bool = False) -> str:
    if first is None or second is None or second["start"] - first["end"] > MAX_GAP:
        return BOUNDARY
    return str((second if last else first)["symbol"])


def limit_phones(phones: Phones, max_phones: int, *, seed: int) -> Phones:
    """Draw at most that many phones of one phoneme, context and singer.

    Phones whose context has only one phoneme are left out, since they make no triple.
    """
    order = np.random.default_rng(seed).permutation(len(phones.symbols))
    counts: dict[Hashable, int] = {}
    found: dict[str, set[str]] = {}
    kept = []
    for index in order.tolist():
        key = (phones.contexts[index], phones.symbols[index], phones.singers[index])
        counts[key] = counts.get(key, 0) + 1
        found.setdefault(key[0], set()).add(key[1])
        if counts[key] <= max_phones:
            kept.append(index)
    chosen = [index for index in sorted(kept) if len(found[phones.contexts[index]]) > 1]
    return phones.take(np.array(chosen, dtype=np.int64))


def phone_frames(frames: np.ndarray, spans: np.ndarray, frame_rate: float) -> list[np.ndarray]:
    """Cut the frames of one song into those of its phones.

    Args:
        frames: [T, D].
        spans: [N, 2] start and end in seconds.
        frame_rate: frames per second.
    Returns:
        For each phone the frames whose middle lies in it, or the nearest one if there is none.
    """
    last = len(frames) - 1
    first = np.clip(np.ceil(spans[:, 0] * frame_rate - 0.5), 0, last).astype(int)
    end = np.ceil(spans[:, 1] * frame_rate - 0.5).astype(int)
    return [frames[a : max(b, a + 1)] for a, b in zip(first, end, strict=True)]


def warped_distances(
    frames: Sequence[np.ndarray], pairs: np.ndarray, *, distance: FrameDistance = "angular"
) -> np.ndarray:
    """Compute the distances of pairs of phones by dynamic time warping.

    Pairs are computed in groups of similar lengths, all pairs of a group at once.

    Args:
        frames: for each phone [n, D], float vectors or, for "hamming", codes.
        pairs: [P, 2] indices of phones.
        distance: of two frames.
    Returns:
        [P] float64, at most 1.
    """
    lengths = np.array([len(phone) for phone in frames])
    sides = np.sort(lengths[pairs], axis=1)  # [P, 2], shorter first
    result = np.empty(len(pairs))
    order = np.lexsort((sides[:, 0], sides[:, 1]))[::-1]
    start = 0
    while start < len(order):
        longest = sides[order[start], 1]
        width = frames[pairs[order[start], 0]].shape[1]
        group = order[start : start + max(1, CHUNK // int(longest * (longest + width)))]
        first, second = (
            _padded([frames[index] for index in pairs[group, side]]) for side in (0, 1)
        )
        costs = _frame_distances(first, second, distance)
        result[group] = _least_mean(costs, lengths[pairs[group]])
        start += len(group)
    return result


def _padded(phones: list[np.ndarray]) -> np.ndarray:
    longest = max(map(len, phones))
    values = np.zeros((len(phones), longest, phones[0].shape[1]), np.float64)
    for row, phone in zip(values, phones, strict=True):
        row[: len(phone)] = phone
    return values


def _frame_distances(first: np.ndarray, second: np.ndarray, distance: str) -> np.ndarray:
    if distance == "hamming":
        shape = (len(first), first.shape[1], second.shape[1])
        differing = np.zeros(shape)
        for level in range(first.shape[2]):
            differing += first[:, :, None, level] != second[:, None, :, level]
        return differing / first.shape[2]
    norms = [np.linalg.norm(side, axis=-1, keepdims=True) for side in (first, second)]
    first, second = (
        side / np.maximum(norm, 1e-12) for side, norm in zip((first, second), norms, strict=True)
    )
    cosines = np.matmul(first, second.transpose(0, 2, 1))
    # Equal frames, whose cosine is rounded, have distance 0.
    return np.arccos(np.where(cosines > 1 - 1e-12, 1.0, np.maximum(cosines, -1.0))) / np.pi


def _least_mean(costs: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The least sum of each [n, m] corner of ``costs`` [P, N, M], divided by its path's length.

    Diagonals are computed one after the other; entry i of a diagonal is row i.
    """
    count, rows, columns = costs.shape
    result = np.empty(count)
    ends = lengths.sum(axis=1) - 2
    infinite = np.full((count, rows + 1), np.inf)
    sums, steps = [infinite, infinite.copy()], [np.zeros_like(infinite)] * 2
    for diagonal in range(rows + columns - 1):
        low, high = max(0, diagonal - columns + 1), min(rows, diagonal + 1)
        row = np.arange(low, high)
        cost = costs[:, row, diagonal - row]
        total, length = infinite.copy(), np.zeros_like(infinite)
        if diagonal == 0:
            total[:, 1], length[:, 1] = cost[:, 0], 1
        else:
            # Column i + 1 holds row i: the cells above, to the left and between them.
            best, path = sums[1][:, row], steps[1][:, row]
            for before, place in ((1, row + 1), (0, row)):
                value, number = sums[before][:, place], steps[before][:, place]
                better = (value < best) | ((value == best) & (number < path))
                best, path = np.where(better, value, best), np.where(better, number, path)
            total[:, row + 1], length[:, row + 1] = best + cost, path + 1
        done = np.flatnonzero(ends == diagonal)
        last = lengths[done, 0]
        result[done] = total[done, last] / length[done, last]
        sums, steps = [sums[1], total], [steps[1], length]
    return result


def validate(frames: Sequence[np.ndarray], phones: Phones) -> None:
    """Raise ValueError unless there are frames for each phone."""
    if len(frames) != len(phones.symbols):
        raise ValueError(f"got frames of {len(frames)} phones, expected {len(phones.symbols)}")


def abx_cells(
    frames: Sequence[np.ndarray],
    phones: Phones,
    condition: Condition,
    *,
    distance: FrameDistance = "angular",
    max_others: int = 5,
    seed: int = 0,
) -> AbxCells:
    """Measure the errors of all cells.

    Args:
        frames: for each phone [n, D], see :func:`phone_frames`.
        phones: their labels.
        condition: "within" a singer or "across" singers.
        distance: of two frames.
        max_others: number of singers of X for one A and B, drawn if there are more.
        seed: seed of that draw.
    Raises:
        ValueError: if the numbers differ, or if the phones make no triple.
    """
    validate(frames, phones)
    random = np.random.default_rng(seed)
    found = []
    for context in np.unique(phones.contexts):
        members: dict[str, dict[str, list[int]]] = {}  # phoneme -> singer -> phones
        for index in np.flatnonzero(phones.contexts == context).tolist():
            singers = members.setdefault(str(phones.symbols[index]), {})
            singers.setdefault(str(phones.singers[index]), []).append(index)
        tasks = [
            (singer, (first, second), members[first][singer], members[second][singer], others)
            for first in sorted(members)
            for second in sorted(members)
            if first != second
            for singer in sorted(members[first].keys() & members[second].keys())
            for others in [_others(members[first], singer, condition, max_others, random)]
            if others
        ]
        if tasks:
            errors = _task_errors(frames, [task[2:] for task in tasks], distance)
            found += [
                (error, singer, pair, context)
                for error, (singer, pair, *_) in zip(errors, tasks, strict=True)
            ]
    if not found:
        raise ValueError(
            f"no context has two phonemes to compare {condition} singers: got "
            f"{len(frames)} phones; measure more songs"
        )
    return AbxCells(*(np.array(column) for column in zip(*found, strict=True)))


def _others(
    singers: Mapping[str, list[int]],
    singer: str,
    condition: str,
    max_others: int,
    random: np.random.Generator,
) -> list[list[int]]:
    """The phones of X, a list for each of its singers."""
    if condition == "within":
        return [singers[singer]] if len(singers[singer]) > 1 else []
    others = [phones for name, phones in sorted(singers.items()) if name != singer]
    if len(others) > max_others:
        others = [others[index] for index in random.permutation(len(others))[:max_others]]
    return others


def _task_errors(frames: Sequence[np.ndarray], tasks: Sequence[Any], distance: Any) -> list[float]:
    needed = {
        (min(x, other), max(x, other))
        for first, second, others in tasks
        for xs in others
        for x in xs
        for other in (*first, *second)
        if x != other
    }
    pairs = np.array(sorted(needed))
    measured = warped_distances(frames, pairs, distance=distance)
    known = {(int(a), int(b)): value for (a, b), value in zip(pairs, measured, strict=True)}
    errors = []
    for first, second, others in tasks:
        by_singer = []
        for xs in others:
            wrong, triples = 0.0, 0
            for x in xs:
                to_first = np.array([known[min(x, a), max(x, a)] for a in first if a != x])
                to_second = np.array([known[min(x, b), max(x, b)] for b in second])
                near, far = to_first[:, None], to_second[None]
                wrong += (near > far).sum() + 0.5 * (near == far).sum()
                triples += near.size * far.size
            by_singer.append(wrong / triples)
        errors.append(float(np.mean(by_singer)))
    return errors


def abx_error(cells: AbxCells) -> float:
    """Average the errors of cells over contexts, singers and pairs of phonemes, in that order."""
    weights = _weights(cells)
    return float(cells.errors @ weights / weights.sum())


def abx_interval(
    cells: AbxCells, baseline: AbxCells | None = None, *, seed: int, draws: int = 1000
) -> Interval:
    """Return the 95 % interval of :func:`abx_error`, or of its difference to a baseline.

    Singers and pairs of phonemes are drawn independently, with both orders of a pair together.

    Args:
        cells: the cells.
        baseline: cells of the same phones in other frames; the difference is cells minus baseline.
        seed: seed of the draws.
        draws: number of draws.
    Raises:
        ValueError: if the baseline has other cells.
    """
    errors, weights = cells.errors, _weights(cells)
    if baseline is not None:
        if not np.array_equal(_names(cells), _names(baseline)):
            raise ValueError("got cells of other phones as the baseline, expected the same phones")
        errors = errors - baseline.errors

    def statistic(drawn: np.ndarray) -> np.ndarray:
        weighted = drawn * weights
        return np.array(errors @ weighted / weighted.sum())

    pairs = ["/".join(sorted(pair)) for pair in cells.pairs.tolist()]
    low, high = crossed_bootstrap(statistic, cells.singers.tolist(), pairs, seed=seed, draws=draws)
    return float(low), float(high)


def _names(cells: AbxCells) -> np.ndarray:
    return np.column_stack([cells.contexts, cells.singers, cells.pairs])


def _weights(cells: AbxCells) -> np.ndarray:
    """One over the number of contexts of a singer's pair and of singers of the pair, [C]."""
    pairs = ["/".join(pair) for pair in cells.pairs.tolist()]
    rows = [f"{pair} {singer}" for pair, singer in zip(pairs, cells.singers, strict=True)]
    _, first, row_of, contexts = np.unique(
        rows, return_index=True, return_inverse=True, return_counts=True
    )
    _, pair_of = np.unique(pairs, return_inverse=True)
    singers = np.bincount(pair_of[first])
    return 1 / (contexts[row_of] * singers[pair_of])


__all__ = [
    "AbxCells",
    "Phones",
    "abx_cells",
    "abx_error",
    "abx_interval",
    "limit_phones",
    "phone_frames",
    "song_phones",
    "validate",
    "warped_distances",
]

"""Scores of a set of songs, with their units, intervals over prompts and the values of seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..metrics.bootstrap import Interval, bootstrap, ratio_interval
from ..metrics.frechet_distance import Moments, frechet_distance
from .folders import MeasuredSong

UNITS = {
    "clap_score": "cosine",
    "tag_divergence": "nats",
    "wer": "edits / words",
    "per": "edits / phonemes",
    "singer_similarity": "cosine",
    "singer_similarity_resemblyzer": "cosine",
    **{f"aesthetics_{axis}": "1 to 10" for axis in ("ce", "cu", "pc", "pq")},
    "loudness": "LUFS",
    "audio_seconds": "s",
    "bandwidth": "Hz",
    "measured_tempo": "bpm",
}
"""Units of the scores; the others are shares, and Frechet distances have that of the features."""


@dataclass(frozen=True)
class Score:
    """A number of the set.

    Args:
        value: the score.
        interval: 95 % bootstrap interval over prompts; None without one.
        n: number of songs that it is of.
        per_seed: the score of the songs of each seed, if there are several.
        draws: the score of each bootstrap draw, of a Frechet distance, for paired differences.
    """

    value: float
    interval: Interval | None
    n: int
    per_seed: dict[int, float] = field(default_factory=dict)
    draws: list[float] = field(default_factory=list)

    def facts(self, name: str) -> dict[str, Any]:
        """The score as a card holds it."""
        low, high = self.interval or (None, None)
        unit = UNITS.get(name, "distance" if name.startswith("fad_") else "share")
        facts: dict[str, Any] = {
            "value": self.value,
            "low": low,
            "high": high,
            "n": self.n,
            "unit": unit,
        }
        if self.per_seed:
            facts["per_seed"] = {str(seed): value for seed, value in self.per_seed.items()}
            facts["seed_spread"] = float(np.std(list(self.per_seed.values()), ddof=1))
        return facts | ({"draws": self.draws} if self.draws else {})


def score_of_rows(
    rows: Sequence[dict[str, Any]],
    values: Sequence[float],
    lengths: Sequence[float] | None = None,
    *,
    seeds: Sequence[int],
    seed: int,
    draws: int,
) -> Score:
    """Return the ratio of sums, or the mean, with an interval over prompts.

    Args:
        rows: one for each song, with its ``prompt`` and ``seed``.
        values: score of each song, or its edits.
        lengths: what the edits are of; None for a mean.
        seeds: seeds of all songs; the score of each is kept if there are several.
        seed, draws: of the bootstrap.
    """
    top = np.asarray(values, dtype=np.float64)
    bottom = np.ones_like(top) if lengths is None else np.asarray(lengths, dtype=np.float64)
    prompts, of_seed = [row["prompt"] for row in rows], np.array([row["seed"] for row in rows])
    interval = ratio_interval(top, bottom, groups=prompts, seed=seed, draws=draws)
    per_seed = {
        one: float(top[of_seed == one].sum() / bottom[of_seed == one].sum())
        for one in seeds
        if len(seeds) > 1 and bottom[of_seed == one].sum()
    }
    return Score(float(top.sum() / bottom.sum()), interval, len(rows), per_seed)


def frechet_score(
    frames: Sequence[np.ndarray],
    songs: Sequence[MeasuredSong],
    reference: Moments,
    *,
    seed: int,
    draws: int,
) -> Score:
    """Return the Frechet distance of all frames of the songs, with an interval over prompts.

    Args:
        frames: [T, D] for each song.
        songs: the songs, for their prompts and seeds.
        reference: moments of the reference songs.
        seed, draws: of the bootstrap; no interval for 0 draws.
    """

    def pooled(name: str, value: Any) -> Moments:
        pairs = zip(moments, songs, strict=True)
        return Moments.pooled(one for one, song in pairs if getattr(song, name) == value)

    def distance(side: Moments) -> float:
        return frechet_distance(side, reference, unbiased=True)

    moments = [Moments.of(one) for one in frames]
    value, found = distance(Moments.pooled(moments)), list[float]()
    by_prompt = [pooled("prompt", prompt) for prompt in sorted({song.prompt for song in songs})]

    def drawn_distance(drawn: np.ndarray) -> float:
        found.append(distance(Moments.pooled(by_prompt[place] for place in drawn)))
        return found[-1]

    interval = None
    if draws:
        interval = pivotal_interval(value, drawn_distance, len(by_prompt), seed=seed, draws=draws)
    per_seed = {}
    seeds = sorted({song.seed for song in songs if song.seed is not None})
    for one in seeds if len(seeds) > 1 else ():
        side = pooled("seed", one)
        if side.count > 1:
            per_seed[one] = distance(side)
    return Score(value, interval, len(frames), per_seed, found)


def pivotal_interval(
    value: float,
    statistic: Callable[[np.ndarray], float],
    count: int,
    *,
    seed: int,
    draws: int,
) -> Interval:
    """Return the basic bootstrap interval of a distance, which is 0 or more.

    Songs that are drawn twice make a distance too large, by about as much as the songs themselves
    are too few. So the percentiles are mirrored at the value: twice the value minus each.

    Args:
        value: the distance of all songs.
        statistic, count, seed, draws: as for :func:`~songgen_hf.evaluation.metrics.bootstrap`.
    """
    low, high = bootstrap(statistic, count, seed=seed, draws=draws)
    return max(0.0, 2 * value - high), max(0.0, 2 * value - low)


__all__ = ["UNITS", "Score", "frechet_score", "pivotal_interval", "score_of_rows"]

"""Results of an experiment: scores and claims with intervals, as JSON and as a page.

An interval draws songs and, where there are several, seeds of training with replacement. A claim of
a paper holds if the whole interval of the paired difference is on its side, does not hold if it is
on the other, and is not decided otherwise.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...files import encode_json, write_files
from ..metrics.bootstrap import crossed_bootstrap
from ..protocol.tables import markdown_table, with_block
from .definition import LOWER_IS_BETTER, Experiment

BOOTSTRAP_SEED = 0
DRAWS = 2000
COLUMNS = {
    "loss": "Loss",
    "sung_loss": "Loss, sung",
    "sung_loss_0": "First code, sung",
    "lyrics_gain": "Gain of the lyrics",
    "attended": "Attended",
    "masked_loss": "Masked loss",
    "mel_distance": "Mel distance",
    "mel_distance_vocal": "Mel distance, vocal",
    "per": "PER",
    "voice_match": "Voice match",
}
"""Scores of the tables and their headings; the JSON has all of them."""
SHARES = ("attended", "per", "voice_match")

Scores = Mapping[int, Mapping[str, Sequence[Sequence[float]]]]
"""Seed of a training -> score -> [numerator, denominator] of each song."""


def pooled(scores: Scores, metric: str) -> tuple[np.ndarray, list[int], list[int]]:
    """The pairs [N, 2] of a score over all seeds, with the song and the seed of each."""
    pairs: list[list[float]] = []
    songs: list[int] = []
    seeds: list[int] = []
    for seed, found in scores.items():
        pairs += [list(pair) for pair in found[metric]]
        songs += range(len(found[metric]))
        seeds += [seed] * len(found[metric])
    return np.array(pairs, dtype=np.float64), songs, seeds


def score_of(scores: Scores, metric: str) -> tuple[float, tuple[float, float]]:
    """A score over all songs and seeds, with its interval."""
    pairs, songs, seeds = pooled(scores, metric)

    def ratio(weights: np.ndarray) -> np.ndarray:
        above, below = weights @ pairs
        return np.array(above / below if below else np.nan)

    ends = crossed_bootstrap(ratio, songs, seeds, seed=BOOTSTRAP_SEED, draws=DRAWS)
    return float(ratio(np.ones(len(pairs)))), (float(ends[0]), float(ends[1]))


def difference_of(one: Scores, other: Scores, metric: str) -> tuple[float, tuple[float, float]]:
    """The first score minus the second over the seeds of both, with its paired interval.

    Raises:
        ValueError: if the scores have no seed in common, or other songs.
    """
    shared = [seed for seed in one if seed in other]
    if not shared:
        raise ValueError(f"no seed in common: got {list(one)} and {list(other)}")
    (ours, songs, seeds), (theirs, *others) = (
        pooled({seed: scores[seed] for seed in shared}, metric) for scores in (one, other)
    )
    if [songs, seeds] != others:
        raise ValueError("the variants were scored on different songs: score them again")

    def difference(weights: np.ndarray) -> np.ndarray:
        (above, below), (above_2, below_2) = weights @ ours, weights @ theirs
        known = below and below_2
        return np.array(above / below - above_2 / below_2 if known else np.nan)

    ends = crossed_bootstrap(difference, songs, seeds, seed=BOOTSTRAP_SEED, draws=DRAWS)
    return float(difference(np.ones(len(songs)))), (float(ends[0]), float(ends[1]))


def verdict(interval: Sequence[float], *, lower_is_better: bool) -> str:
    """What an interval of (better minus worse) says: holds, does not hold, not decided."""
    lower, upper = interval if lower_is_better else (-interval[1], -interval[0])
    return "holds" if upper < 0 else "does not hold" if lower > 0 else "not decided"


def describe(
    experiment: Experiment, scores: Mapping[str, Scores], budget: Mapping[str, Any]
) -> dict[str, Any]:
    """The report of an experiment, of the variants that have scores.

    Args:
        experiment: the experiment.
        scores: variant -> seed -> score -> pairs.
        budget: facts about the trainings that all variants share.
    """
    rows: dict[str, dict[str, Any]] = {}
    for name, found in scores.items():
        metrics = set.intersection(*(set(parts) for parts in found.values()))
        values = {metric: score_of(found, metric) for metric in sorted(metrics)}
        rows[name] = {
            "seeds": list(found),
            "scores": {metric: round(value, 4) for metric, (value, _) in values.items()},
            "intervals": {metric: _rounded(ends) for metric, (_, ends) in values.items()},
        }
    claims = []
    for claim in experiment.claims:
        pair = [rows[name] for name in (claim.better, claim.worse) if name in rows]
        if len(pair) < 2 or any(claim.metric not in row["scores"] for row in pair):
            continue
        value, ends = difference_of(scores[claim.better], scores[claim.worse], claim.metric)
        claims.append(
            {
                "claim": claim.text,
                "metric": claim.metric,
                "paper": claim.paper,
                "difference": round(value, 4),
                "interval": _rounded(ends),
                "verdict": verdict(ends, lower_is_better=LOWER_IS_BETTER[claim.metric]),
            }
        )
    return {
        "name": experiment.name,
        "title": experiment.title,
        "mirrors": experiment.mirrors,
        "remarks": experiment.remarks,
        "budget": dict(budget),
        "variants": rows,
        "claims": claims,
    }


def _rounded(ends: Sequence[float]) -> list[float]:
    return [round(float(end), 4) for end in ends]


def report_markdown(report: Mapping[str, Any]) -> str:
    """The tables of a report, with its budget."""
    rows, claims = report["variants"], report["claims"]
    columns = [name for name in COLUMNS if any(name in row["scores"] for row in rows.values())]
    cells = [
        [f"`{name}`", len(row["seeds"]), *(_score_cell(row, metric) for metric in columns)]
        for name, row in rows.items()
    ]
    lines = [f"## {report['title']}", "", f"Mirrors {report['mirrors']}."]
    if report["remarks"]:
        lines += ["", report["remarks"].strip()]
    budget = ", ".join(f"{name} {value}" for name, value in report["budget"].items())
    lines += ["", f"Every training: {budget}.", ""]
    heads = ["Variant", "Seeds", *(COLUMNS[metric] for metric in columns)]
    lines.append(markdown_table(heads, [[str(cell) for cell in row] for row in cells]))
    if claims:
        table = [
            [
                claim["claim"],
                claim["paper"],
                COLUMNS[claim["metric"]].lower(),
                _difference_cell(claim),
                claim["verdict"],
            ]
            for claim in claims
        ]
        heads = ["Claim", "Paper", "Measured here", "Difference", "Direction"]
        lines += ["", markdown_table(heads, table)]
    return "\n".join(lines)


def _score_cell(row: Mapping[str, Any], metric: str) -> str:
    if metric not in row["scores"]:
        return ""
    return _interval(row["scores"][metric], row["intervals"][metric], metric)


def _difference_cell(claim: Mapping[str, Any]) -> str:
    return _interval(claim["difference"], claim["interval"], claim["metric"])


def _interval(value: float, ends: Sequence[float], metric: str) -> str:
    if metric in SHARES:
        return f"{100 * value:.1f} % ({100 * ends[0]:.1f} to {100 * ends[1]:.1f})"
    return f"{value:.3f} ({ends[0]:.3f} to {ends[1]:.3f})"


def with_section(page: str, name: str, text: str) -> str:
    """A page with the section of an experiment, which is replaced or comes last."""
    start, end = f"<!-- experiment {name} -->", f"<!-- end of experiment {name} -->"
    if (changed := with_block(page, start, end, text)) is not None:
        return changed
    return f"{page.rstrip()}\n\n{start}\n{text.strip()}\n{end}\n"


def write_results(report: Mapping[str, Any], out: Path, pages: Sequence[Path] = ()) -> list[Path]:
    """Write the report as JSON, and its section into pages.

    Returns:
        The files written.
    Raises:
        OSError: if a page cannot be read or a file not written.
    """
    contents = {out: encode_json(dict(report))}
    for page in pages:
        text = page.read_text(encoding="utf-8")
        changed = with_section(text, report["name"], report_markdown(report))
        contents[page] = changed.encode()
    write_files(contents)
    return list(contents)


__all__ = [
    "describe",
    "difference_of",
    "report_markdown",
    "score_of",
    "verdict",
    "with_section",
    "write_results",
]

"""Reads the votes of a listening test and analyzes them: preference, correct answers or opinions.

Units: shares from 0 to 1, opinions from 1 to 5, strengths in natural logarithms of odds. Intervals
of 95 % come from a bootstrap over listeners and items; those of correct answers are exact.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from ..metrics.bootstrap import crossed_bootstrap
from ..metrics.preference import correct_share, fit_bradley_terry
from .page import TIE, choices


@dataclass(frozen=True)
class Vote:
    """One answer of a listener.

    Args:
        listener: name or code of the listener.
        item: name of the item.
        systems: systems of the songs, in the order of the page.
        choice: "a", "b" or "tie"; an opinion from 1 to 5.
        x: "a" or "b" for abx.
    """

    listener: str
    item: str
    systems: tuple[str, ...]
    choice: str | int
    x: str | None = None


def analyze_votes(
    files: Sequence[str | Path], key: str | Path, *, seed: int = 0, draws: int = 1000
) -> dict[str, Any]:
    """Analyze the votes of all listeners of a page.

    Args:
        files: files that listeners downloaded.
        key: the key of the page.
        seed: seed of the bootstrap.
        draws: number of draws of the bootstrap.
    Returns:
        ``page``, ``design``, ``listeners``, ``votes``, ``missing`` (questions that listeners did
        not answer), and

        - for ab ``pairs`` with ``first``, ``second``, ``votes``, ``first_wins``, ``second_wins``,
          ``ties``, and ``preference`` (wins of the first one and half of the ties, as a share) with
          its ``interval``; ``strengths``, see
          :func:`~songgen_hf.evaluation.metrics.preference.fit_bradley_terry`, with intervals,
          ``tie_parameter`` and ``finite``;
        - for abx ``pairs`` with ``votes``, ``correct``, ``share``, ``interval`` and ``p_value``,
          and ``of_listeners``, the same for each listener;
        - for mos ``systems`` with ``votes``, ``opinion`` (the mean) and ``interval``, and
          ``pairs`` with the ``difference`` of two systems and its ``interval``.
    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if a file holds no votes, or those of another page, or a listener voted twice.
    """
    test = read_key(key)
    votes, listeners = read_votes(files, test)
    analyze = {"ab": _preferences, "abx": _correct_answers, "mos": _opinions}[test["design"]]
    return {
        "page": test["page"],
        "design": test["design"],
        "listeners": listeners,
        "votes": len(votes),
        "missing": listeners * len(test["trials"]) - len(votes),
        **analyze(votes, test["systems"], seed=seed, draws=draws),
    }


def read_key(path: str | Path) -> dict[str, Any]:
    """Read the key of a page; ValueError for any other file."""
    key = _read_json(path)
    if not {"page", "design", "systems", "trials", "ties"} <= key.keys():
        raise ValueError(
            f"{path} is no key of a listening test: give the key.json that songgen-hf evaluate "
            "listen wrote"
        )
    return key


def read_votes(files: Sequence[str | Path], key: Mapping[str, Any]) -> tuple[list[Vote], int]:
    """Read the votes of files and say which songs they are about.

    Returns:
        The votes of all listeners, and the number of listeners.
    Raises:
        FileNotFoundError, ValueError: as for :func:`analyze_votes`.
    """
    allowed = [choice["value"] for choice in choices(key["design"], key["ties"])]
    votes: list[Vote] = []
    sources: dict[str, Any] = {}
    for path in files:
        ballot = _read_json(path)
        answers = ballot.get("votes")
        if not isinstance(answers, dict) or not {"page", "listener"} <= ballot.keys():
            raise ValueError(f"{path} holds no votes: give files that listeners downloaded")
        if ballot["page"] != key["page"]:
            raise ValueError(
                f"{path} has votes of page {ballot['page']}, the key is that of page "
                f"{key['page']}: give the key of that page"
            )
        listener = str(ballot["listener"])
        if listener in sources:
            raise ValueError(
                f"{sources[listener]} and {path} are both of listener {listener!r}: give one of "
                "them, or another name"
            )
        sources[listener] = path
        for trial_id, choice in answers.items():
            trial = key["trials"].get(trial_id)
            if trial is None or type(choice) is bool or choice not in allowed:
                raise ValueError(
                    f"{path} answers {choice!r} to question {trial_id!r}, expected one of "
                    f"{', '.join(map(str, allowed))} to a question of the page"
                )
            systems = tuple(trial["systems"])
            votes.append(Vote(listener, trial["item"], systems, choice, trial.get("x")))
    if not votes:
        raise ValueError(f"{len(sources)} files hold no answers: give files with some")
    return votes, len(sources)


def _read_json(path: str | Path) -> dict[str, Any]:
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path} does not exist: check the path")
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON file ({error})") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path} holds no JSON object: give a file that listeners downloaded")
    return value


def _intervals(
    votes: Sequence[Vote], statistic: Callable[[np.ndarray], np.ndarray], **options: int
) -> list[list[float]]:
    """An interval for each of the statistics."""
    groups: list[Sequence[Hashable]] = [[v.listener for v in votes], [v.item for v in votes]]
    return crossed_bootstrap(statistic, *groups, **options).T.tolist()


def _preferences(votes: Sequence[Vote], systems: Sequence[str], **options: int) -> dict[str, Any]:
    places = {name: place for place, name in enumerate(systems)}
    size = len(systems)
    sides = np.array([[places[name] for name in vote.systems] for vote in votes])
    tied = np.array([vote.choice == TIE for vote in votes])
    winner = np.where([vote.choice == "b" for vote in votes], sides[:, 1], sides[:, 0])
    loser = sides.sum(axis=1) - winner
    pairs = list(combinations(range(size), 2))
    first, second = np.array(pairs).T

    def tables(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Wins and ties [K, K] of weighted votes."""
        cells = winner * size + loser
        wins, ties = (
            np.bincount(cells, weights * of, size * size).reshape(size, size)
            for of in (~tied, tied)
        )
        return wins, ties + ties.T

    def shares(weights: np.ndarray) -> np.ndarray:
        """The preference of each pair; NaN for a pair without votes."""
        wins, ties = tables(weights)
        points = (wins + ties / 2)[first, second]
        total = (wins + wins.T + ties)[first, second]
        return np.divide(points, total, out=np.full(len(pairs), np.nan), where=total > 0)

    def statistics(weights: np.ndarray) -> np.ndarray:
        return np.concatenate([shares(weights), fit_bradley_terry(*tables(weights)).strengths])

    everyone = np.ones(len(votes))
    wins, ties = tables(everyone)
    intervals = _intervals(votes, statistics, **options)
    fitted = fit_bradley_terry(wins, ties)
    return {
        "pairs": [
            {
                "first": systems[one],
                "second": systems[other],
                "votes": int(wins[one, other] + wins[other, one] + ties[one, other]),
                "first_wins": int(wins[one, other]),
                "second_wins": int(wins[other, one]),
                "ties": int(ties[one, other]),
                "preference": float(share),
                "interval": interval,
            }
            for (one, other), share, interval in zip(
                pairs, shares(everyone), intervals[: len(pairs)], strict=True
            )
        ],
        "strengths": [
            {"system": name, "strength": float(strength), "interval": interval}
            for name, strength, interval in zip(
                systems, fitted.strengths, intervals[len(pairs) :], strict=True
            )
        ],
        "tie_parameter": fitted.tie_parameter,
        "finite": fitted.finite,
    }


def _correct_answers(
    votes: Sequence[Vote], systems: Sequence[str], **options: int
) -> dict[str, Any]:
    def tested(chosen: Sequence[Vote]) -> dict[str, Any]:
        correct = sum(vote.choice == vote.x for vote in chosen)
        share, interval, p_value = correct_share(correct, len(chosen))
        return {
            "votes": len(chosen),
            "correct": correct,
            "share": share,
            "interval": list(interval),
            "p_value": p_value,
        }

    pairs = []
    for first, second in combinations(systems, 2):
        if chosen := [vote for vote in votes if set(vote.systems) == {first, second}]:
            pairs.append({"first": first, "second": second, **tested(chosen)})
    listeners = sorted({vote.listener for vote in votes})
    return {
        "pairs": pairs,
        "of_listeners": {
            name: tested([vote for vote in votes if vote.listener == name]) for name in listeners
        },
    }


def _opinions(votes: Sequence[Vote], systems: Sequence[str], **options: int) -> dict[str, Any]:
    of_system = np.array([[vote.systems[0] == name for vote in votes] for name in systems])
    opinions = np.array([float(vote.choice) for vote in votes])
    pairs = list(combinations(range(len(systems)), 2))

    def statistics(weights: np.ndarray) -> np.ndarray:
        """The mean opinion of each system, and the differences of each two."""
        total = of_system @ weights
        means = np.divide(
            of_system @ (weights * opinions), total, out=np.full(len(total), np.nan),
            where=total > 0,
        )  # fmt: skip
        return np.array([*means, *(means[one] - means[other] for one, other in pairs)])

    found = statistics(np.ones(len(votes)))
    intervals = _intervals(votes, statistics, **options)
    return {
        "systems": [
            {
                "system": name,
                "votes": int(of_system[place].sum()),
                "opinion": float(found[place]),
                "interval": intervals[place],
            }
            for place, name in enumerate(systems)
        ],
        "pairs": [
            {
                "first": systems[one],
                "second": systems[other],
                "difference": float(found[len(systems) + place]),
                "interval": intervals[len(systems) + place],
            }
            for place, (one, other) in enumerate(pairs)
        ],
    }


__all__ = ["Vote", "analyze_votes", "read_key", "read_votes"]

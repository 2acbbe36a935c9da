"""Strengths of systems from paired comparisons: the Bradley-Terry model with Davidson's ties.

With the worth p = exp(strength) of each system and the tie parameter v, the outcomes "i is
preferred", "j is preferred" and "tie" of a comparison have probabilities proportional to p_i, p_j
and v * sqrt(p_i * p_j).

Units: strengths are natural logarithms of the worths, with mean 0, so equal systems have 0; shares
and p-values are 0 to 1.
Source: Bradley and Terry, Biometrika 39 (1952); Davidson, Journal of the American Statistical
Association 65 (1970), for ties; Ford, American Mathematical Monthly 64 (1957), for the condition
under which a maximum-likelihood estimate exists.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...optional import require

PENALTY = 1e-3  # on half the squared parameters: shifts strengths of 100 votes by about 1e-4
_ITERATIONS = 100
_TOLERANCE = 1e-10


@dataclass(frozen=True)
class BradleyTerry:
    """Estimated strengths.

    Args:
        strengths: [K] natural logarithms of the worths, with mean 0.
        tie_parameter: Davidson's parameter; 0 without ties.
        finite: whether the maximum-likelihood estimate exists. It does not if a system, or a group
            of systems, won every comparison with the others or lost every one; the penalty then
            bounds the strengths.
    """

    strengths: np.ndarray
    tie_parameter: float
    finite: bool

    def win_probability(self, first: int, second: int) -> float:
        """The probability that a system is preferred to another one in comparisons without tie."""
        return float(1 / (1 + np.exp(self.strengths[second] - self.strengths[first])))


def validate(wins: np.ndarray, ties: np.ndarray) -> None:
    """Raise ValueError unless both are tables [K, K] of comparisons, and ties symmetric."""
    if wins.ndim != 2 or wins.shape[0] != wins.shape[1] or wins.shape != ties.shape:
        raise ValueError(
            f"got wins {list(wins.shape)} and ties {list(ties.shape)}, expected two square tables "
            "of one size"
        )
    if (wins < 0).any() or (ties < 0).any() or not np.array_equal(ties, ties.T):
        raise ValueError("numbers of comparisons must not be negative, and ties symmetric")


def fit_bradley_terry(wins: np.ndarray, ties: np.ndarray) -> BradleyTerry:
    """Estimate strengths by maximum likelihood, with Newton's method.

    Args:
        wins: [K, K] number of comparisons in which the row's system was preferred to the column's;
            weights need not be whole numbers.
        ties: [K, K] symmetric number of ties of each two systems.
    Returns:
        The strengths. Only systems that are linked by comparisons can be compared.
    Raises:
        ValueError: if the shapes differ, a number is negative, ``ties`` is not symmetric, or there
            are no comparisons.
    """
    wins, ties = np.asarray(wins, dtype=np.float64), np.asarray(ties, dtype=np.float64)
    validate(wins, ties)
    first, second = np.triu_indices(len(wins), 1)
    counts = np.stack([wins[first, second], wins[second, first], ties[first, second]], axis=1)
    if not counts.any():
        raise ValueError("got no comparisons, expected at least one")
    features = _features(len(wins), first, second)
    if not counts[:, 2].any():
        counts, features = counts[:, :2], features[:, :2, :-1]
    parameters = _maximize(counts, features)
    return BradleyTerry(
        parameters[: len(wins)],
        float(np.exp(parameters[-1])) if counts.shape[1] == 3 else 0.0,
        _is_finite(wins + ties),
    )


def _features(systems: int, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """[pairs, 3, systems + 1]: the log-linear form of the model; the last is the tie parameter."""
    features = np.zeros((len(first), 3, systems + 1))
    pairs = np.arange(len(first))
    features[pairs, 0, first] = features[pairs, 1, second] = 1.0
    features[pairs, 2, first] = features[pairs, 2, second] = 0.5
    features[:, 2, -1] = 1.0
    return features


def _maximize(counts: np.ndarray, features: np.ndarray) -> np.ndarray:
    """The parameters with the highest penalized likelihood, which is concave."""
    totals = counts.sum(axis=1)
    identity = np.eye(features.shape[2])
    parameters = np.zeros(features.shape[2])
    value = _log_likelihood(parameters, counts, features)
    for _ in range(_ITERATIONS):
        chances = np.exp(_log_chances(parameters, features))
        gradient = np.einsum("po,pom->m", counts - totals[:, None] * chances, features)
        gradient -= PENALTY * parameters
        means = np.einsum("po,pom->pm", chances, features)
        centered = features - means[:, None]
        weights = totals[:, None] * chances
        hessian = np.einsum("po,pom,pon->mn", weights, centered, centered) + PENALTY * identity
        step = np.linalg.solve(hessian, gradient)
        while (new := _log_likelihood(parameters + step, counts, features)) < value - 1e-9:
            step = step / 2
        parameters, value = parameters + step, new
        if np.abs(step).max() < _TOLERANCE:
            break
    return parameters


def _log_chances(parameters: np.ndarray, features: np.ndarray) -> np.ndarray:
    scores = features @ parameters  # [pairs, outcomes]
    return scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)


def _log_likelihood(parameters: np.ndarray, counts: np.ndarray, features: np.ndarray) -> float:
    likelihood = (counts * _log_chances(parameters, features)).sum()
    return float(likelihood - PENALTY / 2 * (parameters**2).sum())


def _is_finite(beaten: np.ndarray) -> bool:
    """Whether each system leads to each other one by wins or ties."""
    reached = (beaten > 0) | np.eye(len(beaten), dtype=bool)
    for _ in range(len(beaten).bit_length()):
        reached = (reached.astype(int) @ reached.astype(int)) > 0
    return bool(reached.all())


def correct_share(correct: int, count: int) -> tuple[float, tuple[float, float], float]:
    """Test whether answers with two choices are better than guesses, by the exact binomial test.

    Args:
        correct: number of correct answers.
        count: number of answers, which are taken as independent.
    Returns:
        The share of correct answers, its exact 95 % interval (Clopper and Pearson, Biometrika 26,
        1934), and the one-sided p-value: the probability of as many correct guesses or more.
    Raises:
        ValueError: unless ``0 <= correct <= count`` and there is an answer.
    """
    if count < 1 or not 0 <= correct <= count:
        raise ValueError(f"got {correct} correct answers of {count}, expected 0 to {count} of some")
    test = require("scipy.stats", "evaluate").binomtest
    interval = test(correct, count).proportion_ci(confidence_level=0.95, method="exact")
    p_value = float(test(correct, count, alternative="greater").pvalue)
    return correct / count, (float(interval.low), float(interval.high)), p_value


__all__ = ["BradleyTerry", "correct_share", "fit_bradley_terry", "validate"]

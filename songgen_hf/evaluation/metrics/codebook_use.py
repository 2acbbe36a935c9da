"""Codebook use: how many codes of each codebook occur, and how evenly.

Units: ``used`` is the share of codes that occur; ``entropy`` is that of the codes in bits, at most
log2 of the number of codes; ``perplexity`` is 2 to the entropy, the number of equally frequent
codes with that entropy. Both estimates are too low for few frames.
Source: Shannon (1948); the perplexity of codes as van den Oord et al. (2017) report it for VQ-VAE.
"""

from __future__ import annotations

import numpy as np


def validate(codes: np.ndarray, codebook_size: int) -> None:
    """Raise ValueError unless the codes are [K, T], each of them in [0, codebook_size)."""
    if codes.ndim != 2 or (codes.size and not 0 <= codes.min() <= codes.max() < codebook_size):
        span = f"from {codes.min()} to {codes.max()}" if codes.size else "without frames"
        raise ValueError(
            f"got codes {span} of shape {list(codes.shape)}, expected 0 to {codebook_size - 1} of "
            "shape [codebooks, frames]"
        )


def code_counts(codes: np.ndarray, codebook_size: int) -> np.ndarray:
    """Count the codes of each codebook.

    Args:
        codes: [K, T] integers.
        codebook_size: V.
    Returns:
        [K, V] int64.
    Raises:
        ValueError: for another shape, or codes outside of [0, V).
    """
    validate(codes, codebook_size)
    return np.stack([np.bincount(row, minlength=codebook_size) for row in codes])


def codebook_use(counts: np.ndarray) -> dict[str, np.ndarray]:
    """Describe how each codebook is used.

    Args:
        counts: [K, V] frames with each code.
    Returns:
        ``used``, ``entropy`` and ``perplexity``, [K] each; zeros, zeros and ones without frames.
    """
    totals = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    shares = counts / totals
    logs = np.log2(shares, out=np.zeros_like(shares), where=shares > 0)
    entropy = -(shares * logs).sum(axis=1) + 0.0
    return {"used": (counts > 0).mean(axis=1), "entropy": entropy, "perplexity": 2**entropy}


__all__ = ["code_counts", "codebook_use", "validate"]

"""Frechet distance: how far the features of some songs are from those of reference songs.

Measures the distance of two Gaussians, which are fitted to the frames of all songs of each side:

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1^(1/2) C2 C1^(1/2))^(1/2))

Units: those of the features, so only distances of the same features compare; 0 for equal sides,
without an upper end. The distance compares single frames; it does not see in which order they
follow. With VGGish, CLAP or MERT it is the Frechet audio distance (FAD); with features of the
codec's semantic model it is shown as "Fréchet distance of codec features".
Source: Kilgour et al. (2019).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Moments:
    """Sums over the frames of songs, from which mean and covariance follow.

    Args:
        count: number of frames.
        total: [D] float64, sum of the features.
        products: [D, D] float64, sum of their outer products.
    """

    count: int
    total: np.ndarray
    products: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray) -> Moments:
        """Return the moments of one song's features [T, D].

        Raises:
            ValueError: for another shape, or for NaN or infinity.
        """
        features = np.asarray(features, dtype=np.float64)
        if features.ndim != 2 or not np.isfinite(features).all():
            raise ValueError(
                f"got features of shape {list(features.shape)}, expected finite numbers of shape "
                "[frames, features]; check the waveform"
            )
        return cls(len(features), features.sum(axis=0), features.T @ features)

    @classmethod
    def pooled(cls, songs: Iterable[Moments]) -> Moments:
        """Return the moments of all frames of several songs.

        Raises:
            ValueError: if there is no song.
        """
        songs = list(songs)
        if not songs:
            raise ValueError("got no songs, expected at least one")
        return cls(
            sum(song.count for song in songs),
            np.sum([song.total for song in songs], axis=0),
            np.sum([song.products for song in songs], axis=0),
        )

    @property
    def mean(self) -> np.ndarray:
        """Mean of the features, [D]."""
        return self.total / self.count

    @property
    def covariance(self) -> np.ndarray:
        """Covariance of the features, [D, D], divided by the number of frames."""
        return self.products / self.count - np.outer(self.mean, self.mean)


def validate(first: Moments, second: Moments) -> None:
    """Raise ValueError unless both sides have at least two frames of equally many features."""
    for side in (first, second):
        if side.count < 2 or side.total.shape != first.total.shape:
            raise ValueError(
                f"got {side.count} frames of {len(side.total)} features, expected at least two "
                f"frames of {len(first.total)} features on both sides"
            )


def frechet_distance(first: Moments, second: Moments, *, unbiased: bool = False) -> float:
    """Return the distance of two Gaussians, 0 or more.

    Args:
        first, second: moments of the two sides.
        unbiased: divide covariances by the number of frames minus one, as published tools do
            (``numpy.cov``); otherwise by the number of frames.
    Raises:
        ValueError: if a side has fewer than two frames or they differ in their number of features.
    """
    validate(first, second)
    offset = first.mean - second.mean
    ours, theirs = (
        side.covariance * (side.count / (side.count - 1) if unbiased else 1.0)
        for side in (first, second)
    )
    # The trace of the product's root is that of a symmetric matrix, whose eigenvalues are real.
    root = _symmetric_root(ours)
    values = np.linalg.eigvalsh(root @ theirs @ root)
    cross = np.sqrt(np.clip(values, 0.0, None)).sum()
    spread = np.trace(ours) + np.trace(theirs) - 2 * cross
    return float(max(0.0, offset @ offset + spread))


def semantic_moments(codec: Any, waveforms: Sequence[np.ndarray]) -> list[Moments]:
    """Return the moments of each song's semantic features.

    Args:
        codec: an :class:`~songgen_hf.modeling.modeling_xcodec.XCodecModel`.
        waveforms: float32 [S] at the codec's rate. Each is encoded by itself, because the semantic
            model attends to a song as a whole; one shorter than two frames is padded to two.
    """
    import torch
    import torch.nn.functional as F

    moments = []
    for waveform in waveforms:
        values = torch.from_numpy(np.ascontiguousarray(waveform, dtype=np.float32))[None, None]
        # Two frames, so that even an empty song has a covariance.
        values = F.pad(values, (0, max(0, 2 * codec.config.hop_length - values.shape[-1])))
        features = codec._extract_semantic_features(values.to(codec.device, codec.dtype))
        moments.append(Moments.of(features[0].float().cpu().numpy()))
    return moments


def frechet_audio_distance(
    codec: Any, waveforms: Sequence[np.ndarray], references: Sequence[np.ndarray]
) -> dict[str, float]:
    """Return ``fad``, the distance of songs to reference songs, float32 [S] at the codec's rate."""
    sides = (Moments.pooled(semantic_moments(codec, songs)) for songs in (waveforms, references))
    return {"fad": frechet_distance(*sides)}


def _symmetric_root(matrix: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T


__all__ = ["Moments", "frechet_audio_distance", "frechet_distance", "semantic_moments", "validate"]

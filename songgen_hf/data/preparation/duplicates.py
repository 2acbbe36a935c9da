"""Audio fingerprints, and groups of clips that hold the same sound.

The fingerprint is that of Haitsma and Kalker (ISMIR 2002): one hash of 32 bits for each frame,
whose bits are the signs of energy differences between neighboring bands and frames. It survives
other bit rates, sampling rates above 4 kHz, gains and shifts in time. Groups are found with an
index of the hashes, so that only clips that share hashes at one shift are compared bit by bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
from transformers.audio_utils import spectrogram, window_function

from ...optional import require

SAMPLING_RATE = 16000  # Hz
HOP_LENGTH = 640  # samples; 25 hashes a second
_FRAME_LENGTH, _FFT_LENGTH = 5920, 8192  # samples; 0.37 s, as in the paper
_NUM_BANDS, _MIN_FREQUENCY, _MAX_FREQUENCY = 33, 300.0, 2000.0  # Hz; spaced logarithmically
_SILENCE = 1e-7  # mean power of a frame in the bands, below which it has no hash

MAX_BIT_ERRORS = 0.3
"""Largest share of bits in which two fingerprints of the same sound differ. On rendered songs,
copies of 32 kbit/s differ in at most 0.20 of the bits, and different songs in at least 0.40."""
MIN_OVERLAP = 0.5
"""Share of the shorter clip that must be in the common part of two clips."""
_MIN_FRAMES = 50  # hashes in the common part; 2 s
_MIN_VOTES = 2  # keys that two clips share at one shift before they are compared
_NEIGHBORS = 16  # following hashes with the same key that a hash is paired with
_KEYS = ((0, 0xFFFFFF), (8, 0xFFFFFF))  # shift and mask: two overlapping keys of 24 bits per hash


def columns() -> Any:
    """The columns that :func:`group_duplicates` adds, as a list of pyarrow fields."""
    arrow = require("pyarrow", "prepare")
    return [arrow.field("duplicate_group", arrow.string())]


@cache
def _bands() -> np.ndarray:
    """Which bins of the transform belong to each band, float64 [bins, bands]."""
    edges = np.geomspace(_MIN_FREQUENCY, _MAX_FREQUENCY, _NUM_BANDS + 1)
    frequencies = np.fft.rfftfreq(_FFT_LENGTH, 1 / SAMPLING_RATE)[:, None]
    return ((frequencies >= edges[:-1]) & (frequencies < edges[1:])).astype(np.float64)


def fingerprint(waveform: np.ndarray) -> bytes:
    """Compute the fingerprint of a waveform.

    Args:
        waveform: float [S] at ``SAMPLING_RATE``.
    Returns:
        The hashes, little-endian uint32, one for every ``HOP_LENGTH`` samples; 0 where the sound is
        silent. Empty for less than two frames.
    """
    if len(waveform) < _FRAME_LENGTH + HOP_LENGTH:
        return b""
    energies = spectrogram(
        np.asarray(waveform, dtype=np.float64),
        window_function(_FRAME_LENGTH, "hann", periodic=False),
        _FRAME_LENGTH,
        HOP_LENGTH,
        fft_length=_FFT_LENGTH,
        power=2.0,
        center=False,
        mel_filters=_bands(),
        mel_floor=0.0,
    ).T  # [T, bands]
    slopes = np.diff(energies, axis=1)
    bits = np.diff(slopes, axis=0) < 0  # [T - 1, 32]
    hashes = (bits * (1 << np.arange(32, dtype=np.uint64))).sum(axis=1).astype("<u4")
    power = energies[1:].sum(axis=1) / _FFT_LENGTH**2
    return np.where(power < _SILENCE, 0, hashes).astype("<u4").tobytes()


def group_duplicates(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Find the clips that hold the same sound.

    The cost grows as that of sorting all hashes, and the groups do not depend on the order of the
    rows. Clips without a fingerprint are in no group.

    Args:
        rows: clips with ``id`` and ``fingerprint``.
    Returns:
        The rows with ``duplicate_group``: the smallest id of the group, or None for clips that are
        unlike all others.
    """
    order = sorted(range(len(rows)), key=lambda index: rows[index]["id"])
    hashes = [np.frombuffer(rows[index].get("fingerprint") or b"", dtype="<u4") for index in order]
    leaders = list(range(len(order)))

    def leader(clip: int) -> int:
        while leaders[clip] != clip:
            leaders[clip] = leaders[leaders[clip]]
            clip = leaders[clip]
        return clip

    for first, second, shift in _candidates(hashes):
        one, other = leader(first), leader(second)
        if one != other and any(
            _same_sound(hashes[first], hashes[second], shift + change) for change in (0, -1, 1)
        ):
            leaders[max(one, other)] = min(one, other)
    found = [leader(clip) for clip in range(len(order))]
    sizes = np.bincount(found, minlength=len(order))
    groups = {
        index: rows[order[found[clip]]]["id"] if sizes[found[clip]] > 1 else None
        for clip, index in enumerate(order)
    }
    return [{**row, "duplicate_group": groups[index]} for index, row in enumerate(rows)]


def _candidates(hashes: Sequence[np.ndarray]) -> list[tuple[int, int, int]]:
    """Pairs of clips that share keys at one shift: first clip < second clip, and the shift."""
    lengths = [len(one) for one in hashes]
    if not sum(lengths):
        return []
    clips = np.repeat(np.arange(len(hashes), dtype=np.int32), lengths)
    places = np.concatenate([np.arange(length, dtype=np.int32) for length in lengths])
    values = np.concatenate(hashes)
    sounding = values != 0
    clips, places, values = clips[sounding], places[sounding], values[sounding]
    longest, count = max(lengths), len(hashes)
    votes = [np.zeros(0, dtype=np.int64)]
    for offset, mask in _KEYS:
        keys = (values >> offset) & mask
        order = np.argsort(keys, kind="stable")  # within a key by clip
        key, clip, place = keys[order], clips[order], places[order]
        for step in range(1, min(_NEIGHBORS, len(key) - 1) + 1):
            same = (key[step:] == key[:-step]) & (clip[step:] != clip[:-step])
            first, second = clip[:-step][same].astype(np.int64), clip[step:][same]
            shift = place[step:][same] - place[:-step][same]
            votes.append((first * count + second) * (2 * longest) + shift + longest)
    found, counts = np.unique(np.concatenate(votes), return_counts=True)
    kept = counts >= _MIN_VOTES
    strongest_first = found[kept][np.argsort(-counts[kept], kind="stable")]
    pairs, shifts = np.divmod(strongest_first, 2 * longest)
    firsts, seconds = np.divmod(pairs, count)
    return list(zip(firsts.tolist(), seconds.tolist(), (shifts - longest).tolist(), strict=True))


def _same_sound(first: np.ndarray, second: np.ndarray, shift: int) -> bool:
    """Whether hash i of the first clip and hash i + ``shift`` of the second are of one sound."""
    one, other = first[max(0, -shift) :], second[max(0, shift) :]
    length = min(len(one), len(other))
    if length < max(_MIN_FRAMES, MIN_OVERLAP * min(len(first), len(second))):
        return False
    one, other = one[:length], other[:length]
    sounding = (one != 0) & (other != 0)
    if sounding.sum() < _MIN_FRAMES:
        return False
    errors = np.bitwise_count(one[sounding] ^ other[sounding]).mean() / 32
    return bool(errors <= MAX_BIT_ERRORS)


__all__ = [
    "HOP_LENGTH",
    "MAX_BIT_ERRORS",
    "MIN_OVERLAP",
    "SAMPLING_RATE",
    "columns",
    "fingerprint",
    "group_duplicates",
]

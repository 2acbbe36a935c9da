"""Phoneme probe: how well a linear classifier predicts the phoneme of a frame from its codes.

The input of the classifier is one frame: its codes of the first n codebooks, each one-hot. It is
fitted to some songs and tested on others; frames without a phoneme are left out. X-Codec expects
codes that a semantic model has shaped to say more about the phonemes than acoustic codes do, which
can be seen from two codecs at the same n.

Units: share of frames whose most likely phoneme is right, 0 to 1.
Source: a softmax over phonemes, fitted with Adam; phonemes timed by the corpus.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class ProbeFrames:
    """Frames with a phoneme, of one or more songs.

    Args:
        codes: [N, K] int64.
        phonemes: [N] symbols.
        songs: [N], index of the song of each frame.
    """

    codes: np.ndarray
    phonemes: np.ndarray
    songs: np.ndarray


def frame_phonemes(
    phonemes: Sequence[Mapping[str, Any]], num_frames: int, frame_rate: float
) -> np.ndarray:
    """Find the phoneme in the middle of each frame.

    Args:
        phonemes: ``symbol``, ``start`` and ``end`` in seconds, in order.
        num_frames: T.
        frame_rate: frames per second.
    Returns:
        [T] symbols, empty strings between words.
    """
    labels = np.full(num_frames, "", dtype=object)
    middles = (np.arange(num_frames) + 0.5) / frame_rate
    for phoneme in phonemes:
        labels[(middles >= phoneme["start"]) & (middles < phoneme["end"])] = phoneme["symbol"]
    return labels


def validate(
    waveforms: Sequence[np.ndarray], phonemes: Sequence[Sequence[Mapping[str, Any]]]
) -> None:
    """Raise ValueError unless there is one list of timed phonemes for each waveform."""
    if len(waveforms) != len(phonemes):
        raise ValueError(f"got {len(waveforms)} waveforms and {len(phonemes)} lists of phonemes")


def collect_frames(
    codec: Any, waveforms: Sequence[np.ndarray], phonemes: Sequence[Sequence[Mapping[str, Any]]]
) -> ProbeFrames:
    """Encode vocals and collect the codes of all frames that have a phoneme.

    Args:
        codec: an :class:`~songgen_hf.modeling.modeling_xcodec.XCodecModel`.
        waveforms: vocals, float32 [S] at the codec's rate.
        phonemes: timed phonemes of each song, see :func:`frame_phonemes`.
    Raises:
        ValueError: if the numbers differ, or if no frame has a phoneme.
    """
    import torch

    validate(waveforms, phonemes)
    rate = codec.config.sample_rate / codec.config.hop_length
    codes, labels, songs = [], [], []
    for number, (waveform, timed) in enumerate(zip(waveforms, phonemes, strict=True)):
        values = torch.from_numpy(np.ascontiguousarray(waveform, dtype=np.float32))[None, None]
        frames = codec.encode(values, return_dict=False)[0].T.cpu().numpy()  # [T, K]
        symbols = frame_phonemes(timed, len(frames), rate)
        has_phoneme = symbols != ""
        codes.append(frames[has_phoneme])
        labels.append(symbols[has_phoneme])
        songs.append(np.full(int(has_phoneme.sum()), number))
    if not sum(map(len, labels)):
        raise ValueError("no frame has a phoneme: got waveforms without words, expected vocals")
    return ProbeFrames(
        np.concatenate(codes), np.concatenate(labels).astype(str), np.concatenate(songs)
    )


def probe_phonemes(
    train: ProbeFrames,
    test: ProbeFrames,
    *,
    num_codebooks: int,
    codebook_size: int,
    seed: int = 0,
    steps: int = 600,
    batch_size: int = 2048,
    learning_rate: float = 0.05,
) -> np.ndarray:
    """Fit the probe to some songs and test it on others.

    Args:
        train, test: frames of different songs.
        num_codebooks: number of codebooks that the probe uses, counted from the first.
        codebook_size: number of codes of a codebook.
        seed: seed of the batches.
        steps, batch_size, learning_rate: settings of Adam; the learning rate falls to zero as a
            cosine.
    Returns:
        [N] bool, whether the most likely phoneme of each test frame is right. A phoneme that the
        training songs lack is never right.
    Raises:
        ValueError: if there are fewer codebooks than ``num_codebooks``.
    """
    import torch
    import torch.nn.functional as F

    if not 1 <= num_codebooks <= train.codes.shape[1]:
        raise ValueError(
            f"got {num_codebooks} codebooks to probe, expected 1 to {train.codes.shape[1]}"
        )
    classes, labels = np.unique(train.phonemes, return_inverse=True)
    offsets = np.arange(num_codebooks) * codebook_size
    ids = torch.from_numpy(train.codes[:, :num_codebooks] + offsets)
    targets = torch.from_numpy(labels)
    generator = torch.Generator().manual_seed(seed)
    weight = torch.zeros(num_codebooks * codebook_size, len(classes), requires_grad=True)
    bias = torch.zeros(len(classes), requires_grad=True)
    optimizer = torch.optim.Adam([weight, bias], lr=learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        batch = torch.randint(len(ids), (min(batch_size, len(ids)),), generator=generator)
        scores = F.embedding_bag(ids[batch], weight, mode="sum") + bias
        loss = F.cross_entropy(scores, targets[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    test_ids = torch.from_numpy(test.codes[:, :num_codebooks] + offsets)
    with torch.no_grad():
        predictions = (F.embedding_bag(test_ids, weight, mode="sum") + bias).argmax(dim=-1)
    return classes[predictions.numpy()] == test.phonemes


def codebook_counts(total: int) -> list[int]:
    """Return 1, 2, 4, ... and the total, the numbers of codebooks that are compared."""
    return sorted({*(2**power for power in range(total.bit_length())), total})


def probe_accuracies(
    train: ProbeFrames, test: ProbeFrames, *, codebook_size: int, seed: int = 0, **options: Any
) -> dict[str, float]:
    """Return the accuracies of probes of 1, 2, 4, ... and all codebooks.

    Returns:
        ``codebooks_<n>`` for each number n of codebooks, and ``commonest``, the accuracy of always
        predicting the most frequent phoneme of the training songs.
    """
    counts = codebook_counts(train.codes.shape[1])
    scores = {
        f"codebooks_{count}": float(
            probe_phonemes(
                train,
                test,
                num_codebooks=count,
                codebook_size=codebook_size,
                seed=seed,
                **options,
            ).mean()
        )
        for count in counts
    }
    symbols, occurrences = np.unique(train.phonemes, return_counts=True)
    return scores | {"commonest": float((test.phonemes == symbols[occurrences.argmax()]).mean())}


__all__ = [
    "ProbeFrames",
    "codebook_counts",
    "collect_frames",
    "frame_phonemes",
    "probe_accuracies",
    "probe_phonemes",
    "validate",
]

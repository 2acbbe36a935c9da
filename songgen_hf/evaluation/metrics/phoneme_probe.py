"""How much of the words a codec's codes hold: a linear probe from codes to phonemes.

The probe sees one frame: its codes of the first n codebooks, each one-hot. It is a softmax over
phonemes, fitted on some songs and asked on others; frames without a phoneme are left out. X-Codec's
point is that codes made with a semantic model say more of the words than acoustic ones: compare the
same n of two codecs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class ProbeFrames:
    """Frames of one or more songs.

    Args:
        codes: [N, K] int64.
        phonemes: [N] symbols.
        songs: [N], number of the song of each frame.
    """

    codes: np.ndarray
    phonemes: np.ndarray
    songs: np.ndarray


def frame_phonemes(
    phonemes: Sequence[Mapping[str, Any]], num_frames: int, frame_rate: float
) -> np.ndarray:
    """What is sung in the middle of each frame: [T] symbols, empty between words.

    Args:
        phonemes: ``symbol``, ``start`` and ``end`` in seconds, in their order.
        num_frames: T.
        frame_rate: frames a second.
    """
    labels = np.full(num_frames, "", dtype=object)
    middles = (np.arange(num_frames) + 0.5) / frame_rate
    for phoneme in phonemes:
        labels[(middles >= phoneme["start"]) & (middles < phoneme["end"])] = phoneme["symbol"]
    return labels


def collect_frames(
    codec: Any, waveforms: Sequence[np.ndarray], phonemes: Sequence[Sequence[Mapping[str, Any]]]
) -> ProbeFrames:
    """Codes and phonemes of the sung frames.

    Args:
        codec: an :class:`~songgen_hf.modeling.modeling_xcodec.XCodecModel`.
        waveforms: vocals, float32 [S] at the codec's rate.
        phonemes: of each song, as for ``frame_phonemes``.
    Raises:
        ValueError: if lengths differ or nothing is sung.
    """
    import torch

    if len(waveforms) != len(phonemes):
        raise ValueError(f"got {len(waveforms)} waveforms and {len(phonemes)} lists of phonemes")
    rate = codec.config.sample_rate / codec.config.hop_length
    codes, labels, songs = [], [], []
    for number, (waveform, timed) in enumerate(zip(waveforms, phonemes, strict=True)):
        values = torch.from_numpy(np.ascontiguousarray(waveform, dtype=np.float32))[None, None]
        frames = codec.encode(values, return_dict=False)[0].T.cpu().numpy()  # [T, K]
        symbols = frame_phonemes(timed, len(frames), rate)
        sung = symbols != ""
        codes.append(frames[sung])
        labels.append(symbols[sung])
        songs.append(np.full(int(sung.sum()), number))
    if not sum(map(len, labels)):
        raise ValueError("no frame has a phoneme: got songs without singing, expected vocals")
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
    """Fit the probe on some songs, ask it on others.

    Args:
        train, test: frames of different songs.
        num_codebooks: n, the codebooks that the probe sees, from the first.
        codebook_size: ids of a codebook.
        seed: of the batches.
        steps, batch_size, learning_rate: of Adam, the rate falling to zero as a cosine.
    Returns:
        [N] bool: whether the likeliest phoneme of each test frame is its own. A phoneme that the
        training songs lack is never right.
    Raises:
        ValueError: if there are fewer codebooks than asked for.
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
    # The bias, in which also the share of each phoneme is learned.
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
    asked = torch.from_numpy(test.codes[:, :num_codebooks] + offsets)
    with torch.no_grad():
        answers = (F.embedding_bag(asked, weight, mode="sum") + bias).argmax(dim=-1)
    return classes[answers.numpy()] == test.phonemes


def probe_accuracies(
    train: ProbeFrames, test: ProbeFrames, *, codebook_size: int, seed: int = 0, **options: Any
) -> dict[str, float]:
    """Frame accuracies on ``test``: ``codebooks_<n>`` for n = 1, 2, 4, ... and all, and
    ``commonest``, of always saying the phoneme that the training songs hold most.
    """
    total = train.codes.shape[1]
    counts = sorted(
        {*(2**power for power in range(total.bit_length()) if 2**power <= total), total}
    )
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


__all__ = ["ProbeFrames", "collect_frames", "frame_phonemes", "probe_accuracies", "probe_phonemes"]

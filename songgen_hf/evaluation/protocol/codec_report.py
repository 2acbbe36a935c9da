"""The evaluation of codecs: reconstruction, intelligibility, and how much codes say of phonemes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ...checkpoints.digests import weights_digest
from ...data.corpus.rows import read_sound
from ...data.listening.phonemes import row_phonemes
from ..codec_round_trip import codec_round_trip
from ..judges.loading import Judges
from ..metrics.bootstrap import ratio_interval
from ..metrics.phoneme_error_rate import lyrics_edits
from ..metrics.phoneme_probe import (
    ProbeFrames,
    codebook_counts,
    collect_frames,
    probe_accuracies,
)
from ..metrics.reconstruction import reconstruction_scores
from .options import CodecOptions
from .prompts import corpus_rows

_COLUMNS = ("song_id", "mixture", "vocal", "phonemes")
Parts = dict[str, tuple[np.ndarray, np.ndarray]]


def evaluate_codecs(
    codecs: Mapping[str, Any],
    options: CodecOptions,
    *,
    log: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Evaluate codecs on the same songs of the corpus.

    Args:
        codecs: a :class:`~songgen_hf.modeling.modeling_xcodec.XCodecModel` by each name.
        options: options of the evaluation.
        log: called with the scores of each codec.
    Returns:
        For each codec ``weights`` (a digest), ``scores`` and ``intervals``. The scores are
        ``mel_distance``, ``stft_distance`` and ``si_sdr`` of mixtures and, ending in ``_vocal``, of
        vocals, ``per`` (of decoded vocals), ``per_codebooks_<n>`` (of vocals decoded from the first
        1, 2, 4, ... codebooks), ``per_true`` (of the vocals themselves), and those of
        :func:`~songgen_hf.evaluation.metrics.phoneme_probe.probe_accuracies` after ``probe_``.
    Raises:
        FileNotFoundError: if the corpus lacks a split, or the folder of judges a network.
    """
    judges = Judges.load(options.judges)
    test = corpus_rows(options.songs, "test", columns=_COLUMNS)[: options.max_songs]
    train = corpus_rows(options.songs, "train", columns=("vocal", "phonemes"))
    train = train[: options.probe_songs]
    lyrics = [row_phonemes(row) for row in test]
    vocals, mixtures = ([read_sound(row, name) for row in test] for name in ("vocal", "mixture"))
    true_edits = lyrics_edits(judges, vocals, lyrics)
    report: dict[str, Any] = {"songs": len(test), "probe_songs": len(train), "seed": options.seed}
    for name, codec in codecs.items():
        decoded_vocals = codec_round_trip(codec, vocals)
        pairs = (
            ("", mixtures, codec_round_trip(codec, mixtures)),
            ("_vocal", vocals, decoded_vocals),
        )
        parts: Parts = {}
        for ending, originals, decoded in pairs:
            found = reconstruction_scores(originals, decoded, codec.config.sample_rate)
            for metric, values in found.items():
                parts[metric + ending] = (values, np.ones(len(values)))
        for count in codebook_counts(codec.config.num_quantizers)[:-1]:
            coarse = codec_round_trip(codec, vocals, num_codebooks=count)
            parts[f"per_codebooks_{count}"] = lyrics_edits(judges, coarse, lyrics)
        parts |= {"per": lyrics_edits(judges, decoded_vocals, lyrics), "per_true": true_edits}
        scores = {part: float(above.sum() / below.sum()) for part, (above, below) in parts.items()}
        probe = probe_accuracies(
            _frames(codec, train),
            _frames(codec, test),
            codebook_size=codec.config.codebook_size,
            seed=options.seed,
        )
        scores |= {f"probe_{metric}": value for metric, value in probe.items()}
        report[name] = {
            "weights": weights_digest(codec),
            "scores": {metric: round(value, 4) for metric, value in scores.items()},
            "intervals": {
                part: [round(end, 4) for end in ratio_interval(above, below, seed=options.seed)]
                for part, (above, below) in parts.items()
            },
        }
        log(f"{name}: " + ", ".join(f"{metric} {value:.3f}" for metric, value in scores.items()))
    return report


def _frames(codec: Any, rows: Sequence[Mapping[str, Any]]) -> ProbeFrames:
    vocals = [read_sound(row, "vocal") for row in rows]
    return collect_frames(codec, vocals, [row["phonemes"] for row in rows])


__all__ = ["evaluate_codecs"]

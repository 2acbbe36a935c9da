"""A codec judged on held-out songs: what survives it, whether words do, and what its codes tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...checkpoints.digests import weights_digest
from ...data.corpus.rows import read_sound
from ..codec_round_trip import codec_round_trip
from ..judges.loading import Judges
from ..judges.phonemes import row_phonemes
from ..metrics.bootstrap import ratio_interval
from ..metrics.phoneme_error_rate import lyrics_edits
from ..metrics.phoneme_probe import collect_frames, probe_accuracies
from ..metrics.reconstruction import reconstruction_scores
from .prompts import corpus_rows

_COLUMNS = ("song_id", "mixture", "vocal", "phonemes")


@dataclass(frozen=True)
class CodecEvaluationOptions:
    """How much is judged.

    Args:
        songs: test songs that are coded.
        probe_songs: training songs that the probe is fitted on.
        seed: of the probe and the bootstrap.
    Raises:
        ValueError: for numbers below 1.
    """

    songs: int = 100
    probe_songs: int = 300
    seed: int = 0

    def __post_init__(self) -> None:
        if self.songs < 1 or self.probe_songs < 1:
            raise ValueError(
                f"got {self.songs} songs and {self.probe_songs} songs for the probe, expected at "
                "least one of each"
            )


def evaluate_codecs(
    codecs: Mapping[str, Any],
    songs: Path | str,
    judges: Judges,
    options: CodecEvaluationOptions,
    *,
    log: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Judge codecs on the same songs.

    Args:
        codecs: each an :class:`~songgen_hf.modeling.modeling_xcodec.XCodecModel`, by name.
        songs: folder of the corpus.
        judges: of the words.
        options: how much is judged.
        log: called with each codec's scores.
    Returns:
        For each codec ``weights`` (a digest), ``scores`` and ``intervals``; the scores are
        ``mel_distance`` and ``si_sdr`` of mixtures, the same ``_vocal``, ``per`` (of the vocals
        that were decoded), ``per_true`` (of the vocals themselves) and ``probe_...``, see
        ``phoneme_probe.probe_accuracies``.
    Raises:
        FileNotFoundError: if the corpus lacks a split.
    """
    test = corpus_rows(songs, "test", columns=_COLUMNS)[: options.songs]
    train = corpus_rows(songs, "train", columns=("vocal", "phonemes"))[: options.probe_songs]
    true_vocals = [read_sound(row, "vocal") for row in test]
    asked = [row_phonemes(row) for row in test]
    true_edits = lyrics_edits(judges, true_vocals, asked)
    report: dict[str, Any] = {"songs": len(test), "probe_songs": len(train), "seed": options.seed}
    for name, codec in codecs.items():
        parts: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        vocals = codec_round_trip(codec, true_vocals)
        mixtures = [read_sound(row, "mixture") for row in test]
        pairs = (("", mixtures, codec_round_trip(codec, mixtures)), ("_vocal", true_vocals, vocals))
        for ending, true, decoded in pairs:
            found = reconstruction_scores(true, decoded, codec.config.sample_rate)
            for measure, values in found.items():
                parts[measure + ending] = (values, np.ones(len(values)))
        parts["per"] = lyrics_edits(judges, vocals, asked)
        parts["per_true"] = true_edits
        scores = {part: float(above.sum() / below.sum()) for part, (above, below) in parts.items()}
        probe = probe_accuracies(
            _frames(codec, train),
            _frames(codec, test),
            codebook_size=codec.config.codebook_size,
            seed=options.seed,
        )
        scores |= {f"probe_{measure}": value for measure, value in probe.items()}
        intervals = {
            part: [round(end, 4) for end in ratio_interval(above, below, seed=options.seed)]
            for part, (above, below) in parts.items()
        }
        report[name] = {
            "weights": weights_digest(codec),
            "scores": {measure: round(value, 4) for measure, value in scores.items()},
            "intervals": intervals,
        }
        line = ", ".join(f"{measure} {value:.3f}" for measure, value in scores.items())
        log(f"{name}: {line}")
    return report


def _frames(codec: Any, rows: Sequence[Mapping[str, Any]]) -> Any:
    return collect_frames(
        codec, [read_sound(row, "vocal") for row in rows], [row["phonemes"] for row in rows]
    )


__all__ = ["CodecEvaluationOptions", "evaluate_codecs"]

"""Decides which clips are kept: thresholds of their scores, one clip per sound, balance.

No clip is removed: every one gets ``kept`` and the reasons why not, so other thresholds can be
tried on the same table without computing a score again.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...modeling.lyrics_normalization import SUPPORTED_LANGUAGES
from ...optional import require
from .languages import language_code


@dataclass(frozen=True)
class Thresholds:
    """Bounds of the scores of clips that are kept; None for no bound.

    A bound on a score that a clip does not have is not applied.

    Args:
        min_seconds: shortest clip in seconds.
        max_seconds: longest clip in seconds.
        min_loudness: lowest loudness in LUFS.
        max_clipped_share: largest share of samples in flat peaks.
        max_peak_density: largest density of the highest levels; clipping by 6 dB gives about 1.
        max_silent_share: largest share of silent frames.
        min_bandwidth: lowest bandwidth in Hz; 16 kHz of real content has up to 8000.
        max_mono_loss: largest loss of level in dB when the channels are averaged.
        min_vocal_energy: lowest sum of the squared samples of the vocal at 16 kHz.
        min_accompaniment_energy: lowest sum of the squared samples of the accompaniment at 16 kHz.
        max_speech_score: largest probability of speech, from the movement of the pitch, the number
            of phonemes a second and the longest of them.
        max_transcript_distance: largest normalized edit distance of two transcripts.
        min_lyrics_match: least share of what is heard that the given lyrics explain; of rendered
            songs at least 0.4 with their own lyrics, on separated vocals too, and at most 0.25 with
            the lyrics of another song.
        min_clap_score: lowest similarity of caption and audio, -1 to 1.
        languages: languages that are kept, as codes or English names.
        instrumental: keep clips without singing, whatever their vocal energy.
        truncated: keep clips of files whose end is missing.
        duplicates: keep all clips of the same sound.
        max_clips_per_recording: most clips of one recording.
        max_clips_per_artist: most clips of one artist.
        max_genre_share: largest share of one genre of all clips with a genre; never below the
            share that all genres have if they are equal.
        seed: seed of the choice of clips where there are too many.
    Raises:
        ValueError: if a bound is out of range.
    """

    min_seconds: float | None = 2.0
    max_seconds: float | None = 30.0
    min_loudness: float | None = -40.0
    max_clipped_share: float | None = 0.001
    max_peak_density: float | None = 0.65
    max_silent_share: float | None = 0.5
    min_bandwidth: float | None = 7000.0
    max_mono_loss: float | None = 6.0
    min_vocal_energy: float | None = 200.0
    min_accompaniment_energy: float | None = 200.0
    max_speech_score: float | None = 0.45
    max_transcript_distance: float | None = 0.2
    min_lyrics_match: float | None = 0.3
    min_clap_score: float | None = 0.0
    languages: tuple[str, ...] | None = ("en",)
    instrumental: bool = True
    truncated: bool = False
    duplicates: bool = False
    max_clips_per_recording: int | None = None
    max_clips_per_artist: int | None = None
    max_genre_share: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for rule in RULES:
            low, high = rule.range
            bound = getattr(self, rule.threshold)
            if bound is not None and not low <= bound <= high:
                raise ValueError(
                    f"{rule.threshold} must be from {low:g} to {high:g}: got {bound!r}"
                )
        for name in ("max_clips_per_recording", "max_clips_per_artist"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1: got {getattr(self, name)}")
        if self.max_genre_share is not None and not 0 < self.max_genre_share <= 1:
            raise ValueError(
                f"max_genre_share must be above 0, up to 1: got {self.max_genre_share}"
            )


@dataclass(frozen=True)
class Rule:
    """A bound on one score.

    Args:
        threshold: field of :class:`Thresholds`; its prefix, ``min_`` or ``max_``, says which bound.
        column: column with the score.
        name: what a reason calls the score.
        unit: unit of the score, with a leading space.
        range: the least and the greatest bound that makes sense.
        of_singing: whether clips without singing are excepted if those are kept.
    """

    threshold: str
    column: str
    name: str
    unit: str = ""
    range: tuple[float, float] = (0.0, math.inf)
    of_singing: bool = False

    @property
    def is_minimum(self) -> bool:
        """Whether the bound is the lowest score that is kept."""
        return self.threshold.startswith("min_")

    def reason(self, row: Mapping[str, Any], thresholds: Thresholds) -> str | None:
        """Say why a clip is not kept; None if it fulfills the rule or has no such score."""
        bound, score = getattr(thresholds, self.threshold), row.get(self.column)
        if bound is None or score is None or math.isnan(score):
            return None
        if self.of_singing and thresholds.instrumental and row.get("sung") is False:
            return None
        if score >= bound if self.is_minimum else score <= bound:
            return None
        side = "below the lowest" if self.is_minimum else "above the highest"
        return f"{self.name}: {score:.4g}{self.unit} is {side} allowed, {bound:g}{self.unit}"


RULES = (
    Rule("min_seconds", "audio_seconds", "too short", " s"),
    Rule("max_seconds", "clip_seconds", "too long", " s"),
    Rule("min_loudness", "loudness", "loudness", " LUFS", (-70.0, 0.0)),
    Rule("max_clipped_share", "clipped_share", "clipping (flat peaks)", "", (0.0, 1.0)),
    Rule("max_peak_density", "peak_density", "clipping (density of peaks)"),
    Rule("max_silent_share", "silent_share", "silence", " of the clip", (0.0, 1.0)),
    Rule("min_bandwidth", "bandwidth", "bandwidth", " Hz"),
    Rule("max_mono_loss", "mono_loss", "loss of level in mono", " dB"),
    Rule("min_vocal_energy", "vocal_energy", "energy of the vocal", of_singing=True),
    Rule("min_accompaniment_energy", "accompaniment_energy", "energy of the accompaniment"),
    Rule("max_speech_score", "speech_score", "speech", "", (0.0, 1.0), of_singing=True),
    Rule("max_transcript_distance", "transcript_distance", "transcripts differ", of_singing=True),
    Rule("min_lyrics_match", "lyrics_match", "lyrics are not sung", "", (0.0, 1.0), True),
    Rule("min_clap_score", "clap_score", "caption (CLAP)", "", (-1.0, 1.0)),
)
"""The bounds in the order of the stages, which is that of the report."""

PRESETS = {
    "paper": Thresholds(instrumental=False),
    "hq": Thresholds(
        min_vocal_energy=1000.0,
        min_accompaniment_energy=1000.0,
        max_transcript_distance=0.05,
        min_lyrics_match=0.6,
        min_clap_score=0.25,
        max_clipped_share=0.0001,
        max_silent_share=0.2,
        max_mono_loss=3.1,
        instrumental=False,
    ),
    "small": Thresholds(
        min_loudness=-50.0,
        max_clipped_share=0.01,
        max_peak_density=1.0,
        max_silent_share=0.8,
        min_bandwidth=5000.0,
        max_mono_loss=12.0,
        min_vocal_energy=None,
        min_accompaniment_energy=None,
        max_transcript_distance=0.5,
        min_lyrics_match=0.25,
        min_clap_score=None,
        languages=SUPPORTED_LANGUAGES,
    ),
}
"""``paper``: the bounds of SongGen (arXiv 2502.13128) for lengths, energies, transcripts, captions
and language. ``hq``: those of its high quality subset. ``small``: for an album, in any language
that lyrics of models can have. The paper has no bounds for the sound (loudness, clipping, silence,
bandwidth, channels); those are ours."""


def columns() -> Any:
    """The columns that :func:`filter_clips` adds, as a list of pyarrow fields."""
    arrow = require("pyarrow", "prepare")
    return [
        arrow.field("kept", arrow.bool_()),
        arrow.field("reasons", arrow.list_(arrow.string())),
        arrow.field("hq", arrow.bool_()),
    ]


def filter_clips(
    rows: Sequence[Mapping[str, Any]],
    thresholds: Thresholds = PRESETS["paper"],
    *,
    hq: Thresholds = PRESETS["hq"],
) -> list[dict[str, Any]]:
    """Mark the clips that are kept, and say of the others why they are not.

    Of the clips of a ``duplicate_group`` that fulfill all bounds, one is kept: one with lyrics
    before one without, then the one with the widest bandwidth (in steps of 500 Hz), the least
    clipping, the greatest length, and the smallest id.

    Args:
        rows: clips; scores that are missing or None are not judged. Rows with an ``error`` are not
            kept.
        thresholds: bounds of clips that are kept.
        hq: bounds of clips that also belong to the high quality subset.
    Returns:
        The rows in the same order, with ``kept``, ``reasons`` (empty for kept clips; each begins
        with the name of a rule and a colon) and ``hq``. Earlier values are replaced.
    """
    found = _judge(rows, thresholds, hq)
    return [{**row, **new} for row, new in zip(rows, found, strict=True)]


def filter_table(
    table: Any, thresholds: Thresholds = PRESETS["paper"], *, hq: Thresholds = PRESETS["hq"]
) -> Any:
    """Mark the clips of a ``pyarrow.Table`` as :func:`filter_clips` does those of rows."""
    pyarrow = require("pyarrow", "prepare")
    names = [name for name in table.column_names if name in _USED_COLUMNS]
    found = _judge(table.select(names).to_pylist(), thresholds, hq)
    for field in columns():
        if field.name in table.column_names:
            table = table.drop_columns([field.name])
        values = pyarrow.array([row[field.name] for row in found], field.type)
        table = table.append_column(field, values)
    return table


_USED_COLUMNS = frozenset(
    ("id", "recording_id", "artist", "genre", "lyrics", "language", "error", "truncated")
    + ("sung", "duplicate_group", "source_seconds")
) | {rule.column for rule in RULES}


def _judge(
    rows: Sequence[Mapping[str, Any]], thresholds: Thresholds, hq: Thresholds
) -> list[dict[str, Any]]:
    reasons = [_own_reasons(row, thresholds) for row in rows]
    if not thresholds.duplicates:
        _drop_duplicates(rows, reasons)
    for column, limit in (
        ("recording_id", thresholds.max_clips_per_recording),
        ("artist", thresholds.max_clips_per_artist),
    ):
        if limit is not None:
            _limit(rows, reasons, column, limit, thresholds.seed)
    if thresholds.max_genre_share is not None:
        counts = [len(group) for group in _kept_groups(rows, reasons, "genre").values()]
        limit = _genre_limit(counts, thresholds.max_genre_share)
        _limit(rows, reasons, "genre", limit, thresholds.seed)
    return [
        {"kept": not found, "reasons": found, "hq": not found and not _own_reasons(row, hq)}
        for row, found in zip(rows, reasons, strict=True)
    ]


def _own_reasons(row: Mapping[str, Any], thresholds: Thresholds) -> list[str]:
    """The reasons that depend on one clip alone."""
    if row.get("error"):
        return [f"error: {row['error']}"]
    found = []
    if row.get("truncated") and not thresholds.truncated:
        end = row.get("source_seconds")
        found.append("truncated: the file ends early" + (f", at {end:.1f} s" if end else ""))
    if row.get("sung") is False and not thresholds.instrumental:
        found.append("no singing: clips without singing are not kept")
    language = row.get("language")
    if (
        thresholds.languages is not None
        and language
        and (language_code(language) not in map(language_code, thresholds.languages))
    ):
        allowed = ", ".join(thresholds.languages)
        found.append(f"language: {language} is not among those allowed, {allowed}")
    found += filter(None, (rule.reason(row, thresholds) for rule in RULES))
    return found


def _kept_groups(
    rows: Sequence[Mapping[str, Any]], reasons: Sequence[Sequence[str]], column: str
) -> dict[Any, list[int]]:
    """The indices of the clips without a reason, by their value of a column that is not empty."""
    groups: dict[Any, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        if not reasons[index] and row.get(column):
            groups[str(row[column])].append(index)
    return groups


def _drop_duplicates(rows: Sequence[Mapping[str, Any]], reasons: list[list[str]]) -> None:
    for group in _kept_groups(rows, reasons, "duplicate_group").values():
        best = min(group, key=lambda index: _rank(rows[index]))
        for index in group:
            if index != best:
                reasons[index].append(f"duplicate: the same sound as {rows[best]['id']}")


def _rank(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """The order of the clips of one sound, the best one first."""
    return (
        not row.get("lyrics"),
        -round((row.get("bandwidth") or 0.0) / 500),
        row.get("clipped_share") or 0.0,
        -(row.get("clip_seconds") or 0.0),
        row["id"],
    )


def _limit(
    rows: Sequence[Mapping[str, Any]],
    reasons: list[list[str]],
    column: str,
    limit: int,
    seed: int,
) -> None:
    """Keep at most ``limit`` clips of each value of a column, drawn by the seed and their ids."""

    def draw(index: int) -> bytes:
        return hashlib.sha256(f"{seed}/{rows[index]['id']}".encode()).digest()

    name = column.removesuffix("_id")
    for value, group in _kept_groups(rows, reasons, column).items():
        for index in sorted(group, key=draw)[limit:]:
            reasons[index].append(f"balance: more than {limit} clips of the {name} {value!r}")


def _genre_limit(counts: Iterable[int], share: float) -> int:
    """The greatest number of clips of a genre with which none exceeds its share of all."""
    counts = list(counts)
    if not counts:
        return 1
    share = max(share, 1 / len(counts))
    for limit in range(max(counts), 1, -1):
        if limit <= share * sum(min(limit, count) for count in counts) + 1e-9:
            return limit
    return 1


__all__ = ["PRESETS", "RULES", "Rule", "Thresholds", "columns", "filter_clips", "filter_table"]

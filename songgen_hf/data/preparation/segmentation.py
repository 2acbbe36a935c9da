"""Segments recordings into clips whose edges lie in pauses of the vocal.

The paper cuts at the pauses that a voice activity detector finds in the vocal stem, and keeps clips
of 2 to 30 s (SongGen, arXiv 2502.13128). Here the energy of the stem decides and a detector has one
vote, since detectors of speech miss singing. Times are multiples of 20 ms.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ...optional import require
from ..listening.envelopes import (
    FRAME_RATE,
    energy_envelope,
    gliding_share,
    pitch_envelope,
    pitch_movement,
)
from .clips import clip_id
from .option_checks import check_positive
from .voice_activity import VOICE_DETECTORS, voice_probability

_MARGIN = 5  # frames between singing and a cut, where the pause is long enough
_CELL = 25  # frames: each half second has one place at which it may be cut
_IN_SINGING = 100.0  # cost of a cut where somebody sings: it is made if no other is possible
_SHORTEST_NOTE = 4  # frames; what is shorter is a click
_DECIDED = 40  # voiced frames of a phrase that tell speech from singing
_LEAKAGE = (-30.0, 0.0)  # dB relative to the mixture between which a band may leak
_HIGHEST_LEAKAGE = -6.0
_TWO_KINDS = 0.8  # share of the variance that two kinds explain; 0.64 of a normal distribution
_FAILED_VOTE = 0.2  # share of loud singing that a working detector finds at least


@dataclass(frozen=True)
class SegmentationOptions:
    """How recordings are cut into clips; the lengths are those of the paper.

    Args:
        min_seconds: length of the shortest clip.
        max_seconds: length of the longest clip.
        mean_seconds: length that clips have where pauses allow it.
        min_pause: seconds without singing between two lines at which a cut may be.
        instrumental_seconds: seconds without singing that become clips of their own.
        silence_seconds: seconds of silence of the mixture that are left out.
        silence_level: level in dB of full scale below which the mixture is silent.
        singing_level: level in dB below the loudest singing above which there is singing.
        quiet_level: level in dB below the loudest singing down to which notes fade in and out; here
            the detector has its vote.
        speech_share: gliding share from which a phrase is taken for speech and is cut from singing.
        detector: voice activity detector, ``none`` or ``silero``.
        detector_threshold: probability above which the detector has found a voice.
    Raises:
        ValueError: if a value is out of range.
    """

    min_seconds: float = 2.0
    max_seconds: float = 30.0
    mean_seconds: float = 15.0
    min_pause: float = 0.2
    instrumental_seconds: float = 5.0
    silence_seconds: float = 1.0
    silence_level: float = -60.0
    singing_level: float = 25.0
    quiet_level: float = 40.0
    speech_share: float = 0.5
    detector: str = field(default="none", metadata={"choices": VOICE_DETECTORS})
    detector_threshold: float = 0.5

    def __post_init__(self) -> None:
        if self.detector not in VOICE_DETECTORS:
            raise ValueError(
                f"got the voice detector {self.detector!r}, expected one of "
                f"{', '.join(VOICE_DETECTORS)}"
            )
        if not 0.5 <= self.min_seconds <= self.mean_seconds <= self.max_seconds:
            raise ValueError(
                f"got clips of {self.min_seconds} to {self.max_seconds} s, {self.mean_seconds} s "
                "on average, expected 0.5 <= min_seconds <= mean_seconds <= max_seconds"
            )
        if self.max_seconds < 2 * self.min_seconds + 2:
            raise ValueError(
                f"got clips of {self.min_seconds} to {self.max_seconds} s, expected max_seconds "
                "of 2 s more than twice min_seconds or longer, so that every length can be cut"
            )
        check_positive(
            self, "min_pause", "instrumental_seconds", "silence_seconds", "singing_level"
        )
        if self.quiet_level < self.singing_level:
            raise ValueError(
                f"got quiet_level {self.quiet_level} and singing_level {self.singing_level}, "
                "expected a quiet_level that is not less"
            )


def columns() -> list[Any]:
    """The columns that :func:`segment` adds, as fields of pyarrow.

    ``sung`` is null without a vocal stem. ``sung_spans`` are start and end of each phrase in
    seconds of the recording; ``edge_pause`` is the shorter of the pauses at the cuts in seconds, 0
    for a cut in singing and null for a whole recording; ``gliding_share`` is the share of voiced
    frames without a held pitch, about 0.2 for singing and 0.6 for speech; ``pitch_movement`` is the
    speed of the pitch in semitones a second; ``detector_share`` is the share of singing in which
    the detector finds a voice, null without one; ``detector_failed`` says that it found next to
    nothing in the recording and has no vote.
    """
    arrow = require("pyarrow", "prepare")
    number, truth, text = arrow.float64(), arrow.bool_(), arrow.string()
    types = {
        "id": text,
        "clip_start": number,
        "clip_seconds": number,
        "sung": truth,
        "sung_seconds": number,
        "sung_spans": arrow.list_(arrow.list_(number)),
        "edge_pause": number,
        "gliding_share": number,
        "pitch_movement": number,
        "detector_share": number,
        "detector_failed": truth,
    }
    return [arrow.field(name, kind) for name, kind in types.items()]


class Activity(NamedTuple):
    """What is heard in each frame [T] of a recording.

    ``sung``, ``spoken`` (part of what is sung) and ``silent`` are bool, ``mixture`` is a level in
    dB, ``pitch`` is in Hz, 0 where there is none, and ``voice`` a probability or None.
    """

    sung: np.ndarray
    spoken: np.ndarray
    silent: np.ndarray
    mixture: np.ndarray
    pitch: np.ndarray
    voice: np.ndarray | None
    detector_failed: bool | None
    duration: float


def segment(recording: Mapping[str, Any], options: SegmentationOptions) -> list[dict[str, Any]]:
    """Cut a recording into clips that do not overlap and together hold everything that is sung.

    Args:
        recording: row with ``recording_id``, ``path`` and the stem ``vocal``; without a stem the
            mixture is cut at its own pauses, and nothing is said of singing.
        options: lengths and levels.
    Returns:
        The columns of the recording and those of :func:`columns` for each clip, in order of time.
        Long silence is in no clip; a recording without any sound has none.
    Raises:
        ValueError: if a file cannot be read.
        ImportError: if the detector is not installed.
    """
    vocal = recording.get("vocal")
    activity = listen(recording["path"], vocal, options)
    clips = find_clips(activity, options)
    return [describe_clip(recording, first, last, activity, options) for first, last in clips]


def listen(path: str, vocal: str | None, options: SegmentationOptions) -> Activity:
    """Find singing and silence in the frames of a recording.

    Args:
        path: the mixture.
        vocal: the vocal stem; None to take the mixture in its place.
        options: levels and detector.
    Raises:
        ValueError, ImportError: as :func:`segment`.
    """
    mixture, duration = energy_envelope(path)
    silent = _without_short(mixture < options.silence_level, _frames(options.silence_seconds))
    level = mixture
    if vocal is not None:
        level = energy_envelope(vocal).decibels[: len(mixture)]
        level = np.pad(level, (0, len(mixture) - len(level)), constant_values=-np.inf)
    audible = level[level > options.silence_level]
    if not len(audible):
        none = np.zeros(len(mixture), dtype=bool)
        return Activity(none, none, silent, mixture, np.zeros(len(mixture)), None, None, duration)
    loudest = float(np.percentile(audible, 95))
    above_band = level - mixture > _leakage((level - mixture)[~silent])
    loud = above_band & (level > max(loudest - options.singing_level, options.silence_level))
    quiet = above_band & (level > max(loudest - options.quiet_level, options.silence_level))
    voice, failed = None, None
    if options.detector != "none":
        voice = voice_probability(vocal or path, options.detector, len(mixture))
        found = voice > options.detector_threshold
        failed = bool(found[loud].mean() < _FAILED_VOTE) if loud.any() else True
        # Quiet frames count where the detector hears a voice, or all of them without its vote.
        quiet &= found | failed
    sung = _connected(loud, quiet | loud)
    sung = ~_without_short(~_without_short(sung, _SHORTEST_NOTE), _frames(options.min_pause))
    sung &= ~silent
    pitch = np.zeros(len(sung)) if vocal is None else pitch_envelope(vocal, sung)
    spoken = _spoken(sung, pitch, options.speech_share)
    return Activity(sung, spoken, silent, mixture, pitch, voice, failed, duration)


def _leakage(ratios: np.ndarray) -> float:
    """The level in dB relative to the mixture below which a stem holds the rest of the band.

    A separator leaves part of the band in the vocal stem. Where the ratios of both levels are of
    two kinds, Otsu's threshold divides them.

    Args:
        ratios: [T] levels of the vocal stem relative to the mixture in dB.
    """
    values = np.sort(np.clip(ratios, *_LEAKAGE)).astype(np.float64)
    if len(values) < 2:
        return _LEAKAGE[0]
    count = np.arange(1, len(values))
    below = np.cumsum(values)[:-1] / count
    above = (values.sum() - np.cumsum(values)[:-1]) / (len(values) - count)
    between = count * (len(values) - count) / len(values) ** 2 * (above - below) ** 2
    best = int(np.argmax(between))
    if between[best] < _TWO_KINDS * max(values.var(), 1e-9):
        return _LEAKAGE[0]
    return min((below[best] + above[best]) / 2, _HIGHEST_LEAKAGE)


def _spoken(sung: np.ndarray, pitch: np.ndarray, least_share: float) -> np.ndarray:
    """The phrases that glide in pitch, as speech does; those without much pitch follow the next."""
    phrases = _runs(sung)
    shares = []
    for first, last in phrases:
        voiced = pitch[first:last] > 0
        enough = voiced.sum() >= _DECIDED
        shares.append(gliding_share(pitch[first:last]) if enough else np.nan)
    decided = np.flatnonzero(np.isfinite(shares))
    spoken = np.zeros(len(sung), dtype=bool)
    for place, (first, last) in enumerate(phrases):
        if len(decided):
            nearest = decided[np.argmin(np.abs(decided - place))]
            spoken[first:last] = shares[nearest] >= least_share
    return spoken


def find_clips(activity: Activity, options: SegmentationOptions) -> list[tuple[int, int]]:
    """Choose the first frame and the one after the last of each clip.

    Args:
        activity: what is heard.
        options: lengths.
    """
    cost = _cut_cost(activity)
    shortest = _frames(options.min_seconds)
    spans = _merged(_spans(activity, options, cost), shortest)
    clips: list[tuple[int, int]] = []
    for place, (first, last) in enumerate(spans):
        if last - first < shortest:  # what is too short gets some of the silence around it
            lowest = clips[-1][1] if clips else 0
            highest = spans[place + 1][0] if place + 1 < len(spans) else len(cost)
            first = max(lowest, min(first - (shortest - last + first) // 2, highest - shortest))
            last = min(highest, first + shortest)
        if last - first >= shortest or activity.sung[first:last].any():
            clips += _divide(first, last, cost, options)
    return clips


def _merged(spans: Iterable[tuple[int, int]], shortest: int) -> list[tuple[int, int]]:
    """Join spans that are too short to those that they touch."""
    merged: list[tuple[int, int]] = []
    for first, last in spans:
        touching = bool(merged) and merged[-1][1] == first
        if touching and min(last - first, first - merged[-1][0]) < shortest:
            merged[-1] = (merged[-1][0], last)
        else:
            merged.append((first, last))
    return merged


def _spans(
    activity: Activity, options: SegmentationOptions, cost: np.ndarray
) -> Iterator[tuple[int, int]]:
    """Yield the stretches between silences, with instrumental parts and speech by themselves."""
    longest_pause = _frames(options.instrumental_seconds)
    near = min(_frames(options.min_seconds / 2), longest_pause // 3)
    far = min(near + _CELL, longest_pause // 2)
    for first, last in _runs(~activity.silent):
        edges = [first]
        for start, end in _runs(~activity.sung[first:last]):
            start, end = start + first, end + first
            inside = start > first and end < last
            if end - start >= longest_pause:
                if start > first:
                    edges.append(_quietest(cost, start + near, start + far))
                if end < last:
                    edges.append(_quietest(cost, end - far, end - near))
            elif inside and activity.spoken[start - 1] != activity.spoken[end]:
                edges.append(_quietest(cost, start, end))
        yield from zip(edges, [*edges[1:], last], strict=True)


def _divide(
    first: int, last: int, cost: np.ndarray, options: SegmentationOptions
) -> list[tuple[int, int]]:
    """Cut a stretch at the places with the least cost, and so that lengths are near the mean."""
    shortest, longest = _frames(options.min_seconds), _frames(options.max_seconds)
    cells = range(first + _CELL, last - _CELL, _CELL)
    inner = [cell + int(np.argmin(cost[cell : cell + _CELL])) for cell in cells]
    places = np.array([first, *inner, last])
    costs = np.array([0.0, *cost[inner], 0.0])
    best, before = np.full(len(places), np.inf), np.zeros(len(places), dtype=np.int64)
    best[0] = 0.0
    for index in range(1, len(places)):
        fitting = np.arange(
            np.searchsorted(places, places[index] - longest),
            np.searchsorted(places, places[index] - shortest, side="right"),
        )
        if not len(fitting):
            continue
        wrong = (places[index] - places[fitting]) / FRAME_RATE / options.mean_seconds - 1.0
        total = best[fitting] + wrong**2 + costs[index]
        chosen = int(np.argmin(total))
        best[index], before[index] = total[chosen], fitting[chosen]
    clips, index = [], len(places) - 1
    while index:
        clips.append((int(places[before[index]]), int(places[index])))
        index = int(before[index])
    return clips[::-1]


def _cut_cost(activity: Activity) -> np.ndarray:
    """The cost of a cut before each frame: near 0 in a quiet pause, high where somebody sings."""
    frames = len(activity.sung)
    edges = np.flatnonzero(activity.sung)
    around = np.concatenate([[-(10**9)], edges, [10**9]])
    after = np.searchsorted(edges, np.arange(frames))
    distance = np.minimum(
        np.arange(frames) - around[after] - 1, around[after + 1] - np.arange(frames)
    )
    near = np.clip(1.0 - distance / _MARGIN, 0.0, 1.0)
    level = np.clip((activity.mixture + 60.0) / 60.0, 0.0, 1.0)
    return np.where(activity.sung, _IN_SINGING, near) + 0.2 * level


def describe_clip(
    recording: Mapping[str, Any],
    first: int,
    last: int,
    activity: Activity,
    options: SegmentationOptions,
) -> dict[str, Any]:
    """The row of a clip from one frame to the one after its last, with :func:`columns`."""
    start = first / FRAME_RATE
    end = min(last / FRAME_RATE, activity.duration)
    row = {
        **recording,
        "id": clip_id(recording["recording_id"], start),
        "clip_start": start,
        "clip_seconds": round(end - start, 6),
    }
    added = dict.fromkeys(
        ("sung", "sung_seconds", "sung_spans", "edge_pause", "gliding_share", "pitch_movement",
         "detector_share", "detector_failed")
    )  # fmt: skip
    if recording.get("vocal") is None:
        return row | added
    sung = activity.sung[first:last]
    spans = [[(a + first) / FRAME_RATE, (b + first) / FRAME_RATE] for a, b in _runs(sung)]
    pitch = activity.pitch[first:last]
    gliding, movement = gliding_share(pitch), pitch_movement(pitch)
    pauses = [_pause(activity.sung, cut) for cut in (first, last) if 0 < cut < len(activity.sung)]
    added |= {
        "sung": bool(sung.any()),
        "sung_seconds": int(sung.sum()) / FRAME_RATE,
        "sung_spans": spans,
        "edge_pause": min(pauses, default=None),
        "gliding_share": None if np.isnan(gliding) else round(gliding, 4),
        "pitch_movement": None if np.isnan(movement) else round(movement, 4),
        "detector_failed": activity.detector_failed,
    }
    if activity.voice is not None and sung.any():
        found = activity.voice[first:last][sung]
        added["detector_share"] = round(float((found > options.detector_threshold).mean()), 4)
    return row | added


def _pause(sung: np.ndarray, cut: int) -> float:
    """The length of the pause around a cut in seconds, at most to the ends of the recording."""
    before = np.flatnonzero(sung[:cut][::-1])
    after = np.flatnonzero(sung[cut:])
    left = int(before[0]) if len(before) else cut
    right = int(after[0]) if len(after) else len(sung) - cut
    return (left + right) / FRAME_RATE


def _frames(seconds: float) -> int:
    return max(1, round(seconds * FRAME_RATE))


def _quietest(cost: np.ndarray, first: int, last: int) -> int:
    return first + int(np.argmin(cost[first:last]))


def _runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """The first index and the one after the last of each run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def _without_short(mask: np.ndarray, shortest: int) -> np.ndarray:
    """The mask without runs of less than ``shortest`` true values."""
    kept = mask.copy()
    for first, last in _runs(mask):
        if last - first < shortest:
            kept[first:last] = False
    return kept


def _connected(core: np.ndarray, around: np.ndarray) -> np.ndarray:
    """The runs of ``around`` that hold a true value of ``core``."""
    kept = np.zeros(len(core), dtype=bool)
    for first, last in _runs(around):
        kept[first:last] = core[first:last].any()
    return kept


__all__ = [
    "Activity",
    "SegmentationOptions",
    "columns",
    "describe_clip",
    "find_clips",
    "listen",
    "segment",
]

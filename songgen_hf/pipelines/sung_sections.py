"""Finished sections of a whole song: their codes, which words they sing when, and the joined song.

The file travels to the Hub with the pipelines and imports only the files beside it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .editing import TRACK_NAMES
from .song_edges import mix_tracks
from .song_plan import IDEOGRAPH, Section, letter_count

_WORD = re.compile(rf"{IDEOGRAPH}|[^\s{IDEOGRAPH[1:-1]}]+")


class PlacedWord(NamedTuple):
    """A word: where it begins in the lyrics of a section, and its middle in seconds from there."""

    offset: int
    middle: float


@dataclass(frozen=True)
class SungSection:
    """A finished section.

    Args:
        section: what was planned.
        codes: [N, K, T] int64, on the CPU.
        seed: seed that it was sampled with, or that of the section that it quotes.
        timed: ``words``, ``lines`` and ``coverage``, with times from the beginning of the section;
            None if they were not read.
        redone: the samples of the tracks, float32 [N, S], if the section was generated again for a
            song whose other samples stay; None if the samples are decoded from the codes.
        first_codes: the codes from which the samples around a redone section were decoded.
    """

    section: Section
    codes: Tensor
    seed: int
    timed: Mapping[str, Any] | None = None
    redone: np.ndarray | None = None
    first_codes: Tensor | None = None

    @property
    def num_frames(self) -> int:
        """T."""
        return self.codes.shape[-1]

    def placed_words(self, frame_rate: float) -> list[PlacedWord]:
        """Return its words in their order, at their times or by their share of the letters."""
        lyrics = self.section.lyrics
        if self.timed is not None:
            placed, position = [], 0
            for word in self.timed["words"]:
                found = lyrics.find(word["word"], position)
                if found >= 0:  # words of a number are not written so
                    position = found + len(word["word"])
                    placed.append(PlacedWord(found, (word["start"] + word["end"]) / 2))
            if placed:
                return placed
        words = [(word.start(), letter_count(word.group())) for word in _WORD.finditer(lyrics)]
        total = sum(letters for _, letters in words)
        before, placed = 0, []
        for offset, letters in words:
            share = (before + letters / 2) / max(1, total)
            placed.append(PlacedWord(offset, share * self.num_frames / frame_rate))
            before += letters
        return placed


def unsung(section: Section, num_frames: int) -> SungSection:
    """Return a section that is only planned, without codes: [0, 0, T]."""
    return SungSection(section, torch.zeros(0, 0, num_frames, dtype=torch.int64), 0)


def last_words(done: Sequence[SungSection], num_frames: int, frame_rate: float) -> str:
    """Return the lyrics that are sung in the last frames of finished sections."""
    parts: list[str] = []
    for sung in reversed(done):
        if num_frames <= 0:
            break
        start = (sung.num_frames - num_frames) / frame_rate
        inside = [word for word in sung.placed_words(frame_rate) if word.middle >= start]
        if inside:
            parts.append(sung.section.lyrics[inside[0].offset :])
        num_frames -= sung.num_frames
    return "\n".join(reversed(parts))


def first_words(sections: Sequence[SungSection], num_frames: int, frame_rate: float) -> str:
    """Return the lyrics that are sung in the first frames of sections."""
    parts: list[str] = []
    for sung in sections:
        if num_frames <= 0:
            break
        end, lyrics = num_frames / frame_rate, sung.section.lyrics
        after = [word.offset for word in sung.placed_words(frame_rate) if word.middle >= end]
        if own := lyrics[: after[0] if after else len(lyrics)].strip():
            parts.append(own)
        num_frames -= sung.num_frames
    return "\n".join(parts)


def joined(lyrics: Sequence[str]) -> str | None:
    """Lyrics one below the other; None if there are none."""
    return "\n".join(part for part in lyrics if part) or None


def joined_codes(sections: Sequence[SungSection], *, first: bool = False) -> Tensor:
    """Return the codes [N, K, T] of sections one after another.

    Args:
        first: whether to take those that redone sections had first.
    """
    return torch.cat(
        [
            one.first_codes if first and one.first_codes is not None else one.codes
            for one in sections
        ],
        dim=-1,
    )


def described_sections(sections: Sequence[SungSection], frame_rate: float) -> list[dict[str, Any]]:
    """Return ``name``, ``start`` and ``end`` in seconds, ``seed`` and lyrics of each section.

    A quote also says which section it ``quotes``.
    """
    found, frame = [], 0
    for sung in sections:
        end = frame + sung.num_frames
        facts: dict[str, Any] = {
            "name": sung.section.name,
            "start": round(frame / frame_rate, 3),
            "end": round(end / frame_rate, 3),
            "seed": sung.seed,
            "lyrics": sung.section.lyrics,
        }
        if sung.section.quotes is not None:
            facts["quotes"] = sections[sung.section.quotes].section.name
        found.append(facts)
        frame = end
    return found


def with_redone(
    sounds: Mapping[str, Any], sections: Sequence[SungSection], hop_length: int
) -> dict[str, Any]:
    """Return the waveforms of a song with the samples of its redone sections."""
    if all(one.redone is None for one in sections):
        return dict(sounds)
    names = ["audio"] if sounds.get("vocal") is None else list(TRACK_NAMES)
    tracks = [sounds[name].copy() for name in names]
    frame = 0
    for one in sections:
        if one.redone is not None:
            start = frame * hop_length
            for track, samples in zip(tracks, one.redone, strict=True):
                track[0, start : start + len(samples)] = samples
        frame += one.num_frames
    changed = {**sounds, **dict(zip(names, tracks, strict=True))}
    if len(names) > 1:
        changed["audio"] = mix_tracks(tracks[0], tracks[1], sounds["sampling_rate"])
    return changed


def own_timing(
    song: Mapping[str, Any], lines_before: int, begin: float, end: float
) -> dict[str, Any]:
    """Return ``words``, ``lines`` and ``coverage`` of a section, which ends a window.

    Args:
        song: the song of the window, with its words.
        lines_before: number of lines that are those of the context.
        begin, end: seconds of the window at which the section begins and ends.
    """

    def moved(one: Mapping[str, Any]) -> dict[str, Any]:
        times = {key: round(min(end, max(begin, one[key])) - begin, 3) for key in ("start", "end")}
        return {**one, **times}

    lines = [
        {**moved(line), "words": [moved(word) for word in line["words"]]}
        for line in song["lines"][lines_before:]
    ]
    words = [word for line in lines for word in line["words"]]
    return {"words": words, "lines": lines, "coverage": dict(song["coverage"])}


def untimed() -> dict[str, Any]:
    """Return ``words``, ``lines`` and ``coverage`` of a section without words."""
    return {"words": [], "lines": [], "coverage": {"share": 1.0, "skipped": [], "repeated": []}}


def joined_timing(sections: Sequence[SungSection], frame_rate: float) -> dict[str, Any]:
    """Return ``words``, ``lines`` and ``coverage`` of a song; {} if a section lacks them.

    The ``share`` of the coverage is the mean of the windows, weighted by their letters. A word at
    the seam of two windows may be counted in both.
    """
    if any(one.timed is None for one in sections):
        return {}
    lines: list[dict[str, Any]] = []
    skipped: list[str] = []
    repeated: list[str] = []
    begin, share, letters = 0.0, 0.0, 0
    for one in sections:
        assert one.timed is not None

        def moved(item: Mapping[str, Any], begin: float = begin) -> dict[str, Any]:
            return {**item, **{key: round(item[key] + begin, 3) for key in ("start", "end")}}

        for line in one.timed["lines"]:
            lines.append({**moved(line), "words": [moved(word) for word in line["words"]]})
        weight = letter_count(one.section.lyrics)
        share += weight * one.timed["coverage"]["share"]
        letters += weight
        skipped += one.timed["coverage"]["skipped"]
        repeated += one.timed["coverage"]["repeated"]
        begin += one.num_frames / frame_rate
    coverage = {
        "share": round(share / letters, 3) if letters else 1.0,
        "skipped": skipped,
        "repeated": repeated,
    }
    words = [word for line in lines for word in line["words"]]
    return {"words": words, "lines": lines, "coverage": coverage}


__all__ = [
    "SungSection",
    "described_sections",
    "first_words",
    "joined",
    "joined_codes",
    "joined_timing",
    "last_words",
    "own_timing",
    "unsung",
    "untimed",
    "with_redone",
]

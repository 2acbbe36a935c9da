"""Options of the page of a listening test."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Design = Literal["ab", "abx", "mos"]


@dataclass(frozen=True, kw_only=True)
class ListeningOptions:
    """Options of :func:`~songgen_hf.evaluation.listening_test.page.write_page`.

    Args:
        songs: a folder of songs for each system (WAV, FLAC, MP3 or OGG), paired by file name; or
            one CSV file whose columns are systems, whose header has their names, and whose rows
            have the paths of the songs that are compared.
        out: folder to write; listeners get its folder "listeners", and not key.json.
        names: names of the systems in the key (default: those of the folders, or of the header).
        design: ab asks which of two songs is preferred, abx which of them a third one is, and mos
            for an opinion of each song, from 1 to 5.
        count: number of comparisons or opinions (default: all).
        seed: seed of their choice, order and sides, and of the names of the files.
        ties: offer "No preference" in the design ab.
        loudness: LUFS of all songs; lower if the peaks of a song need it.
        max_seconds: cut songs after so many seconds (default: whole songs).
        format: format of the songs; both are lossless.
        title: title of the page.
        question: question of every comparison (default: one for each design).
    """

    songs: tuple[str, ...] = field(metadata={"positional": True})
    out: Path
    names: tuple[str, ...] | None = None
    design: Design = "ab"
    count: int | None = None
    seed: int = 0
    ties: bool = field(
        default=True, metadata={"help": 'do not offer "No preference" in the design ab'}
    )
    loudness: float = -23.0
    max_seconds: float | None = None
    format: Literal["flac", "wav"] = "flac"
    title: str = "Listening test"
    question: str | None = None

    def __post_init__(self) -> None:
        if self.count is not None and self.count < 1:
            raise ValueError(f"count must be at least 1, got {self.count}")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, got {self.seed}")
        if not -60 <= self.loudness <= -5:
            raise ValueError(f"loudness must be from -60 to -5 LUFS, got {self.loudness:g}")
        if self.max_seconds is not None and not 0.4 <= self.max_seconds < math.inf:
            raise ValueError(f"max_seconds must be at least 0.4, got {self.max_seconds:g}")


__all__ = ["Design", "ListeningOptions"]

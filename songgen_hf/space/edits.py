"""Edits of a song: what is kept of it and what is generated again, as arguments of a pipeline."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .settings import FEW_STEPS

REDO, WORDS, CONTINUE, OVER = "redo", "words", "continue", "over"
BOTH = "both"
TRACKS = {"vocal": "vocal", "band": "accompaniment"}
"""Name of a track on the page and in the API -> its name in the pipelines."""


@dataclass(frozen=True)
class Edit:
    """An edit of a song.

    Args:
        kind: ``"redo"`` (a stretch is sung again), ``"words"`` (other words to the same band),
            ``"continue"``, or ``"over"`` (to an uploaded band or voice).
        song: a song dict of a pipeline; for ``"over"`` without codes.
        start, end: seconds of the stretch to generate again.
        track: what of it is generated again: ``"vocal"``, ``"band"`` or ``"both"``.
        takes: how often it is generated.
    """

    kind: str
    song: Mapping[str, Any]
    start: float = 0.0
    end: float = 0.0
    track: str = BOTH
    takes: int = 1

    @property
    def seconds(self) -> float:
        """Length of the song that is edited."""
        return float(self.song["vocal" if self.kind == OVER else "audio"].shape[-1]) / float(
            self.song["sampling_rate"]
        )

    def arguments(self, mode: str) -> dict[str, Any]:
        """The arguments of a call of the pipeline of a mode."""
        if self.kind == CONTINUE:
            return {"audio_prompt": dict(self.song)}
        given: dict[str, Any] = {"song": dict(self.song)}
        if self.kind == REDO:
            given["regions"] = (self.start, self.end)
        if self.track != BOTH:
            kept = {"vocal": "band", "band": "vocal"}[self.track]
            given["keep_track"] = TRACKS[kept]
        if self.kind == REDO and mode != FEW_STEPS:  # what follows tells how well a take fits
            given["takes"] = self.takes
        elif self.takes > 1:
            given["best_of"] = self.takes
        return given


def sung_over(recording: np.ndarray, sampling_rate: int, kind: str) -> Edit:
    """The edit that generates the other track to a recording of one of them.

    Args:
        recording: float32 [samples] at the sampling rate of the codec.
        sampling_rate: Hz.
        kind: which track it is, ``"band"`` or ``"vocal"``.
    Raises:
        ValueError: for another kind.
    """
    if kind not in TRACKS:
        raise ValueError(f"the recording is {kind!r}: expected 'band' or 'vocal'")
    silence = np.zeros((1, len(recording)), np.float32)
    song: dict[str, Any] = dict.fromkeys(TRACKS.values(), silence)
    song |= {TRACKS[kind]: recording[None].astype(np.float32), "sampling_rate": sampling_rate}
    return Edit(OVER, song, track="vocal" if kind == "band" else "band")


def checked_region(start: Any, end: Any, seconds: float) -> tuple[float, float]:
    """The start and the end of a stretch of a song, in seconds.

    Raises:
        TypeError: if one of them is not a number.
        ValueError: for a stretch that is shorter than 0.1 s, or not in the song.
    """
    for name, value in (("start", start), ("end", end)):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"the {name} of the stretch must be a number of seconds: got {value!r}")
    if not (0 <= start and start + 0.1 <= end <= seconds + 0.05):
        raise ValueError(
            f"the stretch is {start:g} to {end:g} s: expected at least 0.1 s within the song of "
            f"{seconds:.2f} s; drag over the picture"
        )
    return float(start), min(float(end), seconds)


def checked_track(track: Any, two_tracks: bool) -> str:
    """The track of a song to generate again.

    Args:
        track: ``"vocal"``, ``"band"`` or ``"both"``.
        two_tracks: whether the song has two tracks.
    Raises:
        ValueError: for another track, or for one track of a mix.
    """
    if track not in (*TRACKS, BOTH):
        raise ValueError(f"the track is {track!r}: expected 'vocal', 'band' or 'both'")
    if track != BOTH and not two_tracks:
        raise ValueError(
            "this song was sung as one mix, whose tracks cannot be changed alone: choose both"
        )
    return str(track)


__all__ = [
    "BOTH",
    "CONTINUE",
    "OVER",
    "REDO",
    "TRACKS",
    "WORDS",
    "Edit",
    "checked_region",
    "checked_track",
    "sung_over",
]

"""Chooses reference voices: for each clip, another place of its recording where somebody sings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np

from ...optional import require
from .option_checks import check_positive

_STEP = 0.1  # seconds between two places that may be drawn


@dataclass(frozen=True)
class VoicePromptOptions:
    """Where reference voices are taken from.

    Args:
        voice_seconds: length of a reference voice.
        min_sung: share of it in which somebody sings.
        max_distance: seconds from the edge of the clip within which it is, since another song of an
            album may have another singer.
        max_speech_score: largest ``speech_score`` of the clip that it is taken from.
        min_detector_share: least ``detector_share`` of that clip, unless the detector failed.
        seed: seed of the places.
    Raises:
        ValueError: if a value is out of range.
    """

    voice_seconds: float = 3.0
    min_sung: float = 0.7
    max_distance: float = 120.0
    max_speech_score: float = 0.45
    min_detector_share: float = 0.3
    seed: int = 0

    def __post_init__(self) -> None:
        check_positive(self, "voice_seconds")
        if not 0 < self.min_sung <= 1:
            raise ValueError(f"got min_sung {self.min_sung}, expected a share of more than 0 to 1")


def columns() -> list[Any]:
    """The columns that :func:`choose_voices` adds, as fields of pyarrow.

    ``voice_start`` is in seconds of the recording; both are null where there is no other place, and
    the clip is trained on with the null voice.
    """
    arrow = require("pyarrow", "prepare")
    return [arrow.field(name, arrow.float64()) for name in ("voice_start", "voice_seconds")]


def choose_voices(
    clips: Sequence[Mapping[str, Any]], options: VoicePromptOptions
) -> list[dict[str, Any]]:
    """Choose a place with singing outside of each clip, within another clip of the recording.

    Args:
        clips: all clips of one recording with the columns of :func:`~.segmentation.segment`.
        options: length and bounds.
    Returns:
        The clips with :func:`columns`, which follow from the seed and the id of the clip.
    """
    places = [_places(clip, options) for clip in clips]
    rows = []
    for index, clip in enumerate(clips):
        others = np.concatenate([np.zeros(0), *places[:index], *places[index + 1 :]])
        start, end = clip["clip_start"], clip["clip_start"] + clip["clip_seconds"]
        distance = np.maximum(others - end, start - others - options.voice_seconds)
        near = others[distance <= options.max_distance]
        row = {**clip, "voice_start": None, "voice_seconds": None}
        if clip.get("sung") and len(near):
            rng = np.random.default_rng([options.seed, crc32(clip["id"].encode())])
            row["voice_start"] = float(near[rng.integers(len(near))])
            row["voice_seconds"] = options.voice_seconds
        rows.append(row)
    return rows


def _places(clip: Mapping[str, Any], options: VoicePromptOptions) -> np.ndarray:
    """The starts [N] in seconds from which a clip is sung for long enough."""
    room = clip["clip_seconds"] - options.voice_seconds
    speech, found = clip.get("speech_score"), clip.get("detector_share")
    unheard = found is not None and found < options.min_detector_share
    if (
        not clip.get("sung_spans")
        or room < 0
        or (speech is not None and speech > options.max_speech_score)
        or (unheard and not clip.get("detector_failed"))
    ):
        return np.zeros(0)
    starts = clip["clip_start"] + np.arange(int(room / _STEP) + 1) * _STEP
    sung = sum(
        np.clip(
            np.minimum(end, starts + options.voice_seconds) - np.maximum(start, starts), 0, None
        )
        for start, end in clip["sung_spans"]
    )
    return np.round(starts[sung >= options.min_sung * options.voice_seconds - 1e-6], 3)


__all__ = ["VoicePromptOptions", "choose_voices", "columns"]

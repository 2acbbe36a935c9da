"""The waveforms of a song from those of its tracks: edges without a click, and the mixture.

Decoded codes may begin or stop in the middle of a sound. The file travels to the Hub with the
pipeline and imports nothing of this package.
"""

from collections.abc import Sequence

import numpy as np

EDGE_SECONDS = 0.005
"""Length of the edge of a song that begins or ends by itself."""
FADE_SECONDS = 0.03
"""Length of the edge of a song that is cut."""


def song_waveforms(
    tracks: Sequence[np.ndarray],
    sampling_rate: int,
    *,
    ended: Sequence[bool],
    raw: bool = False,
) -> dict[str, np.ndarray | None]:
    """Return ``audio``, ``vocal`` and ``accompaniment`` of a song from its decoded tracks.

    Args:
        tracks: the mixture, or accompaniment and vocal; float32 [channels, samples]. Their edges
            are changed in place: a copy of each would count in a song of minutes.
        sampling_rate: sampling rate in Hz.
        ended: for each track whether it ended by its end-of-song code; otherwise it was cut.
        raw: whether to leave the edges as they were decoded.
    Returns:
        The tracks and their sum; ``vocal`` and ``accompaniment`` are None for one track.
    """
    for track, end in zip(tracks, ended, strict=True):
        if not raw:
            soften_start(track, sampling_rate)
            soften_end(track, sampling_rate, ended=end)
    if len(tracks) == 1:
        return {"audio": tracks[0], "vocal": None, "accompaniment": None}
    accompaniment, vocal = tracks
    audio = mix_tracks(accompaniment, vocal, sampling_rate, raw=raw)
    return {"audio": audio, "vocal": vocal, "accompaniment": accompaniment}


def mix_tracks(
    accompaniment: np.ndarray, vocal: np.ndarray, sampling_rate: int, *, raw: bool = False
) -> np.ndarray:
    """Return the sum of two tracks [..., S], cut to the shorter one.

    The longer one fades out where it is cut, unless ``raw``.
    """
    shorter = min(accompaniment.shape[-1], vocal.shape[-1])
    parts = []
    for track in (accompaniment, vocal):
        part = track[..., :shorter]
        if not raw and track.shape[-1] > shorter:
            part = part.copy()
            soften_end(part, sampling_rate, ended=False)
        parts.append(part)
    return parts[0] + parts[1]


def soften_start(waveform: np.ndarray, sampling_rate: int) -> None:
    """Fade in the first ``EDGE_SECONDS`` of a waveform [..., S] in place."""
    gains = _gains(EDGE_SECONDS, sampling_rate, waveform.shape[-1])
    waveform[..., : len(gains)] *= gains


def soften_end(waveform: np.ndarray, sampling_rate: int, *, ended: bool) -> None:
    """Fade out the end of a waveform [..., S] in place: of one that was cut, more of it."""
    seconds = EDGE_SECONDS if ended else FADE_SECONDS
    gains = _gains(seconds, sampling_rate, waveform.shape[-1])
    waveform[..., waveform.shape[-1] - len(gains) :] *= gains[::-1]


def _gains(seconds: float, sampling_rate: int, longest: int) -> np.ndarray:
    """A raised cosine that rises from 0 towards 1: float32 [samples], at most ``longest``."""
    count = min(longest, round(seconds * sampling_rate))
    return (0.5 - 0.5 * np.cos(np.pi * np.arange(count) / max(1, count))).astype(np.float32)


__all__ = [
    "EDGE_SECONDS",
    "FADE_SECONDS",
    "mix_tracks",
    "soften_end",
    "soften_start",
    "song_waveforms",
]

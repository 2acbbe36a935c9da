"""Exchanges the tracks of songs where they have changed places, as a method of the pipelines.

The file travels to the Hub with the pipelines and imports only the files beside it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from .editing import KnownSong
from .song import Song
from .swapped_tracks import (
    VocalExtractor,
    exchange_tracks,
    misplaced_seconds,
    swap_margin,
    swapped_stretches,
)


class TracksInPlaceMixin:
    """Finds where the tracks of a pipeline's songs have changed places, and exchanges them."""

    sampling_rate: int
    _hop_length: int
    _decode: Callable[..., dict[str, Any]]
    vocal_extractor: VocalExtractor | None = None
    """Function (samples [S], sampling rate) -> samples of the vocal in them."""

    @torch.no_grad()
    def put_tracks_in_place(self, song: Song) -> Song:
        """Return a song whose tracks are exchanged where they have changed places.

        Models with two tracks sometimes go on with the voice in the accompaniment and the
        instruments in the vocal. Both are complete, so the codes of the two tracks are exchanged
        from the frame at which they changed places, and the song is decoded again. Nothing is
        generated, and a song whose tracks are in their places stays as it is.

        Args:
            song: a song of this pipeline, of two tracks, that was not made by ``whole_song``,
                which does this itself.
        Returns:
            The song, with other ``codes`` and waveforms where tracks were exchanged, and with
            ``exchanged``, the list of (start, end) in seconds of these stretches, and
            ``misplaced_seconds``, for how long a track still has what belongs in the other one:
            instruments in the vocal, or a voice in the accompaniment.
        Raises:
            ValueError: for a song without codes or of one track, or of ``whole_song``.
        """
        if song.get("codes") is None or song.get("vocal") is None:
            given = "codes alone" if song.get("audio") is None else "one track"
            raise ValueError(
                "put_tracks_in_place needs a song with codes of two tracks, and their sound: got "
                + ("no codes" if song.get("codes") is None else given)
            )
        if getattr(song, "whole", None) is not None:
            raise ValueError("whole_song has put the tracks of this song in their places already")
        found = song.copy()
        self._check_tracks(found, 0)
        return found

    def _check_tracks(
        self, song: dict[str, Any], start: int, known: KnownSong | None = None, **options: Any
    ) -> None:
        """Put the tracks of a song of two tracks in their places, and say what was found.

        The song gets ``exchanged`` and ``misplaced_seconds`` of :meth:`put_tracks_in_place`; the
        arguments are those of :meth:`_put_tracks_in_place`.
        """
        if song["vocal"] is not None:
            song["exchanged"] = self._put_tracks_in_place(song, start, known, **options)
            song["misplaced_seconds"] = self._misplaced_seconds(song, start)

    def _put_tracks_in_place(
        self, song: dict[str, Any], start: int, known: KnownSong | None = None, **options: Any
    ) -> list[tuple[float, float]]:
        """Exchange the tracks of a song, which has the codes, after frame ``start``.

        Args:
            song: song dict, which gets other codes and waveforms if tracks are exchanged; one of a
                single track stays.
            start: frame before which the tracks are known to be in their places.
            known: the beginning of the song, whose recording is kept.
            options: options of ``_decode``.
        Returns:
            (start, end) in seconds of the stretches that were exchanged.
        """
        if song["vocal"] is None:
            return []
        stretches = swapped_stretches(*self._tracks(song), **self._check(start))
        codes = exchange_tracks(torch.as_tensor(song["codes"]), stretches)
        if stretches:
            sounds = self._decode(codes, **options)
            if known is not None and not options.get("raw"):
                sounds = known.keep_recorded(sounds, self._hop_length, self._decode)
            song |= {**sounds, "codes": codes.numpy()}
        count, rate = codes.shape[-1], self.sampling_rate / self._hop_length
        return [(first / rate, (count if end is None else end) / rate) for first, end in stretches]

    def _misplaced_seconds(
        self, song: dict[str, Any], start: int, stop: int | None = None
    ) -> float:
        """For how long a track has what belongs in the other, from frame ``start`` to ``stop``."""
        if song["vocal"] is None:
            return 0.0
        vocal, band, rate = self._tracks(song)
        end = None if stop is None else stop * self._hop_length
        return misplaced_seconds(vocal[..., :end], band[..., :end], rate, **self._check(start))

    def _swap_margin(self, song: dict[str, Any]) -> float | None:
        """The :func:`swap_margin` of a song; None without two tracks or a separator."""
        if song["vocal"] is None or self.vocal_extractor is None:
            return None
        return swap_margin(*self._tracks(song), self.vocal_extractor)

    def _tracks(self, song: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, int]:
        vocal, band = (np.asarray(song[name]) for name in ("vocal", "accompaniment"))
        return vocal, band, self.sampling_rate

    def _check(self, start: int) -> dict[str, Any]:
        return {"frame": self._hop_length, "start": start, "extract_vocal": self.vocal_extractor}


__all__ = ["TracksInPlaceMixin"]

"""Best of N line by line: each line is generated several times after the kept ones, and ranked.

The kept lines are the beginning that the takes of the next line continue, so their codes are part
of the song unchanged. Where a line ends is read from the attention to the lyrics. The file travels
to the Hub with the pipelines and imports only the files beside it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from .best_of import Listener, Take, best_songs, checked_listener, draw_together, rank_takes
from .song_plan import sung_seconds
from .song_requests import seed_after
from .swapped_tracks import MAY_BE_SWAPPED
from .timestamps import sung_whole
from .tracks_in_place import TracksInPlaceMixin

SEED_STEP = 1000
"""Between the seeds of two lines, so that their takes do not share seeds."""
SLOWEST = 1.25
"""How much longer than usual a line may take, before its rest is left to the next one."""
AHEAD_SECONDS = 0.75
"""What is generated beyond a line and dropped, so that its end is heard."""
BEGINNING_SECONDS = 1.0
"""What a song may play before its first line."""
TRACKS = ("audio", "vocal", "accompaniment")
DESCRIBED = ("seed", "score", "score_parts")
NOT_BY_LINE = ("audio_prompt", "song", "regions", "keep_track")

Seconds = float | None


@dataclass(frozen=True)
class LineByLine:
    """Draws songs line by line: ``LineByLine(...)(requests)``.

    Args:
        draw: called as ``draw(requests, count, max_seconds=, min_seconds=, timestamps=True)``;
            returns for each request the songs of ``count`` seeds.
        take_listener: function of a request that returns a listener.
        lines: function of lyrics and language that returns the lines of a song with timestamps.
        best_of: number of takes of each line.
        batch_size: number of takes that are generated together.
        max_seconds, min_seconds: bounds of the length that the model chooses.
        frame_rate: frames per second.
        hop_length: samples of a frame.
        codebook_size: ids from it up are no codes.
        predicts_length: whether the model knows how long a song will be before it generates it;
            then all that remains of the song is generated with each line.
        put_in_place: called as ``put_in_place(take, start)``; exchanges the tracks of a take where
            they have changed places after frame ``start``.
        misplaced_seconds: called as ``misplaced_seconds(take, start)``; returns for how many
            seconds after frame ``start`` a track has what belongs in the other one.
    """

    draw: Callable[..., list[list[Take]]]
    take_listener: Callable[[Mapping[str, Any]], Listener]
    lines: Callable[[str, str], list[str]]
    best_of: int
    batch_size: int
    max_seconds: Seconds
    min_seconds: Seconds
    frame_rate: float
    hop_length: int
    codebook_size: int
    predicts_length: bool
    put_in_place: Callable[[Take, int], Any]
    misplaced_seconds: Callable[[Take, int], float]

    def __call__(self, requests: Any) -> Any:
        """Return a song for a request, a list for a list, else an iterator.

        A song has ``line_takes``: for each line ``line``, ``start`` and ``end`` in seconds, and its
        ``takes``, best first, each with ``seed``, ``score`` and ``score_parts``. The ``score`` of
        the song is the mean of those that were kept.

        Raises:
            ValueError: for a request without lyrics, or with a beginning or a song to edit.
        """
        if isinstance(requests, dict):
            return self._sing(requests)
        if isinstance(requests, list):
            return [self._sing(request) for request in requests]
        return self._one_by_one(requests)

    def _one_by_one(self, requests: Iterator[dict[str, Any]]) -> Iterator[Take]:
        for request in requests:
            yield self._sing(request)

    def _sing(self, request: dict[str, Any]) -> Take:
        """The song of one request."""
        lines = self._lines_of(request)
        listeners = [self.take_listener({**request, "lyrics": line}) for line in lines]
        found: list[dict[str, Any]] = []
        song: Take = {}
        known = 0  # frames that are kept
        for place, listener in enumerate(listeners):
            own = {**request, "seed": seed_after(request["seed"], SEED_STEP * place)}
            own["audio_prompt"] = np.asarray(song["codes"])[..., :known] if known else None
            own["seconds"], bounds = self._length(request, lines[place:], song, known)
            (takes,) = draw_together(
                self.draw, [own], self.best_of, self.batch_size, timestamps=True, **bounds
            )
            ends = [self._end(take, place, len(lines), known) for take in takes]
            parts = [self._part(take, known, end) for take, end in zip(takes, ends, strict=True)]
            ranked = rank_takes(parts, listener)["takes"]
            chosen = [part is ranked[0] for part in parts].index(True)
            song, end = takes[chosen], ends[chosen]
            found.append(
                {
                    "line": lines[place],
                    "start": round(known / self.frame_rate, 3),
                    "end": round(end / self.frame_rate, 3),
                    "takes": [{name: part[name] for name in DESCRIBED} for part in ranked],
                }
            )
            known = min(end, self._whole_frames(song))  # 0 where a take ended before it began
            if self._remaining(request, song, known) <= 0:
                break
        song.pop("swap_margin", None)
        song["score"] = float(np.mean([one["takes"][0]["score"] for one in found]))
        song["line_takes"] = found
        return song

    def _lines_of(self, request: Mapping[str, Any]) -> list[str]:
        """The lines that are to be sung."""
        if given := [name for name in NOT_BY_LINE if request[name] is not None]:
            raise ValueError(f'best_of_by="line" begins a new song: leave {given[0]} out')
        lines = self.lines(request["lyrics"] or "", request["language"])
        if not lines:
            raise ValueError('best_of_by="line" needs lyrics: got none; give them, or leave it out')
        return lines

    def _remaining(self, request: Mapping[str, Any], song: Take, known: int) -> float:
        """The seconds that the rest of a song may take at most."""
        longest = self.max_seconds if request["seconds"] is None else request["seconds"]
        if self.predicts_length and song:
            longest = np.shape(song["codes"])[-1] / self.frame_rate
        frames = np.inf if longest is None else round(longest * self.frame_rate) - known
        return float(frames / self.frame_rate)

    def _length(
        self, request: Mapping[str, Any], lines: Sequence[str], song: Take, known: int
    ) -> tuple[Seconds, dict[str, Seconds]]:
        """Return the exact seconds to generate, or None, and the bounds of the chosen length.

        Args:
            request: the request.
            lines: the line that is to be sung, and those after it.
            song: the song whose first frames are kept; {} for none.
            known: number of these frames.
        """
        none: dict[str, Seconds] = {"max_seconds": None, "min_seconds": None}
        remaining = self._remaining(request, song, known)
        if self.predicts_length and song:
            return remaining, none
        if len(lines) > 1 and not self.predicts_length:
            usual = SLOWEST * sung_seconds(lines[0]) + AHEAD_SECONDS
            return min(remaining, usual + (0 if song else BEGINNING_SECONDS)), none
        if request["seconds"] is not None:
            return remaining, none
        least = (self.min_seconds or 0) - known / self.frame_rate
        return None, {
            "max_seconds": None if np.isinf(remaining) else remaining,
            "min_seconds": least if least > 0 else None,
        }

    def _end(self, take: Take, place: int, num_lines: int, known: int) -> int:
        """The frame at which a line ends: in the middle between its words and those that follow."""
        codes = np.asarray(take["codes"])
        if place == num_lines - 1:
            return int(codes.shape[-1])
        longest = self._whole_frames(take)
        timed = take["lines"][place : place + 2]
        if len(timed) < 2:  # a take without a frame of voice has no times
            return max(known + 1, longest)
        middle = (timed[0]["end"] + timed[1]["start"]) / 2
        return max(known + 1, min(longest, round(middle * self.frame_rate)))

    def _whole_frames(self, take: Take) -> int:
        """The number of frames of a take before the first one with a special id."""
        codes = np.asarray(take["codes"])
        special = np.flatnonzero((codes >= self.codebook_size).any(axis=(0, 1)))
        return int(special[0]) if len(special) else int(codes.shape[-1])

    def _part(self, take: Take, known: int, end: int) -> Take:
        """What a take, whose tracks are put in their places, sings of a line, for the listener."""
        self.put_in_place(take, known)
        start, stop = known * self.hop_length, end * self.hop_length
        part = {name: take[name] for name in ("seed", "sampling_rate")}
        for name in TRACKS:
            part[name] = None if take[name] is None else take[name][..., start:stop]
        if "swap_margin" in take:
            part["swap_margin"] = take["swap_margin"]
        until = {name: None if take[name] is None else take[name][..., :stop] for name in TRACKS}
        if self.misplaced_seconds(until, known) > MAY_BE_SWAPPED:
            part["swap_margin"] = np.inf
        return part


class BestOfMixin(TracksInPlaceMixin):
    """Ranks the takes of a pipeline, whole songs or lines."""

    processor: Any
    mode: str
    _sizes: Any
    take_listener: Callable[..., Listener] | None

    def _best_of(
        self,
        requests: Any,
        draw: Callable[..., list[list[Take]]],
        *,
        best_of: int,
        best_of_by: str,
        rank_by: str | Sequence[str] | None,
        batch_size: int | None,
        device: Any,
        timestamps: bool,
        max_seconds: Seconds,
        min_seconds: Seconds,
    ) -> Any:
        """Return the best song of each request: one, a list or an iterator, as the requests are.

        Args:
            requests: checked requests.
            draw: called as ``draw(requests, count, **settings)``; returns for each request the
                songs of ``count`` seeds.
            best_of, best_of_by, rank_by, batch_size: as of a call.
            device: device of the listeners.
            timestamps: whether to warn of words that are skipped or repeated.
            max_seconds, min_seconds: as of a call.
        """
        listener = checked_listener(self.take_listener, best_of)
        listening = partial(listener, rank_by=rank_by, device=str(device))
        best: Callable[[Any], Any] = partial(
            best_songs, draw=draw, best_of=best_of, batch_size=batch_size, take_listener=listening
        )
        if best_of_by == "line":
            best = LineByLine(
                draw=draw,
                take_listener=listening,
                lines=lambda *lyrics: sung_lines(*self.processor.lyrics_words(*lyrics)),
                best_of=best_of,
                batch_size=batch_size or best_of,
                max_seconds=max_seconds,
                min_seconds=min_seconds,
                frame_rate=self.sampling_rate / self._hop_length,
                hop_length=self._hop_length,
                codebook_size=self._sizes.codebook_size,
                predicts_length=self.mode == "masked",
                put_in_place=self._put_tracks_in_place,
                misplaced_seconds=self._misplaced_seconds,
            )
        return sung_whole(requests, best, 0) if timestamps else best(requests)


def sung_lines(words: Sequence[Any], lines: Sequence[str]) -> list[str]:
    """The lines in which there are words with tokens, as the processor's ``lyrics_words``."""
    return [lines[place] for place in sorted({word.line for word in words if len(word.tokens)})]


__all__ = ["BestOfMixin", "LineByLine", "sung_lines"]

"""Timestamps of songs: adds the times of words and lines, and sings again what was left out.

The file travels to the Hub with the pipelines and imports only the files beside it.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .editing import TRACK_NAMES
from .song import Song
from .song_edges import mix_tracks
from .song_requests import check_lyrics, check_voices, prepare_inputs, seed_after
from .swapped_tracks import MAY_BE_SWAPPED
from .takes import SCORED_INPUTS
from .word_times import quiet_frames, word_times

logger = logging.getLogger(__name__)

LEAST_SUNG = 0.8
"""Share of the letters below which lyrics count as not sung."""
LEAST_HEARD = 0.3
"""Share of the sounds of a line below which a listener has not heard it."""
_NAMED_WORDS = 6

Request = dict[str, Any]


def check_timestamps(timestamps: Any, retries: Any, best_of: Any, num_songs: int) -> None:
    """Check the arguments ``timestamps`` and ``retries`` of a call.

    Raises:
        TypeError: if ``timestamps`` is not a bool.
        ValueError: for ``retries`` that are no integer from 0 up, or that have other takes beside.
    """
    if not isinstance(timestamps, bool):
        raise TypeError(f"timestamps must be True or False: got {timestamps!r}")
    if type(retries) is not int or retries < 0:
        raise ValueError(f"retries must be an integer of at least 0: got {retries!r}")
    if retries and (best_of is not None or num_songs > 1):
        other = "num_return_sequences" if best_of is None else "best_of"
        raise ValueError(f"retries and {other} were both given: both draw other songs; give one")


class TimestampsMixin:
    """Reads the times of words in the songs of a pipeline, and in recordings."""

    processor: Any
    device: Any
    lyrics_listener: Callable[..., list[float] | None] | None = None
    """Function (lines, language, vocal, sampling rate) -> share of each line that is heard."""

    _load_song: Callable[[Any], tuple[Tensor, list[np.ndarray] | None]]
    _decode: Callable[[Tensor], dict[str, Any]]
    _lyrics_attention: Callable[[Tensor, Mapping[str, Tensor]], Tensor]
    """Function (codes [tracks, K, T], inputs of one song) -> weights of the lyrics [T, P]."""

    @torch.no_grad()
    def align(
        self,
        song: Any,
        lyrics: str,
        *,
        text: str = "",
        language: str = "en",
        reference_voice: Any = None,
        voice_start: float = 0.0,
    ) -> Song:
        """Find when the words of known lyrics are sung in a song or a recording.

        Args:
            song: a song dict, its codes, or a recording: for models with two tracks (accompaniment,
                vocal) or a dict of both, for other models one recording.
            lyrics: the lyrics.
            text: style description, if there is one.
            language: code of the language of the lyrics.
            reference_voice, voice_start: as for a call; not needed.
        Returns:
            A song with the recording, its codes, ``words``, ``lines`` and ``coverage``; its seed is
            None unless ``song`` is a song of a pipeline.
        Raises:
            TypeError, ValueError: for wrong arguments, or a model that does not tell.
        """
        if not isinstance(lyrics, str) or not lyrics.strip():
            raise ValueError(f"align needs the lyrics that are sung: got {lyrics!r}")
        check_lyrics(lyrics)
        check_voices([{"reference_voice": reference_voice, "voice_start": voice_start}])
        request = {
            "text": text,
            "lyrics": lyrics,
            "language": language,
            "reference_voice": reference_voice,
            "voice_start": voice_start,
            "negative_text": None,
        }
        codes, recorded = self._load_song(song)
        if isinstance(song, Song):
            timed = song.copy()
        else:
            sounds = self._decode(codes)
            if recorded is not None and len(recorded) == 2:
                rate = sounds["sampling_rate"]
                sounds |= {name: recorded[place] for name, place in TRACK_NAMES.items()}
                sounds["audio"] = mix_tracks(recorded[0], recorded[1], rate)
            elif recorded is not None:
                sounds["audio"] = recorded[0]
            timed = Song({**sounds, "seed": None, "codes": codes.numpy()}, request=request)
        inputs = prepare_inputs(self.processor, [request])
        self._add_timestamps(timed, request, codes, inputs)
        return timed

    def _add_timestamps(
        self,
        song: Song,
        request: Mapping[str, Any],
        codes: Tensor,
        inputs: Mapping[str, Tensor],
    ) -> None:
        """Add ``words``, ``lines`` and ``coverage`` to a song, and its attention.

        Args:
            song: the song.
            request: ``lyrics`` and ``language``.
            codes: [tracks, K, T] of the song, without frames after the end of the vocal.
            inputs: tensors of the processor for the song, [1, ...].
        """
        words, lines = self.processor.lyrics_words(request["lyrics"] or "", request["language"])
        rate = song["sampling_rate"] / self._hop_length
        num_frames = codes.shape[-1]
        if not words or not num_frames:
            song |= word_times(np.zeros((0, 0)), words, rate)._asdict()
            return
        own = {name: inputs[name].to(self.device) for name in SCORED_INPUTS}
        attention = self._lyrics_attention(codes.to(self.device), own).cpu().numpy()
        quiet = None
        if song.get("vocal") is not None:
            quiet = quiet_frames(song["vocal"], self._hop_length, num_frames)
        own_lines = {"lines": lines, "unheard": self._unheard(song, lines, request["language"])}
        song |= word_times(attention, words, rate, quiet=quiet, **own_lines)._asdict()
        song.attention = attention.astype(np.float16)

    def _unheard(self, song: Song, lines: list[str], language: str) -> list[int]:
        """The lines that a listener does not hear in the vocal.

        Attention cannot tell: it says which letters the model takes for the next ones, not what
        was sung.
        """
        if self.lyrics_listener is None or song.get("vocal") is None:
            return []
        heard = self.lyrics_listener(lines, language, song["vocal"], song["sampling_rate"])
        return [place for place, share in enumerate(heard or ()) if share < LEAST_HEARD]

    @property
    def _hop_length(self) -> int:
        raise NotImplementedError


def sung_whole(requests: Any, generate: Callable[[Any], Any], retries: int) -> Any:
    """Generate songs with timestamps, again where they have faults, and warn of what remains.

    Args:
        requests: checked requests: one, a list or an iterator.
        generate: returns one song for a request, a list of songs for a list, an iterator for one.
        retries: how often a song is generated again, with the seeds after its own, that leaves out
            more than a fifth of its letters, or whose tracks were checked and have for more than
            half a second what belongs in the other one; the best one is returned.
    Returns:
        One song, a list or an iterator, as the requests are.
    """
    if isinstance(requests, dict):
        return _sung_again(requests, generate(requests), generate, retries)
    if isinstance(requests, list):
        pairs = zip(requests, generate(requests), strict=True)
        return [_sung_again(request, song, generate, retries) for request, song in pairs]
    return _sung_one_by_one(requests, generate, retries)


def _sung_one_by_one(
    requests: Iterator[Request], generate: Callable[[Any], Any], retries: int
) -> Iterator[Any]:
    for request in requests:
        yield _sung_again(request, generate(request), generate, retries)


def _sung_again(request: Request, song: Any, generate: Callable[[Any], Any], retries: int) -> Any:
    """The song, or the best of its retries, after a warning of its faults."""
    for retry in range(1, retries + 1):
        if song["coverage"]["share"] >= LEAST_SUNG and _misplaced(song) <= MAY_BE_SWAPPED:
            break
        other = generate({**request, "seed": seed_after(request["seed"], retry)})
        song = max(song, other, key=_share_in_place)
    for one in song if isinstance(song, list) else [song]:
        warn_of_coverage(one)
        if _misplaced(one) > MAY_BE_SWAPPED:
            logger.warning(
                "In the song of seed %s the vocal has instruments or the accompaniment sings for "
                "%.1f s: try another seed, or retries=2.",
                one["seed"],
                _misplaced(one),
            )
    return song


def _misplaced(song: Mapping[str, Any]) -> float:
    return float(song.get("misplaced_seconds", 0.0))


def _share_in_place(song: Mapping[str, Any]) -> float:
    """The share of the letters that is sung, less that of misplaced seconds."""
    share, misplaced = float(song["coverage"]["share"]), _misplaced(song)
    if misplaced:
        share -= misplaced * song["sampling_rate"] / song["vocal"].shape[-1]
    return share


def warn_of_coverage(song: Mapping[str, Any]) -> None:
    """Warn, once for a song, about words that are skipped or repeated."""
    coverage = song["coverage"]
    if coverage["share"] >= LEAST_SUNG and not coverage["repeated"]:
        return
    faults = [
        f"{kind} {', '.join(coverage[kind][:_NAMED_WORDS])}"
        + (" ..." if len(coverage[kind]) > _NAMED_WORDS else "")
        for kind in ("skipped", "repeated")
        if coverage[kind]
    ]
    logger.warning(
        "The song of seed %s sings %.0f %% of its lyrics (%s): try another seed, or retries=2.",
        song["seed"],
        100 * coverage["share"],
        "; ".join(faults) or "parts of words are missing",
    )


__all__ = [
    "LEAST_HEARD",
    "LEAST_SUNG",
    "TimestampsMixin",
    "check_timestamps",
    "sung_whole",
    "warn_of_coverage",
]

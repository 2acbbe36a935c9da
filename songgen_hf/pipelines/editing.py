"""Edits of songs: which codes an edit keeps, and the waveform of what was kept beside what is new.

All edits are expressed as a mask over the codes of a song: continuing it, generating a region or a
track again, or refining its fine codebooks. The file travels to the Hub with the pipeline.
"""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .song_edges import FADE_SECONDS, mix_tracks
from .song_requests import plain

TRACK_NAMES = {"accompaniment": 0, "vocal": 1}
"""Name of a track -> its place in codes [tracks, K, T]."""
EDITS = ("regions", "keep_track", "keep_codebooks")
"""Arguments that say what of a song is generated again."""
EDIT_LENGTH = "the length of an edited song stays: leave min_seconds and max_seconds out"
SPECIAL_IDS = 64
"""Ids above the codes in the largest vocabulary, that of SongGen: 1,024 codes, 1,088 ids."""
CROSSFADE_SECONDS = 0.02
"""Length of the crossfade between the recording of a song and what was generated."""


@dataclass(frozen=True)
class KnownSong:
    """What is known of a song before its generation.

    Args:
        codes: [N, K, T] int64, on the CPU; hidden ones have any value.
        visible: [N, T] number of codebooks of each frame that are known.
        recorded: waveforms of the tracks, float32 [1, samples]; None if there are only codes.
        is_edit: whether the song is edited, so that its length stays; otherwise it is continued.
    """

    codes: Tensor
    visible: Tensor
    recorded: list[np.ndarray] | None = None
    is_edit: bool = False

    @property
    def beginning(self) -> int:
        """With how many frames the song begins of which every code is known."""
        known = (self.visible == self.codes.shape[1]).all(dim=0)
        return int(known.int().cumprod(dim=0).sum())

    def codes_with(self, value: int) -> Tensor:
        """Return the codes [N, K, T] with a value in the place of the hidden ones."""
        codebook = torch.arange(self.codes.shape[1])[None, :, None]
        return self.codes.masked_fill(codebook >= self.visible[:, None], value)

    def keep_recorded(
        self,
        generated: Mapping[str, Any],
        hop_length: int,
        decode: Callable[[Tensor], Mapping[str, Any]],
    ) -> dict[str, Any]:
        """Put the recording of what was kept into the waveforms of the generated song.

        Args:
            generated: ``audio``, ``vocal``, ``accompaniment`` and ``sampling_rate`` of a song.
            hop_length: samples of a frame.
            decode: returns the same of codes [N, K, T]; it stands in for the recording of an edited
                song of which there are codes only.
        Returns:
            The same, where samples outside of crossfades are those of the recording or generated.
        """
        sampling_rate = generated["sampling_rate"]
        recorded_all = self.recorded
        if recorded_all is None and self.is_edit:
            recorded_all = recorded_tracks(decode(self.codes), len(self.codes), sampling_rate)
        if recorded_all is None:
            return dict(generated)
        names = ["audio"] if len(recorded_all) == 1 else list(TRACK_NAMES)
        fade = round(CROSSFADE_SECONDS * sampling_rate)
        waveforms = dict(generated)
        for row, (name, recorded) in enumerate(zip(names, recorded_all, strict=True)):
            new = generated[name]
            renewed = self.visible[row] < self.codes.shape[1]
            if not self.is_edit:
                # The song may fade out where it is continued.
                kept = self.beginning * hop_length - round(FADE_SECONDS * sampling_rate)
                recorded = recorded[..., : max(0, kept)]
                missing = max(0, new.shape[-1] // hop_length - len(renewed))
                renewed = torch.cat([renewed, torch.ones(missing, dtype=torch.bool)])
            waveforms[name] = spliced(recorded, new, renewed, hop_length, fade)
        if len(names) > 1:
            accompaniment, vocal = (waveforms[name] for name in names)
            waveforms["audio"] = mix_tracks(accompaniment, vocal, sampling_rate)
        return waveforms


def load_song(
    song: Any,
    processor: Any,
    encode: Callable[[Tensor], Tensor],
    *,
    num_tracks: int,
    num_codebooks: int,
    codebook_size: int,
    sampling_rate: int,
    extract_vocal: Callable[[np.ndarray, int], np.ndarray] | None = None,
    read_codes: Callable[..., Any] | None = None,
) -> tuple[Tensor, list[np.ndarray] | None]:
    """Return the codes [N, K, T] of a song, on the CPU, and its waveforms if there are any.

    Args:
        song: codes, or the path of their file; a song dict of a pipeline, whose codes are used if
            it has any; or a recording, for models with two tracks also (accompaniment, vocal) or a
            mapping with both.
        processor: the processor, which reads recordings.
        encode: returns the codes [N, K, T] of waveforms [N, 1, samples].
        num_tracks, num_codebooks, codebook_size, sampling_rate: those of the model.
        extract_vocal: function (samples [S], sampling rate) -> samples of the vocal in them, which
            makes two tracks of one recording: its vocal and the rest. None refuses such recordings.
        read_codes: function (path) -> codes [N, K, T] of a file of codes, and other paths
            unchanged. None reads recordings alone.
    Raises:
        ValueError: for another number of tracks, or if there is no whole frame.
    """
    if isinstance(song, str | os.PathLike) and read_codes is not None:
        song = read_codes(song)
    codes = codes_of(song)
    if codes is None:
        features = processor(audio=[recording_of(song)], return_tensors="pt")
        values = features["input_values"][0, :, None]  # [N, 1, S]
        if len(values) == 1 and num_tracks == len(TRACK_NAMES) and extract_vocal is not None:
            mixture = values[0, 0].float().numpy()
            vocal = extract_vocal(mixture, sampling_rate)
            values = torch.from_numpy(np.stack([mixture - vocal, vocal]))[:, None]
        if len(values) != num_tracks:
            raise ValueError(
                f"this model writes {num_tracks} track(s), the recording has {len(values)}: give "
                "(accompaniment, vocal) to a two-track model, one recording to another"
            )
        recorded: list[np.ndarray] | None = [track.float().numpy() for track in values]
        codes = encode(values)[:, :num_codebooks]
    else:
        recorded = recorded_tracks(song, num_tracks, sampling_rate)
    codes = drop_special_frames(
        codes, num_tracks=num_tracks, num_codebooks=num_codebooks, codebook_size=codebook_size
    )
    return codes.cpu(), recorded


def check_edits(request: Mapping[str, Any], *, bounded: bool = False) -> dict[str, Any]:
    """Return the ``EDITS`` of a request.

    Args:
        request: the request.
        bounded: whether the call bounds the length of its songs.
    Raises:
        ValueError: if arguments of the request exclude each other.
    """
    edits = {key: request[key] for key in EDITS}
    if request["song"] is None:
        for key, value in edits.items():
            if value is not None and not (type(value) is int and value == 0):
                raise ValueError(f"{key} needs a song to edit: give song")
    elif request["audio_prompt"] is not None or request["seconds"] is not None:
        raise ValueError(
            "song cannot be combined with audio_prompt or seconds: to continue a song, give it as "
            "audio_prompt"
        )
    elif bounded:
        raise ValueError(EDIT_LENGTH)
    return edits


def codes_of(song: Any) -> Any:
    """Return the codes of a song dict or of an array of codes; None for a recording."""
    if isinstance(song, Mapping):
        song = song.get("codes")
    is_array = isinstance(song, Tensor | np.ndarray)
    return song if is_array and song.ndim > 2 else None


def recording_of(song: Any) -> Any:
    """Return the audio of a song in the form that the processor takes.

    Song dicts of a pipeline and mappings with two tracks become (accompaniment, vocal) or one
    recording; other values are returned unchanged.
    """
    if not isinstance(song, Mapping):
        return song
    rate = song.get("sampling_rate")
    tracks = [song.get(name) for name in TRACK_NAMES]
    if all(track is not None for track in tracks):
        return tuple(tracks if rate is None else [(track, rate) for track in tracks])
    if "audio" in song and rate is not None:
        return (song["audio"], rate)
    return song


def recorded_tracks(song: Any, num_tracks: int, sampling_rate: int) -> list[np.ndarray] | None:
    """Return the waveforms of a song dict of a pipeline, float32 [1, samples] for each track.

    None for other songs, and for waveforms of another number of tracks or sampling rate.
    """
    if not isinstance(song, Mapping) or song.get("sampling_rate") != sampling_rate:
        return None
    names = ["audio"] if num_tracks == 1 else list(TRACK_NAMES)
    tracks = [song.get(name) for name in names]
    if not all(isinstance(track, np.ndarray) and track.ndim == 2 for track in tracks):
        return None
    return [np.asarray(track, dtype=np.float32) for track in tracks if track is not None]


def drop_special_frames(
    codes: Any, *, num_tracks: int, num_codebooks: int, codebook_size: int
) -> Tensor:
    """Return codes [N, K, T] as int64 without the frames that hold special ids.

    The codes that ``generate()`` and the pipelines return have such frames after the end of a
    track. Tracks of unequal lengths are cut to the shorter one, as in the mixture.

    Raises:
        TypeError: if the codes are not integers.
        ValueError: if the codes have other sizes or are no ids of a song model, or if no frame is
            left.
    """
    codes = torch.as_tensor(codes)
    if codes.is_floating_point() or codes.is_complex() or codes.dtype == torch.bool:
        raise TypeError(f"the song's codes are {codes.dtype}: expected integers")
    if codes.ndim != 3 or tuple(codes.shape[:2]) != (num_tracks, num_codebooks):
        raise ValueError(
            f"the song's codes have shape {list(codes.shape)}, expected [{num_tracks} tracks, "
            f"{num_codebooks} codebooks, frames]: "
            "give a song of a model with this codec and as many tracks"
        )
    codes = codes.to(torch.int64)
    largest = codebook_size + SPECIAL_IDS - 1
    if codes.numel() and not 0 <= int(codes.min()) <= int(codes.max()) <= largest:
        raise ValueError(
            f"the song's codes lie in [{int(codes.min())}, {int(codes.max())}]: expected 0 to "
            f"{codebook_size - 1}, or the special ids up to {largest} after the end of a track"
        )
    tracks = [track[:, ((track >= 0) & (track < codebook_size)).all(dim=0)] for track in codes]
    shorter = min(track.shape[-1] for track in tracks)
    if shorter == 0:
        raise ValueError("the song has no whole frame: give a song with at least one frame")
    return torch.stack([track[:, :shorter] for track in tracks])


def visible_codebooks(
    shape: Sequence[int],
    *,
    frame_rate: float,
    regions: Any = None,
    keep_track: str | None = None,
    keep_codebooks: int = 0,
) -> Tensor:
    """Return how many codebooks of each frame of a song an edit keeps.

    Args:
        shape: shape of the song's codes, [N, K, T].
        frame_rate: frames per second of the codec.
        regions: (start, end) in seconds of a region to generate again, or a list of regions; an end
            of None is the end of the song. None for the whole song.
        keep_track: the track of a song of two tracks to keep, "accompaniment" or "vocal".
        keep_codebooks: number of coarse codebooks to keep in what is generated again.
    Returns:
        [N, T] int64, 0 to K.
    Raises:
        ValueError: if the arguments name nothing to generate again, or do not fit the song.
    """
    num_tracks, num_codebooks, num_frames = shape
    if regions is None and keep_track is None and not keep_codebooks:
        raise ValueError(
            "song was given, but not what is to be generated again: add regions (seconds), "
            "keep_track ('accompaniment' or 'vocal') or keep_codebooks"
        )
    if type(keep_codebooks) is not int or not 0 <= keep_codebooks < num_codebooks:
        raise ValueError(
            f"keep_codebooks is {keep_codebooks!r}: expected 0 to {num_codebooks - 1}, so that at "
            "least one codebook is new"
        )
    renewed = torch.zeros(num_tracks, num_frames, dtype=torch.bool)
    for start, stop in [(0.0, None)] if regions is None else _spans(regions):
        first, last = _frames_of(start, stop, num_frames, frame_rate)
        renewed[:, first:last] = True
    if keep_track is not None:
        if keep_track not in [*TRACK_NAMES]:
            raise ValueError(
                f"keep_track is {keep_track!r}: expected {' or '.join(map(repr, TRACK_NAMES))}"
            )
        if num_tracks == 1:
            raise ValueError(
                "keep_track needs a model that writes two tracks: this one writes the mixture"
            )
        renewed[TRACK_NAMES[keep_track]] = False
    return torch.where(renewed, keep_codebooks, num_codebooks)


def _spans(regions: Any) -> list[tuple[float, float | None]]:
    """Return one or several regions as a checked list of (start, end) in seconds."""
    given = regions.tolist() if isinstance(regions, np.ndarray | Tensor) else regions
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise ValueError(f"regions is {regions!r}: expected (start, end) in seconds, or a list")
    spans = [given] if any(not isinstance(part, Sequence) for part in given) else list(given)
    for span in spans:
        if (
            len(span) != 2
            or not _is_second(span[0])
            or not (span[1] is None or _is_second(span[1]))
        ):
            raise ValueError(
                f"a region is {span!r}: expected (start, end) in seconds from 0 up, "
                "with None for the end of the song"
            )
    if not spans:
        raise ValueError("regions is empty: give at least one (start, end) in seconds")
    return [(float(start), None if end is None else float(end)) for start, end in spans]


def _frames_of(
    start: float, stop: float | None, num_frames: int, frame_rate: float
) -> tuple[int, int]:
    """Return the range of frames that a region touches, as the first one and the one after it."""
    first = int(np.floor(start * frame_rate + 1e-6))
    last = num_frames if stop is None else int(np.ceil(stop * frame_rate - 1e-6))
    if not 0 <= first < min(last, num_frames) or last > num_frames + 1:
        raise ValueError(
            f"a region is ({start:g}, {'None' if stop is None else format(stop, 'g')}) seconds: "
            f"expected it inside the song of {num_frames / frame_rate:.2f} s, "
            "the end after the start"
        )
    return first, min(last, num_frames)


def _is_second(value: Any) -> bool:
    """Whether a value is a time in seconds."""
    number = plain(value)
    is_number = isinstance(number, int | float) and not isinstance(number, bool)
    return is_number and 0 <= number < math.inf


def pad_frames(tensor: Tensor, num_frames: int) -> Tensor:
    """Pad the last dimension of a tensor with zeros to ``num_frames``."""
    return torch.nn.functional.pad(tensor, (0, num_frames - tensor.shape[-1]))


def spliced(
    recorded: np.ndarray, generated: np.ndarray, renewed: Tensor, hop_length: int, fade: int
) -> np.ndarray:
    """Put what was generated again into the recording of a song.

    Args:
        recorded: waveform [1, samples] of the song before the edit.
        generated: waveform of all frames after the edit, [1, samples].
        renewed: bool [T], frames that have new codes.
        hop_length: samples of a frame.
        fade: samples over which the two are crossfaded: those at the edges of what is new, or,
            where the recording stops, those before; of a shorter one nothing is used.
    Returns:
        [1, samples]; outside of the crossfades every sample is one of the two.
    """
    at_end = bool(renewed[-1])
    length = generated.shape[-1] if at_end else recorded.shape[-1]
    old, new = (_of_length(waveform, length) for waveform in (recorded, generated))
    rise = (0.5 - 0.5 * np.cos(np.pi * (np.arange(fade) + 0.5) / max(1, fade))).astype(np.float32)
    gain = np.zeros(length, dtype=np.float32)
    changes = np.flatnonzero(np.diff(renewed.numpy().astype(np.int8), prepend=0, append=0))
    for first, last in changes.reshape(-1, 2).tolist():
        start, stop = first * hop_length, min(last * hop_length, length)
        is_last = last == len(renewed)
        gain[start : length if is_last else stop] = 1
        if start:
            # The recording of an audio prompt stops where the new part begins, or before.
            last_kept = recorded.shape[-1]
            begin = start if last_kept >= start + fade else min(start, last_kept) - fade
            gain[max(0, begin) : start] = 1
            if begin >= 0:
                gain[begin : begin + fade] = np.minimum(
                    gain[begin : begin + fade], rise[: length - begin]
                )
        if not is_last:
            fall = gain[max(start, stop - fade) : stop]
            np.minimum(fall, rise[::-1][fade - len(fall) :], out=fall)
    mixed = old + gain * (new - old)
    return np.where(gain == 0, old, np.where(gain == 1, new, mixed))


def _of_length(waveform: np.ndarray, length: int) -> np.ndarray:
    """A waveform [1, samples], cut or padded with silence to a length."""
    missing = max(0, length - waveform.shape[-1])
    return np.pad(waveform[..., :length], ((0, 0), (0, missing)))


__all__ = [
    "CROSSFADE_SECONDS",
    "EDITS",
    "EDIT_LENGTH",
    "TRACK_NAMES",
    "KnownSong",
    "check_edits",
    "codes_of",
    "drop_special_frames",
    "load_song",
    "pad_frames",
    "recorded_tracks",
    "recording_of",
    "spliced",
    "visible_codebooks",
]

"""What a masked song begins with: its conditions, codes that are known, and which of them stay.

Continuing a song, singing a stretch of it anew, a new vocal over the band, or new fine codebooks
are all the same: a song of which a part is hidden.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..modeling.conditioning import SongGenConditioner, SongGenConditionOutput
from ..modeling.patterns import ACCOMPANIMENT, VOCAL
from ..modeling.voice_encoder import has_voice

TRACK_NAMES = {"accompaniment": ACCOMPANIMENT, "vocal": VOCAL}


def encode_conditions(
    conditioner: SongGenConditioner, inputs: Mapping[str, Tensor], *, use_guidance: bool = False
) -> tuple[Tensor, Tensor]:
    """The processor's tensors as what the masked model reads.

    Returns:
        States [B, E, H] and their mask [B, E]; with guidance as many rows with nothing given
        follow.
    """
    inputs = dict(inputs)
    if "voice_values" in inputs and not bool(has_voice(inputs["voice_values"]).any()):
        del inputs["voice_values"], inputs["voice_attention_mask"]  # all masked anyway
    # As in training: the reference's quirk of leaving out the projection is none of this model's.
    output = conditioner(**inputs, use_guidance=use_guidance, for_generation=False)
    return conditions_of(output)


def conditions_of(output: SongGenConditionOutput) -> tuple[Tensor, Tensor]:
    """States [B, E, H] and mask [B, E] that a conditioner made, lyrics last.

    Raises:
        ValueError: if its checkpoint prepends lyrics to the decoder's input.
    """
    if output.get("lyrics_hidden_states") is not None:
        raise ValueError(
            "the conditioner prepends lyrics to the decoder's input, which a masked model does not "
            "have: use a checkpoint with lyrics_cross_attention=True"
        )
    assert output.last_hidden_state is not None and output.attention_mask is not None
    return output.last_hidden_state, output.attention_mask


def codes_in(song: Any) -> Any:
    """The codes of a song dict or of an array of integers; None where there is only sound."""
    if isinstance(song, Mapping):
        song = song.get("codes")
    is_array = isinstance(song, Tensor | np.ndarray)
    return song if is_array and song.ndim == 3 else None


def sound_in(song: Any) -> Any:
    """A song's sound as the processor takes it: one recording, or (accompaniment, vocal).

    A song dict of a pipeline and a mapping with the two tracks become their tracks.
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


def whole_frames(codes: Any, *, num_tracks: int, num_codebooks: int, codebook_size: int) -> Tensor:
    """Codes [N, K, T] as int64 without the frames that hold ids that are no codes.

    What ``generate()`` and the pipelines return has such frames after a track's end. Tracks of
    unequal lengths are cut to the shorter, as the mixture is.

    Raises:
        TypeError: unless the codes are integers.
        ValueError: for other sizes, or if no frame is left.
    """
    codes = torch.as_tensor(codes)
    if codes.is_floating_point() or codes.is_complex() or codes.dtype == torch.bool:
        raise TypeError(f"the song's codes are {codes.dtype}: expected integers")
    if codes.ndim != 3 or tuple(codes.shape[:2]) != (num_tracks, num_codebooks):
        raise ValueError(
            f"the song's codes have shape {list(codes.shape)}, expected [{num_tracks} tracks, "
            f"{num_codebooks} codebooks, frames]: give a song of a model with this codec and as "
            "many tracks"
        )
    codes = codes.to(torch.int64)
    tracks = [track[:, ((track >= 0) & (track < codebook_size)).all(dim=0)] for track in codes]
    shorter = min(track.shape[-1] for track in tracks)
    if shorter == 0:
        raise ValueError("the song has no whole frame: give a song that lasts")
    return torch.stack([track[:, :shorter] for track in tracks])


def known_songs(
    requests: Sequence[Mapping[str, Any]],
    expected: Sequence[int],
    *,
    encode: Callable[[Any], Tensor],
    new_frames: Callable[..., int],
    num_tracks: int,
    num_codebooks: int,
    frame_rate: float,
) -> list[tuple[Tensor, Tensor]]:
    """What each song begins with: its codes [N, K, T] and how many are visible [N, T], on the CPU.

    Args:
        requests: with ``song`` or ``audio_prompt`` and ``seconds``, and what of a song stays.
        expected: frames that the model expects of each song.
        encode: codes [N, K, T] of what was given as a song.
        new_frames: frames to sing, ``MaskedSettings.new_frames``.
        num_tracks, num_codebooks, frame_rate: N, K and frames a second of the model.
    Raises:
        ValueError: if what is given does not go together.
    """
    known = []
    for request, frames in zip(requests, expected, strict=True):
        edits = {key: request[key] for key in ("regions", "keep_track", "keep_codebooks")}
        if request["song"] is not None:
            if request["audio_prompt"] is not None or request["seconds"] is not None:
                raise ValueError(
                    "song cannot go with audio_prompt or seconds: to go on from a song, give it as "
                    "audio_prompt"
                )
            codes = encode(request["song"])
            shape = list(codes.shape)
            known.append((codes, visible_codebooks(shape, frame_rate=frame_rate, **edits)))
            continue
        if given := [key for key, value in edits.items() if value]:
            raise ValueError(f"{given[0]} needs a song to sing anew in part: give song")
        prompt = None if request["audio_prompt"] is None else encode(request["audio_prompt"])
        done = 0 if prompt is None else prompt.shape[-1]
        new = new_frames(request["seconds"], expected=frames - done, frame_rate=frame_rate)
        codes = torch.zeros(num_tracks, num_codebooks, done + new, dtype=torch.int64)
        visible = torch.zeros(num_tracks, done + new, dtype=torch.int64)
        if prompt is not None:
            codes[..., :done], visible[:, :done] = prompt, num_codebooks
        known.append((codes, visible))
    return known


def visible_codebooks(
    shape: Sequence[int],
    *,
    frame_rate: float,
    regions: Any = None,
    keep_track: str | None = None,
    keep_codebooks: int = 0,
) -> Tensor:
    """How many codebooks of each frame of a song stay as they are.

    Args:
        shape: of its codes, [N, K, T].
        frame_rate: frames a second.
        regions: (start, end) in seconds of what is sung anew, or a list of these; an end of None is
            the song's. None for all of it.
        keep_track: "accompaniment" or "vocal" stays whole, for a song of two tracks.
        keep_codebooks: of what is sung anew, the coarsest codebooks that stay.
    Returns:
        [N, T] int64, 0 to K.
    Raises:
        ValueError: if nothing is left to sing, or an argument does not fit the song.
    """
    num_tracks, num_codebooks, num_frames = shape
    if regions is None and keep_track is None and not keep_codebooks:
        raise ValueError(
            "song was given, but not what is to be sung anew: add regions (seconds), keep_track "
            "('accompaniment' or 'vocal') or keep_codebooks"
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
        if keep_track not in TRACK_NAMES:
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
    """Regions as a list of (start, end) in seconds."""
    alone = isinstance(regions, Sequence) and len(regions) == 2 and _is_second(regions[0])
    spans = [regions] if alone else list(regions)
    for span in spans:
        if (
            len(span) != 2
            or not _is_second(span[0])
            or not (span[1] is None or _is_second(span[1]))
        ):
            raise ValueError(
                f"a region is {span!r}: expected (start, end) in seconds, with None for the end "
                "of the song"
            )
    if not spans:
        raise ValueError("regions is empty: give at least one (start, end) in seconds")
    return [(span[0], span[1]) for span in spans]


def _frames_of(
    start: float, stop: float | None, num_frames: int, frame_rate: float
) -> tuple[int, int]:
    """First frame and the one after the last; a region reaches every frame that it touches."""
    first = int(np.floor(start * frame_rate + 1e-6))
    last = num_frames if stop is None else int(np.ceil(stop * frame_rate - 1e-6))
    if not 0 <= first < min(last, num_frames) or last > num_frames + 1:
        raise ValueError(
            f"a region is ({start:g}, {'None' if stop is None else format(stop, 'g')}) seconds: "
            f"expected it inside the song of {num_frames / frame_rate:.2f} s, the end after the "
            "start"
        )
    return first, min(last, num_frames)


def _is_second(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


__all__ = [
    "TRACK_NAMES",
    "codes_in",
    "conditions_of",
    "encode_conditions",
    "known_songs",
    "sound_in",
    "visible_codebooks",
    "whole_frames",
]

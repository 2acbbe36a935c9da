"""Prepares masked generation and editing: encoded conditions, known codes, and which of them stay.

All edits are expressed as a mask over the codes of a song: continuing it, generating a region or a
track again, or refining its fine codebooks.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..modeling.conditioning import SongGenConditioner, SongGenConditionOutput
from ..modeling.guidance import Branch, given_conditions
from ..modeling.patterns import ACCOMPANIMENT, VOCAL

TRACK_NAMES = {"accompaniment": ACCOMPANIMENT, "vocal": VOCAL}


def encode_conditions(
    conditioner: SongGenConditioner,
    inputs: Mapping[str, Tensor],
    *,
    branches: Sequence[Branch] = (),
) -> tuple[Tensor, Tensor]:
    """Encode the tensors of the processor as conditions of the masked model.

    Returns:
        States [B, E, H] and their mask [B, E]; as many rows follow for each branch of guidance.
    """
    inputs = dict(inputs)
    if "voice" not in given_conditions(inputs):
        for name in ("voice_values", "voice_attention_mask"):
            inputs.pop(name, None)  # all states would be masked
    # With the text projection, as in training, which the reference leaves out in generation.
    output = conditioner(**inputs, guidance_branches=branches, for_generation=False)
    return conditions_of(output)


def conditions_of(output: SongGenConditionOutput) -> tuple[Tensor, Tensor]:
    """Return the states [B, E, H] and the mask [B, E] of a conditioner's output, lyrics last.

    Raises:
        ValueError: if the checkpoint prepends lyrics to the decoder's input.
    """
    if output.get("lyrics_hidden_states") is not None:
        raise ValueError(
            "the conditioner prepends lyrics to the decoder's input, which a masked model does not "
            "have: use a checkpoint with lyrics_cross_attention=True"
        )
    assert output.last_hidden_state is not None and output.attention_mask is not None
    return output.last_hidden_state, output.attention_mask


def codes_of(song: Any) -> Any:
    """Return the codes of a song dict or of an array of codes; None for a recording."""
    if isinstance(song, Mapping):
        song = song.get("codes")
    is_array = isinstance(song, Tensor | np.ndarray)
    return song if is_array and song.ndim == 3 else None


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


def drop_special_frames(
    codes: Any, *, num_tracks: int, num_codebooks: int, codebook_size: int
) -> Tensor:
    """Return codes [N, K, T] as int64 without the frames that hold special ids.

    The codes that ``generate()`` and the pipelines return have such frames after the end of a
    track. Tracks of unequal lengths are cut to the shorter one, as in the mixture.

    Raises:
        TypeError: if the codes are not integers.
        ValueError: if the codes have other sizes, or if no frame is left.
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
    tracks = [track[:, ((track >= 0) & (track < codebook_size)).all(dim=0)] for track in codes]
    shorter = min(track.shape[-1] for track in tracks)
    if shorter == 0:
        raise ValueError("the song has no whole frame: give a song with at least one frame")
    return torch.stack([track[:, :shorter] for track in tracks])


def known_codes(
    requests: Sequence[Mapping[str, Any]],
    expected: Sequence[int],
    *,
    encode: Callable[[Any], Tensor],
    new_frames: Callable[..., int],
    num_tracks: int,
    num_codebooks: int,
    frame_rate: float,
) -> list[tuple[Tensor, Tensor]]:
    """Return the codes [N, K, T] of each song before generation, and how many are visible [N, T].

    The tensors are on the CPU.

    Args:
        requests: requests with ``song``, ``audio_prompt``, ``seconds`` and the edits of ``song``.
        expected: number of frames that the model predicts for each song.
        encode: returns the codes [N, K, T] of a song or an audio prompt.
        new_frames: returns the number of frames to generate, as ``MaskedSettings.new_frames``.
        num_tracks: N, number of tracks of the model.
        num_codebooks: K, number of codebooks of the model.
        frame_rate: frames per second of the codec.
    Raises:
        ValueError: if arguments of a request exclude each other or do not fit the song.
    """
    known = []
    for request, frames in zip(requests, expected, strict=True):
        edits = {key: request[key] for key in ("regions", "keep_track", "keep_codebooks")}
        if request["song"] is not None:
            if request["audio_prompt"] is not None or request["seconds"] is not None:
                raise ValueError(
                    "song cannot be combined with audio_prompt or seconds: to continue a song, "
                    "give it as audio_prompt"
                )
            codes = encode(request["song"])
            shape = list(codes.shape)
            known.append((codes, visible_codebooks(shape, frame_rate=frame_rate, **edits)))
            continue
        if given := [key for key, value in edits.items() if value]:
            raise ValueError(f"{given[0]} needs a song to edit: give song")
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
    """Return one or several regions as a checked list of (start, end) in seconds."""
    alone = isinstance(regions, Sequence) and len(regions) == 2 and _is_second(regions[0])
    spans = [regions] if alone else list(regions)
    for span in spans:
        if (
            len(span) != 2
            or not _is_second(span[0])
            or not (span[1] is None or _is_second(span[1]))
        ):
            raise ValueError(
                f"a region is {span!r}: expected (start, end) in seconds, "
                "with None for the end of the song"
            )
    if not spans:
        raise ValueError("regions is empty: give at least one (start, end) in seconds")
    return [(span[0], span[1]) for span in spans]


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
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def pad_frames(tensor: Tensor, num_frames: int) -> Tensor:
    """Pad the last dimension of a tensor with zeros to ``num_frames``."""
    return torch.nn.functional.pad(tensor, (0, num_frames - tensor.shape[-1]))


__all__ = [
    "TRACK_NAMES",
    "codes_of",
    "conditions_of",
    "drop_special_frames",
    "encode_conditions",
    "known_codes",
    "pad_frames",
    "recording_of",
    "visible_codebooks",
]

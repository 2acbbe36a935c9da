"""Songs as answers: sound files with their record, JSON, codes, pictures and timed lyrics."""

import base64
import io
import struct
from pathlib import Path
from typing import Any

import numpy as np

from ..checkpoints.codes_files import encode_codes
from ..files import SOUND_FORMATS
from ..provenance import encode_song
from .engine import ModelFacts, as_pcm
from .errors import ServiceError
from .service import takes_of
from .store import StoredSong

MEDIA_TYPES = {
    "wav": "audio/wav",
    "flac": "audio/flac",
    "mp3": "audio/mpeg",
    "ogg": "audio/ogg",
    "pcm": "audio/pcm",
}
FORMATS = tuple(MEDIA_TYPES)
PARTS = {"mixture": "audio", "vocal": "vocal", "accompaniment": "accompaniment"}
"""Name of a track in the API -> its key in a song."""


def encoded(stored: StoredSong, part: str, sound_format: str) -> bytes:
    """A track of a song as a sound file.

    Args:
        stored: the song.
        part: one of ``PARTS``.
        sound_format: one of ``FORMATS``; "pcm" is 16-bit little-endian samples without a head.
    Raises:
        ServiceError: 404 for a track that the song does not have, 400 for an unknown format.
    """
    if sound_format not in FORMATS:
        raise ServiceError(
            400,
            f"format is {sound_format[:20]!r}: expected {', '.join(FORMATS)}"
            + (", or json." if part == "mixture" else "."),
            param="format",
            code="invalid_value",
        )
    song = stored.song
    wave = song[PARTS[part]]
    if wave is None:
        raise ServiceError(
            404,
            f"This song has no track {part!r}: {stored.model} writes one mixture.",
            code="track_not_found",
        )
    if sound_format == "pcm" and stored.loudness is None:
        return as_pcm(wave)
    # One gain for all tracks, so that they add up to the mixture.
    gain = song.gain(stored.loudness, stems=song["vocal"] is not None)
    if sound_format == "pcm":
        return as_pcm(wave * np.float32(gain))
    name = f"song.{sound_format}"
    assert f".{sound_format}" in SOUND_FORMATS
    return encode_song(wave, song["sampling_rate"], name, song.provenance(), gain=gain)


def as_json(stored: StoredSong) -> dict[str, Any]:
    """A song with its tracks as base64 WAV files."""
    song = stored.song
    tracks = [part for part, key in PARTS.items() if song[key] is not None]
    sounds = {part: base64.b64encode(encoded(stored, part, "wav")).decode() for part in tracks}
    return {**description(stored), "tracks": sounds}


def description(stored: StoredSong) -> dict[str, Any]:
    """All that is said of a song: facts, words, coverage, sections and takes, if there are any."""
    song = stored.song
    names = ("words", "lines", "coverage", "sections")
    described = facts(stored) | {name: song[name] for name in names if name in song}
    if takes := takes_of(song):
        described["takes"] = takes
    return described


def codes_file(stored: StoredSong, model: ModelFacts) -> bytes:
    """The codes of a song as an NPZ file, in the form of ``songgen-hf generate --save-codes``."""
    return encode_codes(Path("codes.npz"), stored.song["codes"], **model.of_codes)


def picture(stored: StoredSong) -> bytes:
    """The picture of a song as a PNG file.

    Raises:
        ImportError: without matplotlib.
    """
    buffer = io.BytesIO()
    stored.song.plot().savefig(buffer, format="png")
    return buffer.getvalue()


def facts(stored: StoredSong) -> dict[str, Any]:
    """What is said of a song beside its sound."""
    return {
        "id": stored.id,
        "object": "song",
        "created": int(stored.created),
        "model": stored.model,
        "seed": stored.song["seed"],
        "seconds": round(stored.seconds, 3),
        "sampling_rate": stored.song["sampling_rate"],
    }


def headers(stored: StoredSong) -> dict[str, str]:
    """The same as headers of a sound, with the share of the lyrics that is sung if it is known."""
    shown = facts(stored)
    named = {name: shown[name] for name in ("id", "model", "seed", "seconds")}
    if "coverage" in stored.song:
        named["coverage"] = round(stored.song["coverage"]["share"], 3)
    return {f"X-Song-{name.title()}": header_text(value) for name, value in named.items()}


def header_text(value: Any) -> str:
    """A value as a header, which holds no letters beyond Latin-1."""
    return str(value).encode("ascii", "backslashreplace").decode()


def wav_head(sampling_rate: int, channels: int = 1) -> bytes:
    """The head of a WAV file of unknown length, as of a stream."""
    unknown = 0xFFFFFFFF
    block = 2 * channels
    return (
        b"RIFF" + struct.pack("<I", unknown) + b"WAVEfmt "
        + struct.pack("<IHHIIHH", 16, 1, channels, sampling_rate, block * sampling_rate, block, 16)
        + b"data" + struct.pack("<I", unknown)
    )  # fmt: skip


def timed_lyrics(stored: StoredSong, ending: str) -> tuple[str, str]:
    """The timed lyrics of a song and their media type, for the ending "vtt", "lrc" or "json".

    Raises:
        ServiceError: 404 for a song without timestamps.
    """
    if "lines" not in stored.song:
        raise ServiceError(
            404,
            "This song has no times of words: generate it with timestamps true.",
            code="no_timestamps",
        )
    if ending == "vtt":
        return stored.song.webvtt(), "text/vtt"
    if ending == "lrc":
        return stored.song.lrc(), "text/plain"
    return stored.song.json(), "application/json"


__all__ = [
    "FORMATS",
    "MEDIA_TYPES",
    "PARTS",
    "as_json",
    "codes_file",
    "description",
    "encoded",
    "facts",
    "header_text",
    "headers",
    "picture",
    "timed_lyrics",
    "wav_head",
]

"""The songs that codecs are measured on: of a rendered corpus, or sound files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from ...data.corpus.rows import read_sound
from ...data.tables import DIGITS, local_files
from ...modeling.audio_io import read_channels
from ..judges.dataset import read_rows
from .options import CodecsOptions

SOUNDS = (".wav", ".flac", ".ogg", ".mp3")
_COLUMNS = ("song_id", "mixture", "vocal", "phonemes", "voice_id", "sampling_rate")


@dataclass(frozen=True)
class CodecSong:
    """A song to encode; its sounds are read when they are asked for.

    Args:
        id: its name.
        sounds: for "mixture" and, of a corpus, "vocal" a function that returns float32 [S] and the
            sampling rate in Hz.
        phonemes: of the vocal, ``symbol``, ``start`` and ``end`` in seconds; None if unknown.
        singer: name of the voice; None if unknown.
    """

    id: str
    sounds: Mapping[str, Callable[[], tuple[np.ndarray, int]]]
    phonemes: Sequence[Mapping[str, Any]] | None = None
    singer: str | None = None


def read_codec_songs(options: CodecsOptions) -> list[CodecSong]:
    """List the songs: rows of a rendered corpus, or the sound files of a folder.

    Raises:
        FileNotFoundError: if there are none.
    """
    data = options.songs / "data"
    if data.is_dir():
        rows = read_rows(data / f"{options.split}-*.parquet", columns=_COLUMNS)
        return [
            CodecSong(
                row["song_id"],
                {kind: partial(_of_row, row, kind) for kind in ("mixture", "vocal")},
                row["phonemes"],
                row["voice_id"],
            )
            for row in islice(rows, options.max_songs)
        ]
    paths = [
        path
        for path in (local_files(options.songs, SOUNDS) if options.songs.is_dir() else [])
        if not path.stem.endswith((".vocal", ".accompaniment"))
    ]
    if not paths:
        raise FileNotFoundError(
            f"no songs in {options.songs}: expected a rendered corpus, or a folder of "
            f"{', '.join(SOUNDS)} files"
        )
    return [
        CodecSong(path.stem, {"mixture": partial(_of_file, str(path))})
        for path in sorted(paths)[: options.max_songs]
    ]


def songs_digest(songs: Sequence[CodecSong]) -> str:
    """Compute a short digest of the sounds of songs."""
    digest = hashlib.sha256()
    for song in songs:
        for kind, read in song.sounds.items():
            waveform, rate = read()
            digest.update(f"{song.id} {kind} {rate}".encode() + waveform.tobytes())
    return digest.hexdigest()[:DIGITS]


def _of_row(row: Mapping[str, Any], kind: str) -> tuple[np.ndarray, int]:
    return read_sound(row, kind), int(row["sampling_rate"])


def _of_file(path: str) -> tuple[np.ndarray, int]:
    channels, rate = read_channels(path)
    return channels.mean(axis=0, dtype=np.float32), rate


__all__ = ["CodecSong", "read_codec_songs", "songs_digest"]

"""The songs of a folder with what was requested of each, and digests of both."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from ...data.preparation.recordings import find_recordings
from ...data.tables import DIGITS
from ...files import safe_name
from ...modeling.checkpoint_files import reading


@dataclass(frozen=True)
class MeasuredSong:
    """A song to measure; what was not requested is None.

    Args:
        id: its name, without ending; with the folder of its seed, if it has one.
        path: sound file of the mixture.
        prompt: id of its prompt, which several songs of different seeds share; empty for ``id``.
        seed: number of the folder that it lies in, if all songs lie in such folders.
        vocal, accompaniment: sound files of both tracks.
        text: description.
        lyrics: lyrics.
        voice: sound file of the reference voice.
        tempo: requested tempo in beats per minute.
        key: requested key, such as ``Bb minor``.
    """

    id: str
    path: Path
    prompt: str = ""
    seed: int | None = None
    vocal: Path | None = None
    accompaniment: Path | None = None
    text: str | None = None
    lyrics: str | None = None
    voice: Path | None = None
    tempo: float | None = None
    key: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "prompt", self.prompt or self.id)


def read_songs(folder: str, prompts: Path | None, work: Path) -> list[MeasuredSong]:
    """List the songs of a folder in the order of their names.

    If every song lies in a folder with a number for a name, ``7/song.wav``, that is the seed, and
    songs of one name are of one prompt.

    Args:
        folder: folder of sound files, or a manifest, as for ``songgen-hf prepare songs``.
        prompts: file with a request for every song; None for the files beside the songs.
        work: folder for the sounds of a dataset; it must lie outside of ``folder``.
    Raises:
        ValueError: if the file of prompts lacks a song, or a voice or a tempo cannot be read.
        OSError: if there are no songs.
    """
    if not Path(folder).exists():
        raise FileNotFoundError(f"no folder {folder} of songs: check the path")
    rows = find_recordings(folder, work)
    requests = None if prompts is None else _requests(prompts)
    places = _prompts_and_seeds(folder, rows)
    songs = []
    for row, (identity, seed) in zip(rows, places, strict=True):
        path = Path(row["path"])
        request: Mapping[str, Any] = row
        base = path.parent
        if requests is not None and prompts is not None:
            if identity not in requests:
                raise ValueError(
                    f"{prompts} has no prompt with the id {identity!r}: expected one for each of "
                    f"the {len(rows)} songs in {folder}, named like its file"
                )
            request, base = requests[identity], prompts.parent
        song = _song(identity, row, request, base, strict=requests is not None)
        songs.append(replace(song, id=row["recording_id"], prompt=identity, seed=seed))
    return sorted(songs, key=lambda song: song.id)


def _prompts_and_seeds(
    folder: str, rows: Sequence[Mapping[str, Any]]
) -> list[tuple[str, int | None]]:
    """The prompt and the seed of each song, from ``seed/prompt.wav``; otherwise id and None."""
    root = Path(folder).resolve()
    paths = [Path(row["path"]) for row in rows]
    inside = [path.relative_to(root) for path in paths if path.is_relative_to(root)]
    if len(inside) < len(rows) or not all(
        len(path.parts) == 2 and path.parts[0].isascii() and path.parts[0].isdigit()
        for path in inside
    ):
        return [(row["recording_id"], None) for row in rows]
    return [
        (safe_name(path.stem, default="recording", longest=80), int(path.parts[0]))
        for path in inside
    ]


def _requests(path: Path) -> dict[str, Mapping[str, Any]]:
    with reading(path):
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix.lower() == ".jsonl":
            entries = [json.loads(line) for line in text.splitlines() if line.strip()]
        else:
            entries = json.loads(text)
            entries = entries["prompts"] if isinstance(entries, dict) else entries
        return {safe_name(str(entry["id"]), longest=80): dict(entry) for entry in entries}


def _song(
    identity: str, row: Mapping[str, Any], request: Mapping[str, Any], base: Path, *, strict: bool
) -> MeasuredSong:
    voice = base / request["voice"] if isinstance(request.get("voice"), str) else None
    if voice is not None and not voice.is_file():
        if strict:
            raise ValueError(f"the voice of {identity!r} is not there: got {request['voice']!r}")
        voice = None  # descriptions of generated songs name the file without its folder
    tempo = request.get("tempo")
    try:
        tempo = None if tempo in (None, "") else float(tempo)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"tempo of {identity!r}: got {tempo!r}, expected beats per minute"
        ) from error
    if tempo is not None and tempo <= 0:
        raise ValueError(f"tempo of {identity!r}: got {tempo:g} bpm, expected a positive one")
    texts: dict[str, Any] = {name: request.get(name) or None for name in ("text", "lyrics", "key")}
    for name, text in texts.items():
        if not isinstance(text, str | None):
            raise ValueError(f"{name} of {identity!r}: got {text!r}, expected text")
    return MeasuredSong(
        identity,
        Path(row["path"]),
        vocal=Path(row["vocal"]) if row.get("vocal") else None,
        accompaniment=Path(row["accompaniment"]) if row.get("accompaniment") else None,
        voice=voice,
        tempo=tempo,
        **texts,
    )


@cache
def content_digest(path: Path) -> str:
    """A digest of the bytes of a file, 16 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:DIGITS]


def songs_digest(songs: Sequence[MeasuredSong]) -> str:
    """A digest of the sounds of songs, whatever the names of their files."""
    return _digest(sorted(content_digest(song.path) for song in songs))


def prompts_digest(songs: Sequence[MeasuredSong]) -> str:
    """A digest of the different requests, so that several songs of a prompt count once."""
    requests = {
        json.dumps(
            [
                song.text,
                song.lyrics,
                song.tempo,
                song.key,
                song.voice and content_digest(song.voice),
            ]
        )
        for song in songs
    }
    return _digest(sorted(requests))


def _digest(values: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(values).encode()).hexdigest()[:DIGITS]


__all__ = ["MeasuredSong", "content_digest", "prompts_digest", "read_songs", "songs_digest"]

"""Lyrics that commands read, and the timed lyrics and the picture that they write beside a song."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FORMATS = ("lrc", "json", "vtt")
"""Formats of timed lyrics."""


def read_lyrics(path: Path) -> str:
    """The text of a UTF-8 file, with or without a byte order mark."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is no UTF-8 text: save it as UTF-8 ({error})") from error


def timed_lyrics(song: Any, path: Path, formats: Sequence[str]) -> dict[Path, bytes]:
    """The files of timed lyrics of a song: ``NAME.lrc``, ``NAME.vtt`` and ``NAME.words.json``."""
    texts = {"lrc": song.lrc, "vtt": song.webvtt, "json": song.json}
    endings = {"json": ".words.json"}
    return {
        path.with_name(path.stem + endings.get(name, f".{name}")): texts[name]().encode()
        for name in formats
    }


def picture_of(song: Any, path: Path) -> dict[Path, bytes]:
    """The picture of a song, ``NAME.png``."""
    buffer = io.BytesIO()
    song.plot().savefig(buffer, format="png")
    return {path.with_suffix(".png"): buffer.getvalue()}


__all__ = ["FORMATS", "picture_of", "read_lyrics", "timed_lyrics"]

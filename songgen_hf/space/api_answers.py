"""What the endpoints of the API answer: songs as JSON, songs so far, and errors as text."""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..optional import require
from .controls import session_of
from .error_messages import error_message
from .song_files import Song
from .song_service import SongService

if TYPE_CHECKING:
    import gradio as gr
else:
    gr = require("gradio", "space")

_REPORT_SECONDS = 1.0


def begun(service: SongService, request: gr.Request) -> str:
    """The session of a request for songs, which begins now: an earlier ``/stop`` is over."""
    session = session_of(request)
    service.begin_request(session)
    return session


def songs_of(items: Any) -> Iterator[list[dict[str, Any]]]:
    """Yield the songs of a request so far, from time to time while there is no new one."""
    songs: list[dict[str, Any]] = []
    next_report = 0.0
    try:
        with closing(items):
            for item in items:
                if isinstance(item, Song):
                    songs.append(song_as_json(item))
                elif time.monotonic() < next_report:
                    continue
                next_report = time.monotonic() + _REPORT_SECONDS
                yield list(songs)
    except Exception as error:
        raise api_error(error) from error
    yield list(songs)


def api_error(error: Exception) -> Exception:
    """The error that gradio sends to the client, a program: plain text, not HTML."""
    return gr.Error(error_message(error), print_exception=False)


def song_as_json(song: Song) -> dict[str, Any]:
    """A song as the API returns it; clients replace the file entries by local paths."""
    paths = {track.name: track.audio for track in song.tracks} | song.lyrics_files
    files = {name: gr.FileData(path=str(path)).model_dump() for name, path in paths.items()}
    return {
        "id": song.id,
        "title": song.title,
        "seed": song.settings.seed,
        "seconds": round(song.seconds, 3),
        "balance": song.balance,
        "made": song.made,
        "parent": song.parent,
        "score": song.score,
        **{name: song.timed.get(name) for name in ("lines", "coverage")},
        "sections": [dict(section) for section in song.sections],
        "settings": asdict(song.settings),
        "files": {**files, "settings": gr.FileData(path=str(song.sidecar)).model_dump()},
    }


__all__ = ["api_error", "begun", "song_as_json", "songs_of"]

"""The endpoints for programs, ``/sing``, ``/remix`` and ``/fetch``, in the API of gradio.

Their arguments have the names, the defaults and the checks of ``Settings``. They are also the tools
of the Space's server of the Model Context Protocol, described by the docstrings.
"""

import inspect
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ..optional import require
from .controls import session_of
from .generation import Progress
from .settings import FIELDS, LONGEST, Settings
from .song_files import Song
from .song_service import SongService, error_message

if TYPE_CHECKING:
    import gradio as gr
else:
    gr = require("gradio", "space")

_REPORT_SECONDS = 1.0


def add_api(service: SongService, *, group: str) -> None:
    """Add the endpoints to the page, with invisible components.

    Args:
        service: handles the requests.
        group: concurrency group of the events that generate songs.
    """
    song_id = gr.Textbox(visible=False, label="song_id")
    balance = _argument("balance", 0)
    # The sliders of the page cannot be used here: they reject a value with "greater than maximum"
    # and do not say which value it was.
    settings = [_argument(name, getattr(service.defaults, name)) for name in FIELDS]
    voice = gr.Audio(type="filepath", visible=False, label="voice")
    gr.Button(visible=False).click(
        _sing_endpoint(service),
        [*settings, voice, _argument(LONGEST, None)],
        gr.JSON(visible=False, label="songs"),
        api_name="sing",
        api_description="Sing lyrics. Returns a list of songs with their settings, their seeds and "
        "their files: the mix, the vocal and the band of a song with two tracks, and a JSON file.",
        concurrency_id=group,
        concurrency_limit=service.limits.concurrency,
    )
    # In the queue, because only there an assistant has a session.
    queued = {"concurrency_limit": None}
    gr.Button(visible=False).click(
        _remix_endpoint(service),
        [song_id, balance],
        gr.JSON(visible=False, label="song"),
        api_name="remix",
        api_description="Change the balance of vocal and band in the mix of a song, without "
        "singing it again: -100 is the band alone, 100 the vocal alone.",
        **queued,
    )
    gr.Button(visible=False).click(
        _fetch_endpoint(service),
        [song_id],
        gr.JSON(visible=False, label="song"),
        api_name="fetch",
        api_description="Fetch a song that was sung before, with its settings and the addresses "
        "of its files. Songs are deleted after a while.",
        **queued,
    )


def _sing_endpoint(service: SongService) -> Callable[..., Iterator[list[dict[str, Any]]]]:
    """The function of ``/sing``; gradio takes the names of the arguments from its signature."""

    def sing(
        lyrics: Any = None,
        text: Any = None,
        voice_start: Any = None,
        mode: Any = None,
        seconds: Any = None,
        seed: Any = None,
        guidance: Any = None,
        top_k: Any = None,
        temperature: Any = None,
        steps: Any = None,
        variations: Any = None,
        adapter: Any = None,
        adapter_weight: Any = None,
        voice: Any = None,
        max_seconds: Any = None,
        request: gr.Request = None,  # type: ignore[assignment]
    ) -> Iterator[list[dict[str, Any]]]:
        seconds = seconds if max_seconds is None else max_seconds
        values = (lyrics, text, voice_start, mode, seconds, seed, guidance, top_k, temperature,
                  steps, variations, adapter, adapter_weight)  # fmt: skip
        settings = Settings(**dict(zip(FIELDS, values, strict=True)))
        songs: list[dict[str, Any]] = []
        next_report = 0.0
        try:
            with closing(service.generate(session_of(request), settings, voice)) as items:
                for item in items:
                    if isinstance(item, Song):
                        songs.append(song_as_json(item))
                    elif isinstance(item, Progress) and time.monotonic() < next_report:
                        continue
                    next_report = time.monotonic() + _REPORT_SECONDS
                    yield list(songs)
        except Exception as error:
            raise _api_error(error) from error
        yield list(songs)

    sing.__doc__ = f"""Sing lyrics.

Args:
{_arguments_of_settings()}
    voice: recording of the reference voice: its three seconds from voice_start on are used.
    max_seconds: another name of seconds.
"""
    return sing


def _remix_endpoint(service: SongService) -> Callable[..., dict[str, Any]]:
    """The function of ``/remix``."""

    def remix(song_id: Any, balance: Any, request: gr.Request) -> dict[str, Any]:
        """Change the balance of vocal and band.

        Args:
            song_id: the id of a song with two tracks that was sung in this session.
            balance: from -100, the band alone, over 0, as it was sung, to 100, the vocal alone.
        """
        try:
            return song_as_json(service.remix(session_of(request), str(song_id), balance))
        except Exception as error:
            raise _api_error(error) from error

    return remix


def _fetch_endpoint(service: SongService) -> Callable[..., dict[str, Any]]:
    """The function of ``/fetch``."""

    def fetch(song_id: Any, request: gr.Request) -> dict[str, Any]:
        """Fetch a song.

        Args:
            song_id: the id of a song that was sung in this session.
        """
        try:
            song = service.store.song(session_of(request), str(song_id))
            base = f"{request.base_url}gradio_api/file="
            addresses = {track.name: f"{base}{track.audio}" for track in song.tracks}
            return {**song_as_json(song), "addresses": addresses}
        except Exception as error:
            raise _api_error(error) from error

    return fetch


def _arguments_of_settings() -> str:
    """The arguments in the docstring of ``Settings``, each in one line."""
    listed = (inspect.getdoc(Settings) or "").partition("Args:\n")[2]
    return re.sub(r"\n {5,}", " ", listed.rstrip()).replace("``", "").replace('"', "'")


def _api_error(error: Exception) -> Exception:
    """The error that gradio sends to the client, a program: plain text, not HTML."""
    return gr.Error(error_message(error), print_exception=False)


def _argument(name: str, default: Any) -> Any:
    """An invisible component that receives an argument of an endpoint."""
    if isinstance(default, str):
        return gr.Textbox(default, visible=False, label=name)
    return gr.Number(default, visible=False, label=name)


def song_as_json(song: Song) -> dict[str, Any]:
    """A song as the API returns it; clients replace the file entries by local paths."""
    files = {track.name: gr.FileData(path=str(track.audio)).model_dump() for track in song.tracks}
    return {
        "id": song.id,
        "title": song.title,
        "seed": song.settings.seed,
        "seconds": round(song.seconds, 3),
        "balance": song.balance,
        "settings": asdict(song.settings),
        "files": {**files, "settings": gr.FileData(path=str(song.sidecar)).model_dump()},
    }


__all__ = ["add_api", "song_as_json"]
